"""What is refused beforehand, and that what is not refused works."""

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sweeps.policy.proposals import Proposals
from sweeps.policy.samplers import check

from .methods import BUILTIN, IMPORTED, ONE_SHAPE, RATE, spec, train

SCREENED = {"early_terminate": {"type": "screen"}}


@pytest.fixture
def own_samplers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("own_samplers")


@pytest.mark.parametrize("method", [*BUILTIN, IMPORTED])
def test_all_methods_pass(method: str) -> None:
    check(spec(method))


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("tpe", {"n_startup_trials": 3, "n_ei_candidates": 8, "multivariate": True, "group": True}),
        ("gp", {"n_startup_trials": 2, "deterministic_objective": True}),
        ("cmaes", {"popsize": 4, "with_margin": True}),
        ("cmaes", {"sigma0": 0.2}),
        ("qmc", {"qmc_type": "halton", "scramble": True}),
        ("nsga2", {"population_size": 4}),
        ("nsga3", {"population_size": 4, "dividing_parameter": 2}),
    ],
)
def test_arguments_reach_the_sampler_without_a_word_on_the_terminal(
    method: str, arguments: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """Warnings are errors here, so experimental and deprecated arguments would be seen."""
    wanted = spec(method, parameters=RATE, trial=ONE_SHAPE, sampler=arguments)
    check(wanted)
    proposals = Proposals(wanted)
    for number in range(10):
        train(proposals, str(number), 2.0 + number % 3)

    assert capfd.readouterr() == ("", "")
    assert proposals.propose() != Proposals(spec(method, parameters=RATE, trial=ONE_SHAPE)).propose()


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        ("annealing", {}, "method 'annealing' is not one of bayes, random, grid, tpe, gp, cmaes, qmc, nsga2, nsga3"),
        ("nowhere:Sampler", {}, "method nowhere:Sampler: cannot be imported: No module named 'nowhere'"),
        ("optuna.samplers:Sampler", {}, "cannot be imported: module 'optuna.samplers' has no attribute 'Sampler'"),
        ("optuna:Study", {}, "method optuna:Study: Study is not a subclass of optuna.samplers.BaseSampler"),
        ("bayes", {"sampler": {"a": 1}}, "method bayes takes no arguments; leave sampler out"),
        ("random", {"sampler": {"seed": 1}}, "method random takes no arguments; leave sampler out"),
        ("tpe", {"sampler": {"popsize": 4}}, "sampler.popsize is not an argument of TPESampler; allowed: "),
        ("tpe", {"sampler": {"n_startup_trials": "ten"}}, "sampler.n_startup_trials 'ten' must be a whole number"),
        ("qmc", {"sampler": {"seed": 4}}, "sampler.seed: all draws follow from the sweep's own seed"),
        ("qmc", {"sampler": {"qmc_type": "best"}}, "Choose either `halton` or `sobol`"),
        ("nsga2", {"sampler": {"population_size": 1}}, "must be greater than or equal to 2"),
        ("nsga2", {"sampler": {"population_size": "many"}}, "not supported between instances of 'str' and 'int'"),
        ("grid", {"parameters": RATE, "trial": ONE_SHAPE}, "method grid: learning_rate has no end of values"),
        (
            "cmaes",
            {"pareto": "parameters"},
            "method cmaes knows one objective; with pareto parameters",
        ),
        ("gp", SCREENED, "method gp learns from completed trials alone, and early_terminate stops most of them"),
        ("cmaes", SCREENED, "method cmaes learns from completed trials alone"),
        ("nsga2", SCREENED, "method nsga2 learns from completed trials alone"),
        ("nsga3", SCREENED, "method nsga3 learns from completed trials alone"),
        (
            "optuna.samplers:BruteForceSampler",
            {"parameters": RATE, "trial": ONE_SHAPE},
            "method optuna.samplers:BruteForceSampler cannot search this: FloatDistribution.step must be given",
        ),
        (
            "optuna.samplers:CmaEsSampler",
            {"pareto": "parameters"},
            "cannot search this: If the study is being used for multi-objective optimization, CmaEsSampler cannot",
        ),
    ],
)
def test_what_a_sampler_cannot_do_is_refused_in_one_line(method: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        check(spec(method, **changes))

    assert "\n" not in str(refused.value)


def test_bayes_refuses_two_objectives() -> None:
    wanted = spec("tpe", pareto="parameters")
    object.__setattr__(wanted, "method", "bayes")
    with pytest.raises(
        ValueError, match="bayes knows one objective; with pareto parameters, allowed: random, grid, tpe"
    ):
        check(wanted)


@pytest.mark.parametrize("method", ["bayes", "random", "grid", "tpe", "qmc"])
def test_what_learns_from_stopped_trials_may_stop_them(method: str) -> None:
    check(spec(method, **SCREENED))
    check(spec("cmaes", sampler={"consider_pruned_trials": True}, **SCREENED))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="method cmaes needs the package cmaes: pip install cmaes"):
        check(spec("cmaes"))


def test_a_sampler_of_ones_own_is_taken_with_its_arguments(own_samplers: ModuleType) -> None:
    method = "own_samplers:Picky"
    wanted = spec(method, sampler={"courage": 0.5})
    check(wanted)
    train(Proposals(wanted), "0", 2.0)

    with pytest.raises(ValueError, match="courage 2 is too much"):
        check(spec(method, sampler={"courage": 2}))
    with pytest.raises(ValueError, match=r"sampler\.fear is not an argument of Picky; allowed: courage"):
        check(spec(method, sampler={"fear": 2}))
    with pytest.raises(ValueError, match="missing 1 required keyword-only argument: 'courage'"):
        check(spec(method))


def test_only_the_public_interface_of_optuna_is_used() -> None:
    private = ("._storage", "._study_id", "._trial_id", "optuna._")
    folder = Path(__file__).parents[3] / "sweeps" / "policy"
    for module in ("proposals", "samplers", "study", "parameters", "curve_sampler", "tried", "curves", "candidates"):
        text = (folder / f"{module}.py").read_text(encoding="utf-8")
        assert not [name for name in private if name in text], module
