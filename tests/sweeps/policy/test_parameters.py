"""How samplers that know numbers alone see a space with lists and heads that depend on the width."""

import random

import pytest
from optuna import create_study
from optuna.samplers import RandomSampler

from sweeps.policy.parameters import Numbers, Written
from sweeps.spec.space import Choice, Range, Space

SPACE = Space(
    parameters={
        "depth": Choice(values=(8, 1, 4)),
        "width": Range(low=32, high=96, step=16),
        "heads": Choice(values=(1, 2, 3, 4)),
        "learning_rate": Range(low=1e-4, high=1e-2, log=True),
    },
    fixed={},
)


def test_all_trials_have_the_same_numbers_as_parameters() -> None:
    study = create_study(sampler=RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        drawn = SPACE.draw(Numbers(trial))
        assert drawn is not None
        assert SPACE.contains(drawn)
        assert list(trial.params) == ["depth", "width", "learning_rate", "heads"]
        assert trial.params["depth"] == (1, 4, 8).index(int(drawn["depth"]))


@pytest.mark.parametrize("numbers", [True, False])
def test_a_known_configuration_is_written_so_that_it_is_read_again(numbers: bool) -> None:
    study = create_study(sampler=RandomSampler(seed=0))
    rng = random.Random(0)
    for _ in range(30):
        known = SPACE.sample(rng)
        written = Written(known, numbers=numbers)
        assert SPACE.draw(written) == known
        study.enqueue_trial(written.parameters)
        trial = study.ask()
        assert SPACE.draw(Numbers(trial) if numbers else trial) == known
        assert trial.params == written.parameters
