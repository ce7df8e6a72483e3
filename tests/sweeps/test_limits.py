"""Limits of a sweep: what they allow, and for what the rest lasts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.limits import Left, Limits


def test_money_needs_a_price() -> None:
    with pytest.raises(ValueError, match=r"^--budget 5 needs --cost-per-hour"):
        Limits(money=5)


@pytest.mark.parametrize(
    ("limits", "limited", "seconds", "gpu_seconds"),
    [
        (Limits(), False, math.inf, math.inf),
        (Limits(cost_per_hour=2.0), False, math.inf, math.inf),
        (Limits(hours=2.0), True, 7200, math.inf),
        (Limits(gpu_hours=2.0), True, math.inf, 7200),
        (Limits(money=5.0, cost_per_hour=2.5), True, math.inf, 7200),
        (Limits(money=5.0, cost_per_hour=2.5, gpu_hours=1.0), True, math.inf, 3600),
        (Limits(hours=1.0, gpu_hours=0.5), True, 3600, 1800),
    ],
)
def test_the_smaller_limit_counts(limits: Limits, limited: bool, seconds: float, gpu_seconds: float) -> None:
    assert (limits.limited, limits.seconds, limits.gpu_seconds) == (limited, seconds, gpu_seconds)


def test_a_cost_needs_a_price() -> None:
    assert Limits(cost_per_hour=2.0).cost(1.5) == 3.0
    assert math.isnan(Limits().cost(1.5))


def test_a_limit_is_used_up_when_nothing_of_it_is_left() -> None:
    assert not Left().used_up
    assert not Left(seconds=1.0, seconds_in_all=9.0).used_up
    assert Left(seconds=0.0, seconds_in_all=9.0).used_up
    assert Left(slot_seconds=-1.0, slot_seconds_in_all=9.0).used_up
    assert [Left().limited, Left(slot_seconds=3.0, slot_seconds_in_all=9.0).limited] == [False, True]


def test_phases_follow_each_other_and_trials_do_not_share_slots() -> None:
    """Three hours of work on two slots take two, as no trial runs on both."""
    left = Left(seconds=2.5, seconds_in_all=2.5, slots=2)

    assert left.lasts([1.0] * 3)
    assert not left.lasts([1.0], [1.0] * 3)
    assert left.lasts([0.3], [1.0] * 3)
    assert left.lasts([])


def test_time_in_slots_adds_up_whoever_runs_beside() -> None:
    left = Left(slot_seconds=3.0, slot_seconds_in_all=9.0, slots=4)

    assert left.lasts([1.0, 1.0], [1.0])
    assert not left.lasts([1.0, 1.0], [1.1])


def test_a_share_is_one_of_the_whole_limit() -> None:
    left = Left(seconds=1.0, seconds_in_all=4.0)

    assert not left.lasts([1.9])
    assert left.lasts([1.9], share=0.5)
    assert not left.lasts([2.1], share=0.5)


@given(work=st.lists(st.floats(0, 10), max_size=12), slots=st.integers(1, 5))
def test_work_takes_no_less_than_its_longest_trial_and_its_mean_share(work: list[float], slots: int) -> None:
    least = max([sum(work) / slots, *work])

    assert Left(seconds=2 * least, seconds_in_all=99.0, slots=slots).lasts(work), "longest first is never twice as long"
    assert not Left(seconds=0.99 * least - 1e-9, seconds_in_all=99.0, slots=slots).lasts(work)
