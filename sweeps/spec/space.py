"""The search space: only valid shapes can be drawn, because heads are drawn among the divisors of the width."""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

SEARCHABLE = ("depth", "width", "heads", "learning_rate", "seed")
"""The parameters that a sweep can search; the others are fixed under `trial`."""
SHAPE = ("depth", "width", "heads")
"""The parameters that make a shape."""

Method = Literal["bayes", "tpe", "random"]
"""How configurations are proposed: by a model of all learning curves, by Optuna's TPE, or evenly."""

DRAWS = 100
"""Invalid draws after which a valid shape is drawn from their list."""
Assignment = dict[str, int | float]
"""One configuration: a value for every searched parameter."""


def kind(name: str) -> type[int] | type[float]:
    """Of a searchable parameter: whole numbers, or any."""
    return float if name == "learning_rate" else int


class Suggester(Protocol):
    """What the space needs of an `optuna.Trial`."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer, both ends included."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number, both ends included."""


class Even:
    """Draws as `Space.draw` asks for them, evenly."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        return self.rng.choice(choices)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer, both ends included."""
        if not log:
            return self.rng.randrange(low, high + 1, step)
        drawn = math.exp(self.rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
        return min(max(round(drawn), low), high)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number, both ends included."""
        if not log:
            return self.rng.uniform(low, high)
        return min(max(math.exp(self.rng.uniform(math.log(low), math.log(high))), low), high)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A list of values."""

    values: tuple[int | float, ...]

    @property
    def count(self) -> float:
        """How many values there are."""
        return len(self.values)

    def contains(self, value: int | float) -> bool:
        """Whether it is one of them."""
        return value in self.values

    @property
    def highest(self) -> int | float:
        """The largest value."""
        return max(self.values)

    def suggest(self, trial: Suggester, name: str) -> int | float:
        """Let a sampler choose."""
        return trial.suggest_categorical(name, self.values)


@dataclass(frozen=True, kw_only=True)
class Range:
    """Everything between two numbers, both included."""

    low: int | float
    high: int | float
    log: bool = False
    """Draw evenly on a logarithmic scale."""
    step: int = 1
    """Distance between whole numbers; `high` is one of them."""

    @property
    def integer(self) -> bool:
        """Whether only whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def values(self) -> Sequence[int]:
        """All values of an integer range."""
        assert isinstance(self.low, int)
        assert isinstance(self.high, int)
        return range(self.low, self.high + 1, self.step)

    @property
    def count(self) -> float:
        """How many values there are."""
        return len(self.values) if self.integer else math.inf

    def contains(self, value: int | float) -> bool:
        """Whether it is one of them."""
        return value in self.values if self.integer else self.low <= value <= self.high

    @property
    def highest(self) -> int | float:
        """The largest value."""
        return self.high

    def suggest(self, trial: Suggester, name: str) -> int | float:
        """Let a sampler choose."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What shapes must keep to besides the ranges of their parameters; None: anything."""

    max_parameters: int | None = None
    """Most parameters of a model, embeddings included."""
    max_flops: float | None = None
    """Most compute of a full trial. [FLOP]"""
    min_head_dim: int | None = None
    """Smallest size of a head, width / heads."""
    max_head_dim: int | None = None
    """Largest size of a head."""

    def allow_heads(self, width: int, heads: int) -> bool:
        """Whether the heads divide the width into sizes within the limits."""
        return width % heads == 0 and (self.min_head_dim or 1) <= width // heads <= (self.max_head_dim or math.inf)

    def __str__(self) -> str:
        """The limits that are set, as they are written."""
        return ", ".join(f"{name} {value:,}" for name, value in vars(self).items() if value is not None)


def _always(shape: Mapping[str, int | float]) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Space:
    """The parameters searched, by name.

    Raises:
        ValueError: a listed width that none of the allowed heads divides, or no valid shape at all.
    """

    parameters: Mapping[str, Choice | Range]
    fixed: Mapping[str, int | float]
    """Shape values that the sweep holds constant (`depth`, `width` or `heads`)."""
    limits: Limits = field(default_factory=Limits)
    allows: Callable[[Mapping[str, int | float]], bool] = field(default=_always, compare=False, repr=False)
    """Whether depth and width keep to the limits of parameters and FLOPs, which only the data's vocabulary tells."""

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
        """One configuration, chosen by a sampler; None: its shape is not valid.

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
        return {name: known[name] for name in self.parameters}

    def sampler_parameters(self, assignment: Assignment) -> dict[str, int | float]:
        """An assignment under the names that `draw` asks for."""
        width = int(assignment.get("width", self.fixed.get("width", 0)))
        return {f"heads@{width}" if name == "heads" else name: value for name, value in assignment.items()}

    def identity(self, assignment: Assignment) -> tuple[object, ...]:
        """What tells a configuration from others: its searched values, so without a seed of its own."""
        return tuple(assignment[name] for name in self.parameters)

    @property
    def _others(self) -> dict[str, Choice | Range]:
        """What is searched besides the shape."""
        return {name: parameter for name, parameter in self.parameters.items() if name not in SHAPE}

    @property
    def size(self) -> float:
        """Number of distinct configurations; infinite if a parameter is continuous."""
        return len(self.shapes) * math.prod(parameter.count for parameter in self._others.values())

    def configurations(self) -> Iterator[Assignment]:
        """Every valid configuration of a finite space."""
        others = self._others
        for shape in self.shapes:
            for values in itertools.product(*(parameter.values for parameter in others.values())):
                known = {**shape, **dict(zip(others, values, strict=True))}
                yield {name: known[name] for name in self.parameters}

    def contains(self, assignment: Assignment) -> bool:
        """Whether a configuration can be drawn."""
        shape = {name: int({**self.fixed, **assignment}[name]) for name in SHAPE}
        return shape in self.shapes and all(
            parameter.contains(assignment[name]) for name, parameter in self._others.items()
        )
