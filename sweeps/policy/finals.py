"""The end of a screening: which paused trials are promoted, and from when on what is left of a limit is theirs."""

from collections.abc import Callable, Mapping

from sweeps.limits import Left
from sweeps.policy.screening import Screening
from sweeps.trials import Trial, Trials

MARGIN = 1.1
"""Times what finalists are expected to need that is kept of a limit for them."""
SHARE = 0.5
"""Share of a limit that finalists may cost, unless there is only one."""


class Finals:
    """Decides for a sweep when it has screened enough.

    Args:
        screening: the sweep's rule.
        trials: all of the sweep.
    """

    def __init__(self, screening: Screening, trials: Trials) -> None:
        self._screening = screening
        self._trials = trials

    def promotable(self, count: int | None = None) -> dict[str, int]:
        """Paused trials that are to be promoted, and the rung where they are, in their order.

        Args:
            count: of finalists; None: as many as there are if no limit is used up before.
        """
        return self._screening.promotable(count or self._screening.finalists, self._trials)

    def save(self, running: Mapping[str, int], left: Left) -> bool:
        """Whether what is left is for finalists, and no new trial may begin.

        Args:
            running: the last evaluation of running trials; 0 before the first.
        """
        if not left.limited:
            return False
        count = self._affordable(left)
        return bool(running or self.promotable(count)) and not self._lasts(count, running, left, new=1)

    def next(self, running: Mapping[str, int], left: Left, *, all_begun: bool) -> str | None:
        """The trial to promote now; None while others are on the way to its rung, and when there is none.

        Another one begins beside those that run if what is left lasts for all; where none runs, it is worth a try.

        Args:
            running: the last evaluation of running trials; 0 before the first.
            all_begun: whether no trial is to come; until then, the limit restricts the finalists to its share.
        """
        most = self._screening.finalists if all_begun else self._affordable(left)
        count = min(most, self._most(lambda count: self._lasts(count, running, left, new=0)))
        if not running:
            return next((first for number in range(count, most + 1) for first in self.promotable(number)), None)
        first, rung = next(iter(self.promotable(count).items()), (None, 0))
        if first is None or any(at < rung for at in running.values()):
            return None
        work = [self._ahead(trial_id, at) for trial_id, at in (*running.items(), (first, rung))]
        return first if left.lasts(work) else None

    def _ahead(self, trial_id: str, at: int) -> float:
        """Time that a trial takes from an evaluation to its next stop. [s]"""
        return (next((stop for stop in self._screening.stops if stop > at), at) - at) * self._pace(trial_id)

    def _pace(self, trial_id: str | None) -> float:
        """Time of an evaluation of a trial, or of the mean one. [s]"""
        trial: Trial | None = self._trials.get(trial_id) if trial_id else None
        if trial is not None and trial.metrics:
            return trial.metrics.seconds / trial.metrics.evaluation
        return self._trials.seconds / self._trials.evaluations if self._trials.evaluations else 0.0

    def _most(self, lasts: Callable[[int], bool]) -> int:
        """For how many finalists a limit lasts; one at least."""
        return next((count for count in range(self._screening.finalists, 1, -1) if lasts(count)), 1)

    def _lasts(self, count: int, running: Mapping[str, int], left: Left, *, new: int) -> bool:
        """Whether what is left suffices for so many finalists, after so many new trials.

        Behind the second rung a trial is taken to be as slow as any that is on its way there, as that may displace it.
        """
        phases = self._screening.work(count, running=running, promoted=self.promotable(count), new=new)
        paces = [[self._pace(trial_id) for trial_id, _ in work] for work in phases]
        slowest = [0.0, 0.0, *(max(before, default=0.0) for before in paces[1:-1])]
        seconds = [
            [MARGIN * evaluations * max(pace, least) for (_, evaluations), pace in zip(work, own, strict=True)]
            for work, own, least in zip(phases, paces, slowest, strict=True)
        ]
        return left.lasts(*seconds)

    def _affordable(self, left: Left) -> int:
        """How many finalists a share of the whole limit allows."""
        pace = self._pace(None)

        def lasts(count: int) -> bool:
            stretches = self._screening.stretches(count)
            seconds = [[pace * (stretch.end - stretch.rung)] * stretch.quota for stretch in stretches]
            return left.lasts(*seconds, share=SHARE)

        return self._most(lasts)
