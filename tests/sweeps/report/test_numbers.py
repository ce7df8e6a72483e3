import math

import pytest

from sweeps.report import numbers


@pytest.mark.parametrize(
    ("value", "short"),
    [
        *((0, "0"), (0.25, "0.25"), (999, "999"), (999.9, "1k"), (20_000, "20k"), (999_999, "1M"), (1_500_000, "1.5M")),
        *((999_999_999, "1B"), (9.994e11, "999B"), (9.999e11, "1.0e12"), (3.2e13, "3.2e13")),
    ],
)
def test_a_count_has_three_digits_and_a_suffix(value: float, short: str) -> None:
    assert numbers.count(value) == short


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (36_000, "10:00:00")])
def test_a_duration_has_hours_when_there_are_any(seconds: float, shown: str) -> None:
    assert numbers.duration(seconds) == shown


def test_a_loss_that_was_not_measured_is_empty() -> None:
    assert (numbers.loss(1.23456), numbers.loss(math.nan), numbers.loss(math.inf)) == ("1.2346", "", "")
