"""What one searched parameter may be: one of a list, or anything between two numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from sweeps.spec.draws import Even, Suggester
from sweeps.spec.recipe import Value

DECADE = 10
"""Positive numbers that span so many times are modelled by their logarithm."""


@dataclass(frozen=True, kw_only=True)
class Density:
    """An uneven distribution, by the words of a W&B sweep file."""

    family: Literal["normal", "log_normal", "beta"]
    first: float
    """mu, or a of a beta distribution."""
    second: float
    """sigma, or b of a beta distribution."""

    def below(self, value: float) -> float:
        """Probability of a value at most as large."""
        if self.family == "beta":
            from scipy.special import betainc

            return float(betainc(self.first, self.second, min(max(value, 0.0), 1.0)))
        if self.family == "log_normal":
            return self._normal.cdf(math.log(value)) if value > 0 else 0.0
        return self._normal.cdf(value)

    def quantile(self, share: float) -> float:
        """The value below which a share of all lie. [0, 1]"""
        if self.family == "beta":
            from scipy.special import betaincinv

            return float(betaincinv(self.first, self.second, share))
        value = self._normal.inv_cdf(min(max(share, 1e-12), 1 - 1e-12))
        return math.exp(value) if self.family == "log_normal" else value

    @property
    def ends(self) -> tuple[float, float]:
        """What is searched: three standard deviations to both sides; of a beta distribution as large a share."""
        if self.family == "beta":
            return self.quantile(NormalDist().cdf(-3)), self.quantile(NormalDist().cdf(3))
        low, high = self.first - 3 * self.second, self.first + 3 * self.second
        return (math.exp(low), math.exp(high)) if self.family == "log_normal" else (low, high)

    @property
    def _normal(self) -> NormalDist:
        return NormalDist(self.first, self.second)

    def __str__(self) -> str:
        """As people say it."""
        names = ("a", "b") if self.family == "beta" else ("mu", "sigma")
        return f"{self.family} with {names[0]} {self.first:g} and {names[1]} {self.second:g}"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A list of values."""

    values: tuple[Value, ...]
    weights: tuple[float, ...] | None = None
    """How likely each of them is drawn at random; None: all alike."""

    @property
    def count(self) -> float:
        """How many values there are."""
        return len(self.values)

    @property
    def numeric(self) -> bool:
        """Whether the values have an order."""
        return not any(isinstance(value, str) for value in self.values)

    @property
    def logarithmic(self) -> bool:
        """Whether ratios of the values tell more than their differences."""
        return self.numeric and float(self.lowest) > 0 and float(self.highest) >= DECADE * float(self.lowest)

    def contains(self, value: Value) -> bool:
        """Whether it is one of them."""
        return value in self.values

    @property
    def ascending(self) -> "Choice":
        """The same values from the smallest on, texts by the alphabet."""
        order = sorted(range(len(self.values)), key=lambda place: _rank(self.values[place]))
        weights = self.weights and tuple(self.weights[place] for place in order)
        return Choice(values=tuple(self.values[place] for place in order), weights=weights)

    @property
    def lowest(self) -> Value:
        """The smallest value; of texts, the first."""
        return min(self.values, key=float) if self.numeric else self.values[0]

    @property
    def highest(self) -> Value:
        """The largest value; of texts, the first."""
        return max(self.values, key=float) if self.numeric else self.values[0]

    def suggest(self, trial: Suggester, name: str) -> Value:
        """Let a sampler choose; only chance heeds the weights."""
        chosen: Value
        if self.weights and isinstance(trial, Even):
            chosen = trial.suggest_weighted(name, self.values, self.weights)
        else:
            chosen = trial.suggest_categorical(name, self.values)
        return chosen

    def __str__(self) -> str:
        """As people say it."""
        values = ", ".join(map(str, self.values))
        return values + (f" with probabilities {', '.join(map(str, self.weights))}" if self.weights else "")


def _rank(value: Value) -> tuple[float, str]:
    return (math.inf, value) if isinstance(value, str) else (float(value), "")


@dataclass(frozen=True, kw_only=True)
class Range:
    """Everything between two numbers, both included."""

    low: int | float
    high: int | float
    log: bool = False
    """Draw evenly on a logarithmic scale."""
    step: int | float | None = None
    """Distance between values; `high` is one of them. None: every (whole) number."""
    density: Density | None = None
    """How chance draws; samplers that model losses search all between the ends. None: evenly."""

    numeric = True

    @property
    def integer(self) -> bool:
        """Whether only whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def logarithmic(self) -> bool:
        """Whether ratios of the values tell more than their differences."""
        return self.log or (self.low > 0 and self.high >= DECADE * self.low)

    @property
    def values(self) -> Sequence[int | float]:
        """All values of a range of whole numbers, or of one with a step."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return range(self.low, self.high + 1, int(self.step or 1))
        assert self.step is not None
        steps = round((self.high - self.low) / self.step)
        return tuple(round(self.low + self.step * place, 12) for place in range(steps + 1))

    @property
    def count(self) -> float:
        """How many values there are."""
        return len(self.values) if self.integer or self.step else math.inf

    def contains(self, value: Value) -> bool:
        """Whether it is one of them."""
        if isinstance(value, str):
            return False
        return value in self.values if self.integer or self.step else self.low <= value <= self.high

    @property
    def lowest(self) -> int | float:
        """The smallest value."""
        return self.low

    @property
    def highest(self) -> int | float:
        """The largest value."""
        return self.high

    def suggest(self, trial: Suggester, name: str) -> Value:
        """Let a sampler choose."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, step=int(self.step or 1), log=self.log)
        if self.step:
            drawn = trial.suggest_float(name, self.low, self.high, step=self.step)
            return self.values[round((drawn - self.low) / self.step)]
        if self.density and isinstance(trial, Even):
            ends = self.density.below(self.low), self.density.below(self.high)
            return trial.suggest_quantile(name, self.low, self.high, ends, self.density.quantile)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def __str__(self) -> str:
        """As people say it."""
        step = f" in steps of {self.step}" if self.step else ""
        scale = f", {self.density}" if self.density else " on a logarithmic scale" if self.log else ""
        return f"{self.low} to {self.high}{step}{scale}"
