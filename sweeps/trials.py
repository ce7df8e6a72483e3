"""What every trial of a sweep is doing: one table, folded from the events. No files, clock, Ray or W&B."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from sweeps.events import (
    Abandoned,
    Began,
    CheckpointDeleted,
    Closed,
    Completed,
    Diverged,
    Evaluated,
    Event,
    Failed,
    Interrupted,
    Paused,
    Promoted,
    Proposed,
    RunClosed,
    RunOpened,
    Spent,
    Stage,
    Stopped,
    Substituted,
    TrialEvent,
)
from sweeps.spec.recipe import Assignment
from tinystories.metrics import Metrics

Item = TypeVar("Item")
DIVERGED_LOSS = 100.0
"""What Optuna is told of a trial that diverged. [nat/token]

Finite, because a NaN leaves an Optuna trial RUNNING for ever; far above ln(65,536) = 11.1, the loss of guessing evenly
among as many tokens as a uint16 file can hold, so that no honest trial ranks behind it.
"""
State = Literal["running", "interrupted", "paused", "stopped", "completed", "failed", "diverged", "abandoned"]
"""running: a worker has it; interrupted: unfinished, without a worker; paused: at a rung, and may be promoted; the
others have ended."""
STATES: dict[type[TrialEvent], State] = {
    Began: "running",
    Promoted: "running",
    Interrupted: "interrupted",
    Paused: "paused",
    Stopped: "stopped",
    Completed: "completed",
    Diverged: "diverged",
    Failed: "failed",
    Abandoned: "abandoned",
}
"""What a trial is after an event."""


@dataclass(kw_only=True, slots=True)
class Trial:
    """One trial. Changed by `Trials.apply` alone."""

    trial_id: str
    assignment: Assignment
    """The searched parameters, and the seed where the trial has one of its own."""
    stage: Stage
    state: State
    since: float
    """When its last event was, on the sweep's clock. [s]"""
    evaluations: list[Metrics] = field(default_factory=list)
    """Its curve, in order."""
    checkpoint: str = ""
    """Its best checkpoint so far; empty: none, or deleted."""
    promoted_from: int = 0
    """The evaluation from which it was promoted last; 0: never."""
    promoted_with: str = ""
    """Its checkpoint of then."""
    error: str = ""
    """Why it failed, or was cut short."""
    gpu_share: float = 1.0
    """Share of a GPU that it held last; on CPUs 1, a slot."""
    run_id: str = ""
    """Name of its W&B run; empty: it has none."""
    run_closed: bool = False
    """Whether W&B is known to have that run whole, with its end."""
    answered_by: Assignment | None = None
    """The recorded configuration that answers for it in a replay."""

    @property
    def metrics(self) -> Metrics | None:
        """Its last evaluation."""
        return self.evaluations[-1] if self.evaluations else None

    @property
    def evaluation(self) -> int:
        """Number of its last evaluation; 0 before the first."""
        return self.evaluations[-1].evaluation if self.evaluations else 0

    @property
    def unfinished(self) -> bool:
        """Whether it runs, or is to be resumed without being promoted."""
        return self.state in ("running", "interrupted")

    @property
    def trained(self) -> Assignment:
        """The configuration that its losses are of."""
        return self.assignment if self.answered_by is None else self.answered_by

    @property
    def best_loss(self) -> float:
        """What it is ranked by, see `Metrics.best_val_loss`; infinite before the first evaluation. [nat/token]"""
        return self.metrics.best_val_loss if self.metrics else math.inf

    @property
    def usable(self) -> bool:
        """Whether it has ended, or is paused, with a loss to be ranked by."""
        return self.state in ("completed", "stopped", "paused") and math.isfinite(self.best_loss)

    @property
    def rank(self) -> tuple[bool, float]:
        """Smaller is better: full trials before others, as losses at unequal budgets or on unequal text do not
        compare."""
        return self.state != "completed", self.best_loss


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """Usable trials, best first."""
    return sorted((trial for trial in trials if trial.usable), key=lambda trial: trial.rank)


