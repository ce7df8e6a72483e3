"""Configurations that a search may choose from, and how the surrogate sees them."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sweeps.policy.surrogate import Array
from sweeps.spec.parameters import Choice, Range
from sweeps.spec.recipe import SHAPE, Assignment
from sweeps.spec.space import Space

DRAWN, NEAR = 300, 100
"""Configurations offered at a time: drawn evenly, and drawn near the best one."""
STEP = 0.1
"""Deviation of a step to a neighbour, as a share of a range."""
Column = Callable[[Mapping[str, Any]], float]
"""A number that the surrogate sees of a configuration."""


class Candidates:
    """Valid configurations that were never proposed.

    Args:
        space: what is searched.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._columns = [*_shape_columns(), *_other_columns(space)]
        # The same draws for any seed, so that features mean the same after a restart.
        even = random.Random(0)
        points = self._rows([space.sample(even) for _ in range(DRAWN)])
        self._low, span = points.min(axis=0), np.ptp(points, axis=0)
        self._span = np.where(span > 0, span, 1.0)

    def offer(
        self,
        rng: random.Random,
        is_new: Callable[[Assignment], bool],
        best: Assignment | None = None,
        *,
        drawn: int = DRAWN,
    ) -> list[Assignment]:
        """At least one new configuration, evenly drawn ones first; all of them if the space is small.

        Args:
            rng: draws them.
            is_new: whether a configuration was never proposed; true of at least one.
            best: whose neighbours are offered too.
            drawn: how many are drawn evenly.
        """
        if self._space.size > DRAWN + NEAR:
            draws: list[Assignment | None] = [self._space.sample(rng) for _ in range(drawn)]
            if best:
                draws += [self._space.draw(Near(rng, best)) for _ in range(NEAR)]
            if new := [draw for draw in draws if draw is not None and is_new(draw)]:
                return new
        untried = [configuration for configuration in self._space.configurations() if is_new(configuration)]
        return rng.sample(untried, len(untried))

    def features(self, assignments: Sequence[Assignment]) -> Array:
        """One row each, about 0 to 1: logarithms of the searched parameters, of the size and of the heads' width.

        Parameters that are not numbers have a column for each of their values but one.
        """
        return (self._rows(assignments) - self._low) / self._span

    def _rows(self, assignments: Sequence[Assignment]) -> Array:
        known = [{**self._space.fixed, **assignment} for assignment in assignments]
        return np.array([[column(configuration) for column in self._columns] for configuration in known])


def _shape_columns() -> list[Column]:
    """Depth, width, their part in the size, heads and the heads' width, all as logarithms."""

    def log(name: str) -> Column:
        return lambda shape: math.log(shape[name])

    return [
        log("depth"),
        log("width"),
        lambda shape: math.log(shape["depth"] * shape["width"] ** 2),  # weights of a layer's matrices are 12 width^2
        log("heads"),
        lambda shape: math.log(shape["width"] / shape["heads"]),
    ]


def _other_columns(space: Space) -> list[Column]:
    """Features of the other searched parameters. A seed has none: its effect is the trial's own."""
    others = {name: parameter for name, parameter in space.parameters.items() if name not in (*SHAPE, "seed")}
    return [column for name, parameter in others.items() for column in _columns(name, parameter)]


def _columns(name: str, parameter: Choice | Range) -> list[Column]:
    """A number by itself or by its logarithm; a text by whether it is each of the allowed ones but the first."""
    if isinstance(parameter, Choice) and not parameter.numeric:
        return [lambda known, value=value: float(known[name] == value) for value in parameter.values[1:]]  # type: ignore[misc]
    if parameter.logarithmic or name == "learning_rate":
        return [lambda known: math.log(known[name])]
    return [lambda known: float(known[name])]


class Near:
    """Draws in the neighbourhood of a configuration: each value the same, or near it."""

    def __init__(self, rng: random.Random, center: Mapping[str, Any]) -> None:
        self._rng = rng
        self._center = center

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The same choice or one beside it; of choices without an order, sometimes any other."""
        value = self._center[name if name in self._center else name.partition("@")[0]]
        if not all(isinstance(choice, int | float) for choice in choices):
            return self._rng.choice((value, value, self._rng.choice(choices)))
        ordered = sorted(choices)
        place = min(range(len(ordered)), key=lambda index: abs(ordered[index] - value))
        return ordered[min(max(place + self._rng.choice((-1, 0, 0, 1)), 0), len(ordered) - 1)]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number near the same."""
        return low + step * round((self.suggest_float(name, low, high, log=log) - low) / step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number near the same."""
        value = float(self._center[name])
        if log:
            moved = value * math.exp(self._rng.gauss(0, STEP * math.log(high / low)))
        else:
            moved = value + self._rng.gauss(0, STEP * (high - low))
        return min(max(moved, low), high)
