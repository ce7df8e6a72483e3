"""From a parameter as W&B's vocabulary writes it to what is searched."""

import itertools
import math
import sys
from collections.abc import Callable
from typing import Any, get_args

from sweeps.spec.parameters import Choice, Density, Range
from sweeps.spec.recipe import SHAPE, Value, kind, typed
from sweeps.spec.sweep_file import Parameter

MOST_WEIGHTED = 1000
"""Values that an uneven distribution with a step may have."""
MOST_SIZES = 10_000
"""Values of depth, width or heads, and of a range with a step that is no whole number: they are listed."""
DENSITIES = {"normal": ("mu", "sigma"), "log_normal": ("mu", "sigma"), "beta": ("a", "b")}
DEFAULTS = {"normal": (0.0, 1.0), "log_normal": (0.0, 1.0), "beta": (1.0, 1.0)}
EXPONENTS = ("log_uniform", "inv_log_uniform")
"""Distributions whose ends are exponents of e. The logarithm of 1/x is as even as that of x: both are one."""
Accepts = Callable[[Value], None]
"""Raises a ValueError for a value that no trial can have."""


def searched(name: str, entry: Parameter, accepts: Accepts) -> Choice | Range:
    """What a parameter may be.

    Raises:
        ValueError: the entry contradicts itself, or holds values that no trial can have.
    """
    where = f"parameters.{name}"
    try:
        return _searched(name, entry, where, accepts)
    except OverflowError:
        raise ValueError(f"{where}: goes beyond the largest number, {sys.float_info.max:.1e}") from None


def _searched(name: str, entry: Parameter, where: str, accepts: Accepts) -> Choice | Range:
    given = entry.model_fields_set
    distribution = entry.distribution or _default(name, entry, where)
    if entry.value is not None:
        return Choice(values=(_value(name, entry.value, where, accepts),))
    if entry.values is not None:
        _only(given, ("values", "probabilities"), where)
        return _choice(name, entry, where, accepts)
    family = distribution.removeprefix("q_")
    if family in DENSITIES:
        _only(given, (*DENSITIES[family], "q"), where)
        return _density(name, entry, family, where, accepts)
    _only(given, ("min", "max", "q"), where)
    return _range(name, entry, distribution, where, accepts)


def _default(name: str, entry: Parameter, where: str) -> str:
    forms = [key for key in ("value", "values", "min") if getattr(entry, key) is not None]
    if len(forms) != 1:
        raise ValueError(f"{where}: give either value, or values, or min and max; given: {', '.join(forms) or 'none'}")
    if forms == ["value"]:
        return "constant"
    if forms == ["values"]:
        return "categorical"
    return "q_uniform" if entry.q else "int_uniform" if kind(name) is int else "uniform"


def _only(given: set[str], allowed: tuple[str, ...], where: str) -> None:
    for key in sorted(given - {"distribution", *allowed}):
        raise ValueError(f"{where}: {key} does not go with {' and '.join(allowed)}; leave it out")


