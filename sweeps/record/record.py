"""The record of a sweep: its journal, the trials folded from it, and the views that follow."""

from collections.abc import Callable

from sweeps.events import Event, TrialEvent
from sweeps.record.folder import RunFolder
from sweeps.record.journal import Journal, read
from sweeps.record.views import View
from sweeps.trials import Trials


class Record:
    """What happened, and what follows from it.

    Args:
        folder: the run folder; None: nothing is written, as in a simulation.
        follow: is told every event after `trials`, those of earlier runs first.
    """

    def __init__(self, folder: RunFolder | None, *, trials: Trials, follow: Callable[[Event], None]) -> None:
        self.trials = trials
        self._journal = Journal(folder.journal if folder else None)
        self._follow = follow
        self._views: list[View] = []
        self.last: TrialEvent | None = None
        """The last event of a trial."""

    def open(self) -> None:
        """Take in what earlier runs wrote; trials that they left running are interrupted.

        Raises:
            ValueError: the journal is damaged, or of another version.
        """
        for line in self._journal.open():
            try:
                self._take_in(line.event)
            except (ValueError, TypeError, LookupError) as error:  # the last two: it is not of this sweep's parameters
                raise self._journal.damaged(line.number, error) from None
        self.trials.release()

    @property
    def token(self) -> str:
        """The sweep's own random word."""
        return self._journal.token

    def show_in(self, *views: View) -> None:
        """Let views follow from now on."""
        self._views += views

    def write(self, event: Event) -> None:
        """Write an event down, on the disk when this returns, and let everything follow it.

        Raises:
            OSError: the disk is full.
        """
        self._journal.append(event)
        self._take_in(event)
        trial = self.trials[event.trial_id] if isinstance(event, TrialEvent) else None
        for view in self._views:
            view.apply(event, trial)

    def _take_in(self, event: Event) -> None:
        self.trials.apply(event)
        self._follow(event)
        if isinstance(event, TrialEvent):
            self.last = event

    def flush(self) -> None:
        """Let the views write what is due."""
        for view in self._views:
            view.flush()

    def close(self) -> None:
        """Let the views write all."""
        for view in self._views:
            view.close()


def read_trials(folder: RunFolder) -> Trials:
    """The trials of a run folder that another process may be writing to.

    Raises:
        FileNotFoundError: it has no journal.
        ValueError: the journal is damaged, or of another version.
    """
    trials = Trials()
    for line in read(folder.journal):
        try:
            trials.apply(line.event)
        except ValueError as error:
            raise Journal(folder.journal).damaged(line.number, error) from None
    return trials
