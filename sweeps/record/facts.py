"""sweep.json: what readers of the tables need to know of a sweep, so that they need not read its spec."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sweeps.spec.schema import Spec
from sweeps.spec.stopping import quotas
from tinystories import storage


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A sweep's plain facts; written as they are."""

    name: str
    metric: str
    axis: str
    """What the budget of a trial is counted in."""
    budget: float
    """Budget of a full trial. [token, FLOP or second]"""
    evaluations: int
    """Evaluations of a full trial, evenly spaced."""
    rungs: list[int]
    """Where trials are compared. [evaluation]"""
    continuing: list[str]
    """Which trials continue at each rung, in words."""
    pareto: str | None
    """The second objective, if there is one."""
    searched: list[str]
    """The searched parameters."""


def facts(spec: Spec) -> Facts:
    """The facts of a sweep."""
    return Facts(
        name=spec.name,
        metric=spec.metric,
        axis=spec.axis,
        budget=spec.budget,
        evaluations=spec.evaluations,
        rungs=list(spec.rungs),
        continuing=_continuing(spec),
        pareto=spec.pareto,
        searched=list(spec.space.parameters),
    )


def write(path: Path, spec: Spec) -> None:
    """Write the facts of a sweep."""
    storage.write(str(path), (json.dumps(asdict(facts(spec)), indent=1) + "\n").encode())


def _continuing(spec: Spec) -> list[str]:
    stopping = spec.early_terminate
    if stopping is None:
        return []
    if stopping.type == "screen":
        promoted = quotas(len(spec.rungs), finalists=stopping.finalists, eta=stopping.eta)
        return [f"best {quota} promoted" for quota in promoted]
    verb = "promoted" if stopping.variant == "promotion" else "continue"
    return [f"best 1/{stopping.eta} {verb}"] * len(spec.rungs)
