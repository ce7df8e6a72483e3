"""Configurations that a search may choose from, and how the surrogate sees them."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sweeps.policy.surrogate import Array
from sweeps.spec.draws import Even
from sweeps.spec.parameters import Choice, Range
from sweeps.spec.recipe import SHAPE, Assignment, Value
from sweeps.spec.space import Space

DRAWN, NEAR = 300, 100
"""Configurations offered at a time: drawn evenly, and drawn near the best one."""
ALWAYS = (*SHAPE, "learning_rate", "seed")
"""What has a fixed place among the features, or none."""
STEP = 0.1
"""Deviation of a step to a neighbour, as a share of a range."""


class Candidates:
    """Valid configurations that were never proposed.

    Args:
        space: what is searched.
        rng: draws them.
    """

    def __init__(self, space: Space, rng: random.Random) -> None:
        self._space = space
        self._rng = rng
        # The same draws for any seed, so that features mean the same after a restart.
        even = random.Random(0)
        self._more = {name: space.parameters[name] for name in space.parameters if name not in ALWAYS}
        points = self._rows([space.sample(even) for _ in range(DRAWN)])
        self._low, span = points.min(axis=0), np.ptp(points, axis=0)
        self._span = np.where(span > 0, span, 1.0)

    def offer(
        self, is_new: Callable[[Assignment], bool], best: Assignment | None = None, *, drawn: int = DRAWN
    ) -> list[Assignment]:
        """At least one new configuration, evenly drawn ones first; all of them if the space is small.

        Args:
            is_new: whether a configuration was never proposed; true of at least one.
            best: whose neighbours are offered too.
            drawn: how many are drawn evenly.
        """
        if self._space.size > DRAWN + NEAR:
            draws: list[Assignment | None] = [self._space.sample(self._rng) for _ in range(drawn)]
            if best:
                draws += [self._space.draw(_Near(self._rng, best)) for _ in range(NEAR)]
            if new := [draw for draw in draws if draw is not None and is_new(draw)]:
                return new
        untried = [configuration for configuration in self._space.configurations() if is_new(configuration)]
        return self._rng.sample(untried, len(untried))

    def features(self, assignments: Sequence[Assignment]) -> Array:
        """One row each, about 0 to 1: the shape, its size and the heads' width by their logarithms, then the recipe."""
        return (self._rows(assignments) - self._low) / self._span

    def _rows(self, assignments: Sequence[Assignment]) -> Array:
        return np.array([self._row({**self._space.fixed, **assignment}) for assignment in assignments])

    def _row(self, known: Mapping[str, Value]) -> list[float]:
        depth, width, heads = (math.log(float(known[name])) for name in SHAPE)
        # Weights of a layer's matrices are 12 width^2. A seed is no place: its effect is the trial's own.
        shape = [
            depth,
            width,
            depth + 2 * width,
            heads,
            width - heads,
            math.log(float(known.get("learning_rate", 1.0))),
        ]
        return shape + [place for name, parameter in self._more.items() for place in _places(parameter, known[name])]


def _places(parameter: Choice | Range, value: Value) -> list[float]:
    """A value of the recipe as numbers: a text by whether it is each of the others, a number by itself or its log."""
    if isinstance(parameter, Choice) and not parameter.numeric:
        return [float(value == choice) for choice in parameter.values[1:]]
    return [math.log(float(value)) if parameter.logarithmic else float(value)]


class _Near(Even):
    """Draws in the neighbourhood of a configuration: each value the same, or near it."""

    def __init__(self, rng: random.Random, center: Assignment) -> None:
        super().__init__(rng)
        self.center = center

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        value = self.center[name.partition("@")[0]]
        if isinstance(value, str):
            return self.rng.choice((value, *choices))
        ordered = sorted(choices)
        place = min(range(len(ordered)), key=lambda index: abs(ordered[index] - value))
        return ordered[min(max(place + self.rng.choice((-1, 0, 0, 1)), 0), len(ordered) - 1)]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return low + step * round((self.suggest_float(name, low, high, log=log) - low) / step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        value = float(self.center[name])
        if log:
            moved = value * math.exp(self.rng.gauss(0, STEP * math.log(high / low)))
        else:
            moved = value + self.rng.gauss(0, STEP * (high - low))
        return min(max(moved, low), high)

    def suggest_weighted(self, name: str, choices: Sequence[Any], weights: Sequence[float]) -> Any:
        return self.suggest_categorical(name, choices)

    def suggest_quantile(
        self, name: str, low: float, high: float, ends: tuple[float, float], value: Callable[[float], float]
    ) -> float:
        return self.suggest_float(name, low, high)
