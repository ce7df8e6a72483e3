"""How numbers are written: one rule for each kind of quantity, for the live view, the preview and the result."""

import math

SUFFIXES = ("", "k", "M", "B")
"""Of thousands to the power of 0, 1, 2, 3."""


def count(value: float) -> str:
    """A number of things in three digits: 640, 20k, 1.5M; from 1e12 on as 3.2e13."""
    for power, suffix in enumerate(SUFFIXES):
        short = f"{value / 1000**power:.3g}"
        if abs(float(short)) < 1000:  # after rounding: 999,999 is 1M
            return f"{short}{suffix}"
    return flops(value)


def flops(value: float) -> str:
    """Compute, or compute in a second, in two digits: 3.2e13. [FLOP], [FLOP/s]"""
    return f"{value:.1e}".replace("e+", "e")


def duration(seconds: float) -> str:
    """A time as h:mm:ss, or m:ss below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def loss(value: float) -> str:
    """A loss in nat/token or bit/byte; empty where it was not measured, as the other unit in a replay."""
    return f"{value:.4f}" if math.isfinite(value) else ""


def rate(value: float) -> str:
    """A learning rate, or another searched number on a log scale: 0.0023, 1.2e-05."""
    return f"{value:.3g}"


def speed(tokens_per_second: float) -> str:
    """Training speed: 12,345. [token/s]"""
    return f"{tokens_per_second:,.0f}"


def hours(value: float) -> str:
    """GPU-hours, to a thousandth."""
    return count(round(value, 3))


def money(value: float) -> str:
    """An amount, to a hundredth of the user's currency."""
    return f"{value:.2f}"


def share(value: float) -> str:
    """A share of 1 in percent."""
    return f"{value:.0%}"
