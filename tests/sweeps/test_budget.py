"""Budgets: what counts, what does not, and over all runs of a sweep."""

from pathlib import Path

import pytest

from sweeps.budget import Budget, Meter


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
