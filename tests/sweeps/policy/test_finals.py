"""When a screening has seen enough, and who is promoted for what is left of a limit."""

from collections.abc import Mapping

import pytest

from sweeps.events import Began, Evaluated, Paused, Proposed
from sweeps.limits import Left
from sweeps.machines.simulated import metrics_of
from sweeps.policy.finals import Finals
from sweeps.policy.screening import Screening
from sweeps.trials import Trials

NAMES = "abcdefghi"


def left(seconds: float, *, slots: int = 4, in_all: float = 100.0) -> Left:
    """So many seconds of slots, of a hundred."""
    return Left(slot_seconds=seconds, slot_seconds_in_all=in_all, slots=slots)


def finals(
    losses: Mapping[str, Mapping[int, float]],
    *,
    running: Mapping[str, int],
    finalists: int = 3,
    paces: Mapping[str, float] | None = None,
) -> Finals:
    """Of trials of 9 evaluations, with rungs at 1 and 3; a second an evaluation unless `paces` says otherwise."""
    screening, trials = Screening(rungs=(1, 3), evaluations=9, finalists=finalists), Trials()
    for number, (name, curve) in enumerate(losses.items()):
        trials.apply(Proposed(trial_id=name, at=0.0, assignment={"depth": number}))
        trials.apply(Began(trial_id=name, at=0.0, gpu_share=1.0))
        for evaluation, loss in curve.items():
            seconds = (paces or {}).get(name, 1.0) * evaluation
            metrics = metrics_of(loss, evaluation=evaluation, before=None, seconds=seconds)
            trials.apply(Evaluated(trial_id=name, at=0.0, metrics=metrics, checkpoint=""))
            screening.record(name, evaluation, loss)
        if name not in running:
            trials.apply(Paused(trial_id=name, at=0.0))
    return Finals(screening, trials)


SEEN = {name: {1: 1.0 + place} for place, name in enumerate(NAMES)}


@pytest.mark.parametrize("all_begun", [True, False])
@pytest.mark.parametrize(
    ("seconds", "running", "expected"),
    [(26.0, "abc", None), (27.0, "abc", "d"), (13.0, "ab", "c")],
)
def test_as_many_are_promoted_side_by_side_as_what_is_left_trains_to_the_end(
    seconds: float, running: str, expected: str | None, all_begun: bool
) -> None:
    """One finalist takes 3 * 2 + 6 s and a tenth more, two take twice that."""
    at = dict.fromkeys(running, 1)

    assert finals(SEEN, running=at).next(at, left(seconds), all_begun=all_begun) == expected


def test_where_nobody_runs_it_is_worth_a_try_however_little_is_left() -> None:
    assert finals(SEEN, running={}).next({}, left(1.0), all_begun=True) == "a"


def test_one_waits_while_others_are_on_the_way_to_its_rung() -> None:
    losses = {"a": {1: 1.0, 3: 0.9}, "b": {1: 2.0}, "c": {1: 3.0}}

    assert (
        finals(losses, running={"b": 1, "c": 1}, finalists=1).next({"b": 1, "c": 2}, left(1e9), all_begun=True) is None
    )
    assert (
        finals(losses, running={"b": 3, "c": 3}, finalists=1).next({"b": 3, "c": 3}, left(1e9), all_begun=True) == "a"
    )


@pytest.mark.parametrize(("in_all", "count"), [(73.0, 3), (49.0, 2), (20.0, 1)])
def test_before_all_have_begun_finalists_get_half_of_the_limit_and_one_is_allowed_at_least(
    in_all: float, count: int
) -> None:
    """Each finalist takes 3 * 2 + 6 s; three times as many are promoted from the first rung."""

    def promoted(beside: int) -> str | None:
        running = dict.fromkeys(NAMES[:beside], 1)
        return finals(SEEN, running=running).next(running, left(1e9, in_all=in_all), all_begun=False)

    assert promoted(3 * count - 1) == NAMES[3 * count - 1]
    assert promoted(3 * count) is None


def test_one_that_a_kill_left_at_its_end_holds_nobody_up() -> None:
    assert finals(SEEN, running={"a": 9}).next({"a": 9}, left(90.0), all_begun=True) == "b"


def test_nothing_is_saved_where_there_is_no_limit_or_nobody_to_save_for() -> None:
    assert not finals(SEEN, running={}).save({}, Left(slots=4))
    assert not finals({}, running={}).save({}, left(1.0))


def test_what_is_saved_trains_a_slow_one_too_that_may_yet_come_first() -> None:
    """The quick one would take 6 s from the second rung, the slow one 8 s to it and 24 s from there."""
    losses = {"quick": {1: 1.0, 3: 0.9}, "slow": {1: 1.1}, "third": {1: 1.2, 3: 1.1}}
    found = finals(losses, running={"slow": 1}, finalists=1, paces={"slow": 4.0})

    assert [found.save({"slow": 1}, left(seconds)) for seconds in (30.0, 40.0)] == [True, False]