def _value(name: str, raw: Any, where: str, accepts: Accepts) -> Value:
    try:
        value = typed(raw, kind(name))
        if name in SHAPE and int(value) < 1:
            raise ValueError(f"{raw!r} must be above 0")
    except ValueError as error:
        raise ValueError(f"{where} {error}") from None
    try:
        accepts(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return value


def _choice(name: str, entry: Parameter, where: str, accepts: Accepts) -> Choice:
    if not entry.values:
        raise ValueError(f"{where}.values {entry.values!r}: a list with at least one value")
    values = tuple(_value(name, value, where, accepts) for value in entry.values)
    if len(set(values)) < len(values):
        raise ValueError(f"{where}.values {entry.values!r} names a value twice")
    if entry.probabilities is None:
        return Choice(values=values)
    weights = tuple(float(weight) for weight in entry.probabilities)
    if len(weights) != len(values) or min(weights) < 0 or not sum(weights) > 0:
        raise ValueError(f"{where}.probabilities {entry.probabilities}: a number of at least 0 for each of the values")
    return Choice(values=values, weights=weights)


def _range(name: str, entry: Parameter, distribution: str, where: str, accepts: Accepts) -> Choice | Range:
    if entry.min is None or entry.max is None:
        raise ValueError(f"{where}: give values, or min and max")
    if get_args(kind(name)) or kind(name) is bool:
        raise ValueError(f"{where}: give its values as a list; they are no range of numbers")
    ends = (entry.min, entry.max)
    if distribution.removeprefix("q_") in EXPONENTS:
        signed = (-entry.max, -entry.min) if distribution == "inv_log_uniform" else ends
        ends = math.exp(signed[0]), math.exp(signed[1])
        ends = (round(ends[0]), round(ends[1])) if kind(name) is int else ends
    log = "log" in distribution
    if log and not entry.min > 0 and distribution.removeprefix("q_") not in EXPONENTS:
        raise ValueError(f"{where}.min {entry.min} must be above 0 on a logarithmic scale")
    low, high = (_value(name, end, f"{where}.{key}", accepts) for key, end in zip(("min", "max"), ends, strict=True))
    assert not isinstance(low, str)
    assert not isinstance(high, str)
    if low >= high:
        raise ValueError(f"{where}: min {low} must be below max {high}")
    step = _step(name, entry, distribution, where)
    if name in SHAPE and (count := (high - low) // (step or 1) + 1) > MOST_SIZES:
        raise ValueError(f"{where}: {count:,} values; allowed: up to {MOST_SIZES:,}, with a q between them if need be")
    if step is None:
        return Range(low=low, high=high, log=log)
    if log:
        return _weighted(low, high, step, math.log, where)
    steps = math.floor((high - low) / step + 1e-9)
    if kind(name) is not int and steps >= MOST_SIZES:
        raise ValueError(f"{where}: {steps + 1:,} values; allowed: up to {MOST_SIZES:,}, with a larger q if need be")
    if steps < 1:
        raise ValueError(f"{where}.q {step}: a step that is no longer than from min {low} to max {high}")
    return Range(low=low, high=round(low + steps * step, 12), step=step)


def _step(name: str, entry: Parameter, distribution: str, where: str) -> int | float | None:
    """The distance between values; None: there is none, or that of whole numbers."""
    whole = kind(name) is int
    if not whole and not distribution.startswith("q_"):
        return 1 if distribution == "int_uniform" else entry.q
    step = entry.q or 1
    if whole and step != int(step):
        raise ValueError(f"{where}.q {step}: {name} is a whole number, and so is its step")
    return None if whole and step == 1 else int(step) if whole else step


def _density(name: str, entry: Parameter, family: str, where: str, accepts: Accepts) -> Choice | Range:
    """Uneven distributions: of whole numbers, or with a step, the chance of each value; else of all in between."""
    if get_args(kind(name)) or kind(name) is bool:
        raise ValueError(f"{where}: give its values as a list; they are no range of numbers")
    given = zip(DENSITIES[family], DEFAULTS[family], strict=True)
    first, second = (default if (value := getattr(entry, key)) is None else value for key, default in given)
    density = Density(family=family, first=first, second=second)  # type: ignore[arg-type]
    step = _step(name, entry, entry.distribution or "", where)
    low, high = density.ends
    if kind(name) is int or step is not None:
        step = step or 1
        low, high = max(step, math.ceil(low / step) * step), math.floor(high / step) * step
        low, high = (round(end, 12) for end in (low, high))
        if low >= high:
            raise ValueError(f"{where}.q {step}: leaves no two values of {density}")
        ends = [_value(name, end, where, accepts) for end in (low, high)]
        return _weighted(ends[0], ends[1], step, density.below, where)
    low = _lowest(low, high, accepts)
    ends = [_value(name, end, where, accepts) for end in (low, high)]
    return Range(low=float(ends[0]), high=float(ends[1]), log=family == "log_normal", density=density)


def _lowest(low: float, high: float, accepts: Accepts) -> float:
    """Where a distribution begins: where it does, or at 0 if nothing below can be trained with."""
    try:
        accepts(low)
    except ValueError:
        return 0.0
    return low


def _weighted(low: Any, high: Any, step: int | float, below: Callable[[float], float], where: str) -> Choice:
    """Values with a step, each as likely as all that are rounded to it."""
    count = math.floor((high - low) / step + 1e-9) + 1
    if not 2 <= count <= MOST_WEIGHTED:
        raise ValueError(f"{where}.q {step}: gives {max(count, 0)} values; allowed: 2 to {MOST_WEIGHTED}")
    whole = isinstance(low, int)
    values = tuple(low + step * place if whole else round(low + step * place, 12) for place in range(count))
    edges = [max(value - step / 2, low / 2 if low > 0 else value - step / 2) for value in values]
    edges.append(values[-1] + step / 2)
    weights = tuple(round(below(end) - below(start), 9) for start, end in itertools.pairwise(edges))
    return Choice(values=values, weights=weights)