def front(items: Iterable[Item], *, loss: Callable[[Item], float], second: Callable[[Item], float]) -> list[Item]:
    """Items that no other beats in both objectives, smallest in the second one first."""
    found: list[Item] = []
    for item in sorted(items, key=lambda item: (second(item), loss(item))):
        if not found or loss(item) < loss(found[-1]):
            found.append(item)
    return found


class Trials(Mapping[str, Trial]):
    """All trials by name, in the order in which they were proposed."""

    def __init__(self) -> None:
        self._trials: dict[str, Trial] = {}
        self.unfinished: dict[str, Trial] = {}
        """Trials that run or are interrupted, in the order in which they began."""
        self.searched = 0
        """Trials of the search that were proposed and not abandoned."""
        self.closed_at = 0
        """Trials of the search when it was closed; 0: it never was."""
        self.seconds = 0.0
        """Training and evaluation time of all trials. [s]"""
        self.evaluations = 0
        """Evaluations of all trials."""
        self.spent = Spent(at=0.0, seconds=0.0, gpu_seconds=0.0)
        """What the sweep has taken, as it was written down last."""

    def __getitem__(self, trial_id: str) -> Trial:
        return self._trials[trial_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)

    @property
    def running(self) -> list[Trial]:
        """Trials that a worker has."""
        return [trial for trial in self.unfinished.values() if trial.state == "running"]

    def apply(self, event: Event) -> None:
        """Take in an event.

        Raises:
            ValueError: it cannot follow what happened before.
        """
        match event:
            case Spent():
                self.spent = event
            case Closed():
                self.closed_at = event.trials
            case Proposed():
                self._propose(event)
            case _:
                self._change(event)

    def _propose(self, event: Proposed) -> None:
        if event.trial_id in self._trials:
            raise ValueError(f"trial {event.trial_id} is proposed twice")
        trial = Trial(
            trial_id=event.trial_id,
            assignment=event.assignment,
            stage=event.stage,
            state="interrupted",
            since=event.at,
        )
        self._trials[trial.trial_id] = self.unfinished[trial.trial_id] = trial
        self.searched += event.stage == "search"

    def _change(self, event: TrialEvent) -> None:
        trial = self._trials.get(event.trial_id)
        if trial is None:
            raise ValueError(f"trial {event.trial_id} was never proposed")
        if state := STATES.get(type(event)):
            self._enter(trial, state)
        match event:
            case Evaluated():
                self._evaluate(trial, event)
            case Began():
                trial.gpu_share = event.gpu_share
                trial.run_closed = False
            case Promoted():
                trial.promoted_from, trial.promoted_with = trial.evaluation, trial.checkpoint
            case Failed() | Stopped():
                trial.error = event.error
            case Substituted():
                trial.answered_by = event.assignment
            case CheckpointDeleted():
                trial.checkpoint = ""
            case RunOpened():
                trial.run_id = event.run_id
            case RunClosed():
                trial.run_closed = True
        if not isinstance(event, CheckpointDeleted | RunOpened | RunClosed):
            trial.since = event.at

    def _enter(self, trial: Trial, state: State) -> None:
        if not trial.unfinished and not (trial.state == "paused" and state in ("running", "stopped", "abandoned")):
            raise ValueError(f"trial {trial.trial_id} is {trial.state} and cannot become {state}")
        trial.state = state
        self.searched -= state == "abandoned" and trial.stage == "search"
        if trial.unfinished:
            self.unfinished[trial.trial_id] = trial
        else:
            self.unfinished.pop(trial.trial_id, None)

    def _evaluate(self, trial: Trial, event: Evaluated) -> None:
        if not trial.unfinished or event.metrics.evaluation <= trial.evaluation:
            raise ValueError(
                f"trial {trial.trial_id} is {trial.state} at evaluation {trial.evaluation} "
                f"and cannot report evaluation {event.metrics.evaluation}"
            )
        before = trial.metrics
        self.seconds += event.metrics.seconds - (before.seconds if before else 0.0)
        self.evaluations += event.metrics.evaluation - (before.evaluation if before else 0)
        trial.evaluations.append(event.metrics)
        trial.checkpoint = event.checkpoint

    def release(self) -> None:
        """Count all running trials as interrupted: the process that ran them has ended."""
        for trial in self.unfinished.values():
            trial.state = "interrupted"
