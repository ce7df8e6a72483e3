"""Screening: every trial pauses at the first rung, and when no more are to come, the best are promoted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sweeps.policy.halving import Ranking
from sweeps.policy.verdicts import Verdict
from sweeps.spec.stopping import quotas
from sweeps.trials import Trial

RECENT = 300
"""Trials of a rung whose ends are forecast, those of the lowest losses: more would cost time and hardly change who is
promoted."""
CHANCE = 0.3
"""A trial that beats the best forecast with this probability does not pause. Measured: on recorded curves that cross,
the best trial is stopped less often, and nothing is lost on others."""
Work = tuple[str | None, int]
"""A trial, None for one that is not known yet, and evaluations that it is yet to be trained for."""


class Forecaster(Protocol):
    """What is expected of trials that have not ended."""

    def forecast(self, trial_ids: Sequence[str]) -> Mapping[str, float]:
        """The losses that they will end with. [nat/token]"""

    def chance_of_best(self, trial_id: str) -> float:
        """Probability that a trial ends below the best forecast of all others."""


@dataclass(frozen=True)
class Stretch:
    """The way from a rung to the next stop, and how many trials are promoted to it."""

    rung: int
    end: int
    quota: int


class Screening:
    """All trials pause at the first rung; when no more are to come, the best are promoted to the next and then to their
    end.

    Nobody is promoted by luck of the order, and most of a limit is spent on many configurations. Where curves cross,
    the best are those that are forecast to end best. Forecasts need curves that end, so a trial with a fair chance to
    end best does not pause; and they change, so another trial is promoted too where a finalist disappoints, until those
    that are forecast best have ended.

    Args:
        rungs: the evaluations at which trials pause.
        evaluations: of a full trial.
        finalists: the best so many at the last rung are trained to their end, `eta` times as many at each earlier
            one are trained to the next.
        eta: reduction factor.
        forecaster: has been told of a loss before it is recorded here; None: the best are those of the lowest losses.

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
        self._rankings = {rung: Ranking() for rung in rungs}
        """The losses at each rung, of trials that have not diverged."""
        self._forecasts: dict[int, list[str]] = {}
        """The best by their forecasts, until another loss is recorded."""

    def record(self, trial_id: str, evaluation: int, loss: float) -> None:
        """See `halving.Rule`; a diverged trial is not ranked."""
        self._forecasts.clear()
        if evaluation in self._rankings and loss < float("inf"):
            self._rankings[evaluation].add(trial_id, loss)

    def drop(self, trial_id: str) -> None:
        """See `halving.Rule`."""
        self._forecasts.clear()
        for ranking in self._rankings.values():
            ranking.remove(trial_id)

    def forget(self, trial_id: str) -> None:
        """See `halving.Rule`."""
        self.drop(trial_id)

    def verdict(self, trial: Trial) -> Verdict:
        """See `halving.Rule`."""
        if trial.evaluation not in self.rungs:
            return Verdict.CONTINUE
        if self._forecaster is not None and self._forecaster.chance_of_best(trial.trial_id) > CHANCE:
            return Verdict.CONTINUE
        return Verdict.PAUSE

    def stretches(self, count: int) -> list[Stretch]:
        """The ways from each rung to the next stop, if so many are finalists."""
        numbers = quotas(len(self.rungs), finalists=count, eta=self._eta)
        return [Stretch(*way) for way in zip(self.rungs, self.stops[1:], numbers, strict=True)]

    def best(self, rung: int, count: int) -> list[str]:
        """The trials that are best at a rung, as far as is known now, best first: never a diverged one."""
        ranking = self._rankings[rung]
        if self._forecaster is None or not len(ranking):
            return ranking.best(count)
        if rung not in self._forecasts:
            finals = self._forecaster.forecast(ranking.best(RECENT))
            self._forecasts[rung] = sorted(finals, key=finals.__getitem__)
        return self._forecasts[rung][:count]

    def promotable(self, count: int, trials: Mapping[str, Trial]) -> dict[str, int]:
        """Paused trials that are to be promoted, and the rung where they are: those of the first rung first, best
        first.

        Args:
            count: of finalists.
            trials: all of the sweep.
        """
        return {
            trial_id: stretch.rung
            for stretch in self.stretches(count)
            for trial_id in self.best(stretch.rung, stretch.quota)
            if _paused_at(trials[trial_id], stretch.rung)
        }

    def promising(self, trials: Mapping[str, Trial]) -> set[str]:
        """Paused trials that may yet be promoted: one more than are at each rung, as one of these may fail; twice as
        many where they are forecast, since forecasts change.
        """
        return {
            trial_id
            for stretch in self.stretches(self.finalists)
            for trial_id in self.best(stretch.rung, stretch.quota + (1 if self._forecaster is None else stretch.quota))
            if _paused_at(trials[trial_id], stretch.rung)
        }

    def work(
        self, count: int, *, running: Mapping[str, int], promoted: Mapping[str, int], new: int
    ) -> list[list[Work]]:
        """What is yet to be trained: to the first rung, then from each rung to the next stop.

        Args:
            count: of finalists.
            running: the last evaluation of running trials; 0 before the first.
            promoted: the rung at which trials that are to be promoted are paused.
            new: trials that are yet to begin.
        """
        first = self.rungs[0]
        phases: list[list[Work]] = [
            [(name, first - at) for name, at in running.items() if at < first] + [(None, first)] * new
        ]
        for stretch in self.stretches(count):
            rung, end = stretch.rung, stretch.end
            known = [(name, end - at) for name, at in {**running, **promoted}.items() if rung <= at < end]
            unknown = min(stretch.quota - len(self.best(rung, stretch.quota)), len(phases[-1]))
            phases.append([*known, *[(None, end - rung)] * unknown])
        return phases


def _paused_at(trial: Trial, rung: int) -> bool:
    return trial.state == "paused" and trial.evaluation == rung
