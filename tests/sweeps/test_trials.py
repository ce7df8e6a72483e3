"""The one table of trials, folded from events."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    RunOpened,
    Spent,
    Stopped,
    Substituted,
)
from sweeps.trials import Trials, front, ranked

from .driving import metrics


def told(*events: Event) -> Trials:
    trials = Trials()
    for event in events:
        trials.apply(event)
    return trials


def proposed(name: str = "0000", **more: Any) -> Proposed:
    return Proposed(trial_id=name, at=0.0, assignment={"depth": 2}, **more)


def began(name: str = "0000") -> Began:
    return Began(trial_id=name, at=1.0, gpu_share=0.5)


def evaluated(evaluation: int, loss: float = 2.0, name: str = "0000", checkpoint: str = "c") -> Evaluated:
    return Evaluated(trial_id=name, at=float(evaluation), metrics=metrics(evaluation, loss), checkpoint=checkpoint)


AT = {"trial_id": "0000", "at": 9.0}


def test_a_trials_life_from_proposal_to_completion() -> None:
    trials = told(proposed())
    trial = trials["0000"]
    assert (trial.state, trial.evaluation, trial.metrics, trial.best_loss) == ("interrupted", 0, None, math.inf)

    for event, state in (
        (began(), "running"),
        (evaluated(1), "running"),
        (Paused(**AT), "paused"),
        (Promoted(**AT), "running"),
        (evaluated(2), "running"),
        (Interrupted(**AT), "interrupted"),
        (began(), "running"),
        (evaluated(3, 1.0), "running"),
        (Completed(**AT), "completed"),
    ):
        trials.apply(event)
        assert trial.state == state
        assert trial.unfinished == (trial.trial_id in trials.unfinished) == (state in ("running", "interrupted"))
    assert [known.evaluation for known in trial.evaluations] == [1, 2, 3]
    assert (trial.promoted_from, trial.best_loss, trial.gpu_share, trial.checkpoint) == (1, 1.0, 0.5, "c")


def test_the_counts_are_those_of_all_trials() -> None:
    trials = told(proposed(), began(), evaluated(1), evaluated(3), proposed("0001"), proposed("0002", stage="confirm"))
    assert (trials.searched, trials.evaluations, trials.seconds) == (2, 3, 3.0)
    assert [trial.trial_id for trial in trials.running] == ["0000"]

    trials.apply(Abandoned(trial_id="0001", at=0.0))
    trials.apply(Closed(at=0.0, trials=1))
    trials.apply(Spent(at=0.0, seconds=5.0, gpu_seconds=6.0))
    assert (trials.searched, trials.closed_at, trials.spent.gpu_seconds) == (1, 1, 6.0)
    assert list(trials) == ["0000", "0001", "0002"]


def test_small_facts_are_noted() -> None:
    trials = told(
        proposed(),
        began(),
        RunOpened(**AT, run_id="run"),
        Substituted(**AT, assignment={"depth": 4}),
        evaluated(1),
        Stopped(**AT, error="its record ends"),
        CheckpointDeleted(**AT),
    )
    trial = trials["0000"]

    assert (trial.run_id, trial.trained, trial.checkpoint, trial.error) == ("run", {"depth": 4}, "", "its record ends")
    assert told(proposed(), Failed(**AT, error="why"))["0000"].error == "why"


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([began()], "trial 0000 was never proposed"),
        ([proposed(), proposed()], "trial 0000 is proposed twice"),
        ([proposed(), Completed(**AT), began()], "trial 0000 is completed and cannot become running"),
        ([proposed(), Failed(**AT, error=""), Completed(**AT)], "is failed and cannot become completed"),
        ([proposed(), Stopped(**AT), Promoted(**AT)], "is stopped and cannot become running"),
        ([proposed(), Paused(**AT), Completed(**AT)], "is paused and cannot become completed"),
        ([proposed(), evaluated(2), evaluated(2)], "is interrupted at evaluation 2 and cannot report evaluation 2"),
        ([proposed(), evaluated(2), evaluated(1)], "cannot report evaluation 1"),
        ([proposed(), Diverged(**AT), evaluated(1)], "is diverged at evaluation 0 and cannot report evaluation 1"),
    ],
)
def test_what_cannot_have_happened_is_refused(events: list[Event], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        told(*events)


def test_a_process_that_is_no_more_runs_nothing() -> None:
    trials = told(proposed(), began(), proposed("0001"), began("0001"), Paused(trial_id="0001", at=0.0))
    trials.release()

    assert [trial.state for trial in trials.values()] == ["interrupted", "paused"]
    assert trials.running == []


def test_full_trials_rank_before_others_and_the_unusable_not_at_all() -> None:
    trials = told(*(proposed(f"000{number}") for number in range(6)))
    for name, loss in (("0000", 2.0), ("0001", 1.0), ("0002", 0.5), ("0003", 0.1), ("0004", math.inf)):
        trials.apply(evaluated(1, loss, name))
    for kind, name in (
        (Completed, "0000"),
        (Completed, "0001"),
        (Paused, "0002"),
        (Diverged, "0003"),
        (Stopped, "0004"),
    ):
        trials.apply(kind(trial_id=name, at=0.0))

    assert [trial.trial_id for trial in ranked(trials.values())] == ["0001", "0000", "0002"]


@given(points=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_the_front_are_those_that_none_beats_in_both(points: list[tuple[int, int]]) -> None:
    found = front(points, loss=lambda point: point[0], second=lambda point: point[1])
    beaten = {(a, b) for a, b in points for c, d in points if c <= a and d <= b and (c, d) != (a, b)}

    assert set(found) == set(points) - beaten
    assert len(found) == len(set(found))
    assert [second for _, second in found] == sorted(second for _, second in found)
