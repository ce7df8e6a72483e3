"""The ways to search that search.py compares; all draw from the space of the table's spec.

random          evenly drawn, each trained to its end
random + ASHA   evenly drawn; this project's rule of asynchronous successive halving stops them
top-3           evenly drawn, all stopped at the first rung, then the best 3 trained to the end: as many draws as the
                budget allows. After Egele et al. 2023, arXiv:2307.15422
TPE             Optuna's sampler with its defaults, each trained to its end
Ray             the stock pair of Ray Tune: OptunaSearch and ASHAScheduler, without a cluster
ours            what a sweep does: its searcher and its stopping rule, as the table's spec says, with as many trials
                as the budget allows, as under --gpu-hours

All that stop have the same first rung, and ASHA everywhere the same reduction factor, whatever their defaults are.
"""

import logging
import math
import random
from dataclasses import replace
from types import SimpleNamespace

from curve_tables import CurveTable
from simulation import Contender, End, Searcher

from sweeps.limits import Left
from sweeps.policy.halving import Ranking
from sweeps.policy.policy import Policy
from sweeps.policy.verdicts import Decision, Verdict
from sweeps.spec.recipe import Assignment
from sweeps.spec.schema import Spec, Stopping
from sweeps.trials import DIVERGED_LOSS, Trials

KEPT = 3
ASHA = Stopping(type="asha")


class Random(Contender):
    """Evenly drawn, each trained to its end."""

    def __init__(self, table: CurveTable, *, seed: int, budget: float) -> None:
        self._space = table.spec.space
        self._random = random.Random(seed)
        self._drawn = 0

    def ask(self) -> tuple[str, Assignment] | None:
        """One more draw."""
        self._drawn += 1
        return f"{self._drawn:04d}", self._space.sample(self._random)

    def report(self, trial: str, evaluation: int, loss: float) -> bool:
        """Nothing is stopped."""
        return True


class RandomHalving(Random):
    """Evenly drawn and stopped by ASHA."""

    def __init__(self, table: CurveTable, *, seed: int, budget: float) -> None:
        super().__init__(table, seed=seed, budget=budget)
        self._rankings = {rung: Ranking() for rung in ASHA.rungs(table.spec.evaluations)}

    def report(self, trial: str, evaluation: int, loss: float) -> bool:
        """Whether the trial is among the best third of its rung, or at none."""
        if (ranking := self._rankings.get(evaluation)) is None:
            return True
        ranking.add(trial, _finite(loss))
        return ranking.rank(trial) < max(1, len(ranking) // ASHA.eta)


class Top3(Random):
    """Evenly drawn, all stopped at the first rung, then the best 3 trained to the end.

    With E evaluations a training, a rung at r of them and a budget of B trainings, k draws cost
    k r / E + 3 (1 - r / E) = B.
    """

    per_budget = True

    def __init__(self, table: CurveTable, *, seed: int, budget: float) -> None:
        super().__init__(table, seed=seed, budget=budget)
        evaluations = table.spec.evaluations
        self._rung = ASHA.rungs(evaluations)[0]
        draws = (math.floor(budget * evaluations + 1e-9) - KEPT * (evaluations - self._rung)) // self._rung
        self._left = min(draws, len(table.records))
        self._screened: set[str] = set()
        self._losses: dict[str, float] = {}
        self._kept: list[str] | None = None

    def ask(self) -> tuple[str, Assignment] | None:
        """One more draw, while it can be paid for; then none until the best are trained."""
        if self._left <= 0:
            return None
        self._left -= 1
        proposal = super().ask()
        assert proposal is not None
        self._screened.add(proposal[0])
        return proposal

    def report(self, trial: str, evaluation: int, loss: float) -> bool:
        """Stop everything at the rung, and nothing before or later."""
        if evaluation != self._rung:
            return True
        self._losses[trial] = _finite(loss)
        return False

    def end(self, trial: str, status: End, loss: float) -> None:
        """The trial has reached the first rung; one that diverged before it is never chosen."""
        self._screened.discard(trial)

    def resume(self) -> str | None:
        """The best, once all draws have reported."""
        if self._screened or self._left > 0:
            return None
        if self._kept is None:
            self._kept = sorted(self._losses, key=self._losses.__getitem__, reverse=True)[-KEPT:]
        return self._kept.pop() if self._kept else None


class Tpe(Contender):
    """Optuna's TPE with its defaults, each trained to its end."""

    def __init__(self, table: CurveTable, *, seed: int, budget: float) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = table.spec.space
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))

    def ask(self) -> tuple[str, Assignment] | None:
        """What the sampler proposes."""
        trial = self._study.ask()
        assignment = self._space.draw(trial)
        assert assignment is not None  # there are no limits
        return str(trial.number), assignment

    def report(self, trial: str, evaluation: int, loss: float) -> bool:
        """Nothing is stopped."""
        return True

    def end(self, trial: str, status: End, loss: float) -> None:
        """Tell the final loss."""
        self._study.tell(int(trial), _finite(loss))


