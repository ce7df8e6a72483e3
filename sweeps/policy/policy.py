"""What is tried next, and who continues. Pure: no files, clock, Ray, W&B or console.

A policy is told every event of its sweep in order (`apply`), live or read from a journal, and its answers depend on
these and on what is left of the limits alone. So a sweep that resumes decides as if it had never been interrupted.
"""

from typing import Literal

from sweeps.events import Event, TrialEvent
from sweeps.limits import Left
from sweeps.policy import confirmation
from sweeps.policy.search import Search
from sweeps.policy.verdicts import Close, Decision, Done, Resume, Verdict, Wait
from sweeps.spec.schema import Spec
from sweeps.trials import Trial, Trials

Phase = Literal["searching", "promoting", "closing", "confirming", "over"]
"""New configurations begin; all have begun, and paused trials are promoted or running ones end; the search has ended
and is to be closed; the best are trained again; nothing is left to begin."""


class Policy:
    """Decides for a sweep.

    Args:
        spec: what is asked.
        trials: all of the sweep; whoever applies an event there applies it here next.
        vocab_size: of the data. [token]
    """

    def __init__(self, spec: Spec, trials: Trials, *, vocab_size: int) -> None:
        self._spec = spec
        self._trials = trials
        self._search = Search(spec, trials, vocab_size=vocab_size)

    def apply(self, event: Event) -> None:
        """Take in an event that `trials` has taken in.

        Raises:
            ValueError: a configuration is none that the sweep can have.
        """
        if isinstance(event, TrialEvent) and (trial := self._trials[event.trial_id]).stage == "search":
            self._search.apply(event, trial)

    def next(self, left: Left) -> Decision:
        """What a free slot does.

        Args:
            left: of the sweep's limits.
        """
        if left.used_up:
            return Done()
        if (trial := self._interrupted) is not None:
            return Resume(trial.trial_id)
        match self.phase:
            case "searching" | "promoting":
                if decision := self._search.next(left, all_begun=self._all_begun):
                    return decision
                return Wait() if self._spec.confirm or self._search.promotes else Done()
            case "closing":
                return Close()
            case "confirming":
                return confirmation.wanted(self._spec, self._trials)[0]
            case "over":
                return Done()

    def verdict(self, trial_id: str, left: Left) -> Verdict:
        """What follows from a trial's last evaluation.

        Args:
            left: of the sweep's limits.
        """
        trial = self._trials[trial_id]
        if trial.metrics is not None and trial.metrics.diverged:
            return Verdict.STOP
        if trial.evaluation >= self._spec.evaluations:
            return Verdict.COMPLETE
        verdict = self._search.verdict(trial) if trial.stage == "search" else Verdict.CONTINUE
        return Verdict.INTERRUPT if verdict is Verdict.CONTINUE and left.used_up else verdict

    @property
    def phase(self) -> Phase:
        """What the sweep is doing now, whatever its limits."""
        if not self._all_begun:
            return "searching"
        if not self._is_closed:
            unfinished = len(self._unfinished_search) > len(self.surplus)
            return "promoting" if unfinished or self._search.promotable else "closing"
        return "confirming" if confirmation.wanted(self._spec, self._trials) else "over"

    @property
    def left(self) -> int:
        """Trials that are yet to begin or to end, with paused ones that are to be promoted."""
        unfinished = len(self._trials.unfinished) - len(self.surplus)
        will_confirm = self._spec.trials_in_all - self._spec.trials
        match self.phase:
            case "searching":
                return unfinished + self._spec.trials - self._trials.searched + will_confirm
            case "promoting":
                return unfinished + len(self._search.promotable) + will_confirm
            case _:
                return unfinished + len(confirmation.wanted(self._spec, self._trials))

    @property
    def surplus(self) -> list[Trial]:
        """Unfinished trials that are not asked for any more: of the search, as many others have ended as it has."""
        if self._trials.searched - len(self._unfinished_search) < self._spec.trials:
            return []
        return [trial for trial in self._unfinished_search if trial.state == "interrupted" and not trial.promoted_from]

    @property
    def promising(self) -> set[str]:
        """Paused trials that may yet be promoted, and need their checkpoints for it."""
        return set() if self._is_closed else self._search.promising

    def second_objective(self, trial: Trial) -> float:
        """What is kept small of a trial besides its loss, where there is such an objective. [parameter or FLOP]"""
        return self._search.second[trial.trial_id]

    @property
    def _is_closed(self) -> bool:
        """Forecasts that change by a restart or a confirmation promote nobody else."""
        return self._trials.closed_at >= self._spec.trials

    @property
    def _all_begun(self) -> bool:
        return self._trials.searched >= self._spec.trials

    @property
    def _unfinished_search(self) -> list[Trial]:
        return [trial for trial in self._trials.unfinished.values() if trial.stage == "search"]

    @property
    def _interrupted(self) -> Trial | None:
        surplus = self.surplus
        unfinished = self._trials.unfinished.values()
        return next((trial for trial in unfinished if trial.state == "interrupted" and trial not in surplus), None)
