"""Asynchronous successive halving: poor trials stop at a rung, or pause there until they are promoted."""

import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from sweeps.policy.verdicts import Verdict
from sweeps.trials import Trial


class Rule(Protocol):
    """Who continues at a rung."""

    def record(self, trial_id: str, evaluation: int, loss: float) -> None:
        """Take in a loss without a decision; infinite: the trial diverged. [nat/token]"""

    def drop(self, trial_id: str) -> None:
        """Forget a trial that failed or diverged: it is promoted no more, and another one moves up."""

    def forget(self, trial_id: str) -> None:
        """Take a trial for one that never was, as it is not asked for any more."""

    def verdict(self, trial: Trial) -> Verdict:
        """What follows from a trial's last evaluation, which was recorded; its loss is finite."""


class Ranking:
    """The losses at one rung, lowest first; of equal ones, those of the trials of smaller names."""

    def __init__(self) -> None:
        self._losses: dict[str, float] = {}
        self._sorted: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def __contains__(self, trial_id: str) -> bool:
        return trial_id in self._losses

    def __iter__(self) -> Iterator[str]:
        return (trial_id for _, trial_id in self._sorted)

    def add(self, trial_id: str, loss: float) -> None:
        """Take in a trial that is not here yet."""
        self._losses[trial_id] = loss
        insort(self._sorted, (loss, trial_id))

    def remove(self, trial_id: str) -> None:
        """Forget a trial, if it is here."""
        if trial_id in self._losses:
            del self._sorted[self.rank(trial_id)]
            del self._losses[trial_id]

    def rank(self, trial_id: str) -> int:
        """How many trials are better."""
        return bisect_left(self._sorted, (self._losses[trial_id], trial_id))

    def best(self, count: int) -> list[str]:
        """The trials of the lowest losses, best first."""
        return [trial_id for _, trial_id in self._sorted[:count]]


class SuccessiveHalving:
    """ASHA, the stopping variant: at each rung a trial continues if it is among the best 1/eta that reached it.

    Decisions are taken at once from what has been reported so far, so no trial waits for slower ones; the first
    to reach a rung always continues.

    Args:
        eta: reduction factor.
        rungs: the evaluations at which trials are compared.

    Source: Li et al. 2020, arXiv:1810.05934, section 3.2; stopping instead of pausing as in its appendix.
    """

    def __init__(self, *, eta: int, rungs: Sequence[int]) -> None:
        self._eta = eta
        self._rankings = {rung: Ranking() for rung in rungs}

    def record(self, trial_id: str, evaluation: int, loss: float) -> None:
        """See `Rule`; a diverged trial counts as one that reached the rung, behind all others."""
        if evaluation in self._rankings:
            self._rankings[evaluation].add(trial_id, loss)

    def drop(self, trial_id: str) -> None:
        """Nothing: this rule promotes nobody."""

    def forget(self, trial_id: str) -> None:
        """See `Rule`."""
        for ranking in self._rankings.values():
            ranking.remove(trial_id)

    def verdict(self, trial: Trial) -> Verdict:
        """See `Rule`."""
        ranking = self._rankings.get(trial.evaluation)
        if ranking is None or ranking.rank(trial.trial_id) < max(1, len(ranking) // self._eta):
            return Verdict.CONTINUE
        return Verdict.STOP


class PromotionHalving:
    """ASHA as published: every trial pauses at each rung, and a free slot promotes one of the best 1/eta of a rung.

    The highest rung comes first; where nobody is to be promoted, a new configuration begins. A search with an end
    needs one rule more: when no more trials are to come, none runs and none has completed, the best of the highest rung
    is promoted.

    Args:
        eta: reduction factor.
        rungs: the evaluations at which trials pause.

    Source: Li et al. 2020, arXiv:1810.05934, algorithm 2.
    """

    def __init__(self, *, eta: int, rungs: Sequence[int]) -> None:
        self._eta = eta
        self._rankings = {rung: Ranking() for rung in rungs}
        self._paused = {rung: Ranking() for rung in rungs}
        """Trials that have not been promoted from each rung."""
        self._diverged = dict.fromkeys(rungs, 0)

    def record(self, trial_id: str, evaluation: int, loss: float) -> None:
        """See `Rule`; a diverged trial counts among those that reached the rung, and is never promoted."""
        if evaluation not in self._rankings:
            return
        if math.isfinite(loss):
            self._rankings[evaluation].add(trial_id, loss)
            self._paused[evaluation].add(trial_id, loss)
        else:
            self._diverged[evaluation] += 1

    def promote(self, trial: Trial) -> None:
        """A trial was promoted from where it is."""
        if trial.evaluation in self._paused:
            self._paused[trial.evaluation].remove(trial.trial_id)

    def drop(self, trial_id: str) -> None:
        """See `Rule`; it still counts among those that reached its rungs."""
        for paused in self._paused.values():
            paused.remove(trial_id)

    def forget(self, trial_id: str) -> None:
        """See `Rule`."""
        self.drop(trial_id)
        for ranking in self._rankings.values():
            ranking.remove(trial_id)

    def verdict(self, trial: Trial) -> Verdict:
        """See `Rule`."""
        return Verdict.PAUSE if trial.evaluation in self._rankings else Verdict.CONTINUE

    def next(self, trials: Mapping[str, Trial], *, last: bool) -> str | None:
        """The trial to promote now; None: nobody.

        Args:
            trials: all of the sweep.
            last: whether no more trials are to come and none runs.
        """
        for rung in reversed(self._paused):
            waiting, ranking = self._paused[rung], self._rankings[rung]
            best = next((name for name in waiting if trials[name].state == "paused"), None)
            if best is None:
                continue
            if ranking.rank(best) < (len(ranking) + self._diverged[rung]) // self._eta:
                return best
        return self._best_of_the_highest(trials) if last else None

    def promising(self, trials: Mapping[str, Trial], total: int) -> set[str]:
        """Paused trials that may yet be promoted: ranks only fall as more trials come, and one more may fail.

        Args:
            trials: all of the sweep.
            total: trials that the search will have.
        """
        found: set[str] = set()
        for rung, ranking in self._rankings.items():
            total = max(1, total // self._eta)
            here = (trials[name] for name in ranking.best(total + 1))
            found.update(trial.trial_id for trial in here if trial.state == "paused" and trial.evaluation == rung)
        return found

    def _best_of_the_highest(self, trials: Mapping[str, Trial]) -> str | None:
        """The best paused trial of the highest rung that has one, unless a trial has completed."""
        if any(trial.state == "completed" for trial in trials.values()):
            return None
        waiting = (name for rung in reversed(self._paused) for name in self._paused[rung])
        return next((name for name in waiting if trials[name].state == "paused"), None)
