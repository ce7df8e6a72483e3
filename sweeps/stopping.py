"""The rule that stops a sweep's trials, as its spec says."""

from collections.abc import Mapping

from sweeps.halving import Forecaster, Screening, SuccessiveHalving
from sweeps.pareto import ParetoHalving
from sweeps.spec import Spec, Stopping

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
            rung=spec.rungs[0], finalists=stopping.finalists, forecaster=forecaster if spec.curves_cross else None
        )
    return SuccessiveHalving(eta=stopping.eta, rungs=spec.rungs)
