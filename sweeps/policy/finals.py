"""The end of a screening: which stopped trials go on, and from when on what is left of a budget is theirs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sweeps.policy.halving import Screening

MARGIN = 1.1
"""What the finalists get of a budget, over what they are expected to need."""
SHARE = 0.5
"""Of a budget, what finalists may cost, unless there is only one."""


class Purse(Protocol):
    """What is left of a budget, as `budget.Meter` counts it."""

    @property
    def limited(self) -> bool:
        """Whether it can be used up."""

    def lasts(self, *phases: Sequence[float], slots: int, share: float | None = None) -> bool:
        """Whether it does for some work."""


class Finals:
    """Decides for a sweep when it has screened enough.

    Args:
        screening: the sweep's rule.
        purse: what is left of its budget.
        slots: trials at a time.
        rate: time of an evaluation of a trial, or of the mean one for None. [s]
        stopped_at: the evaluation at which a trial has stopped; None if it has not, or has gone on since.
    """

    def __init__(
        self,
        screening: Screening,
        purse: Purse,
        *,
        slots: int,
        rate: Callable[[str | None], float],
        stopped_at: Callable[[str], int | None],
    ) -> None:
        self._screening = screening
        self._purse = purse
        self._slots = slots
        self._rate = rate
        self._stopped_at = stopped_at

    def waiting(self, count: int | None = None) -> dict[str, int]:
        """Stopped trials that are to go on, and the rung where they stand, in their turn.

        Args:
            count: of finalists; None: as many as there are if no budget ends before.
        """
        return self._screening.waiting(count or self._screening.finalists, self._stopped_at)

    def save(self, running: Mapping[str, int]) -> bool:
        """Whether what is left of the budget is for finalists, and no new trial may begin.

        Args:
            running: the last evaluation of running trials; 0 before the first.
        """
        if not self._purse.limited:
            return False
        count = self._affordable()
        return bool(running or self.waiting(count)) and not self._lasts(count, running, new=1)

    def next(self, running: Mapping[str, int], *, all_begun: bool) -> tuple[str, int] | None:
        """The trial to go on now, and its rung; None while others are on the way to that rung, and when there is none.

        Another one begins beside those that run if the budget lasts for all; where none runs, it is worth a try.

        Args:
            running: the last evaluation of running trials; 0 before the first.
            all_begun: whether no trial is to come; until then, the budget limits the finalists to its share.
        """
        limit = self._screening.finalists if all_begun else self._affordable()
        count = min(limit, self._most(lambda count: self._lasts(count, running, new=0)))
        if not running:
            return next((first for n in range(count, limit + 1) for first in self.waiting(n).items()), None)
        first = next(iter(self.waiting(count).items()), None)
        if first is None or any(at < first[1] for at in running.values()):
            return None
        work = [self._ahead(trial_id, at) for trial_id, at in (*running.items(), first)]
        return first if self._purse.lasts(work, slots=self._slots) else None

    def _ahead(self, trial_id: str, at: int) -> float:
        """Time that a trial takes from an evaluation to its next stop. [s]"""
        return (next((stop for stop in self._screening.stops if stop > at), at) - at) * self._rate(trial_id)

    def _most(self, lasts: Callable[[int], bool]) -> int:
        """For how many finalists a budget lasts; one at least."""
        return next((count for count in range(self._screening.finalists, 1, -1) if lasts(count)), 1)

    def _lasts(self, count: int, running: Mapping[str, int], *, new: int) -> bool:
        """Whether what is left of the budget does for so many finalists, after so many new trials.

        Behind the second rung a trial is taken to be as slow as any that is on its way there, as that may displace it.
        """
        phases = self._screening.work(count, running=running, waiting=self.waiting(count), new=new)
        rates = [[self._rate(trial_id) for trial_id, _ in work] for work in phases]
        slowest = [0.0, 0.0, *(max(before, default=0.0) for before in rates[1:-1])]
        seconds = [
            [MARGIN * left * max(rate, least) for (_, left), rate in zip(work, own, strict=True)]
            for work, own, least in zip(phases, rates, slowest, strict=True)
        ]
        return self._purse.lasts(*seconds, slots=self._slots)

    def _affordable(self) -> int:
        """How many finalists a share of the whole budget allows."""
        rate = self._rate(None)

        def lasts(count: int) -> bool:
            seconds = [[rate * (end - rung)] * quota for rung, end, quota in self._screening.stretches(count)]
            return self._purse.lasts(*seconds, slots=self._slots, share=SHARE)

        return self._most(lasts)
