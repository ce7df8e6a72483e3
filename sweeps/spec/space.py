"""The search space: only valid shapes can be drawn, because heads are drawn among the divisors of the width."""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from sweeps.spec.draws import Even, Suggester
from sweeps.spec.fields import CHECKED, Number, Whole
from sweeps.spec.parameters import Choice, Range
from sweeps.spec.recipe import SHAPE, Assignment, Value
from tinystories.config import ModelConfig, field_names

DRAWS = 100
"""Invalid draws after which a valid shape is drawn from their list."""
SIZED = tuple(name for name in field_names(ModelConfig) if name not in (*SHAPE, "vocab_size"))
"""Parameters besides the shape that a model's size or cost may depend on."""
Parameter = Choice | Range


@checked(frozen=True, kw_only=True, config=CHECKED)
class Limits:
    """What shapes must keep to besides the ranges of their parameters; empty: anything."""

    max_parameters: Annotated[Whole, Field(gt=0)] | None = None
    """Most parameters of a model, embeddings included."""
    max_flops: Annotated[Number, Field(gt=0)] | None = None
    """Most compute of a full trial; goes with `trial.tokens`. [FLOP]"""
    min_head_dim: Annotated[Whole, Field(gt=0)] | None = None
    """Smallest size of a head, width / heads."""
    max_head_dim: Annotated[Whole, Field(gt=0)] | None = None
    """Largest size of a head, width / heads."""

    def allow_heads(self, width: int, heads: int) -> bool:
        """Whether the heads divide the width into sizes within the limits."""
        return width % heads == 0 and (self.min_head_dim or 1) <= width // heads <= (self.max_head_dim or math.inf)

    @property
    def given(self) -> dict[str, int | float]:
        """The limits that are set."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def __str__(self) -> str:
        """The limits that are set, as they are written."""
        return ", ".join(f"{name} {value:,}" for name, value in self.given.items())


def _always(assignment: Mapping[str, Value]) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Space:
    """The parameters searched, by name.

    Raises:
        ValueError: a listed width that none of the allowed heads divides, or no valid shape at all.
    """

    parameters: Mapping[str, Parameter]
    fixed: Mapping[str, int]
    """Shape values that the sweep holds constant (`depth`, `width` or `heads`)."""
    limits: Limits = field(default_factory=Limits)
    allows: Callable[[Mapping[str, Value]], bool] = field(default=_always, compare=False, repr=False)
    """Whether a configuration keeps to the limits of parameters and FLOPs, which only the data's vocabulary tells.
    Heads may be missing; of what else is missing, the smallest counts."""

    def __post_init__(self) -> None:
        widths = self.parameters.get("width")
        for width in () if isinstance(widths, Range) else self._values("width"):
            if not self.heads_for(width):
                allowed = ", ".join(map(str, self._values("heads")))
                within = f" within {self.limits}" if str(self.limits) else ""
                raise ValueError(f"width {width} is not divisible by any of the allowed heads{within}: {allowed}")
        if not self.shapes:
            cause = f"within limits {self.limits}" if str(self.limits) else "whose heads divide its width"
            raise ValueError(f"no shape is left {cause}")

    def _values(self, name: str) -> Sequence[int]:
        parameter = self.parameters.get(name, Choice(values=(self.fixed.get(name, 0),)))
        return [int(value) for value in parameter.values]

    def heads_for(self, width: int) -> tuple[int, ...]:
        """The allowed numbers of heads for a width."""
        if width not in self._heads:
            heads = self._values("heads")
            self._heads[width] = tuple(count for count in heads if self.limits.allow_heads(width, count))
        return self._heads[width]

    @cached_property
    def _heads(self) -> dict[int, tuple[int, ...]]:
        """What `heads_for` has answered."""
        return {}

    @cached_property
    def shapes(self) -> tuple[dict[str, int], ...]:
        """Every valid depth, width and heads, the fixed ones among them."""
        return tuple(
            {"depth": depth, "width": width, "heads": heads}
            for depth, width in itertools.product(self._values("depth"), self._values("width"))
            if self.allows({"depth": depth, "width": width})
            for heads in self.heads_for(width)
        )

    def draw(self, trial: Suggester) -> Assignment | None:
        """One configuration, chosen by a sampler; None: it is not valid.

        Heads are asked for under a name per width (`heads@128`), because a sampler must not be
        offered heads that do not divide the width it has just drawn.
        """
        drawn: Assignment = {}
        for name, parameter in self.parameters.items():
            if name != "heads":
                drawn[name] = parameter.suggest(trial, name)
        width = int(drawn.get("width", self.fixed.get("width", 0)))
        heads = self.heads_for(width)
        if not heads or not self.allows({**self.fixed, **drawn}):
            return None
        if "heads" in self.parameters:
            drawn["heads"] = trial.suggest_categorical(f"heads@{width}", heads)
        return drawn

    def sample(self, source: random.Random) -> Assignment:
        """One valid configuration, drawn evenly; where few are valid, every valid shape is as likely."""
        for _ in range(DRAWS):
            if (drawn := self.draw(Even(source))) is not None:
                return drawn
        known: Assignment = {**source.choice(self.shapes)}
        known |= {name: parameter.suggest(Even(source), name) for name, parameter in self._others.items()}
        if not self.allows(known):
            known |= {name: self.parameters[name].lowest for name in self.sized}
        return {name: known[name] for name in self.parameters}

    def sampler_parameters(self, assignment: Assignment) -> Assignment:
        """An assignment under the names that `draw` asks for."""
        width = int(assignment.get("width", self.fixed.get("width", 0)))
        return {f"heads@{width}" if name == "heads" else name: value for name, value in assignment.items()}

    def identity(self, assignment: Mapping[str, Value]) -> tuple[Value, ...]:
        """What makes a configuration the same as another: its searched values, and so not the seed unless that is
        searched; numbers are compared exactly.
        """
        return tuple(assignment[name] for name in self.parameters)

    @property
    def sized(self) -> tuple[str, ...]:
        """What is searched besides the shape that limits of size or compute may forbid."""
        return tuple(name for name in self.parameters if name in SIZED)

    @property
    def _others(self) -> dict[str, Parameter]:
        """What is searched besides the shape."""
        return {name: parameter for name, parameter in self.parameters.items() if name not in SHAPE}

    @cached_property
    def size(self) -> float:
        """Number of distinct configurations; infinite if a parameter is continuous."""
        counts = {name: parameter.count for name, parameter in self._others.items()}
        if self.allows is _always or not self.sized or math.isinf(math.prod(counts.values())):
            return len(self.shapes) * math.prod(counts.values())
        free = math.prod(count for name, count in counts.items() if name not in self.sized)
        return free * sum(1 for _ in self._combinations(self.sized))

    def _combinations(self, names: Sequence[str]) -> Iterator[Assignment]:
        """Every shape with every value of some other parameters that keeps to the limits."""
        for shape in self.shapes:
            for values in itertools.product(*(self.parameters[name].values for name in names)):
                known = {**shape, **dict(zip(names, values, strict=True))}
                if self.allows(known):
                    yield known

    def configurations(self) -> Iterator[Assignment]:
        """Every valid configuration of a finite space."""
        for known in self._combinations(tuple(self._others)):
            yield {name: known[name] for name in self.parameters}

    def contains(self, assignment: Mapping[str, Value]) -> bool:
        """Whether a configuration can be drawn."""
        known = {**self.fixed, **assignment}
        shape = {name: int(known[name]) for name in SHAPE}
        return (
            shape in self.shapes
            and all(parameter.contains(assignment[name]) for name, parameter in self._others.items())
            and self.allows(known)
        )
