"""Sweeps that differ in their method, and trials told to their proposals."""

from dataclasses import replace
from typing import Any

from sweeps.policy.proposals import Proposals
from sweeps.spec import load
from sweeps.spec.recipe import Assignment
from sweeps.spec.schema import Spec

from ..examples import minimal

PARAMETERS = {"depth": {"values": [1, 2, 4]}, "width": {"values": [32, 64]}, "heads": {"values": [1, 2]}}
RATE = {"learning_rate": {"min": 1e-5, "max": 1.0, "distribution": "log_uniform_values"}}
ONE_SHAPE = {"tokens": "20k", "depth": 1, "width": 8, "heads": 1}
BUILTIN = ("bayes", "random", "grid", "tpe", "gp", "cmaes", "qmc", "nsga2", "nsga3")
IMPORTED = "optuna.samplers:RandomSampler"


def spec(method: str = "bayes", *, sampler: dict[str, Any] | None = None, **changes: Any) -> Spec:
    made = load.parse(minimal(**{"parameters": PARAMETERS, "run_cap": 100, **changes}))
    made = replace(made, method=method)  # type: ignore[arg-type]
    object.__setattr__(made, "sampler", sampler or {})
    return made


def complete(proposals: Proposals, trial_id: str, loss: float) -> None:
    """A trial reports its last evaluation, of nine."""
    proposals.report(trial_id, 9, loss)
    proposals.end(trial_id, "completed", [loss])


def train(proposals: Proposals, trial_id: str, loss: float) -> Assignment:
    """Propose, begin and complete a trial."""
    assignment = proposals.propose()
    proposals.begin(trial_id, assignment)
    complete(proposals, trial_id, loss)
    return assignment
