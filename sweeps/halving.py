"""Which trials stop: asynchronous successive halving, by the losses at a rung or by what they will become."""

import math
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Protocol

DIVERGED_LOSS = 100.0
"""What Optuna and ASHA are told of a trial that diverged. [nat/token]

Finite, because a NaN leaves an Optuna trial RUNNING for ever; far above ln(65,536) = 11.1, the loss of guessing
evenly among as many tokens as a uint16 file can hold, so that no honest trial ranks behind it.
"""
RECENT = 300
"""Trials of a rung, the latest, that a forecast or a front ranks: more would cost time and hardly change the rank."""
CHANCE = 0.3
"""A trial that beats the best forecast with this probability goes on whatever its rank. Measured: on recorded curves
that cross, the best trial is stopped less often, and nothing is lost on others."""


class Forecaster(Protocol):
    """What is expected of trials that have not ended."""

    def forecast(self, trial_ids: Sequence[str]) -> Mapping[str, float]:
        """The losses that they will end with."""

    def chance_of_best(self, trial_id: str) -> float:
        """Probability that it will end below all others."""


class SuccessiveHalving:
    """ASHA, the stopping variant: at each rung a trial goes on if it is among the best 1/eta that reached it.

    Decisions are taken at once from what has been reported so far, so nobody waits for slower trials; the first
    to reach a rung always goes on.

    Args:
        eta: reduction factor.
        rungs: the evaluations at which trials are compared.

    Source: Li et al. 2020, arXiv:1810.05934, section 3.2; stopping instead of pausing as in its appendix.
    """

    def __init__(self, *, eta: int, rungs: Sequence[int]) -> None:
        self.eta = eta
        self._losses: dict[int, dict[str, float]] = {rung: {} for rung in rungs}
        self._rankings: dict[int, list[tuple[float, str]]] = {rung: [] for rung in rungs}

    def record(self, trial_id: str, evaluation: int, loss: float) -> None:
        """Take in a loss without a decision.

        Args:
            loss: finite; a diverged trial is told as `DIVERGED_LOSS`.
        """
        assert math.isfinite(loss)
        if evaluation not in self._losses:
            return
        losses, ranking = self._losses[evaluation], self._rankings[evaluation]
        if trial_id in losses:
            del ranking[bisect_left(ranking, (losses[trial_id], trial_id))]
        losses[trial_id] = loss
        insort(ranking, (loss, trial_id))

    def report(self, trial_id: str, evaluation: int, loss: float) -> bool:
        """Record a loss and say whether the trial may go on; arguments as those of `record`."""
        self.record(trial_id, evaluation, loss)
        if evaluation not in self._losses:
            return True
        ranking = self._rankings[evaluation]
        return bisect_left(ranking, (loss, trial_id)) < max(1, len(ranking) // self.eta)


class ForecastHalving:
    """The same rungs, but who is best is told by the losses that trials are expected to end with, since curves cross.

    All that reached the rung are forecast anew at every decision. A trial with a fair chance to end best goes on
    whatever its rank, a diverged one never.

    Args:
        eta: reduction factor.
        rungs: the evaluations at which trials are compared.
        forecaster: has been told of a loss before it is reported here.
    """

    def __init__(self, *, eta: int, rungs: Sequence[int], forecaster: Forecaster) -> None:
        self.eta = eta
        self._reached: dict[int, dict[str, None]] = {rung: {} for rung in rungs}
        self._forecaster = forecaster

    def record(self, trial_id: str, evaluation: int, loss: float) -> None:
        """Take in that a trial reached a rung, without a decision."""
        if evaluation in self._reached:
            self._reached[evaluation][trial_id] = None

    def report(self, trial_id: str, evaluation: int, loss: float) -> bool:
        """Record, and say whether the trial may go on.

        Args:
            loss: `DIVERGED_LOSS` of a trial that diverged.
        """
        self.record(trial_id, evaluation, loss)
        if evaluation not in self._reached:
            return True
        if loss >= DIVERGED_LOSS:
            return False
        if self._forecaster.chance_of_best(trial_id) > CHANCE:
            return True
        latest = [other for other in islice(reversed(self._reached[evaluation]), RECENT) if other != trial_id]
        finals = self._forecaster.forecast([*latest, trial_id])
        better = sum(final < finals[trial_id] for final in finals.values())
        return better < max(1, len(finals) // self.eta)
