"""What a sweep has taken: what counts, what does not, and over all its runs."""

from pathlib import Path

import pytest

from sweeps.events import Spent
from sweeps.limits import Limits
from sweeps.machines.simulated import Clock
from sweeps.record.spending import UPDATE_SECONDS, Meter

from ..driving import begin, open_sweep, report


def meter(clock: Clock, gpu_share: float = 1.0, earlier: Spent | None = None, **limits: float) -> Meter:
    count = Meter(Limits(**limits), earlier=earlier, clock=clock)
    count.start(gpu_share)
    return count


def test_gpu_hours_are_those_that_trials_hold() -> None:
    clock = Clock(100.0)
    count = meter(clock, gpu_share=0.5)
    clock.now += 3600
    count.begin("a")
    clock.now += 3600
    count.begin("b")
    count.end("a")
    clock.now += 3600

    assert count.gpu_hours == pytest.approx(1.0)
    assert count.seconds == pytest.approx(3 * 3600)


def test_time_counts_from_when_trials_may_begin() -> None:
    clock = Clock()
    count = Meter(Limits(), clock=clock)
    clock.now += 100
    count.start(1.0)
    clock.now += 1

    assert count.seconds == pytest.approx(1)


def test_a_later_run_counts_on_and_time_in_between_is_free() -> None:
    clock = Clock()
    first = meter(clock)
    first.begin("a")
    clock.now += 1800
    noted = first.note(at=5.0)
    clock.now += 1e6
    second = meter(clock, earlier=noted, hours=1, gpu_hours=1)
    second.begin("a")
    assert second.used_up is None
    clock.now += 1800

    assert noted == Spent(at=5.0, seconds=1800.0, gpu_seconds=1800.0)
    assert second.used_up == "--hours 1"
    assert second.gpu_hours == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("limits", "option"),
    [
        ({"hours": 1.0}, "--hours 1"),
        ({"hours": 1.01}, None),
        ({"gpu_hours": 2.0}, "--gpu-hours 2"),
        ({"money": 5.0, "cost_per_hour": 2.5}, "--budget 5"),
        ({"money": 5.01, "cost_per_hour": 2.5}, None),
        ({"cost_per_hour": 2.5}, None),
    ],
)
def test_each_limit_ends_the_sweep(limits: dict[str, float], option: str | None) -> None:
    clock = Clock()
    count = meter(clock, gpu_share=2.0, **limits)
    count.begin("a")
    clock.now += 3600

    assert count.used_up == option
    assert count.left(slots=1).used_up == (option is not None)


@pytest.mark.parametrize(
    ("limits", "slots", "lasts"),
    [
        ({}, 1, True),
        ({"cost_per_hour": 9.0}, 1, True),
        ({"hours": 3.01}, 1, True),  # an hour has gone; 1 h and 1 h in one slot
        ({"hours": 2.99}, 1, False),
        ({"hours": 2.01}, 2, True),  # side by side
        ({"hours": 1.99}, 4, False),  # each still takes its hour
        ({"gpu_hours": 1.01}, 2, True),  # of half a GPU each
        ({"gpu_hours": 0.99}, 2, False),
        ({"money": 2.01, "cost_per_hour": 2.0}, 1, True),
        ({"money": 1.99, "cost_per_hour": 2.0}, 1, False),
    ],
)
def test_what_is_left_lasts_for_some_work_or_not(limits: dict[str, float], slots: int, lasts: bool) -> None:
    clock = Clock()
    count = meter(clock, gpu_share=0.5, **limits)
    clock.now += 3600

    assert count.left(slots).lasts([3600, 3600]) == lasts


def test_one_that_an_earlier_run_left_without_an_end_has_taken_nothing_here() -> None:
    clock = Clock()
    count = meter(clock)
    clock.now += 10
    count.end("a")

    assert count.gpu_seconds == 0


def test_the_count_is_due_again_after_a_while() -> None:
    clock = Clock()
    count = meter(clock)
    clock.now += UPDATE_SECONDS - 1
    assert not count.is_due
    clock.now += 1
    assert count.is_due
    count.note(at=0.0)
    assert not count.is_due


def test_a_killed_run_forgets_seconds_and_no_more(tmp_path: Path) -> None:
    """Whether its trials end or train on and on."""
    clock = Clock()
    killed = open_sweep(tmp_path, clock=clock, early_terminate=None, trial={"tokens": "200k", "evaluations": 100})
    trial = begin(killed)
    for evaluation in range(1, 100):
        clock.now += 7
        report(killed, trial, evaluation, 2.0)

    resumed = open_sweep(tmp_path, clock=clock, early_terminate=None, trial={"tokens": "200k", "evaluations": 100})
    assert resumed.meter.gpu_seconds == pytest.approx(693, abs=UPDATE_SECONDS + 7)
    assert resumed.meter.seconds == pytest.approx(693, abs=UPDATE_SECONDS + 7)
