"""The search: which configuration begins, which paused trial is promoted, and what follows at a rung."""

import math
from typing import Literal

from sweeps.events import (
    Abandoned,
    Completed,
    Diverged,
    Evaluated,
    Failed,
    Paused,
    Promoted,
    Proposed,
    Stopped,
    Substituted,
    TrialEvent,
)
from sweeps.limits import Left
from sweeps.policy.finals import Finals
from sweeps.policy.halving import PromotionHalving
from sweeps.policy.proposals import Proposals
from sweeps.policy.screening import Screening
from sweeps.policy.stopping import make_rule
from sweeps.policy.verdicts import Resume, Start, Verdict
from sweeps.spec.schema import Spec
from sweeps.trials import Trial, Trials

ENDS: dict[type[TrialEvent], Literal["paused", "stopped", "completed", "failed", "diverged", "abandoned"]] = {
    Paused: "paused",
    Stopped: "stopped",
    Completed: "completed",
    Failed: "failed",
    Diverged: "diverged",
    Abandoned: "abandoned",
}


class Search:
    """Proposals and the stopping rule of a sweep, told of the trials of the search alone.

    Args:
        spec: what is asked.
        trials: all of the sweep.
        vocab_size: of the data. [token]
    """

    def __init__(self, spec: Spec, trials: Trials, *, vocab_size: int) -> None:
        self._spec = spec
        self._trials = trials
        self._vocab_size = vocab_size
        self._proposals = Proposals(spec)
        self.second: dict[str, float] = {}
        """Second objective of each trial, if there is one. [parameter or FLOP]"""
        self._rule = make_rule(spec, forecaster=self._proposals, second=self.second)
        self._finals = Finals(self._rule, trials) if isinstance(self._rule, Screening) else None

    def apply(self, event: TrialEvent, trial: Trial) -> None:
        """Take in an event of a trial.

        Raises:
            ValueError: a configuration is none that the sweep can have.
        """
        match event:
            case Proposed():
                self._spec.trial_config(trial.assignment)  # checks it
                self._proposals.begin(trial.trial_id, trial.assignment)
                self._judge(trial)
            case Substituted():
                self._judge(trial)
            case Evaluated():
                self._proposals.report(trial.trial_id, trial.evaluation, self._loss(trial))
                self._rule.record(trial.trial_id, trial.evaluation, self._loss(trial))
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
            self.second[trial.trial_id] = self._spec.second_objective(config, self._vocab_size)

    def _loss(self, trial: Trial) -> float:
        """The last loss on the text that all trials read; infinite if the trial diverged. [nat/token]"""
        metrics = trial.metrics
        return metrics.sample_loss if metrics and metrics.usable else math.inf

    def _end(self, trial: Trial, event: TrialEvent) -> None:
        if isinstance(event, Failed | Diverged | Stopped):
            self._rule.drop(trial.trial_id)
        if isinstance(event, Abandoned):
            self._rule.forget(trial.trial_id)
        second = [self.second[trial.trial_id]] if self._spec.pareto else []
        # In the unit of what was reported before, whatever the metric: val_bpb is val_loss times a constant.
        values = [trial.metrics.val_loss, *second] if isinstance(event, Completed) and trial.metrics else None
        self._proposals.end(trial.trial_id, ENDS[type(event)], values)

    def verdict(self, trial: Trial) -> Verdict:
        """What follows from a trial's last evaluation, which is not at its end."""
        return self._rule.verdict(trial) if math.isfinite(self._loss(trial)) else Verdict.STOP

    def next(self, left: Left, *, all_begun: bool) -> Start | Resume | None:
        """The next trial; None: there is none now.

        Args:
            left: of the sweep's limits.
            all_begun: whether no new configuration is to come.
        """
        running = self._running
        if isinstance(self._rule, PromotionHalving) and (
            promoted := self._rule.next(self._trials, last=all_begun and not running)
        ):
            return Resume(promoted)
        if not all_begun and not (self._finals and self._finals.save(running, left)):
            return Start(assignment=self._proposals.propose())
        if self._finals and (promoted := self._finals.next(running, left, all_begun=all_begun)):
            return Resume(promoted)
        return None

    @property
    def promotes(self) -> bool:
        """Whether trials pause at rungs, so that more may follow from those that run."""
        return self._finals is not None or isinstance(self._rule, PromotionHalving)

    @property
    def promotable(self) -> list[str]:
        """Paused trials that are to be promoted, now that all have begun."""
        if self._finals:
            return list(self._finals.promotable())
        if not isinstance(self._rule, PromotionHalving):
            return []
        promoted = self._rule.next(self._trials, last=not self._running)
        return [promoted] if promoted else []

    @property
    def promising(self) -> set[str]:
        """Paused trials that may yet be promoted, and need their checkpoints for it."""
        if isinstance(self._rule, PromotionHalving):
            return self._rule.promising(self._trials, self._spec.trials)
        return self._rule.promising(self._trials) if isinstance(self._rule, Screening) else set()

    @property
    def _running(self) -> dict[str, int]:
        """The last evaluation of running trials of the search; 0 before the first."""
        return {trial.trial_id: trial.evaluation for trial in self._trials.running if trial.stage == "search"}
