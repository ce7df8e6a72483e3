"""What follows from a sweep's file: all trials are judged on the same stories."""

import pytest

from sweeps.spec import load
from tinystories.models import size

from ..examples import minimal

SHAPES = {"depth": {"values": [1, 4]}, "width": {"values": [16, 64]}, "heads": {"values": [1, 2]}}


@pytest.mark.parametrize("trial", [{"tokens": "20k"}, {"flops": "1e12"}, {"seconds": 3600}])
def test_all_trials_evaluate_on_what_the_one_that_sees_the_fewest_tokens_affords(trial: dict[str, object]) -> None:
    searched = SHAPES | {"seed": {"values": [0, 1]}}
    spec = load.parse(minimal(parameters=searched, trial=trial))
    alone = [spec.trial_config(assignment) for assignment in spec.space.configurations()]

    bound = spec.for_vocabulary(300)
    together = [bound.trial_config(assignment) for assignment in bound.space.configurations()]

    assert {config.evaluation_tokens for config in alone} == {None}
    assert {config.evaluation_tokens for config in together} == {
        min(size.evaluation_tokens(config, 300) for config in alone)
    }


def test_a_sample_that_the_file_asks_for_comes_first() -> None:
    spec = load.parse(minimal(trial={"tokens": "20k", "evaluation_tokens": "5k"})).for_vocabulary(300)

    assert spec.trial_config({"depth": 1, "width": 16, "heads": 1}).evaluation_tokens == 5000


def test_confirming_trials_evaluate_on_the_same_sample() -> None:
    spec = load.parse(minimal()).for_vocabulary(300)
    shape = {"depth": 1, "width": 16, "heads": 1}

    assert spec.confirming_config(shape).evaluation_tokens == spec.trial_config(shape).evaluation_tokens
