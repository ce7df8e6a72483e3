"""What is offered to a search is valid and new."""

import random

import numpy as np
import pytest

from sweeps.policy.candidates import DRAWN, NEAR, Candidates
from sweeps.spec.space import Assignment, Choice, Range, Space

SHAPES = Space(
    parameters={
        "depth": Range(low=1, high=12),
        "width": Choice(values=(64, 96, 128)),
        "heads": Choice(values=(2, 3, 4, 8)),
        "learning_rate": Range(low=1e-4, high=1e-2, log=True),
        "seed": Choice(values=(0, 1)),
    },
    fixed={},
)
GRID = Space(
    parameters={"depth": Range(low=1, high=4), "width": Choice(values=(32, 48)), "heads": Choice(values=(2, 3))},
    fixed={},
)
BEST: Assignment = {"depth": 5, "width": 96, "heads": 3, "learning_rate": 1e-3, "seed": 1}


@pytest.mark.parametrize("best", [None, BEST])
def test_what_is_offered_is_valid(best: Assignment | None) -> None:
    offered = Candidates(SHAPES).offer(random.Random(0), lambda _: True, best)

    assert len(offered) == DRAWN + (NEAR if best else 0)
    for assignment in offered:
        assert assignment["width"] % assignment["heads"] == 0
        assert 1 <= assignment["depth"] <= 12
        assert isinstance(assignment["depth"], int)
        assert 1e-4 <= assignment["learning_rate"] <= 1e-2


def test_neighbours_are_near() -> None:
    candidates = Candidates(SHAPES)
    offered = candidates.features(candidates.offer(random.Random(0), lambda _: True, BEST))
    away = np.abs(offered - candidates.features([BEST])).mean(axis=1)

    assert away[DRAWN:].mean() < 0.6 * away[:DRAWN].mean()


def test_a_small_space_is_offered_whole_and_only_what_is_new() -> None:
    offered = Candidates(GRID).offer(random.Random(0), lambda assignment: assignment["depth"] > 2, None)

    # Width 32 has one number of heads, 48 has two.
    assert len({tuple(sorted(assignment.items())) for assignment in offered}) == len(offered) == 2 * 3


def test_the_last_new_configuration_of_a_large_space_is_found() -> None:
    space = Space(parameters={"depth": Range(low=1, high=5000)}, fixed={"width": 8, "heads": 1})

    assert Candidates(space).offer(random.Random(0), lambda a: a["depth"] == 4321, None) == [{"depth": 4321}]


def test_features_span_the_space_and_ignore_the_seed() -> None:
    candidates = Candidates(SHAPES)
    features = candidates.features(candidates.offer(random.Random(0), lambda _: True, None))

    assert (features.min(axis=0) > -0.5).all()
    assert (features.max(axis=0) < 1.5).all()
    assert (candidates.features([BEST]) == candidates.features([BEST | {"seed": 0}])).all()
    fixed = Space(parameters={"seed": Choice(values=(0, 1))}, fixed={"depth": 2, "width": 8, "heads": 1})
    assert (Candidates(fixed).features([{"seed": 1}]) == 0).all()
