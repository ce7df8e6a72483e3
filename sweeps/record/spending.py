"""What a sweep may take, and what it has taken: hours, GPU-hours and money, over all its runs."""

import heapq
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinystories import storage

UPDATE_SECONDS = 10
"""Time that a killed run forgets at most, besides what lies between two reports. [s]"""
SECONDS = 3600
"""In an hour. [s/h]"""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a sweep may take; None: no limit.

    Raises:
        ValueError: money without a price.
    """

    hours: float | None = None
    """Time that it runs. [h]"""
    gpu_hours: float | None = None
    """Time that trials hold GPUs, or slots where they train on CPUs. [h]"""
    money: float | None = None
    """In the currency of the price."""
    cost_per_hour: float | None = None
    """Price of a GPU, or of a slot on CPUs. [1/h]"""

    def __post_init__(self) -> None:
        if self.money is not None and self.cost_per_hour is None:
            raise ValueError(f"--budget {self.money:g} needs --cost-per-hour, the price of a GPU-hour")

    @property
    def limited(self) -> bool:
        """Whether it can be used up."""
        return (self.hours, self.gpu_hours, self.money) != (None, None, None)

    def cost(self, gpu_hours: float) -> float:
        """Money for so many GPU-hours; NaN without a price."""
        return gpu_hours * (self.cost_per_hour if self.cost_per_hour is not None else float("nan"))


class Meter:
    """Counts what a sweep takes, and remembers it for its next run; time in between does not count.

    Args:
        budget: what it may take.
        path: where the count stands between runs (JSON).
        gpu_share: GPUs that a trial holds; on CPUs 1, a slot.
        clock: tells the time. [s]
    """

    def __init__(
        self, budget: Budget, path: Path, *, gpu_share: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.budget = budget
        self.gpu_share = gpu_share
        self._path = path
        self._clock = clock
        self._earlier: dict[str, float] = {"seconds": 0.0, "gpu_seconds": 0.0}
        if path.exists():
            self._earlier |= json.loads(path.read_text(encoding="utf-8"))
        self._started = clock()
        self._saved = self._started
        self._held: dict[str, float] = {}
        self._ended_gpu_seconds = 0.0

    def begin(self, trial_id: str) -> None:
        """A trial takes its slot."""
        self._held[trial_id] = self._clock()

    def end(self, trial_id: str) -> None:
        """A trial gives its slot back."""
        self._ended_gpu_seconds += self.gpu_share * (self._clock() - self._held.pop(trial_id))

    @property
    def seconds(self) -> float:
        """Time that the sweep has run. [s]"""
        return self._earlier["seconds"] + self._clock() - self._started

    @property
    def gpu_hours(self) -> float:
        """Time that its trials have held GPUs. [h]"""
        now = self._clock()
        held = self.gpu_share * sum(now - since for since in self._held.values())
        return (self._earlier["gpu_seconds"] + self._ended_gpu_seconds + held) / SECONDS

    @property
    def limited(self) -> bool:
        """Whether the budget can be used up."""
        return self.budget.limited

    @property
    def used_up(self) -> str | None:
        """The option whose budget is used up, with its value; None while all last."""
        budget = self.budget
        if budget.hours is not None and self.seconds >= SECONDS * budget.hours:
            return f"--hours {budget.hours:g}"
        if budget.gpu_hours is not None and self.gpu_hours >= budget.gpu_hours:
            return f"--gpu-hours {budget.gpu_hours:g}"
        if budget.money is not None and budget.cost(self.gpu_hours) >= budget.money:
            return f"--budget {budget.money:g}"
        return None

    def lasts(self, *phases: Sequence[float], slots: int, share: float | None = None) -> bool:
        """Whether what is left of the budget lasts for some work.

        Args:
            phases: one after the other, each of them what its trials take in a slot. [s]
            slots: trials at a time.
            share: ask instead whether this share of the whole budget would.
        """
        spent, held = (self.seconds, self.gpu_hours) if share is None else (0.0, 0.0)
        seconds = spent + sum(_makespan(work, slots) for work in phases)
        gpu_hours = held + self.gpu_share * sum(map(sum, phases)) / SECONDS
        part = share or 1.0
        budget = self.budget
        return (
            (budget.hours is None or seconds < part * SECONDS * budget.hours)
            and (budget.gpu_hours is None or gpu_hours < part * budget.gpu_hours)
            and (budget.money is None or budget.cost(gpu_hours) < part * budget.money)
        )

    def update(self) -> None:
        """Remember the count from time to time, for a run that is killed."""
        if self._clock() - self._saved >= UPDATE_SECONDS:
            self.save()

    def save(self) -> None:
        """Remember the count for the next run."""
        self._saved = self._clock()
        count = {"seconds": round(self.seconds, 1), "gpu_seconds": round(self.gpu_hours * SECONDS, 1)}
        storage.write(str(self._path), (json.dumps(count) + "\n").encode())


def _makespan(work: Sequence[float], slots: int) -> float:
    """Time until all of it is done, if the longest begins first."""
    free_at = [0.0] * slots
    for seconds in sorted(work, reverse=True):
        heapq.heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)