class Ray(Contender):
    """Ray Tune's stock pair, driven in the order of its controller: the scheduler first, then the searcher.

    A trial that is stopped is told to Optuna as complete with its last loss, as the controller does.
    Source: `TuneController._process_trial_result`, ray 2.60.
    """

    def __init__(self, table: CurveTable, *, seed: int, budget: float) -> None:
        import optuna
        from ray.tune.schedulers import ASHAScheduler
        from ray.tune.search.optuna import OptunaSearch

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("ray.tune").setLevel(logging.ERROR)  # its warning of every NaN
        self._space = table.spec.space
        self._search = OptunaSearch(self._space.draw, metric="loss", mode="min", seed=seed)
        self._scheduler = ASHAScheduler(
            metric="loss",
            mode="min",
            max_t=table.spec.evaluations,
            grace_period=ASHA.rungs(table.spec.evaluations)[0],
            reduction_factor=ASHA.eta,
        )
        self._trials: dict[str, SimpleNamespace] = {}

    def ask(self) -> tuple[str, Assignment] | None:
        """What its searcher suggests; it adds the sampler's own names of the heads, which are left out."""
        trial = SimpleNamespace(trial_id=f"{len(self._trials):04d}")
        self._trials[trial.trial_id] = trial
        suggested = self._search.suggest(trial.trial_id)
        self._scheduler.on_trial_add(None, trial)
        return trial.trial_id, {name: suggested[name] for name in self._space.parameters}

    def report(self, trial: str, evaluation: int, loss: float) -> bool:
        """What its scheduler decides."""
        result = {"training_iteration": evaluation, "loss": loss}
        goes_on: bool = self._scheduler.on_trial_result(None, self._trials[trial], result) == "CONTINUE"
        if goes_on:
            self._search.on_trial_result(trial, result)
        return goes_on

    def end(self, trial: str, status: End, loss: float) -> None:
        """Tell the searcher the last loss."""
        self._search.on_trial_complete(trial, result={"loss": loss})


class Ours(Searcher):
    """What a sweep does, with a limit that counts evaluations, whoever trains them."""

    per_budget = True

    def __init__(self, table: CurveTable, *, seed: int, budget: float) -> None:
        self._seed = seed
        self._evaluations = budget * table.spec.evaluations

    def policy(self, spec: Spec, trials: Trials) -> Policy:
        """See `Searcher`."""
        return _Limited(replace(spec, seed=self._seed), trials, evaluations=self._evaluations)


class _Limited(Policy):
    """A sweep's policy whose limit is a number of evaluations, each of which is told to take a second."""

    def __init__(self, spec: Spec, trials: Trials, *, evaluations: float) -> None:
        super().__init__(spec, trials, vocab_size=1)
        self._trials = trials
        self._evaluations = evaluations

    @property
    def _left(self) -> Left:
        spent = self._trials.evaluations
        return Left(slot_seconds=self._evaluations - spent, slot_seconds_in_all=self._evaluations)

    def next(self, left: Left) -> Decision:
        """See `Policy`."""
        return super().next(self._left)

    def verdict(self, trial_id: str, left: Left) -> Verdict:
        """See `Policy`."""
        return super().verdict(trial_id, self._left)


def _finite(loss: float) -> float:
    return loss if math.isfinite(loss) else DIVERGED_LOSS
