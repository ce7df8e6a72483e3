"""Budgets: what counts, what does not, and over all runs of a sweep."""

from pathlib import Path

import pytest

from sweeps.record.spending import Budget, Meter


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def meter(folder: Path, clock: Clock, gpu_share: float = 1.0, **limits: float) -> Meter:
    return Meter(Budget(**limits), folder / "spent.json", gpu_share=gpu_share, clock=clock)


def test_gpu_hours_are_those_that_trials_hold(tmp_path: Path) -> None:
    clock = Clock()
    count = meter(tmp_path, clock, gpu_share=0.5)
    clock.now += 3600
    count.begin("a")
    clock.now += 3600
    count.begin("b")
    count.end("a")
    clock.now += 3600

    assert count.gpu_hours == pytest.approx(1.0)
    assert count.seconds == pytest.approx(3 * 3600)


def test_a_later_run_goes_on_counting_and_time_in_between_is_free(tmp_path: Path) -> None:
    clock = Clock()
    first = meter(tmp_path, clock)
    first.begin("a")
    clock.now += 1800
    first.save()
    clock.now += 1e6
    second = meter(tmp_path, clock, hours=1, gpu_hours=1)
    second.begin("a")
    assert second.used_up is None
    clock.now += 1800

    assert second.used_up == "--hours 1"
    assert second.gpu_hours == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("limits", "option"),
    [
        ({"gpu_hours": 2.0}, "--gpu-hours 2"),
        ({"money": 5.0, "cost_per_hour": 2.5}, "--budget 5"),
        ({"money": 5.01, "cost_per_hour": 2.5}, None),
        ({"cost_per_hour": 2.5}, None),
    ],
)
def test_each_budget_ends_the_sweep(tmp_path: Path, limits: dict[str, float], option: str | None) -> None:
    clock = Clock()
    count = meter(tmp_path, clock, gpu_share=2.0, **limits)
    count.begin("a")
    clock.now += 3600

    assert count.used_up == option


def test_a_kill_forgets_seconds_and_no_more(tmp_path: Path) -> None:
    clock = Clock()
    killed = meter(tmp_path, clock)
    killed.begin("a")
    for _ in range(100):
        clock.now += 7
        killed.update()

    assert meter(tmp_path, clock).gpu_hours == pytest.approx(700 / 3600, abs=10 / 3600)


def test_money_needs_a_price() -> None:
    with pytest.raises(ValueError, match=r"^--budget 5 needs --cost-per-hour"):
        Budget(money=5)


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
        ({"hours": 3.01}, 2, True),
        ({"money": 2.01, "cost_per_hour": 2.0}, 1, True),
        ({"money": 1.99, "cost_per_hour": 2.0}, 1, False),
    ],
)
def test_what_is_left_lasts_for_some_work_or_not(
    tmp_path: Path, limits: dict[str, float], slots: int, lasts: bool
) -> None:
    clock = Clock()
    count = meter(tmp_path, clock, gpu_share=0.5, **limits)
    clock.now += 3600

    assert count.lasts([3600, 3600], slots=slots) == lasts


def test_phases_follow_each_other_and_trials_do_not_share_slots(tmp_path: Path) -> None:
    """Three hours of work on two slots take two, as no trial runs on both."""
    count = meter(tmp_path, Clock(), hours=2.5)

    assert count.lasts([3600] * 3, slots=2)
    assert not count.lasts([3600], [3600] * 3, slots=2)
    assert count.lasts([1000], [3600] * 3, slots=2)
    assert count.lasts([], slots=2)


def test_a_share_is_one_of_the_whole_budget(tmp_path: Path) -> None:
    clock = Clock()
    count = meter(tmp_path, clock, hours=4)
    clock.now += 3 * 3600

    assert not count.lasts([7000], slots=1)
    assert count.lasts([7000], slots=1, share=0.5)
    assert not count.lasts([7300], slots=1, share=0.5)
