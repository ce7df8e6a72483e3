"""What is offered to a search is valid and new."""

import random

import numpy as np
import pytest

from sweeps.policy.candidates import DRAWN, NEAR, Candidates
from sweeps.spec.parameters import Choice, Density, Range
from sweeps.spec.recipe import Assignment
from sweeps.spec.space import Space

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


def test_the_recipe_is_seen_linearly_by_its_logarithm_or_by_its_words() -> None:
    space = Space(
        parameters={
            "width": Choice(values=(64, 128)),
            "context": Choice(values=(64, 640)),
            "batch_size": Range(low=8, high=32, step=8),
            "weight_decay": Range(low=0.0, high=0.4),
            "scale_learning_rate": Choice(values=(False, True)),
            "dtype": Choice(values=("auto", "float32", "bfloat16")),
        },
        fixed={"depth": 1, "heads": 1},
    )
    center: Assignment = {
        "width": 64,
        "context": 64,
        "batch_size": 16,
        "weight_decay": 0.2,
        "scale_learning_rate": False,
        "dtype": "auto",
    }
    features = Candidates(space).features
    others: list[Assignment] = [
        center | {"context": 640},
        center | {"batch_size": 24},
        center | {"weight_decay": 0.3},
        center | {"scale_learning_rate": True},
        center | {"dtype": "float32"},
        center | {"dtype": "bfloat16"},
    ]
    moved = [np.round(features([other])[0] - features([center])[0], 2) for other in others]

    assert [dict(zip(np.flatnonzero(move).tolist(), move[move != 0].tolist(), strict=True)) for move in moved] == [
        {5: 1.0},
        {6: pytest.approx(1 / 3, abs=0.01)},
        {7: pytest.approx(0.25, abs=0.02)},
        {8: 1.0},
        {9: 1.0},
        {10: 1.0},
    ]


def test_neighbours_in_the_recipe_are_valid() -> None:
    space = Space(
        parameters={
            "width": Choice(values=(64, 128)),
            "warmup": Range(low=0.0, high=0.1, step=0.05),
            "weight_decay": Range(low=0.05, high=0.4, density=Density(family="normal", first=0.2, second=0.05)),
            "batch_size": Choice(values=(8, 16, 32), weights=(0.5, 0.3, 0.2)),
            "dtype": Choice(values=("auto", "float32")),
            "learning_rate": Range(low=1e-4, high=1e-2, log=True),
        },
        fixed={"depth": 1, "heads": 1},
    )
    best = space.sample(random.Random(0))
    offered = Candidates(space).offer(random.Random(0), lambda _: True, best)

    assert len(offered) == DRAWN + NEAR
    assert all(space.contains(assignment) for assignment in offered)
