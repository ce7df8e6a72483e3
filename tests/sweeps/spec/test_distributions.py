"""Every distribution of W&B's vocabulary means what it means there."""

import math
import random
from statistics import fmean, stdev
from typing import Any

import optuna
import pytest

from sweeps.spec import load
from sweeps.spec.parameters import Choice, Range
from sweeps.spec.space import Space
from sweeps.spec.sweep_file import DISTRIBUTIONS

from ..examples import minimal

SHAPES: dict[str, Any] = minimal()["parameters"]


def space(**parameters: Any) -> Space:
    return load.parse(minimal(parameters={**SHAPES, **parameters})).space


def searched(**parameters: Any) -> Choice | Range:
    ((name, _),) = parameters.items()
    return space(**parameters).parameters[name]


@pytest.mark.parametrize(
    ("parameter", "meant"),
    [
        ({"learning_rate": {"min": 1e-4, "max": 1e-2}}, Range(low=1e-4, high=1e-2)),
        ({"learning_rate": {"min": "1e-4", "max": "1e-2"}}, Range(low=1e-4, high=1e-2)),
        ({"batch_size": {"min": 4, "max": 16}}, Range(low=4, high=16)),
        ({"batch_size": {"distribution": "int_uniform", "min": 4, "max": 16}}, Range(low=4, high=16)),
        ({"batch_size": {"distribution": "uniform", "min": 4, "max": 16}}, Range(low=4, high=16)),
        ({"batch_size": {"distribution": "q_uniform", "min": 4, "max": 15, "q": 4}}, Range(low=4, high=12, step=4)),
        ({"batch_size": {"distribution": "q_uniform", "min": 4, "max": 16}}, Range(low=4, high=16)),
        ({"warmup": {"min": 0.0, "max": 0.11, "q": 0.05}}, Range(low=0.0, high=0.1, step=0.05)),
        ({"weight_decay": {"distribution": "int_uniform", "min": 0, "max": 3}}, Range(low=0.0, high=3.0, step=1)),
        (
            {"weight_decay": {"distribution": "log_uniform", "min": -3, "max": 0}},
            Range(low=math.exp(-3), high=1.0, log=True),
        ),
        (
            {"weight_decay": {"distribution": "inv_log_uniform", "min": 0, "max": 3}},
            Range(low=math.exp(-3), high=1.0, log=True),
        ),
        (
            {"weight_decay": {"distribution": "inv_log_uniform_values", "min": 1e-3, "max": 1}},
            Range(low=1e-3, high=1.0, log=True),
        ),
        ({"dtype": {"distribution": "categorical", "values": ["float32"]}}, Choice(values=("float32",))),
        (
            {"batch_size": {"values": [4, 8], "probabilities": [0.9, 0.1]}},
            Choice(values=(4, 8), weights=(0.9, 0.1)),
        ),
    ],
)
def test_a_distribution_says_what_is_searched(parameter: dict[str, Any], meant: Choice | Range) -> None:
    assert searched(**parameter) == meant


EXAMPLES: dict[str, dict[str, Any]] = {
    **{key: {"min": 0.01, "max": 0.2} for key in ("uniform", "log_uniform_values", "inv_log_uniform_values")},
    **{key: {"min": 0.01, "max": 0.2, "q": 0.01} for key in ("q_uniform", "q_log_uniform_values")},
    **{key: {"min": -5, "max": -1} for key in ("log_uniform", "inv_log_uniform")},
    **{key: {"mu": 0.1, "sigma": 0.02, "q": 0.01} for key in ("normal", "q_normal")},
    **{key: {"mu": -2, "sigma": 0.5, "q": 0.01} for key in ("log_normal", "q_log_normal")},
    **{key: {"a": 2, "b": 20, "q": 0.01} for key in ("beta", "q_beta")},
    "q_log_uniform": {"min": -4, "max": -1, "q": 0.01},
    "inv_log_uniform": {"min": 1, "max": 5},
    "int_uniform": {"min": 0, "max": 2},
    "constant": {"value": 0.1},
    "categorical": {"values": [0.1, 0.2]},
    "categorical_w_probabilities": {"values": [0.1, 0.2], "probabilities": [1, 2]},
}


def entry(distribution: str) -> dict[str, Any]:
    values = EXAMPLES[distribution]
    plain = distribution in ("normal", "log_normal", "beta")
    return {"distribution": distribution, **{key: value for key, value in values.items() if not (plain and key == "q")}}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_what_is_drawn_is_in_the_space_for_any_sampler(distribution: str) -> None:
    drawing = space(weight_decay=entry(distribution))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    for seed in range(20):
        drawn = drawing.draw(study.ask())
        assert drawn is not None
        assert drawing.contains(drawn)
        sample = drawing.sample(random.Random(seed))
        assert drawing.contains(sample)
        fixed = optuna.trial.FixedTrial(dict(drawing.sampler_parameters(sample)))
        assert drawing.draw(fixed) == sample


