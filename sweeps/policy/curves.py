"""What was reported of the trials of a search: as much of it as the surrogate may see, and when it is to learn from it.

Everything follows from the calls and their order, so that a replayed journal leads to the same surrogate.
"""

import math
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sweeps.policy.surrogate import Array, Curve, terms

ROWS = 300
"""Numbers that the surrogate is fitted to; beyond them trials are left out, those that stopped earliest first."""
GROWTH, LATE_GROWTH = 1.15, 2.0
"""Hyperparameters are fitted anew whenever there are so many times as many numbers as at the last fit; the second
factor counts once there are more than `ROWS`, where a fit takes longest."""
OUTLIER = 3.0
"""How far above the median of its evaluation a loss may lie, in deviations; worse or diverged ones are drawn in."""
ENOUGH = 8
"""Losses of an evaluation whose own deviation counts; of fewer, that of the evaluation where most trials were."""
UNKNOWN_SCALE = 0.1
"""Deviation of log losses as long as all are equal."""


@dataclass
class Reported:
    """What is known of one trial."""

    features: Array
    losses: dict[int, float] = field(default_factory=dict)
    """Modelled values by evaluation, logarithms of losses as a rule; infinite where the trial diverged."""

    @property
    def finite(self) -> int:
        """How many of them are numbers."""
        return sum(map(math.isfinite, self.losses.values()))


class Curves:
    """The curves of all trials.

    Args:
        length: numbers that say all about a curve, so that no curve counts for more.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self.trials: dict[str, Reported] = {}
        """All trials that have begun, by name."""
        self.running: dict[str, Reported] = {}
        """Trials that run, in the order of their last reports."""
        self.noted: Mapping[str, Reported] = {}
        """What hyperparameters are to be fitted to: the curves as they were when there were last enough new ones."""
        self.finite = 0
        """How many losses are finite."""
        self._ended: list[tuple[bool, int, str]] = []
        """What ended trials with losses are worth, and their names, ascending: as many as the surrogate may see."""
        self._rows = 0
        """Numbers that say all about the curves of all trials."""
        self._next_note = 1
        """Rows at which the curves are noted next."""

    def add(self, trial_id: str, features: Array) -> None:
        """A trial begins."""
        self.trials[trial_id] = self.running[trial_id] = Reported(features)

    def report(self, trial_id: str, evaluation: int, loss: float) -> None:
        """Take in an evaluation; an infinite loss says that the trial diverged."""
        losses = self.trials[trial_id].losses
        if evaluation not in losses and len(losses) < self._length:
            self._rows += 1
        self.finite += math.isfinite(loss) - math.isfinite(losses.get(evaluation, math.inf))
        losses[evaluation] = loss
        if trial_id in self.running:
            self.running[trial_id] = self.running.pop(trial_id)
        if self._rows >= self._next_note and self.finite:
            self._note()

    def _note(self) -> None:
        self.noted = {name: Reported(trial.features, dict(trial.losses)) for name, trial in self.kept().items()}
        growth = GROWTH if self._rows < ROWS else LATE_GROWTH
        self._next_note = max(self._rows + 1, math.ceil(growth * self._rows))

    def end(self, trial_id: str) -> None:
        """A trial has ended or paused; one that had paused may yet end otherwise."""
        trial = self.trials[trial_id]
        if self.running.pop(trial_id, None) is None:
            self._leave_ended(trial_id)
        if trial.losses:
            insort(self._ended, (trial.finite > 0, len(trial.losses), trial_id))
            del self._ended[:-ROWS]

    def resume(self, trial_id: str) -> None:
        """A trial that had ended or paused runs again."""
        self.running[trial_id] = self.trials[trial_id]
        self._leave_ended(trial_id)

    def _leave_ended(self, trial_id: str) -> None:
        self._ended = [worth for worth in self._ended if worth[-1] != trial_id]

    def remove(self, trial_id: str) -> None:
        """Forget a trial, as if it had never begun."""
        trial = self.trials.pop(trial_id)
        self.running.pop(trial_id, None)
        self._leave_ended(trial_id)
        self._rows -= min(self._length, len(trial.losses))
        self.finite -= trial.finite

    def kept(self) -> dict[str, Reported]:
        """The trials that the surrogate sees: all, or those that went farthest, and running ones that just reported.

        Ended and running ones have half of the rows each, and what the others leave.
        """
        ended = [trial_id for _, _, trial_id in reversed(self._ended)]
        reported = [trial_id for trial_id, trial in reversed(self.running.items()) if trial.losses]
        kept: dict[str, Reported] = {}
        left = ROWS
        for names, most in ((ended, ROWS // 2), (reported, ROWS), (ended, ROWS)):
            for name in names:
                if name in kept:
                    continue
                rows = min(self._length, len(self.trials[name].losses))
                if rows > left or ROWS - left >= most:
                    break
                kept[name] = self.trials[name]
                left -= rows
        return kept


@dataclass(frozen=True, kw_only=True)
class Standard:
    """How curves are standardised for the surrogate: by median and deviation where most trials were."""

    center: float
    scale: float
    evaluations: Sequence[int]
    """Evaluations with a loss, rising."""
    highest: Sequence[float]
    """The value by which worse or infinite losses are replaced."""

    @classmethod
    def of(cls, trials: Iterable[Reported]) -> "Standard":
        """The standard of some trials, at least one of which has a finite loss."""
        columns: dict[int, list[float]] = {}
        for trial in trials:
            for at, value in trial.losses.items():
                if math.isfinite(value):
                    columns.setdefault(at, []).append(value)
        most = max(columns.values(), key=len)
        scale = _deviation(most) or UNKNOWN_SCALE
        known = sorted(columns)
        highest = [_highest(columns[at], scale) for at in known]
        return cls(center=float(np.median(most)), scale=scale, evaluations=known, highest=highest)

    def curve(self, trial: Reported, evaluations: int, cooldown: float) -> Curve:
        """A trial as the surrogate sees it, outliers drawn in; the other arguments as those of `terms`."""
        at = list(trial.losses)
        drawn_in = np.minimum(list(trial.losses.values()), np.interp(at, self.evaluations, self.highest))
        return Curve(
            features=trial.features,
            basis=terms(np.array(at, dtype=float), evaluations, cooldown),
            values=(drawn_in - self.center) / self.scale,
        )


def _highest(column: list[float], scale: float) -> float:
    """The largest value of an evaluation that is not an outlier; trials differ more at some evaluations than at
    others.
    """
    own = _deviation(column) if len(column) >= ENOUGH else 0.0
    return float(np.median(column)) + OUTLIER * (own or scale)


def _deviation(values: list[float]) -> float:
    """Standard deviation of a normal distribution with the same median distance to the median."""
    return 1.4826 * float(np.median(np.abs(np.array(values) - np.median(values))))
