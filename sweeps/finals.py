"""The end of a screening: which stopped trials go on, and from when on what is left of a budget is theirs."""

from collections.abc import Callable, Mapping

from sweeps.budget import Meter
from sweeps.halving import SHARE, Screening

MARGIN = 1.1
"""What the finalists get of a budget, over what they are expected to need."""


class Finals:
    """Decides for a sweep when it has screened enough.

    Args:
        screening: the sweep's rule.
        meter: of its budget.
        evaluations: of a full trial.
        slots: trials at a time.
        rate: time of an evaluation of a trial, or of the mean one for None. [s]
        stopped_at: the evaluation at which a trial has stopped; None if it has not, or has gone on since.
    """

    def __init__(
        self,
        screening: Screening,
        meter: Meter,
        *,
        evaluations: int,
        slots: int,
        rate: Callable[[str | None], float],
        stopped_at: Callable[[str], int | None],
    ) -> None:
        self._screening = screening
        self._meter = meter
        self._evaluations = evaluations
        self._slots = slots
        self._rate = rate
        self._stopped_at = stopped_at

    def waiting(self, *, all_begun: bool) -> dict[str, int]:
        """Stopped trials that are to go on, and the rung where they stand: those at the first rung first, best first.

        Args:
            all_begun: whether no trial is to come; until then, the budget limits the finalists to its share.
        """
        count = self._screening.most if all_begun else self._affordable()
        return self._screening.waiting(count, self._evaluations, self._stopped_at)

    def save(self, running: Mapping[str, int]) -> bool:
        """Whether what is left of the budget is for finalists, and no new trial may begin.

        Args:
            running: the last evaluation of running trials; 0 before the first.
        """
        waiting = self.waiting(all_begun=False)
        if not self._meter.budget.limited or not (waiting or running):
            return False
        phases = self._screening.work(self._affordable(), self._evaluations, running=running, waiting=waiting)
        seconds = [[MARGIN * left * self._rate(trial_id) for trial_id, left in work] for work in phases]
        return not self._meter.lasts(*seconds, slots=self._slots)

    def next(self, running: Mapping[str, int], *, all_begun: bool) -> tuple[str, int] | None:
        """The trial to go on now, and its rung; None while others are on the way to that rung, and when there is none.

        Another one begins beside those that run if the budget lasts for all; where none runs, it is worth a try.
        """
        stops = [*self._screening.rungs, self._evaluations]
        for trial_id, rung in self.waiting(all_begun=all_begun).items():
            if any(at < rung for at in running.values()):
                return None
            ahead = {
                name: next(stop for stop in stops if stop > at) - at
                for name, at in (*running.items(), (trial_id, rung))
            }
            work = [left * self._rate(name) for name, left in ahead.items()]
            return (trial_id, rung) if not running or self._meter.lasts(work, slots=self._slots) else None
        return None

    def _affordable(self) -> int:
        """How many finalists the budget allows."""
        rate = self._rate(None)

        def fits(phases: list[list[int]]) -> bool:
            seconds = [[rate * evaluations for evaluations in work] for work in phases]
            return self._meter.lasts(*seconds, slots=self._slots, share=SHARE)

        return self._screening.affordable(self._evaluations, fits)
