"""Our sampler in studies that are not ours."""

import math
import statistics
from collections.abc import Callable
from typing import Any, Literal

import optuna
import pytest
from optuna.pruners import MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import Trial, TrialState

from sweeps.policy.curve_sampler import CurveSampler

STEPS = 9
SEEDS = range(5)


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def final(trial: Trial) -> float:
    """Lowest, 2, for a rate of 1e-3, 4 layers, a width of 64 and the optimiser b."""
    rate = trial.suggest_float("rate", 1e-5, 1.0, log=True)
    layers = trial.suggest_int("layers", 1, 8)
    width = trial.suggest_categorical("width", [16, 32, 64, 128])
    dropout = trial.suggest_float("dropout", 0.0, 0.5, step=0.1)
    optimiser = trial.suggest_categorical("optimiser", ["a", "b", None])
    apart = (math.log10(rate) + 3) ** 2 / 4 + abs(layers - 4) / 8 + abs(math.log2(width) - 6) / 8
    return 2 + apart + dropout + (0 if optimiser == "b" else 0.3)


def objective(sign: float, offset: float = 0.0) -> Callable[[Trial], float]:
    def train(trial: Trial) -> float:
        end = final(trial)
        for step in range(STEPS):
            value = sign * (end + offset + 2 / (step + 1) - 2 / STEPS)
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    return train


def best(
    sampler: BaseSampler, *, direction: Literal["minimize", "maximize"] = "minimize", offset: float = 0.0
) -> float:
    """How far the best of 30 trials is from the optimum."""
    sign = 1.0 if direction == "minimize" else -1.0
    study = optuna.create_study(sampler=sampler, pruner=MedianPruner(n_startup_trials=4), direction=direction)
    study.optimize(objective(sign, offset), n_trials=30)
    assert any(trial.state == TrialState.PRUNED for trial in study.trials)
    return sign * study.best_value - 2 - offset


@pytest.mark.parametrize(
    ("direction", "offset"), [("minimize", 0.0), ("maximize", 0.0), ("minimize", -3.0), ("maximize", -9.0)]
)
def test_it_beats_random_search_with_a_plain_pruner(direction: Literal["minimize", "maximize"], offset: float) -> None:
    def median(make: Callable[[int], BaseSampler]) -> float:
        return statistics.median(best(make(seed), direction=direction, offset=offset) for seed in SEEDS)

    random = median(lambda seed: RandomSampler(seed=seed))
    assert median(lambda seed: CurveSampler(evaluations=STEPS, seed=seed)) < 0.6 * random


def test_unfinished_trials_are_learnt_from_too() -> None:
    """None ends: they are pruned, or still run."""
    study = optuna.create_study(sampler=CurveSampler(evaluations=STEPS, seed=0), pruner=NopPruner())
    rates = []
    for number in range(24):
        trial = study.ask()
        rates.append(trial.suggest_float("rate", 1e-5, 1.0, log=True))
        trial.report(2 + (math.log10(rates[-1]) + 3) ** 2, 0)
        if number % 4:
            study.tell(trial, state=TrialState.PRUNED)

    even = (2**2 + 3**2) / 2 / 5  # mean distance of even draws
    assert statistics.median(abs(math.log10(rate) + 3) for rate in rates[12:]) < 0.5 * even


def test_failed_and_infinite_trials_are_survived_and_left_alone() -> None:
    study = optuna.create_study(sampler=CurveSampler(evaluations=STEPS, seed=0))
    failed = []
    for _ in range(30):
        trial = study.ask()
        place = trial.suggest_float("place", 0.0, 1.0)
        failed.append(place > 0.5)
        if failed[-1]:
            trial.report(math.nan if len(failed) % 2 else math.inf, 0)
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, 3.0 - place)

    assert sum(failed[15:]) <= 7


def test_conditional_and_single_parameters_are_drawn() -> None:
    def train(trial: Trial) -> float:
        assert trial.suggest_int("one", 3, 3) == 3
        if trial.suggest_categorical("kind", ["plain", "deep"]) == "deep":
            return trial.suggest_int("depth", 2, 10, step=4) / 10
        return 1 + trial.suggest_float("rate", 0.1, 0.2)

    study = optuna.create_study(sampler=CurveSampler(evaluations=1, seed=1))
    study.optimize(train, n_trials=20)

    assert study.best_value == 0.2
    assert {trial.params.get("depth") for trial in study.trials} <= {None, 2, 6, 10}


def test_a_seed_decides_all_draws() -> None:
    def proposed(seed: int) -> list[dict[str, Any]]:
        study = optuna.create_study(sampler=CurveSampler(evaluations=STEPS, seed=seed))
        study.optimize(objective(1.0), n_trials=12)
        return [trial.params for trial in study.trials]

    assert proposed(3) == proposed(3)
    assert proposed(3) != proposed(4)


def test_threads_draw_differently() -> None:
    study = optuna.create_study(sampler=CurveSampler(evaluations=STEPS, seed=0))
    study.optimize(lambda trial: trial.suggest_float("place", 0.0, 1.0) + 1, n_trials=20, n_jobs=2)

    assert len({trial.params["place"] for trial in study.trials}) > 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"evaluations": 0}, "evaluations 0 must be"), ({"evaluations": 3, "cooldown": 2.0}, r"cooldown 2\.0 must be")],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CurveSampler(**arguments)


def test_a_study_that_it_cannot_follow_is_refused() -> None:
    two = optuna.create_study(sampler=CurveSampler(evaluations=3), directions=["minimize", "minimize"])
    with pytest.raises(ValueError, match="CurveSampler follows one objective; the study has 2"):
        two.ask().suggest_float("place", 0.0, 1.0)

    long = optuna.create_study(sampler=CurveSampler(evaluations=3, first_step=1))
    trial = long.ask()
    trial.suggest_float("place", 0.0, 1.0)
    trial.report(1.0, 4)
    long.tell(trial, 1.0)
    with pytest.raises(ValueError, match="trial 0 reported at step 4; CurveSampler takes 1 to 3"):
        long.ask().suggest_float("place", 0.0, 1.0)
