"""How a space asks for values: the questions that a sampler answers, and the answers of chance."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Suggester(Protocol):
    """What the space needs of an `optuna.Trial`; `step` is given only where there is one."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer, both ends included."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number, both ends included."""


class Even:
    """Draws as `Space.draw` asks for them: evenly, or as the sweep's file distributes a parameter."""

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

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number, both ends included."""
        if step:
            return low + step * self.rng.randrange(round((high - low) / step) + 1)
        if not log:
            return self.rng.uniform(low, high)
        return min(max(math.exp(self.rng.uniform(math.log(low), math.log(high))), low), high)

    def suggest_weighted(self, name: str, choices: Sequence[Any], weights: Sequence[float]) -> Any:
        """One of the choices, as likely as its weight says."""
        return self.rng.choices(choices, weights)[0]

    def suggest_quantile(
        self, name: str, low: float, high: float, ends: tuple[float, float], value: Callable[[float], float]
    ) -> float:
        """The value at a quantile drawn evenly between two.

        Args:
            ends: quantiles of `low` and `high`. [0, 1]
            value: inverse of the distribution function.
        """
        return min(max(value(self.rng.uniform(*ends)), low), high)
