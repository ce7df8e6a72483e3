"""Whatever stands in a sweep's file, it is read or refused in one line."""

import copy
import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import yaml

from sweeps.spec import load

FULL = """
name: full
method: tpe
sampler: {n_startup_trials: 3}
metric: {name: val_loss, goal: minimize}
parameters:
  depth: {values: [1, 2]}
  width: {min: 32, max: 96, q: 32}
  heads: {values: [1, 2]}
  group: {parameters: {batch_size: {value: 4}}}
  weight_decay: {distribution: normal, mu: 0.1, sigma: 0.01}
  dtype: {values: [float32, bfloat16], probabilities: [1, 2]}
run_cap: 4
early_terminate: {type: asha, eta: 3, min_iter: 1}
limits: {max_parameters: 5M, min_head_dim: 4}
points: [{depth: 1, width: 32, heads: 1, weight_decay: 0.1, dtype: float32}]
confirm: {top: 2, seeds: 2}
data: {stories: 100, tokenizer: "bpe:300"}
trials_per_gpu: auto
replay: {columns: {depth: layers}}
repeats: answer
seed: 1
trial: {tokens: 20k, evaluations: 9, context: 64, scale_learning_rate: true}
"""
ODD: list[Any] = [
    *(None, True, -1, 0, 1, 1.5, 10**30, math.nan, math.inf, "", "x", "1k", "[red]", [], [[]], [None], [1, "x"]),
    *({}, {"a": 1}, {1: 2}, {None: None}, {"values": [1]}),
]


def places(raw: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every part of a mapping, the keys that lead to it."""
    entries = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


PLACES = list(places(yaml.safe_load(FULL)))


def test_the_whole_file_is_read() -> None:
    assert load.parse(yaml.safe_load(FULL)).trials == 4


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_any_value_anywhere_is_read_or_refused_in_one_line(path: tuple[Any, ...]) -> None:
    for odd in ODD:
        raw = copy.deepcopy(yaml.safe_load(FULL))
        target = raw
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = odd
        with suppress(OneLine):
            parsed(raw)


class OneLine(Exception):
    """A refusal as it should be."""


def parsed(raw: Any) -> None:
    try:
        load.parse(raw)
    except ValueError as error:
        said = str(error)
        raise OneLine if said and "\n" not in said and "pydantic" not in said else AssertionError(said) from error
