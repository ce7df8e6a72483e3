import math

import pytest
import torch

from tinystories.divergence import DIVERGED, LossWatch


def looked_at(watch: LossWatch, step: int, loss: float) -> bool:
    watch.add(step, torch.tensor(loss))
    return watch.has_diverged(most_left=0)


def test_the_first_loss_is_the_measure_of_all_later_ones() -> None:
    watch = LossWatch()

    assert not looked_at(watch, 1, 4.0)
    assert (watch.first, watch.seen) == (4.0, 4.0)
    assert not looked_at(watch, 21, 4.0 * DIVERGED)
    assert looked_at(watch, 41, 4.1 * DIVERGED)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_a_divergence_even_at_the_first_update(loss: float) -> None:
    assert looked_at(LossWatch(), 1, loss)


def test_divergence_that_the_next_loss_hides_is_still_seen() -> None:
    """Losses are looked at late, and the run may have got better by then."""
    watch = LossWatch(first=4.0)
    for step, loss in ((21, 9.0), (41, 3.0)):
        watch.add(step, torch.tensor(loss))

    assert watch.has_diverged(most_left=0)
    assert watch.seen == 9.0
