"""What happens in a sweep, one frozen record an event, and its form as one line of JSON.

`at` is the time of an event on the sweep's clock [s]: seconds since 1970 in a real sweep, virtual ones in a simulation.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

from sweeps.spec.recipe import Assignment
from tinystories.metrics import Metrics

Stage = Literal["search", "confirm"]
"""A trial of the search, or one that trains one of the best configurations again with another seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialEvent:
    """What all events of a trial have."""

    trial_id: str
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposed(TrialEvent):
    """A configuration became a trial of this name."""

    assignment: Assignment
    stage: Stage = "search"


@dataclass(frozen=True, kw_only=True, slots=True)
class Began(TrialEvent):
    """A worker took the trial: for the first time, after an interruption, or after a promotion."""

    gpu_share: float
    """Share of a GPU that it holds; on CPUs 1, a slot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Substituted(TrialEvent):
    """In a replay, the recorded configuration that answers for the proposed one."""

    assignment: Assignment


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated(TrialEvent):
    """An evaluation was reported."""

    metrics: Metrics
    checkpoint: str
    """The trial's best checkpoint so far, a path relative to the run folder or a URI; empty: none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interrupted(TrialEvent):
    """The trial gave its worker back unfinished, as the run of the sweep ended; it is resumed by the next one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paused(TrialEvent):
    """The trial waits at a rung, and may be promoted from there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Promoted(TrialEvent):
    """A paused trial runs again, from the rung at which it paused to the next one or to its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped(TrialEvent):
    """The trial ended at a rung for good, or where its recorded curve does."""

    error: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed(TrialEvent):
    """The trial trained its whole budget."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Diverged(TrialEvent):
    """The trial's loss became NaN, infinite or far larger than at its start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed(TrialEvent):
    """The trial ended by an error."""

    error: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Abandoned(TrialEvent):
    """The trial is not asked for any more, as the sweep now has fewer trials; its configuration counts as untried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointDeleted(TrialEvent):
    """The trial's checkpoints are no longer kept; written before they are deleted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOpened(TrialEvent):
    """The trial has a W&B run."""

    run_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunClosed(TrialEvent):
    """The trial has ended or paused, and W&B has all of its run and the run's end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What the sweep has taken so far, over all its runs."""

    at: float
    seconds: float
    """Time that it ran. [s]"""
    gpu_seconds: float
    """Time that its trials held GPUs; on CPUs, slots. [s]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Closed:
    """The search has ended: no paused trial is promoted any more, unless the sweep is given more trials."""

    at: float
    trials: int
    """Trials of the search at that time."""


Ending = Stopped | Completed | Diverged | Failed | Abandoned
Event = (
    Proposed
    | Began
    | Substituted
    | Evaluated
    | Interrupted
    | Paused
    | Promoted
    | Ending
    | CheckpointDeleted
    | RunOpened
    | RunClosed
    | Spent
    | Closed
)


def name_of(kind: type[Any]) -> str:
    """What a line of the journal calls a kind of event, such as checkpoint_deleted."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


NAME = re.compile(r"[0-9]{4,}")
"""Form of a trial's name. It names folders, so a journal may hold no other."""
KINDS: dict[str, type[Any]] = {name_of(kind): kind for kind in get_args(Event)}
"""Events by the name that a line of the journal gives them."""
TYPES: dict[type[Any], dict[str, Any]] = {kind: get_type_hints(kind) for kind in (*KINDS.values(), Metrics)}


def to_line(event: Event) -> str:
    """An event as one line of JSON, without the line's end; a number that is not finite becomes text."""
    values = {name: _plain(value) for name, value in asdict(event).items()}
    return json.dumps({"event": name_of(type(event)), **values}, allow_nan=False, ensure_ascii=False)


def from_line(line: str) -> Event:
    """The event that a line says.

    Raises:
        ValueError: it is not JSON, or not an event with exactly the fields of its kind, or one of its own numbers is
            negative or not finite; those of an evaluation may be, as where a trial diverges.
    """
    raw = json.loads(line)
    name = raw.pop("event", None) if isinstance(raw, dict) else None
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"no event of this version: {line[:80]!r}")
    event: Event = _record(KINDS[name], raw)
    for name, kind in TYPES[type(event)].items():
        if kind in (float, int) and not 0 <= getattr(event, name) < math.inf:
            raise ValueError(f"{name} {getattr(event, name)!r} is not a finite number of at least 0")
    return event


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    return value


def _record(kind: type[Any], raw: Any) -> Any:
    if not isinstance(raw, dict) or set(raw) != {entry.name for entry in fields(kind)}:
        raise ValueError(f"a {name_of(kind)} event has not the fields of this version: {raw!r:.80}")
    return kind(**{name: _typed(TYPES[kind][name], value, name) for name, value in raw.items()})


def _typed(kind: Any, value: Any, name: str) -> Any:
    if kind is Metrics:
        return _record(Metrics, value)
    if name == "trial_id" and not (isinstance(value, str) and NAME.fullmatch(value)):
        raise ValueError(f"trial_id {value!r} is not four digits or more")
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{name} {value!r} is not a number")
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"{name} has too many digits for a number") from None
    if get_args(kind) and all(isinstance(choice, str) for choice in get_args(kind)):
        if value not in get_args(kind):
            raise ValueError(f"{name} {value!r} is not one of {', '.join(get_args(kind))}")
        return value
    expected = dict if kind == Assignment else kind
    if type(value) is not expected:
        raise ValueError(f"{name} {value!r} is not {expected.__name__}")
    if expected is dict and not all(isinstance(entry, int | float | str) for entry in value.values()):
        raise ValueError(f"{name} {value!r} holds what no parameter can be")
    return value
