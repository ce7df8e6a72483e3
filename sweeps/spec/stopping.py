"""When poor trials stop, as the file's `early_terminate` says it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool
from pydantic.dataclasses import dataclass

from sweeps.spec.fields import CHECKED, Whole, sentence, unknown_key

StoppingType = Literal["screen", "asha"]
"""The rules that there are; W&B's `hyperband` is asha, in its stopping variant, at the rungs that it names."""
Variant = Literal["stopping", "promotion"]
FIRST = 9
"""The first rung is at one part of so many, unless the spec says otherwise: behind the warm-up, a twentieth."""
OWN = {
    "screen": ("type", "finalists", "looks", "eta", "min_iter"),
    "asha": ("type", "eta", "min_iter", "variant"),
    "hyperband": ("type", "eta", "min_iter", "max_iter", "s", "strict"),
}
"""The keys of each rule."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Stopping:
    """When poor trials stop.

    screen: all trials pause at the first rung; when no more are to come, the best `eta` times `finalists` resume to the
    second rung, at `eta` times as many evaluations, and the best `finalists` there to their end.
    asha: rungs are at evaluations min_iter, min_iter * eta, ..., and the best 1/eta of a rung are promoted at once.
    hyperband: asha in W&B's words.

    Source: Egele et al. 2023, arXiv:2307.15422; Li et al. 2020, arXiv:1810.05934, whose r is `min_iter`;
    https://docs.wandb.ai/guides/sweeps/sweep-config-keys.
    """

    type: Literal["screen", "asha", "hyperband"] = "screen"
    """The rule: screen, asha or hyperband; with `pareto`, asha unless the file says otherwise."""
    finalists: Annotated[Whole, Field(ge=1)] = 3
    """Trials that are trained to their end after a screening."""
    looks: Annotated[Whole, Field(ge=1)] = 2
    """Rungs of a screening."""
    eta: Annotated[Whole, Field(ge=2)] = 3
    """Reduction factor: a rung has so many times as many evaluations as the one before, and one of so many of its
    trials continues."""
    min_iter: Annotated[Whole, Field(ge=1)] | None = None
    """The first rung; by default at a ninth of the evaluations. On recorded curves that cross, a first rung at a
    twenty-seventh stopped the best shapes (docs/notebook.md). [evaluation]"""
    variant: Variant = "stopping"
    """Of asha: whether a trial that is not among the best of its rung stops there, or pauses and may be promoted when
    others turn out worse."""
    max_iter: Annotated[Whole, Field(ge=1)] | None = None
    """Of hyperband, instead of `min_iter`: rungs are at max_iter / eta, max_iter / eta^2, ... [evaluation]"""
    s: Annotated[Whole, Field(ge=1)] | None = None
    """Of hyperband: how many rungs `max_iter` gives; by default as many as there are."""
    strict: StrictBool = True
    """Of hyperband: taken as true, since trials are compared at every rung."""

    def rungs(self, evaluations: int) -> tuple[int, ...]:
        """The evaluations at which trials are compared, the last one of a full run left out."""
        rungs = self._downwards if self.max_iter else self._upwards(evaluations)
        return tuple(rung for rung in rungs if rung < evaluations)

    @property
    def _downwards(self) -> list[int]:
        assert self.max_iter is not None
        rungs: list[int] = []
        while (rung := self.max_iter // self.eta ** (len(rungs) + 1)) >= 1 and len(rungs) < (self.s or self.max_iter):
            rungs.append(rung)
        return rungs[::-1]

    def _upwards(self, evaluations: int) -> list[int]:
        rungs: list[int] = []
        rung = self.min_iter or max(1, evaluations // FIRST)
        while rung < evaluations and (self.type != "screen" or len(rungs) < self.looks):
            rungs.append(rung)
            rung *= self.eta
        return rungs


def quotas(rungs: int, *, finalists: int, eta: int) -> list[int]:
    """How many trials are promoted from each rung of a screening."""
    return [finalists * eta**rest for rest in reversed(range(rungs))]


def own_keys(raw: Any) -> Any:
    """Refuse keys that belong to another rule.

    Raises:
        PydanticCustomError: there is one.
    """
    if not isinstance(raw, Mapping) or (kind := str(raw.get("type", "screen"))) not in OWN:
        return raw
    for key in raw:
        if key not in OWN[kind]:
            raise sentence(unknown_key(key, f"early_terminate of type {kind}", OWN[kind]))
    if "max_iter" in raw and "min_iter" in raw:
        raise sentence("early_terminate: give either min_iter, or max_iter and s")
    if "s" in raw and "max_iter" not in raw:
        raise sentence("early_terminate.s goes with max_iter")
    return raw
