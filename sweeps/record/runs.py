"""The W&B runs of a sweep, a view: one run a trial, all of them owned by the driver."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sweeps.events import Abandoned, Began, Completed, Diverged, Evaluated, Event, Failed, Paused, RunOpened, Stopped
from sweeps.record.rows import Rows
from sweeps.record.tracking import Tracker
from sweeps.trials import Trial, Trials

ENDINGS = (Paused, Stopped, Completed, Diverged, Failed, Abandoned)


class RunsView:
    """Tells a tracker what happens; see `views.View`.

    On opening, the runs of ended trials that W&B may not have whole are ended again, as a kill may have come before
    the tracker's thread got to them. If the folder of offline runs is gone, all others are written again.

    Args:
        tracker: owner of the runs.
        trials: all of the sweep.
        rows: knows their configurations.
        note_closed: writes down that W&B has all of an ended or paused trial's run.
    """

    def __init__(self, tracker: Tracker, trials: Trials, rows: Rows, *, note_closed: Callable[[str], None]) -> None:
        self._tracker = tracker
        self._trials = trials
        self._rows = rows
        self._note_closed = note_closed
        self._ending: Counter[str] = Counter()
        """How many ends of each trial's run the tracker has still to tell W&B: a paused trial may be promoted."""
        for trial in trials.values():
            if trial.run_id and not trial.unfinished and not trial.run_closed:
                self._end(trial)
            elif trial.run_id and tracker.has_lost_runs:
                ending = () if trial.unfinished else self._last(trial)
                tracker.restore(trial.trial_id, self._shown(trial), trial.evaluations, *ending)

    def _shown(self, trial: Trial) -> dict[str, Any]:
        return self._rows.shown(trial)

    def _last(self, trial: Trial) -> tuple[str, dict[str, Any]]:
        """A trial's status and summary."""
        row = self._rows.row(trial)
        return row.status, {name: value for name, value in asdict(row).items() if name != "searched"}

    def _start(self, trial: Trial) -> None:
        self._tracker.start(trial.trial_id, self._shown(trial), True, trial.evaluations)

    def _end(self, trial: Trial) -> None:
        self._start(trial)  # unless it is open
        self._tracker.end(trial.trial_id, *self._last(trial))
        self._ending[trial.trial_id] += 1

    def apply(self, event: Event, trial: Trial | None) -> None:
        """See `views.View`."""
        if trial is None or not trial.run_id:
            return
        if isinstance(event, RunOpened):
            self._tracker.start(trial.trial_id, self._shown(trial), resumed=False)
        elif isinstance(event, Began):
            self._start(trial)
        elif isinstance(event, Evaluated):
            self._tracker.log(trial.trial_id, event.metrics)
        elif isinstance(event, ENDINGS) and not trial.run_closed:
            self._end(trial)

    def flush(self) -> None:
        """Note which runs W&B has whole by now; see `views.View`."""
        for trial_id in self._tracker.closed():
            self._ending[trial_id] -= 1
            if not self._ending[trial_id] and not self._trials[trial_id].unfinished:
                self._note_closed(trial_id)

    def close(self) -> None:
        """See `views.View`."""
        self._tracker.close()
        self.flush()
