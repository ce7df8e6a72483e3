"""What benchmarks/learning_rate.py concludes from losses at several rates."""

import math

import pytest
from optima import Losses, best, optimum, ratio, verdict


def parabola(rate: float, *, rates: int = 7) -> Losses:
    """Losses that are lowest at a rate, on a grid of factors of 2."""
    return {2.0**power: 3 + (power - math.log2(rate)) ** 2 for power in range(rates)}


def test_the_optimum_lies_between_the_rates_of_the_grid() -> None:
    assert best(parabola(5.0)) == 4.0
    assert optimum(parabola(5.0)) == pytest.approx(5.0)
    assert ratio(parabola(5.0), parabola(10.0)) == pytest.approx(0.5)


def test_a_best_rate_at_the_edge_of_the_grid_decides_nothing() -> None:
    assert optimum(parabola(0.5)) is None
    assert verdict(parabola(0.5), parabola(4.0)).startswith("Undecided")


def test_beside_a_rate_that_diverged_the_best_one_of_the_grid_is_the_optimum() -> None:
    assert optimum({**parabola(5.0), 8.0: math.inf}) == 4.0


@pytest.mark.parametrize(("rate", "word"), [(7.9, "Holds"), (2.1, "Holds"), (9.0, "Does not hold")])
def test_the_claim_is_a_factor_of_two_either_way(rate: float, word: str) -> None:
    assert verdict(parabola(rate), parabola(4.0)).startswith(word)
