"""The space draws valid shapes only, and knows how many there are."""

import math
import random

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.spec.space import Choice, Limits, Range, Space

WIDTHS = Choice(values=(48, 64, 100))
HEADS = Choice(values=(1, 3, 4, 8))


def shapes(**parameters: Choice | Range) -> Space:
    return Space(parameters={"width": WIDTHS, "heads": HEADS, **parameters}, fixed={"depth": 2})


@given(seed=st.integers(0, 1000))
def test_every_draw_is_a_valid_shape(seed: int) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    drawn = shapes(depth=Range(low=1, high=12)).draw(study.ask())

    assert drawn is not None
    assert drawn["width"] % drawn["heads"] == 0
    assert 1 <= drawn["depth"] <= 12


def test_size_counts_the_valid_configurations_only() -> None:
    # 48: 1 3 4 8; 64: 1 4 8; 100: 1 4
    assert shapes().size == 9
    assert shapes(depth=Range(low=1, high=3)).size == 27
    assert len(list(shapes(depth=Range(low=1, high=3)).configurations())) == 27
    assert Space(parameters={"width": WIDTHS}, fixed={"depth": 1, "heads": 4}).size == 3


def test_a_continuous_parameter_makes_the_space_infinite() -> None:
    assert shapes(learning_rate=Range(low=1e-4, high=1e-2, log=True)).size == math.inf


def test_a_width_that_no_allowed_heads_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="width 100 is not divisible by any of the allowed heads: 3, 7"):
        Space(
            parameters={"width": Choice(values=(21, 100)), "heads": Choice(values=(3, 7))},
            fixed={"depth": 1},
        )


def test_fixed_heads_are_checked_against_every_width() -> None:
    with pytest.raises(ValueError, match="width 100"):
        Space(parameters={"width": WIDTHS}, fixed={"depth": 1, "heads": 16})


def test_sampler_parameters_are_the_names_that_draw_asks_for() -> None:
    study = optuna.create_study()
    wanted = {"width": 48, "heads": 3}
    study.enqueue_trial(shapes().sampler_parameters(wanted))

    assert shapes().draw(study.ask()) == wanted


@given(seed=st.integers(0, 1000))
def test_samples_are_valid_and_in_the_space(seed: int) -> None:
    space = shapes(
        depth=Range(low=1, high=12, log=True),
        width=Range(low=48, high=96, step=16),
        learning_rate=Range(low=1e-4, high=1e-2, log=True),
    )

    assert space.contains(space.sample(random.Random(seed)))


def test_a_range_of_widths_draws_those_whose_heads_fit() -> None:
    space = Space(
        parameters={"width": Range(low=1, high=20)}, fixed={"depth": 1, "heads": 4}, limits=Limits(min_head_dim=2)
    )

    assert [shape["width"] for shape in space.shapes] == [8, 12, 16, 20]
    assert space.size == 4


def test_a_width_without_a_head_size_within_the_limits_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width 100 is not divisible by .* within max_head_dim 24"):
        Space(parameters={"width": WIDTHS, "heads": HEADS}, fixed={"depth": 1}, limits=Limits(max_head_dim=24))
