"""Events as lines of JSON."""

import json
import math
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.events import (
    KINDS,
    Began,
    Closed,
    Evaluated,
    Event,
    Failed,
    Proposed,
    RunOpened,
    Spent,
    Stopped,
    Substituted,
    from_line,
    to_line,
)
from tinystories.metrics import Metrics

from .examples import METRICS

NAMES = st.integers(0, 10**6).map("{:04d}".format)
NUMBERS = st.floats(allow_nan=False)
"""Infinite ones too; NaN is not equal to itself, and has a test of its own."""
POSITIVE = st.floats(min_value=0, allow_infinity=False)
TEXTS = st.text(max_size=20)
VALUES = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "trial_id": NAMES,
    "at": POSITIVE,
    "assignment": st.dictionaries(TEXTS, VALUES, max_size=3),
    "stage": st.sampled_from(["search", "confirm"]),
    "gpu_share": POSITIVE,
    "checkpoint": TEXTS,
    "error": TEXTS,
    "run_id": TEXTS,
    "seconds": POSITIVE,
    "gpu_seconds": POSITIVE,
    "trials": st.integers(0, 10**6),
    "metrics": st.builds(
        Metrics,
        **{entry.name: NUMBERS for entry in fields(Metrics) if entry.type is float},
        **{entry.name: st.integers(0, 10**12) for entry in fields(Metrics) if entry.type is int},
        diverged=st.booleans(),
    ),
}
EVENTS = st.sampled_from(sorted(KINDS)).flatmap(
    lambda name: st.builds(KINDS[name], **{entry.name: STRATEGIES[entry.name] for entry in fields(KINDS[name])})
)


@given(event=EVENTS)
def test_every_event_comes_back_as_it_was_and_is_one_line(event: Event) -> None:
    line = to_line(event)

    assert from_line(line) == event
    assert "\n" not in line
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_loss_that_is_no_number_comes_back_as_such() -> None:
    diverged = Metrics(**{**{e.name: getattr(METRICS, e.name) for e in fields(Metrics)}, "val_loss": math.nan})
    event = from_line(to_line(Evaluated(trial_id="0000", at=1.0, metrics=diverged, checkpoint="")))

    assert isinstance(event, Evaluated)
    assert math.isnan(event.metrics.val_loss)


def line(**changes: Any) -> str:
    return json.dumps({"event": "began", "trial_id": "0001", "at": 1.0, "gpu_share": 0.5, **changes})


def test_whole_numbers_serve_as_numbers() -> None:
    assert from_line(line(at=1)) == Began(trial_id="0001", at=1.0, gpu_share=0.5)


EVALUATED = to_line(Evaluated(trial_id="0000", at=0, metrics=METRICS, checkpoint=""))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting"),
        ("[]", "no event of this version"),
        (line(event="launched"), "no event of this version"),
        (line(event=["began"]), "no event of this version"),
        (line(event=None), "no event of this version"),
        (line(colour="red"), "a began event has not the fields of this version"),
        ('{"event": "completed", "at": 1}', "a completed event has not the fields of this version"),
        (line(trial_id="../../x"), r"trial_id '../../x' is not four digits or more"),
        (line(trial_id="0001/.."), "is not four digits or more"),
        (line(trial_id=1), "is not four digits or more"),
        (line(trial_id="12"), "is not four digits or more"),
        (line(trial_id="٠٠٠١"), "is not four digits or more"),
        (line(trial_id="0001\n"), "is not four digits or more"),
        (line(at="soon"), "soon"),
        (line(at=True), "at True is not a number"),
        (line(at=None), "at None is not a number"),
        (line(at="nan"), "at nan is not a finite number of at least 0"),
        (line(gpu_share="inf"), "gpu_share inf is not a finite"),
        (line(gpu_share=-1), "gpu_share -1.0 is not a finite"),
        (to_line(Closed(at=1.0, trials=-1)), "trials -1 is not a finite"),
        (line(at=10**400), "at has too many digits for a number"),
        (to_line(Proposed(trial_id="0000", at=0, assignment={})).replace("search", "fun"), "stage 'fun' is not one of"),
        (to_line(Proposed(trial_id="0000", at=0, assignment={})).replace("{}", "[]"), "assignment"),
        (to_line(Proposed(trial_id="0000", at=0, assignment={"depth": 1})).replace(": 1}", ": []}"), "assignment"),
        (to_line(Failed(trial_id="0000", at=0, error="")).replace('""', "7"), "error 7 is not str"),
        (EVALUATED.replace('"step": 10', '"step": 1.5'), "step"),
        (EVALUATED.replace('"step": 10, ', ""), "metrics event"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_line(text)


def test_the_kinds_are_named_as_people_read_them() -> None:
    assert {"proposed", "began", "evaluated", "paused", "promoted", "stopped", "completed", "spent", "closed"} <= set(
        KINDS
    )
    assert to_line(Spent(at=1.0, seconds=2.0, gpu_seconds=3.0)) == (
        '{"event": "spent", "at": 1.0, "seconds": 2.0, "gpu_seconds": 3.0}'
    )
    assert to_line(RunOpened(trial_id="0000", at=1.0, run_id="ä")).endswith('"run_id": "ä"}')
    assert from_line(to_line(Stopped(trial_id="0000", at=1.0))) == Stopped(trial_id="0000", at=1.0)
    assert from_line(to_line(Substituted(trial_id="0000", at=1.0, assignment={"depth": 1, "learning_rate": 1e-3})))
