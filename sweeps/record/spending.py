"""What a sweep has taken of its limits: time, and time that its trials held GPUs, over all its runs."""

import time
from collections.abc import Callable

from sweeps.events import Spent
from sweeps.limits import SECONDS, Left, Limits

UPDATE_SECONDS = 10
"""Time that a killed run forgets at most, besides what lies between two reports. [s]"""


class Meter:
    """Counts what a sweep takes; time between its runs does not count.

    Args:
        limits: what it may take.
        earlier: what its earlier runs have taken.
        clock: tells the time. [s]
    """

    def __init__(
        self,
        limits: Limits,
        *,
        earlier: Spent | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.gpu_share = 1.0
        """GPUs that a trial holds; on CPUs 1, a slot."""
        self.runs = False
        """Whether a trial may have begun, so that there is something to write down."""
        self._clock = clock
        self._earlier = earlier or Spent(at=0.0, seconds=0.0, gpu_seconds=0.0)
        self._started = clock()
        self._noted = self._started
        self._held: dict[str, float] = {}
        self._ended_gpu_seconds = 0.0

    def start(self, gpu_share: float) -> None:
        """The first trial may begin: the time counts from here, and each trial holds this share of a GPU."""
        self.gpu_share = gpu_share
        self.runs = True
        self._started = self._clock()

    def begin(self, trial_id: str) -> None:
        """A trial takes its slot."""
        self.runs = True
        self._held[trial_id] = self._clock()

    def end(self, trial_id: str) -> None:
        """A trial gives its slot back; one that an earlier run left without an end has taken nothing here."""
        now = self._clock()
        self._ended_gpu_seconds += self.gpu_share * (now - self._held.pop(trial_id, now))

    @property
    def seconds(self) -> float:
        """Time that the sweep has run. [s]"""
        return self._earlier.seconds + self._clock() - self._started

    @property
    def gpu_seconds(self) -> float:
        """Time that its trials have held GPUs. [s]"""
        now = self._clock()
        held = self.gpu_share * sum(now - since for since in self._held.values())
        return self._earlier.gpu_seconds + self._ended_gpu_seconds + held

    @property
    def gpu_hours(self) -> float:
        """Time that its trials have held GPUs. [h]"""
        return self.gpu_seconds / SECONDS

    def left(self, slots: int) -> Left:
        """What is left, for so many trials at a time."""
        limits = self.limits
        return Left(
            seconds=limits.seconds - self.seconds,
            seconds_in_all=limits.seconds,
            slot_seconds=(limits.gpu_seconds - self.gpu_seconds) / self.gpu_share,
            slot_seconds_in_all=limits.gpu_seconds / self.gpu_share,
            slots=slots,
        )

    @property
    def used_up(self) -> str | None:
        """The option whose limit is used up, with its value; None while all last."""
        limits = self.limits
        if limits.hours is not None and self.seconds >= SECONDS * limits.hours:
            return f"--hours {limits.hours:g}"
        if limits.gpu_hours is not None and self.gpu_hours >= limits.gpu_hours:
            return f"--gpu-hours {limits.gpu_hours:g}"
        if limits.money is not None and self.gpu_seconds >= limits.gpu_seconds:
            return f"--budget {limits.money:g}"
        return None

    @property
    def is_due(self) -> bool:
        """Whether the count should be written down again, for a run that is killed."""
        return self._clock() - self._noted >= UPDATE_SECONDS

    def note(self, at: float) -> Spent:
        """The count, to be written down now; `at` as in the journal. [s]"""
        self._noted = self._clock()
        return Spent(at=at, seconds=round(self.seconds, 1), gpu_seconds=round(self.gpu_seconds, 1))
