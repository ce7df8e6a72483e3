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
        """Record a loss and say whether the trial may go on, a diverged one never; arguments as those of `record`."""
        self.record(trial_id, evaluation, loss)
        if loss >= DIVERGED_LOSS:
            return False
        if evaluation not in self._losses:
            return True
        ranking = self._rankings[evaluation]
        return bisect_left(ranking, (loss, trial_id)) < max(1, len(ranking) // self.eta)


def quotas(rungs: int, *, finalists: int, eta: int) -> list[int]:
    """How many trials go on at each rung of a screening."""
    return [finalists * eta**rest for rest in reversed(range(rungs))]


class Screening:
    """All trials stop at the first rung; when no more are to come, the best go on to the next and then to their end.

    Nobody goes on by luck of the order, and most of a budget goes into looking at many configurations. Where curves
    cross, the best are those that are forecast to end best. Forecasts need curves that end, so a trial with a fair
    chance to end best goes on at once; and they change, so that another trial goes on too where a finalist disappoints,
    until those that are forecast best have ended.

    Args:
        rungs: the evaluations at which trials stop.
        evaluations: of a full trial.
        finalists: the best so many at the last rung are trained to their end, `eta` times as many at each earlier
            one are trained to the next.
        eta: reduction factor.
        forecaster: has been told of a loss before it is reported here; None: the best are those of the lowest losses.

    Source: training the best after one evaluation, Egele et al. 2023, arXiv:2307.15422, who take the best 3 of the
    losses there; several rungs make it successive halving, Jamieson & Talwalkar 2016, arXiv:1502.07943.
    """

    def __init__(
        self,
        *,
        rungs: Sequence[int],
        evaluations: int,
        finalists: int,
        eta: int = 3,
        forecaster: Forecaster | None = None,
    ) -> None:
        self.rungs = tuple(rungs)
        self.stops = (*rungs, evaluations)
        """The rungs, and the end."""
        self.finalists = finalists
        self._eta = eta
        self._forecaster = forecaster
        self._reached: dict[int, set[str]] = {rung: set() for rung in rungs}
        self._rankings: dict[int, list[tuple[float, str]]] = {rung: [] for rung in rungs}
        """Of trials that have not diverged."""
        self._forecasts: dict[int, list[str]] = {}
        """The best by their forecasts, until another loss is reported."""
        self._passed: dict[str, int] = {}

    def record(self, trial_id: str, evaluation: int, loss: float) -> None:
        """Take in a loss without a decision; arguments as those of `SuccessiveHalving`."""
        self._forecasts.clear()
        if evaluation in self.rungs and trial_id not in self._reached[evaluation]:
            self._reached[evaluation].add(trial_id)
            if loss < DIVERGED_LOSS:
                insort(self._rankings[evaluation], (loss, trial_id))

    def drop(self, trial_id: str) -> None:
        """A trial failed or diverged behind a rung: it goes on no more, and another one moves up."""
        self._forecasts.clear()
        for rung, ranking in self._rankings.items():
            self._rankings[rung] = [ranked for ranked in ranking if ranked[1] != trial_id]

    def let_pass(self, trial_id: str, rung: int) -> None:
        """A trial that stopped at a rung goes on: it reports from there once more, and is not stopped again."""
        self._passed[trial_id] = rung

    def has_passed(self, trial_id: str, rung: int) -> bool:
        """Whether a trial that stopped at a rung, or at a later one, was let pass."""
        return self._passed.get(trial_id, 0) >= rung

    def report(self, trial_id: str, evaluation: int, loss: float) -> bool:
        """Record a loss and say whether the trial may go on, a diverged one never."""
        self.record(trial_id, evaluation, loss)
        if loss >= DIVERGED_LOSS:
            return False
        if evaluation not in self.rungs or self.has_passed(trial_id, evaluation):
            return True
        return self._forecaster is not None and self._forecaster.chance_of_best(trial_id) > CHANCE

    def stretches(self, count: int) -> list[tuple[int, int, int]]:
        """From each rung to the next stop, how many trials go on, if so many are finalists."""
        numbers = quotas(len(self.rungs), finalists=count, eta=self._eta)
        return list(zip(self.rungs, self.stops[1:], numbers, strict=True))

    def best(self, rung: int, count: int) -> list[str]:
        """The trials that are best at a rung, as far as is known now, best first: never a diverged one."""
        ranking = self._rankings[rung]
        if self._forecaster is None or not ranking:
            return [name for _, name in ranking[:count]]
        if rung not in self._forecasts:
            finals = self._forecaster.forecast([name for _, name in ranking[:RECENT]])
            self._forecasts[rung] = sorted(finals, key=finals.__getitem__)
        return self._forecasts[rung][:count]

    def waiting(self, count: int, stopped_at: Callable[[str], int | None]) -> dict[str, int]:
        """Stopped trials that are to go on, and the rung where they stand: those at the first rung first, best first.

        Args:
            count: of finalists.
            stopped_at: the evaluation at which a trial has stopped; None if it has not, or has gone on since.
        """
        return {
            trial_id: rung
            for rung, _, quota in self.stretches(count)
            for trial_id in self.best(rung, quota)
            if stopped_at(trial_id) == rung
        }

    def promising(self, stopped_at: Callable[[str], int | None]) -> set[str]:
        """Stopped trials that may yet go on: one more than go on at each rung, as one of these may fail; twice as many
        where they are forecast, since forecasts change. Arguments as those of `waiting`.
        """
        return {
            trial_id
            for rung, _, quota in self.stretches(self.finalists)
            for trial_id in self.best(rung, quota + (1 if self._forecaster is None else quota))
            if stopped_at(trial_id) == rung
        }

    def work(self, count: int, *, running: Mapping[str, int], waiting: Mapping[str, int], new: int) -> list[list[Work]]:
        """What is yet to be trained: to the first rung, then from each rung to the next stop.

        Args:
            count: of finalists.
            running: the last evaluation of running trials; 0 before the first.
            waiting: the rung at which trials that are to go on have stopped.
            new: trials that are yet to begin.
        """
        first = self.rungs[0]
        phases: list[list[Work]] = [
            [(name, first - at) for name, at in running.items() if at < first] + [(None, first)] * new
        ]
        for rung, end, quota in self.stretches(count):
            going = [(name, end - at) for name, at in {**running, **waiting}.items() if rung <= at < end]
            unknown = min(quota - len(self.best(rung, quota)), len(phases[-1]))
            phases.append([*going, *[(None, end - rung)] * unknown])
        return phases
