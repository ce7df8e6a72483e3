"""The W&B runs of a sweep, a view: one run a trial, all of them owned by the driver."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sweeps.events import Began, Completed, Diverged, Evaluated, Event, Failed, Paused, RunOpened, Stopped
from sweeps.record.rows import Rows
from sweeps.record.tracking import Tracker
from sweeps.trials import Trial, Trials

ENDINGS = (Paused, Stopped, Completed, Diverged, Failed)


class RunsView:
    """Tells a tracker what happens; see `views.View`.

    Args:
        tracker: owner of the runs.
        trials: all of the sweep; if the folder of their offline runs is gone, it is made again.
        rows: knows their configurations.
        ended: trials that ended before anyone could tell the tracker, as a kill came in between.
    """

    def __init__(self, tracker: Tracker, trials: Trials, rows: Rows, *, ended: Iterable[Trial] = ()) -> None:
        self._tracker = tracker
        self._rows = rows
        if tracker.has_lost_runs:
            for trial in trials.values():
                if trial.run_id:
                    ending = () if trial.unfinished else self._ending(trial)
                    tracker.restore(trial.trial_id, self._shown(trial), trial.evaluations, *ending)
            return
        for trial in ended:
            if trial.run_id:
                tracker.start(trial.trial_id, self._shown(trial), resumed=True)
                tracker.end(trial.trial_id, *self._ending(trial))

    def _shown(self, trial: Trial) -> dict[str, Any]:
        return self._rows.shown(trial)

    def _ending(self, trial: Trial) -> tuple[str, dict[str, Any]]:
        row = self._rows.row(trial)
        return row.status, {name: value for name, value in asdict(row).items() if name != "searched"}

    def apply(self, event: Event, trial: Trial | None) -> None:
        """See `views.View`."""
        if trial is None or not trial.run_id:
            return
        if isinstance(event, RunOpened):
            self._tracker.start(trial.trial_id, self._shown(trial), resumed=False)
        elif isinstance(event, Began):
            self._tracker.start(trial.trial_id, self._shown(trial), resumed=True)
        elif isinstance(event, Evaluated):
            self._tracker.log(trial.trial_id, event.metrics)
        elif isinstance(event, ENDINGS):
            self._tracker.end(trial.trial_id, *self._ending(trial))

    def flush(self) -> None:
        """See `views.View`; the tracker has a thread of its own."""

    def close(self) -> None:
        """See `views.View`."""
        self._tracker.close()