def draws(distribution: str, number: int = 2000) -> list[float]:
    drawing, rng = space(weight_decay=entry(distribution)), random.Random(0)
    return [float(drawing.sample(rng)["weight_decay"]) for _ in range(number)]


@pytest.mark.parametrize("distribution", ["normal", "q_normal"])
def test_normal_values_gather_around_their_mean(distribution: str) -> None:
    values = draws(distribution)

    assert fmean(values) == pytest.approx(0.1, abs=0.002)
    assert stdev(values) == pytest.approx(0.02, rel=0.1)
    assert max(values) <= 0.1 + 3 * 0.02 + 1e-9


def test_log_normal_values_are_normal_in_their_logarithm() -> None:
    logarithms = [math.log(value) for value in draws("log_normal")]

    assert (fmean(logarithms), stdev(logarithms)) == (pytest.approx(-2, abs=0.05), pytest.approx(0.5, rel=0.1))


def test_beta_values_have_its_mean() -> None:
    assert fmean(draws("beta")) == pytest.approx(2 / 22, abs=0.005)


@pytest.mark.parametrize("distribution", ["log_uniform_values", "inv_log_uniform_values", "q_log_uniform_values"])
def test_half_of_the_values_lie_below_the_middle_of_the_logarithms(distribution: str) -> None:
    middle = math.sqrt(0.01 * 0.2)
    below = sum(value <= middle for value in draws(distribution)) / 2000

    assert below == pytest.approx(0.5, abs=0.1)


def test_probabilities_are_those_of_chance() -> None:
    assert sum(value == 0.2 for value in draws("categorical_w_probabilities")) / 2000 == pytest.approx(2 / 3, abs=0.05)


def test_a_normal_distribution_of_whole_numbers_has_whole_numbers() -> None:
    sizes = searched(batch_size={"distribution": "q_normal", "mu": 16, "sigma": 4, "q": 4})

    assert isinstance(sizes, Choice)
    assert sizes.values == (4, 8, 12, 16, 20, 24, 28)
    assert sizes.weights is not None
    assert max(sizes.weights) == sizes.weights[3]


def test_what_no_trial_can_have_is_cut_off_a_distribution() -> None:
    decay = searched(weight_decay={"distribution": "normal", "mu": 0.1, "sigma": 0.1})

    assert (decay.lowest, decay.highest) == (0.0, pytest.approx(0.4))


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"warmup": {"distribution": "gauss", "min": 0, "max": 1}}, "distribution 'gauss' is not one of constant,"),
        ({"warmup": {"distribution": "normal", "mu": 0.5, "sigma": 1}}, "parameters.warmup: warmup 3.5 and cooldown"),
        ({"warmup": {"distribution": "normal", "mu": 0.1, "min": 0}}, "min does not go with mu and sigma and q"),
        ({"warmup": {"min": 0.1}}, "parameters.warmup: give values, or min and max"),
        ({"warmup": {"max": 0.1}}, "give either value, or values, or min and max; given: none"),
        ({"warmup": {"min": 0, "max": 0.1, "q": 0}}, "parameters.warmup.q 0 must be above 0"),
        ({"batch_size": {"min": 1, "max": 9, "q": 0.5}}, "batch_size is a whole number, and so is its step"),
        ({"batch_size": {"values": [1, 2], "probabilities": [1]}}, "probabilities .* for each of the values"),
        (
            {"batch_size": {"distribution": "q_normal", "mu": 1, "sigma": 0.1, "q": 9}},
            "parameters.batch_size.q 9: leaves no two values of normal with mu 1 and sigma 0.1",
        ),
        (
            {"batch_size": {"distribution": "log_uniform_values", "min": 0, "max": 9}},
            "must be above 0 on a logarithmic",
        ),
        ({"batch_size": {"min": "few", "max": 9}}, "parameters.batch_size.min 'few' is not a number"),
        (
            {"batch_size": {"distribution": "log_uniform", "min": 1000, "max": 2000}},
            r"parameters.batch_size: goes beyond the largest number, 1.8e\+308",
        ),
        ({"weight_decay": {"distribution": "log_normal", "mu": 1000}}, "goes beyond the largest number"),
        (
            {"weight_decay": {"distribution": "int_uniform", "min": 1, "max": 1e12}},
            "parameters.weight_decay: 1,000,000,000,000 values; allowed: up to 10,000, with a larger q if need be",
        ),
        ({"batch_size": 3}, "parameters.batch_size 3 must be a mapping"),
        ({"batch_size": {"values": 3}}, "parameters.batch_size.values 3 must be a list"),
    ],
)
def test_what_contradicts_itself_is_refused(parameter: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        searched(**parameter)

    assert "\n" not in str(caught.value)
