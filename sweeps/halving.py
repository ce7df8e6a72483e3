"""Which trials stop, and which of them go on later: asynchronous successive halving, and screening."""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

DIVERGED_LOSS = 100.0
"""What Optuna and ASHA are told of a trial that diverged. [nat/token]

Finite, because a NaN leaves an Optuna trial RUNNING for ever; far above ln(65,536) = 11.1, the loss of guessing
evenly among as many tokens as a uint16 file can hold, so that no honest trial ranks behind it.
"""
RECENT = 300
"""Trials of a rung that a front ranks, the latest, or a forecast, those of the lowest losses: more would cost time and
hardly change the rank."""
CHANCE = 0.3
"""A trial that beats the best forecast with this probability is not stopped. Measured: on recorded curves that cross,
the best trial is stopped less often, and nothing is lost on others."""
Work = tuple[str | None, int]
"""A trial, None for one that is not known yet, and evaluations that it is yet to be trained for."""
SHARE = 0.5
"""Of a budget, what finalists may cost, unless there is only one."""
SPARE = 2
"""So many times as many trials as there are finalists may yet be some by their forecasts."""


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


class Screening:
    """All trials stop at one rung, and when no more are to come, the best are trained to their end.

    Nobody goes on by luck of the order, and most of a budget goes into looking at many configurations. Where curves
    cross, the best are those that are forecast to end best. Forecasts need curves that end, so a trial with a fair
    chance to end best goes on at once; and they change, so that another trial goes on too where a finalist disappoints,
    until those that are forecast best have ended.

    Args:
        rung: the evaluation at which trials stop.
        finalists: the best so many are trained to their end.
        forecaster: has been told of a loss before it is reported here; None: the best are those of the lowest losses.

    Source: training the best after one evaluation, Egele et al. 2023, arXiv:2307.15422, who take the best 3 of the
    losses there.
    """

    def __init__(self, *, rung: int, finalists: int, forecaster: Forecaster | None = None) -> None:
        self.rung = rung
        self.most = finalists
        self._forecaster = forecaster
        self._losses: dict[str, float] = {}
        self._ranking: list[tuple[float, str]] = []
        """Of trials that have not diverged."""
        self._forecast: list[str] | None = None
        """The best by their forecasts, until another loss is reported."""
        self.passed: set[str] = set()
        """Trials that stopped at the rung and were let pass later."""

    def record(self, trial_id: str, evaluation: int, loss: float) -> None:
        """Take in a loss without a decision; arguments as those of `SuccessiveHalving`."""
        self._forecast = None
        if evaluation == self.rung and trial_id not in self._losses:
            self._losses[trial_id] = loss
            if loss < DIVERGED_LOSS:
                insort(self._ranking, (loss, trial_id))

    def drop(self, trial_id: str) -> None:
        """A trial failed or diverged behind the rung: it is no finalist, and another one moves up."""
        self._forecast = None
        self._ranking = [ranked for ranked in self._ranking if ranked[1] != trial_id]

    def let_pass(self, trial_id: str) -> None:
        """A trial that stopped at the rung goes on: it reports from there once more, and is not stopped again."""
        self.passed.add(trial_id)

    def report(self, trial_id: str, evaluation: int, loss: float) -> bool:
        """Record a loss and say whether the trial may go on."""
        self.record(trial_id, evaluation, loss)
        if evaluation != self.rung or trial_id in self.passed:
            return True
        if self._forecaster is None or loss >= DIVERGED_LOSS:
            return False
        return self._forecaster.chance_of_best(trial_id) > CHANCE

    def affordable(self, fits: Callable[[int], bool]) -> int:
        """How many finalists a budget allows.

        Args:
            fits: whether a share of `SHARE` of the budget would do for so many.
        """
        return next((count for count in range(self.most, 1, -1) if fits(count)), 1)

    def finalists(self, count: int) -> list[str]:
        """The trials to be trained to their end, as far as is known now, best first: never a diverged one."""
        if self._forecaster is None or not self._ranking:
            return [name for _, name in self._ranking[:count]]
        if self._forecast is None:
            finals = self._forecaster.forecast([name for _, name in self._ranking[:RECENT]])
            self._forecast = sorted(finals, key=finals.__getitem__)
        return self._forecast[:count]

    def promising(self) -> list[str]:
        """Trials that may yet be finalists; where they are forecast more than that, since forecasts change."""
        return self.finalists(self.most * (1 if self._forecaster is None else SPARE))

    def work(
        self, count: int, evaluations: int, *, running: Mapping[str, int], waiting: Sequence[str]
    ) -> tuple[list[Work], list[Work]]:
        """What is yet to be trained if one more trial begins: until all have been screened, then until all have ended.

        Args:
            count: of finalists.
            evaluations: of a full trial.
            running: the last evaluation of running trials; 0 before the first.
            waiting: finalists that have stopped.
        """
        unknown = count - len(self.finalists(count))
        to_rung = [(trial_id, self.rung - at) for trial_id, at in running.items() if at < self.rung]
        to_end = [(trial_id, evaluations - at) for trial_id, at in running.items() if at >= self.rung]
        to_end += [(trial_id, evaluations - self.rung) for trial_id in waiting]
        return [*to_rung, (None, self.rung)], [*to_end, *[(None, evaluations - self.rung)] * unknown]
