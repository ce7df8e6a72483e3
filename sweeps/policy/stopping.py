"""The rule that stops a sweep's trials, as its spec says, and how many are expected to continue by it."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.policy.halving import PromotionHalving, Rule, SuccessiveHalving
from sweeps.policy.pareto import ParetoHalving
from sweeps.policy.screening import Forecaster, Screening
from sweeps.spec.schema import Spec
from sweeps.spec.stopping import quotas


def make_rule(spec: Spec, *, forecaster: Forecaster, second: Mapping[str, float]) -> Rule:
    """A new rule.

    Args:
        forecaster: is asked where curves cross.
        second: second objective of each trial, if there is one; may be filled later.
    """
    stopping = spec.early_terminate
    if stopping is None:
        return SuccessiveHalving(eta=2, rungs=())
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
    halving = PromotionHalving if stopping.variant == "promotion" else SuccessiveHalving
    return halving(eta=stopping.eta, rungs=spec.rungs)


@dataclass(frozen=True)
class Stretch:
    """The way from one evaluation to another, and how many trials are expected to train along it."""

    start: int
    end: int
    trials: float

    def share(self, spec: Spec) -> float:
        """Part of a full trial."""
        return (self.end - self.start) / spec.evaluations


def stretches(spec: Spec) -> list[Stretch]:
    """The search of a sweep, from rung to rung."""
    ways = itertools.pairwise((0, *spec.rungs, spec.evaluations))
    return [Stretch(start, end, trials) for (start, end), trials in zip(ways, _continuing(spec), strict=True)]


def _continuing(spec: Spec) -> list[float]:
    """How many trials begin, and how many are expected to continue at each rung, at once or later."""
    stopping = spec.early_terminate
    expected = [float(spec.trials)]
    if stopping and stopping.type == "screen":
        for quota in quotas(len(spec.rungs), finalists=stopping.finalists, eta=stopping.eta):
            expected.append(min(expected[-1], quota))
    elif stopping:
        for _ in spec.rungs:
            continuing = expected_to_be_promoted if stopping.variant == "promotion" else expected_to_continue
            expected.append(continuing(expected[-1], stopping.eta))
    return expected


def expected_to_continue(trials: float, eta: int) -> float:
    """How many of the trials that reach a rung one after the other continue, if they come in no order of quality.

    The i-th to come continues if it is among the best max(1, i // eta) of the i so far, so with a probability of
    max(1, i // eta) / i; the first always does, which is why more than 1 / eta of them continue. Linear in between
    whole numbers.
    """
    whole = math.floor(trials)
    chances = [max(1, i // eta) / i for i in range(1, whole + 2)]
    return sum(chances[:whole]) + (trials - whole) * chances[whole]


def expected_to_be_promoted(trials: float, eta: int) -> float:
    """How many of the trials that pause at a rung are promoted if none is displaced: the best 1 / eta, one at least."""
    return min(trials, max(1.0, trials / eta))
