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
        may_resume: whether a trial has stopped, and has not gone on since.
    """

    def __init__(
        self,
        screening: Screening,
        meter: Meter,
        *,
        evaluations: int,
        slots: int,
        rate: Callable[[str | None], float],
        may_resume: Callable[[str], bool],
    ) -> None:
        self._screening = screening
        self._meter = meter
        self._evaluations = evaluations
        self._slots = slots
        self._rate = rate
        self._may_resume = may_resume

    def waiting(self, *, all_begun: bool) -> list[str]:
        """Stopped trials that are to be trained to their end, best first.

        Args:
            all_begun: whether no trial is to come; until then, the budget limits the finalists to its share.
        """
        count = self._screening.most if all_begun else self._affordable()
        return [trial_id for trial_id in self._screening.finalists(count) if self._may_resume(trial_id)]

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

    def next(self, running: Mapping[str, int], *, all_begun: bool) -> str | None:
        """The finalist to begin now; None while trials are being screened, and when there is none.

        Another one begins beside those that run if the budget lasts for all; where none runs, it is worth a try.
        """
        rung = self._screening.rung
        if any(at < rung for at in running.values()):
            return None
        for trial_id in self.waiting(all_begun=all_begun)[:1]:
            reached = {**running, trial_id: rung}
            work = [(self._evaluations - at) * self._rate(name) for name, at in reached.items()]
            if not running or self._meter.lasts(work, slots=self._slots):
                return trial_id
        return None

    def _affordable(self) -> int:
        """How many finalists the budget allows."""
        seconds = self._rate(None) * (self._evaluations - self._screening.rung)
        return self._screening.affordable(
            lambda count: self._meter.lasts([seconds] * count, slots=self._slots, share=SHARE)
        )
