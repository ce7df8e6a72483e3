"""Configurations that a search may choose from, and how the surrogate sees them."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sweeps.policy.surrogate import Array
from sweeps.spec.space import Assignment, Even, Space

DRAWN, NEAR = 300, 100
"""Configurations offered at a time: drawn evenly, and drawn near the best one."""
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
        points = self._logarithms([space.sample(even) for _ in range(DRAWN)])
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
        """One row each, about 0 to 1: logarithms of the searched parameters, of the size and of the heads' width."""
        return (self._logarithms(assignments) - self._low) / self._span

    def _logarithms(self, assignments: Sequence[Assignment]) -> Array:
        return np.array([self._row({**self._space.fixed, **assignment}) for assignment in assignments])

    @staticmethod
    def _row(shape: Mapping[str, float]) -> list[float]:
        depth, width, heads = (math.log(shape[name]) for name in ("depth", "width", "heads"))
        # Weights of a layer's matrices are 12 width^2. A seed is no place: its effect is the trial's own.
        return [depth, width, depth + 2 * width, heads, width - heads, math.log(shape.get("learning_rate", 1.0))]


class _Near(Even):
    """Draws in the neighbourhood of a configuration: each value the same, or near it."""

    def __init__(self, rng: random.Random, center: Assignment) -> None:
        super().__init__(rng)
        self.center = center

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        value = self.center[name.partition("@")[0]]
        ordered = sorted(choices)
        place = min(range(len(ordered)), key=lambda index: abs(ordered[index] - value))
        return ordered[min(max(place + self.rng.choice((-1, 0, 0, 1)), 0), len(ordered) - 1)]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return low + step * round((self.suggest_float(name, low, high, log=log) - low) / step)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        value = self.center[name]
        if log:
            moved = value * math.exp(self.rng.gauss(0, STEP * math.log(high / low)))
        else:
            moved = value + self.rng.gauss(0, STEP * (high - low))
        return min(max(moved, low), high)
