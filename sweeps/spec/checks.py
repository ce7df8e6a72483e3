"""Which settings of a sweep go together."""

import math

from sweeps.spec.schema import Spec
from sweeps.spec.sweep_file import SAMPLER_CLASS, SAMPLERS
from tinystories.config import require_seed


def check(spec: Spec) -> None:
    """See that the parts of a sweep go together.

    Raises:
        ValueError: two of them do not; one line that says what is allowed.
    """
    for check in (_check_stopping, _check_pareto, _check_seeds, _check_method):
        check(spec)


def _check_stopping(spec: Spec) -> None:
    stopping, limit = spec.early_terminate, f"trial.evaluations {spec.evaluations}"
    if stopping is None or spec.rungs:
        return
    if stopping.max_iter:
        raise ValueError(f"early_terminate.max_iter {stopping.max_iter} gives no rung below {limit}")
    first = stopping.min_iter or 1
    raise ValueError(f"early_terminate.min_iter {first} must be below {limit}, or no trial is ever stopped")


def _check_pareto(spec: Spec) -> None:
    if not spec.pareto:
        return
    if spec.pareto == "flops" and spec.axis != "tokens":
        raise ValueError(f"pareto flops: trials have a budget of {spec.axis}; it goes with trial.tokens")
    if spec.early_terminate and spec.early_terminate.type != "asha":
        raise ValueError(f"early_terminate.type {spec.early_terminate.type}: with pareto, allowed: asha")
    if spec.method == "bayes":
        raise ValueError(f"method bayes knows one objective; with pareto {spec.pareto}, allowed: tpe, random")
    if spec.confirm:
        raise ValueError(f"pareto {spec.pareto}: there is no single best to confirm; leave confirm out")


def _check_seeds(spec: Spec) -> None:
    require_seed(spec.seed)
    if "seed" not in spec.space.parameters:
        return
    if spec.confirm:
        raise ValueError("confirm: the seed is searched; fix it under trial, or leave confirm out")
    if spec.repeats == "new_seed":
        raise ValueError("repeats new_seed: the seed is searched; allowed then: answer")


def _check_method(spec: Spec) -> None:
    if spec.sampler and spec.method not in SAMPLERS and not SAMPLER_CLASS.fullmatch(spec.method):
        raise ValueError(
            f"sampler: arguments for a sampler of Optuna, which method {spec.method} is not; allowed methods: "
            f"{', '.join(SAMPLERS)} or module:Class"
        )
    if spec.method == "grid" and math.isinf(spec.space.size):
        endless = [name for name, parameter in spec.space.parameters.items() if math.isinf(parameter.count)]
        raise ValueError(f"method grid: {endless[0]} has no end of values; give its values, or q between min and max")
