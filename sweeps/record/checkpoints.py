"""Which checkpoints a sweep keeps: those of the best trials, and of all that may yet be trained further."""

from collections.abc import Callable, Sequence

from sweeps.trials import Trial, Trials
from tinystories import storage


class Checkpoints:
    """The checkpoints of a sweep, few of many; what an end costs does not depend on how many have ended.

    Args:
        location: folder or URI with one folder a trial; None: nothing is kept, as in a simulation.
        trials: all of the sweep.
        best: which of some ended or paused trials are worth keeping, whatever may yet be promoted.
        promising: the names of paused trials that may yet be promoted.
        forget: writes down that a trial's checkpoints are no longer kept, before they are deleted.
    """

    def __init__(
        self,
        location: str | None,
        trials: Trials,
        *,
        best: Callable[[Sequence[Trial]], Sequence[Trial]],
        promising: Callable[[], set[str]],
        forget: Callable[[str], None],
    ) -> None:
        self.location = location
        self._trials = trials
        self._best = best
        self._promising = promising
        self._forget = forget
        self._kept = {
            trial.trial_id: trial
            for trial in trials.values()
            if trial.checkpoint and not trial.unfinished and not _confirms(trial)
        }

    def folder(self, trial_id: str) -> str:
        """Where a trial's checkpoints are."""
        return f"{self.location}/{trial_id}"

    def clear(self, trial_id: str) -> None:
        """Delete what a journal that is lost has left under the name of a new trial."""
        if self.location:
            storage.delete(self.folder(trial_id))

    def resume(self, trial: Trial) -> None:
        """A trial is trained further: its checkpoints are its worker's."""
        self._kept.pop(trial.trial_id, None)

    def end(self, trial: Trial) -> None:
        """A trial ended or paused: delete what need not be kept any more."""
        if trial.checkpoint and not _confirms(trial):
            self._kept[trial.trial_id] = trial
            self._delete_others()

    def settle(self) -> None:
        """Delete what need not be kept, and what a killed run forgot to."""
        self._delete_others()
        for trial_id in storage.folders(self.location) if self.location else ():
            trial = self._trials.get(trial_id)
            if trial is not None and not trial.unfinished and (trial.state == "abandoned" or not trial.checkpoint):
                storage.delete(self.folder(trial_id))

    def _delete_others(self) -> None:
        kept = {trial.trial_id for trial in self._best([trial for trial in self._kept.values() if trial.usable])}
        if len(kept) < len(self._kept):
            kept |= self._promising()
        for trial_id in [trial_id for trial_id in self._kept if trial_id not in kept]:
            del self._kept[trial_id]
            self._forget(trial_id)
            storage.delete(self.folder(trial_id))


def _confirms(trial: Trial) -> bool:
    """Whether it confirms another one and has completed: then its checkpoint is always kept."""
    return trial.stage == "confirm" and trial.usable
