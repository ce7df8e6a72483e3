"""What a policy answers: what a free slot does next, and what follows from an evaluation."""

from dataclasses import dataclass
from enum import Enum

from sweeps.events import Stage
from sweeps.spec.recipe import Assignment


class Verdict(Enum):
    """What follows from an evaluation."""

    CONTINUE = "continue"
    PAUSE = "pause"
    """The trial waits at a rung, and may be promoted."""
    STOP = "stop"
    """The trial ends: at a rung, or because it diverged."""
    COMPLETE = "complete"
    """The trial has trained its whole budget."""
    INTERRUPT = "interrupt"
    """A limit of the sweep is used up; a later run resumes the trial."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """A new trial begins."""

    assignment: Assignment
    stage: Stage = "search"


@dataclass(frozen=True)
class Resume:
    """An interrupted or paused trial runs again; of a paused one this is its promotion."""

    trial_id: str


class Wait:
    """Nothing can be decided before a running trial reports."""


class Close:
    """The search has ended and is to be closed; then ask again."""


class Done:
    """No trial follows."""


Decision = Start | Resume | Wait | Close | Done
