"""The search space: only valid shapes can be drawn, because heads are drawn among the divisors of the width."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

SEARCHABLE = ("depth", "width", "heads", "learning_rate", "seed")
"""The parameters that a sweep can search; the others are fixed under `trial`."""


Method = Literal["bayes", "random"]
"""How configurations are proposed: where earlier trials did well (Optuna's TPE), or evenly."""

Assignment = dict[str, int | float]
"""One configuration: a value for every searched parameter."""


def kind(name: str) -> type[int] | type[float]:
    """Of a searchable parameter: whole numbers, or any."""
    return float if name == "learning_rate" else int


class Suggester(Protocol):
    """What the space needs of an `optuna.Trial`."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """An integer, both ends included."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number, both ends included."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A list of values."""

    values: tuple[int | float, ...]


@dataclass(frozen=True, kw_only=True)
class Range:
    """Everything between two numbers, both included."""

    low: int | float
    high: int | float
    log: bool = False
    """Draw evenly on a logarithmic scale."""

    @property
    def integer(self) -> bool:
        """Whether only whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True, kw_only=True)
class Space:
    """The parameters searched, by name. Heads and width are lists, so that validity is known before any draw.

    Raises:
        ValueError: a width that none of the allowed heads divides.
    """

    parameters: Mapping[str, Choice | Range]
    fixed: Mapping[str, int | float]
    """Shape values that the sweep holds constant (`depth`, `width` or `heads`)."""

    def __post_init__(self) -> None:
        for width in self._values("width"):
            if not self.heads_for(width):
                allowed = ", ".join(map(str, self._values("heads")))
                raise ValueError(f"width {width} is not divisible by any of the allowed heads: {allowed}")

    def _values(self, name: str) -> tuple[int, ...]:
        parameter = self.parameters.get(name, Choice(values=(self.fixed.get(name, 0),)))
        assert isinstance(parameter, Choice)
        return tuple(int(value) for value in parameter.values)

    def heads_for(self, width: int) -> tuple[int, ...]:
        """The allowed numbers of heads that divide a width."""
        return tuple(heads for heads in self._values("heads") if width % heads == 0)

    def draw(self, trial: Suggester) -> Assignment:
        """One valid configuration.

        Heads are asked for under a name per width (`heads@128`), because a sampler must not be
        offered heads that do not divide the width it has just drawn.
        """
        drawn: Assignment = {}
        for name, parameter in self.parameters.items():
            if name != "heads":
                drawn[name] = _suggest(trial, name, parameter)
        if "heads" in self.parameters:
            width = int(drawn.get("width", self.fixed.get("width", 0)))
            drawn["heads"] = trial.suggest_categorical(f"heads@{width}", self.heads_for(width))
        return drawn

    def sampler_parameters(self, assignment: Assignment) -> dict[str, int | float]:
        """An assignment under the names that `draw` asks for."""
        width = int(assignment.get("width", self.fixed.get("width", 0)))
        return {f"heads@{width}" if name == "heads" else name: value for name, value in assignment.items()}

    @property
    def size(self) -> float:
        """Number of distinct configurations; infinite if a parameter is continuous."""
        shapes = [len(self.heads_for(width)) for width in self._values("width")]
        count: float = sum(shapes) if "heads" in self.parameters else len(shapes)
        for name, parameter in self.parameters.items():
            if name not in ("width", "heads"):
                count *= len(_domain(parameter)) if isinstance(parameter, Choice) or parameter.integer else math.inf
        return count

    def configurations(self) -> Iterator[Assignment]:
        """Every valid configuration of a finite space."""
        names = list(self.parameters)
        domains = [_domain(parameter) for parameter in self.parameters.values()]
        for values in itertools.product(*domains):
            assignment = dict(zip(names, values, strict=True))
            shape = {**self.fixed, **assignment}
            if shape["width"] % shape["heads"] == 0:
                yield assignment


def _domain(parameter: Choice | Range) -> Sequence[int | float]:
    if isinstance(parameter, Choice):
        return parameter.values
    assert parameter.integer
    return range(int(parameter.low), int(parameter.high) + 1)


def _suggest(trial: Suggester, name: str, parameter: Choice | Range) -> int | float:
    if isinstance(parameter, Choice):
        return trial.suggest_categorical(name, parameter.values)
    if parameter.integer:
        return trial.suggest_int(name, int(parameter.low), int(parameter.high), log=parameter.log)
    return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
