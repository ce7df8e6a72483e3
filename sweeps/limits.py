"""What a sweep may take, and what is left of it. Pure numbers: whoever owns a clock fills them in."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

SECONDS = 3600
"""Seconds in an hour. [s/h]"""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a sweep may take; None: no limit.

    Raises:
        ValueError: money without a price.
    """

    hours: float | None = None
    """Time that it runs. [h]"""
    gpu_hours: float | None = None
    """Time that trials hold GPUs, or slots where they train on CPUs. [h]"""
    money: float | None = None
    """Money that it may cost, in the currency of the price."""
    cost_per_hour: float | None = None
    """Price of a GPU, or of a slot on CPUs. [1/h]"""

    def __post_init__(self) -> None:
        if self.money is not None and self.cost_per_hour is None:
            raise ValueError(f"--budget {self.money:g} needs --cost-per-hour, the price of a GPU-hour")

    @property
    def limited(self) -> bool:
        """Whether any can be used up."""
        return (self.hours, self.gpu_hours, self.money) != (None, None, None)

    @property
    def seconds(self) -> float:
        """Time that the sweep may run. [s]"""
        return math.inf if self.hours is None else SECONDS * self.hours

    @property
    def gpu_seconds(self) -> float:
        """Time that trials may hold GPUs: the smaller one of what is allowed and what can be paid. [s]"""
        allowed = math.inf if self.gpu_hours is None else self.gpu_hours
        paid = math.inf if self.money is None or self.cost_per_hour is None else self.money / self.cost_per_hour
        return SECONDS * min(allowed, paid)

    def cost(self, gpu_hours: float) -> float:
        """Money for so many GPU-hours; NaN without a price."""
        return gpu_hours * (self.cost_per_hour if self.cost_per_hour is not None else math.nan)


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a sweep may still take; infinite where it has no limit."""

    seconds: float = math.inf
    """Time. [s]"""
    seconds_in_all: float = math.inf
    """The whole limit of time. [s]"""
    slot_seconds: float = math.inf
    """Time that trials may hold slots. [s]"""
    slot_seconds_in_all: float = math.inf
    """The whole limit of it. [s]"""
    slots: int = 1
    """Trials at a time."""

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return math.isfinite(min(self.seconds_in_all, self.slot_seconds_in_all))

    @property
    def used_up(self) -> bool:
        """Whether nothing is left."""
        return min(self.seconds, self.slot_seconds) <= 0

    def lasts(self, *phases: Sequence[float], share: float | None = None) -> bool:
        """Whether what is left suffices for some work.

        Args:
            phases: one after the other, each of them the time that its trials take in a slot. [s]
            share: ask instead whether this share of the whole limits would.
        """
        seconds, slot_seconds = self.seconds, self.slot_seconds
        if share is not None:
            seconds, slot_seconds = share * self.seconds_in_all, share * self.slot_seconds_in_all
        in_slots = sum(map(sum, phases))
        return in_slots <= slot_seconds and sum(_makespan(work, self.slots) for work in phases) <= seconds


def _makespan(work: Sequence[float], slots: int) -> float:
    """Time until all of it is done, if the longest begins first."""
    free_at = [0.0] * slots
    for seconds in sorted(work, reverse=True):
        heapq.heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)
