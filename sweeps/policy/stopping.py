"""The rule that stops a sweep's trials, as its spec says, and how many are expected to go on by it."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.policy.halving import Forecaster, Screening, SuccessiveHalving, quotas
from sweeps.policy.pareto import ParetoHalving
from sweeps.spec.schema import Spec, Stopping

Rule = SuccessiveHalving | ParetoHalving | Screening


def rule(spec: Spec, *, forecaster: Forecaster, second: Mapping[str, float]) -> Rule:
    """A new rule.

    Args:
        forecaster: is asked where curves cross.
        second: second objective of each trial, if there is one; may be filled later.
    """
    stopping = spec.early_terminate or Stopping(type="asha")
    if spec.pareto:
        return ParetoHalving(eta=stopping.eta, rungs=spec.rungs, second=second)
    if stopping.type == "screen":
        return Screening(
            rungs=spec.rungs,
            evaluations=spec.evaluations,
            finalists=stopping.finalists,
            eta=stopping.eta,
            forecaster=forecaster if spec.forecasts else None,
        )
    return SuccessiveHalving(eta=stopping.eta, rungs=spec.rungs)


@dataclass(frozen=True)
class Stretch:
    """The way from one evaluation to another, and how many trials are expected to go it."""

    start: int
    end: int
    trials: float

    def share(self, spec: Spec) -> float:
        """Part of a full trial."""
        return (self.end - self.start) / spec.evaluations


def stretches(spec: Spec) -> list[Stretch]:
    """The search of a sweep, from rung to rung."""
    ways = itertools.pairwise((0, *spec.rungs, spec.evaluations))
    return [Stretch(start, end, trials) for (start, end), trials in zip(ways, _going(spec), strict=True)]


def _going(spec: Spec) -> list[float]:
    """How many trials begin, and how many are expected to go on at each rung, at once or later."""
    stopping = spec.early_terminate
    going = [float(spec.trials)]
    if stopping and stopping.type == "asha":
        for _ in spec.rungs:
            going.append(expected_to_pass(going[-1], stopping.eta))
    elif stopping:
        for quota in quotas(len(spec.rungs), finalists=stopping.finalists, eta=stopping.eta):
            going.append(min(going[-1], quota))
    return going


def expected_to_pass(trials: float, eta: int) -> float:
    """How many of the trials that reach a rung one after the other pass it, if they come in no order of quality.

    The i-th to come passes if it is among the best max(1, i // eta) of the i so far, so with a probability of
    max(1, i // eta) / i; the first always does, which is why more than 1 / eta of them pass. Linear in between
    whole numbers.
    """
    whole = math.floor(trials)
    chances = [max(1, i // eta) / i for i in range(1, whole + 2)]
    return sum(chances[:whole]) + (trials - whole) * chances[whole]
