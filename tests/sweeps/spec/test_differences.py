"""Sweeps that ask for the same are equal, and what others ask for differently is said in plain words."""

import random
from typing import Any

import pytest
import yaml

from sweeps.spec import load
from sweeps.spec.differences import canonical, differences
from sweeps.spec.schema import Spec

from ..examples import minimal


def spec(**changes: Any) -> Spec:
    return load.parse(minimal(**changes))


def reordered(raw: Any) -> Any:
    if isinstance(raw, dict):
        return {key: reordered(raw[key]) for key in reversed(raw)}
    return raw


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "bayes", "seed": 0, "metric": {"name": "val_loss"}, "limits": {}, "points": [], "wandb": "auto"},
        {"trial": {"tokens": "20k", "evaluations": 9, "context": 256, "seed": 0}},
        {"trial": {"tokens": 20_000.0}},
        {"early_terminate": None, "trials_per_gpu": "auto", "description": "the same"},
        {"parameters": {**minimal()["parameters"], "context": {"value": 256}}},
        {"parameters": {"all": {"parameters": minimal()["parameters"]}}},
        {"parameters": {name: {"values": entry["values"][::-1]} for name, entry in minimal()["parameters"].items()}},
    ],
)
def test_the_same_said_otherwise_is_equal(changes: dict[str, Any]) -> None:
    other = spec(**changes)

    assert other == spec()
    assert load.parse(reordered(minimal(**changes))) == spec()
    assert canonical(other) == canonical(spec())
    assert differences(spec(), other) == []


@pytest.mark.parametrize("name", ["dtype", "batch_size"])
def test_lists_are_the_same_in_any_order_with_the_weights_of_their_values(name: str) -> None:
    values = {"dtype": ["float32", "auto", "bfloat16"], "batch_size": [8, 16, 4]}[name]
    weights = [0.5, 0.2, 0.3]
    first, second = (
        spec(parameters={**minimal()["parameters"], name: {"values": chosen, "probabilities": likely}})
        for chosen, likely in ((values, weights), (values[::-1], weights[::-1]))
    )
    moved = spec(parameters={**minimal()["parameters"], name: {"values": values[::-1], "probabilities": weights}})

    assert first == second
    assert differences(first, second) == []
    assert [first.space.sample(random.Random(seed)) for seed in range(5)] == [
        second.space.sample(random.Random(seed)) for seed in range(5)
    ]
    assert len(differences(first, moved)) == 1


def test_the_order_of_a_list_is_that_of_a_grid() -> None:
    turned = {**minimal()["parameters"], "depth": {"values": [2, 1]}}

    assert spec(parameters=turned, method="grid").space.shapes[0]["depth"] == 2
    assert differences(spec(method="grid"), spec(parameters=turned, method="grid")) == [
        "parameters.depth is 1, 2 there and 2, 1 here"
    ]


@pytest.mark.parametrize(
    ("there", "here", "said"),
    [
        ({}, {"seed": 1}, ["seed is 0 there and 1 here", "trial.seed is 0 there and 1 here"]),
        (
            {"trial": {"tokens": "20k"}},
            {"trial": {"flops": 1e9}},
            [
                "trial.tokens is 20,000 there and not given here",
                "trial.flops is not given there and 1,000,000,000 here",
            ],
        ),
        ({}, {"trial": {"tokens": "20k", "batch_size": 8}}, ["trial.batch_size is 16 there and 8 here"]),
        (
            {},
            {"parameters": {**minimal()["parameters"], "depth": {"min": 1, "max": 4}}},
            ["parameters.depth is 1, 2 there and 1 to 4 here"],
        ),
        (
            {"early_terminate": {"type": "asha"}},
            {"early_terminate": {"type": "asha", "eta": 4}},
            ["early_terminate.eta is 3 there and 4 here"],
        ),
        ({}, {"limits": {"max_parameters": "1M"}}, ["limits.max_parameters is not given there and 1,000,000 here"]),
        ({}, {"method": "tpe"}, ["method is bayes there and tpe here"]),
        (
            {},
            {"points": [{"depth": 1, "width": 16, "heads": 1}]},
            ["points is none there and depth 1, width 16, heads 1 here"],
        ),
    ],
)
def test_each_difference_is_a_clause(there: dict[str, Any], here: dict[str, Any], said: list[str]) -> None:
    assert spec(**there) != spec(**here)
    assert differences(spec(**there), spec(**here)) == said


def test_what_is_free_to_change_is_not_told() -> None:
    assert (
        differences(spec(), spec(run_cap=9, data="elsewhere", project="mine"), free={"run_cap", "data", "project"})
        == []
    )


def test_a_sweep_equals_itself_after_its_file_was_written_and_read() -> None:
    raw = minimal(
        wandb="offline", parameters={**minimal()["parameters"], "learning_rate": {"min": "1e-4", "max": 1e-2}}
    )

    assert load.parse(yaml.safe_load(yaml.safe_dump(raw))) == load.parse(raw)
