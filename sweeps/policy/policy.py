"""What is tried next, and who continues. Pure: no files, clock, Ray, W&B or console.

A policy is told every event of its sweep in order (`apply`), live or read from a journal, and its answers depend on
nothing else. So a sweep that resumes decides as if it had never been interrupted.
"""

import math
from typing import Literal

from sweeps.events import (
    Abandoned,
    Completed,
    Diverged,
    Evaluated,
    Event,
    Failed,
    Paused,
    Promoted,
    Proposed,
    Stopped,
    Substituted,
    TrialEvent,
)
from sweeps.limits import Left
from sweeps.policy import confirmation
from sweeps.policy.finals import Finals
from sweeps.policy.halving import PromotionHalving
from sweeps.policy.proposals import Proposals
from sweeps.policy.screening import Screening
from sweeps.policy.stopping import make_rule
from sweeps.policy.verdicts import Close, Decision, Done, Resume, Start, Verdict, Wait
from sweeps.spec.schema import Spec
from sweeps.trials import Trial, Trials

Phase = Literal["searching", "promoting", "closing", "confirming", "over"]
"""New configurations begin; all have begun, and paused trials are promoted or running ones end; the search has ended
and is to be closed; the best are trained again; nothing is left to begin."""
ENDS: dict[type[TrialEvent], Literal["paused", "stopped", "completed", "failed", "diverged", "abandoned"]] = {
    Paused: "paused",
    Stopped: "stopped",
    Completed: "completed",
    Failed: "failed",
    Diverged: "diverged",
    Abandoned: "abandoned",
}


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
        self._vocab_size = vocab_size
        self._proposals = Proposals(spec)
        self._second: dict[str, float] = {}
        """Second objective of each trial, if there is one. [parameter or FLOP]"""
        self._rule = make_rule(spec, forecaster=self._proposals, second=self._second)
        self._finals = Finals(self._rule, trials) if isinstance(self._rule, Screening) else None

    def apply(self, event: Event) -> None:
        """Take in an event that `trials` has taken in.

        Raises:
            ValueError: a configuration is none that the sweep can have.
        """
        if not isinstance(event, TrialEvent):
            return
        trial = self._trials[event.trial_id]
        if trial.stage != "search":
            return
        match event:
            case Proposed():
                self._spec.trial_config(trial.assignment)  # checks it
                self._proposals.begin(trial.trial_id, trial.assignment)
                self._judge(trial)
            case Substituted():
                self._judge(trial)
            case Evaluated():
                self._record(trial)
            case Promoted():
                self._proposals.resume(trial.trial_id)
                if isinstance(self._rule, PromotionHalving):
                    self._rule.promote(trial)
            case Paused() | Stopped() | Completed() | Failed() | Diverged() | Abandoned():
                self._end(trial, event)

    def _judge(self, trial: Trial) -> None:
        """Note a trial's second objective, if there is one."""
        if self._spec.pareto:
            config = self._spec.trial_config(trial.trained)
            self._second[trial.trial_id] = self._spec.second_objective(config, self._vocab_size)

    def _record(self, trial: Trial) -> None:
        loss = self._loss(trial)
        self._proposals.report(trial.trial_id, trial.evaluation, loss)
        self._rule.record(trial.trial_id, trial.evaluation, loss)

    def _loss(self, trial: Trial) -> float:
        metrics = trial.metrics
        loss: float = getattr(metrics, self._spec.metric) if metrics and metrics.usable else math.inf
        return loss

    def _end(self, trial: Trial, event: TrialEvent) -> None:
        if isinstance(event, Failed | Diverged | Stopped):
            self._rule.drop(trial.trial_id)
        second = [self._second[trial.trial_id]] if self._spec.pareto else []
        values = [self._loss(trial), *second] if isinstance(event, Completed) else None
        self._proposals.end(trial.trial_id, ENDS[type(event)], values)

    def verdict(self, trial_id: str, left: Left) -> Verdict:
        """What follows from a trial's last evaluation.

        Args:
            left: of the sweep's limits.
        """
        trial = self._trials[trial_id]
        assert trial.metrics
        if trial.metrics.diverged:
            return Verdict.STOP
        if trial.evaluation >= self._spec.evaluations:
            return Verdict.COMPLETE
        verdict = Verdict.CONTINUE
        if trial.stage == "search":
            verdict = self._rule.verdict(trial) if math.isfinite(self._loss(trial)) else Verdict.STOP
        return Verdict.INTERRUPT if verdict is Verdict.CONTINUE and left.used_up else verdict

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
                return self._search(left)
            case "closing":
                return Close()
            case "confirming":
                return confirmation.wanted(self._spec, self._trials)[0]
            case "over":
                return Done()

    def _search(self, left: Left) -> Decision:
        """The next trial of the search, as long as it is open."""
        running = self._running
        if promoted := self._promoted_at_once():
            return Resume(promoted)
        if not self._all_begun and not (self._finals and self._finals.save(running, left)):
            return Start(assignment=self._proposals.propose())
        if self._finals and (promoted := self._finals.next(running, left, all_begun=self._all_begun)):
            return Resume(promoted)
        return Wait() if self._more_may_follow else Done()

    def _promoted_at_once(self) -> str | None:
        """The trial that ASHA promotes now, where it promotes."""
        if not isinstance(self._rule, PromotionHalving):
            return None
        return self._rule.next(self._trials, last=self._all_begun and not self._running)

    def second_objective(self, trial: Trial) -> float:
        """What is kept small of a trial besides its loss, where there is such an objective. [parameter or FLOP]"""
        return self._second[trial.trial_id]

    @property
    def phase(self) -> Phase:
        """What the sweep is doing now, whatever its limits."""
        if not self._all_begun:
            return "searching"
        if not self._is_closed:
            return "promoting" if self._unfinished_search or self._promotable else "closing"
        return "confirming" if confirmation.wanted(self._spec, self._trials) else "over"

    @property
    def left(self) -> int:
        """Trials that are yet to begin or to end, with paused ones that are to be promoted."""
        unfinished = len(self._trials.unfinished) - len(self.surplus)
        match self.phase:
            case "searching":
                to_begin = self._spec.trials - self._trials.searched
                return unfinished + to_begin + self._confirming
            case "promoting":
                return unfinished + len(self._promotable) + self._confirming
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
        if self._is_closed:
            return set()
        if isinstance(self._rule, PromotionHalving):
            return self._rule.promising(self._trials, self._spec.trials)
        return self._rule.promising(self._trials) if isinstance(self._rule, Screening) else set()

    @property
    def _confirming(self) -> int:
        """Trials that will confirm the best, as long as the search has not ended."""
        return self._spec.trials_in_all - self._spec.trials

    @property
    def _is_closed(self) -> bool:
        """Forecasts that change by a restart or a confirmation promote nobody else."""
        return self._trials.closed_at >= self._spec.trials

    @property
    def _all_begun(self) -> bool:
        return self._trials.searched >= self._spec.trials

    @property
    def _more_may_follow(self) -> bool:
        """Whether trials may follow from those that run."""
        return self._spec.confirm is not None or self._finals is not None or isinstance(self._rule, PromotionHalving)

    @property
    def _unfinished_search(self) -> list[Trial]:
        return [trial for trial in self._trials.unfinished.values() if trial.stage == "search"]

    @property
    def _running(self) -> dict[str, int]:
        """The last evaluation of running trials of the search; 0 before the first."""
        return {trial.trial_id: trial.evaluation for trial in self._trials.running if trial.stage == "search"}

    @property
    def _interrupted(self) -> Trial | None:
        surplus = self.surplus
        unfinished = self._trials.unfinished.values()
        return next((trial for trial in unfinished if trial.state == "interrupted" and trial not in surplus), None)

    @property
    def _promotable(self) -> list[str]:
        """Paused trials that are to be promoted once all have begun."""
        if self._finals:
            return list(self._finals.promotable())
        promoted = self._promoted_at_once()
        return [promoted] if promoted else []
