"""A sweep's YAML is read whole or refused with one line that names the value and what is allowed."""

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeps.spec import load
from sweeps.spec.parameters import Choice, Range
from sweeps.spec.recipe import SEARCHABLE, Assignment, descriptions
from sweeps.spec.schema import METHODS, Stopping, StoriesData
from tinystories.models import size
from tinystories.models.size import flops_per_token

from ..examples import minimal

SWEEPS = Path(load.__file__).parents[1]
SHAPES: dict[str, Any] = minimal()["parameters"]
RATE = {**SHAPES, "learning_rate": {"min": 1e-4, "max": 1e-2}}


@pytest.mark.parametrize("name", ["demo", "shape", "paper", "asha"])
def test_the_sweeps_that_come_along_hold(name: str) -> None:
    spec, _ = load.load(SWEEPS / f"{name}.yaml")

    assert spec.name == name
    assert spec.trials >= 16
    assert spec.rungs


def test_numbers_may_be_written_short() -> None:
    spec = load.parse(minimal(trial={"flops": "3e13", "batch_size": "1k"}))

    assert (spec.axis, spec.budget, spec.trial.batch_size) == ("flops", 3e13, 1000)


def test_parameters_follow_the_vocabulary_of_wandb() -> None:
    parameters = {
        "depth": {"min": 1, "max": 12},
        "width": {"values": [16, 32]},
        "heads": {"values": [2]},
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
    }
    space = load.parse(minimal(parameters=parameters)).space

    assert space.parameters == {
        "depth": Range(low=1, high=12),
        "width": Choice(values=(16, 32)),
        "heads": Choice(values=(2,)),
        "learning_rate": Range(low=1e-4, high=1e-2, log=True),
    }


def test_a_trial_is_what_is_fixed_plus_what_is_searched() -> None:
    spec = load.parse(minimal(trial={"tokens": "20k", "context": 64}, seed=7))
    config = spec.trial_config({"depth": 2, "width": 32, "heads": 2})

    assert (config.depth, config.width, config.context, config.seed) == (2, 32, 64, 7)


def test_trials_are_no_more_than_the_space_has() -> None:
    assert load.parse(minimal(run_cap=100)).trials == 8


def test_any_value_of_a_trial_can_be_searched() -> None:
    recipe: dict[str, Any] = {
        "context": {"values": [32, 64]},
        "batch_size": {"min": 2, "max": 8, "q": 2},
        "weight_decay": {"min": 0.0, "max": 0.3},
        "scale_learning_rate": {"values": [True, False]},
        "dtype": {"values": ["float32", "bfloat16"]},
        "seed": {"values": [3, 4]},
    }
    spec = load.parse(minimal(parameters={**SHAPES, **recipe}))
    drawn = spec.space.sample(random.Random(0))
    config = spec.trial_config(drawn)

    assert list(spec.space.parameters) == [name for name in SEARCHABLE if name in drawn]
    assert {name: getattr(config, name) for name in drawn} == drawn
    assert {type(drawn[name]) for name in ("scale_learning_rate", "dtype", "batch_size")} == {bool, str, int}
    assert spec.space.identity(drawn) == tuple(drawn[name] for name in spec.space.parameters)


def test_every_value_of_a_trial_is_searchable_but_what_trials_are_compared_by() -> None:
    assert {"depth", "batch_size", "warmup", "gradient_clip", "dtype", "seed"} <= set(SEARCHABLE)
    assert not {"axis", "budget", "evaluations"} & set(SEARCHABLE)
    assert descriptions().keys() >= set(SEARCHABLE)


def test_a_seed_counts_as_part_of_a_configuration_only_if_it_is_searched() -> None:
    space = load.parse(minimal()).space
    shape: Assignment = {"depth": 1, "width": 16, "heads": 1}

    assert space.identity({**shape, "seed": 5}) == space.identity(shape)


def test_limits_hold_with_everything_that_makes_a_model_large() -> None:
    parameters = {**SHAPES, "context": {"values": [32, 4096]}, "batch_size": {"values": [1, 2]}}
    spec = load.parse(minimal(parameters=parameters, limits={"max_parameters": "60k"})).for_vocabulary(600)
    configurations = list(spec.space.configurations())

    assert len(configurations) == spec.space.size == 8 * 2
    for configuration in configurations:
        assert size.parameters(spec.trial_config(configuration).model(600)) <= 60_000
        assert spec.space.contains(configuration)
    assert {configuration["context"] for configuration in configurations} == {32}
    assert not spec.space.contains({**configurations[0], "context": 4096})
    assert spec.largest_trial(600).context == 32
    assert all(spec.space.sample(random.Random(seed))["context"] == 32 for seed in range(20))


def test_the_largest_trial_has_the_largest_of_everything() -> None:
    parameters = {**SHAPES, "context": {"min": 32, "max": 64}, "batch_size": {"values": [4, 1]}}
    largest = load.parse(minimal(parameters=parameters)).largest_trial(300)

    assert (largest.depth, largest.width, largest.context, largest.batch_size) == (2, 32, 64, 4)


def test_the_surrogate_is_told_the_longest_cooldown_that_is_searched() -> None:
    assert load.parse(minimal(parameters={**SHAPES, "cooldown": {"values": [0.1, 0.3, 0.2]}})).cooldown == 0.3


def test_a_seed_under_trial_is_that_of_the_trials() -> None:
    assert load.parse(minimal(seed=3)).trial.seed == 3
    assert load.parse(minimal(seed=3, trial={"tokens": "20k", "seed": 5})).trial.seed == 5


@pytest.mark.parametrize("method", METHODS)
def test_the_methods_that_have_names_are_taken(method: str) -> None:
    assert load.parse(minimal(method=method)).method == method


def test_a_sampler_may_be_any_class_and_has_arguments() -> None:
    spec = load.parse(minimal(method="optuna.samplers:TPESampler", sampler={"n_startup_trials": 3}))

    assert (spec.method, spec.sampler) == ("optuna.samplers:TPESampler", {"n_startup_trials": 3})


def test_rungs_are_powers_of_eta_below_the_full_run() -> None:
    assert Stopping(type="asha", eta=3, min_iter=1).rungs(27) == (1, 3, 9)
    assert Stopping(type="asha", eta=2, min_iter=2).rungs(9) == (2, 4, 8)


def test_the_first_rung_is_at_a_ninth_unless_it_is_given() -> None:
    assert [Stopping(type="asha").rungs(evaluations) for evaluations in (4, 9, 27)] == [(1, 3), (1, 3), (3, 9)]
    assert Stopping(type="screen", eta=2, looks=3, min_iter=1).rungs(27) == (1, 2, 4)
    assert [Stopping(type="screen").rungs(evaluations) for evaluations in (4, 9, 27)] == [(1, 3), (1, 3), (3, 9)]
    assert Stopping(type="screen", min_iter=1).rungs(81) == (1, 3)


def test_a_name_may_look_like_a_number(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(minimal()), encoding="utf-8")
    spec, _ = load.load(file, name="007", trials="3")

    assert (spec.name, spec.run_cap) == ("007", 3)


def test_overrides_replace_nested_entries(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(minimal()), encoding="utf-8")
    overrides = ["trial.tokens=1M", "wandb=disabled", "parameters.depth.values=[3]", "trials_per_gpu=2"]
    spec, raw = load.load(file, overrides)

    assert (spec.budget, spec.wandb, spec.trials_per_gpu) == (1e6, "disabled", 2)
    assert spec.space.parameters["depth"] == Choice(values=(3,))
    assert load.parse(raw) == spec


@pytest.mark.parametrize("data", ["data/own", None])
def test_an_entry_of_the_built_in_stories_replaces_a_folder(tmp_path: Path, data: str | None) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump({**minimal(), "data": data, "early_terminate": None}), encoding="utf-8")
    spec, _ = load.load(file, ["data.stories=2000", "early_terminate.eta=4"])

    assert spec.data == StoriesData(stories=2000)
    assert spec.early_terminate == Stopping(eta=4)


def test_the_home_folder_is_meant_by_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")

    assert load.parse(minimal(data="~/text")).data == "/home/someone/text"


def test_a_sweep_without_a_name_has_that_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "my sweep (2).yaml"
    file.write_text(yaml.safe_dump(minimal(name=None)), encoding="utf-8")
    spec, raw = load.load(file)

    assert spec.name == raw["name"] == "my-sweep--2-"


def test_built_in_stories_have_a_folder_of_their_own() -> None:
    spec = load.parse(minimal(data={"stories": 100, "tokenizer": "bpe:300"}))

    assert isinstance(spec.data, StoriesData)
    assert spec.data.folder != StoriesData(stories=101, tokenizer="bpe:300").folder


@pytest.mark.parametrize(("given", "meant"), [(None, None), ("auto", None), (4, 4), (0, 0)])
def test_trials_share_a_gpu_as_told_or_as_memory_allows(given: str | int | None, meant: int | None) -> None:
    assert load.parse(minimal(trials_per_gpu=given)).trials_per_gpu == meant


@pytest.mark.parametrize("value", ["many", -1, 1.5, True, 101])
def test_a_number_of_trials_for_a_gpu_that_means_nothing_is_refused(value: str | float) -> None:
    allowed = "auto, a whole number up to 100, or 0 for CPUs alone"

    with pytest.raises(ValueError, match=f"^trials_per_gpu {value!r}: {allowed}$"):
        load.parse(minimal(trials_per_gpu=value))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "unknown key 'colour' in the sweep; known: name, metric"),
        ({"gpus_per_trial": 1}, "unknown key 'gpus_per_trial' in the sweep; did you mean cpus_per_trial"),
        (
            {"trial": {"tokens": 1, "contxt": 2}},
            "unknown key 'contxt' in trial; did you mean context. known: tokens, flops",
        ),
        ({"name": None}, "no 'name'"),
        ({"name": "a/b"}, "name 'a/b'"),
        ({"run_cap": "many"}, "run_cap 'many' is not a number"),
        ({"run_cap": 2.5}, "run_cap 2.5 must be a whole number"),
        ({"run_cap": 0}, "run_cap 0 must be above 0"),
        ({"run_cap": True}, "run_cap True must be a number"),
        ({"run_cap": ".inf"}, "is not a number"),
        ({"metric": "val_loss"}, "metric 'val_loss' must be a mapping"),
        ({"metric": {"name": 3}}, "metric.name 3 must be text"),
        ({"metric": {"name": "val_loss", "goal": "maximize"}}, "metric.goal 'maximize'"),
        ({"parameters": {}}, "parameters is empty"),
        ({"parameters": {"depth": {"values": [1]}}}, "width stands under neither parameters nor trial"),
        (
            {"parameters": {**minimal()["parameters"], "width": {"min": 1, "max": 3, "q": 4}}},
            "parameters.width.q 4: a step that is no longer than from min 1 to max 3",
        ),
        (
            {"parameters": {**minimal()["parameters"], "depth": {"values": [1], "q": 2}}},
            "depth: q does not go with values",
        ),
        ({"limits": {"max_depth": 3}}, "unknown key 'max_depth' in limits; known: max_parameters, max_flops"),
        ({"limits": {"max_parameters": 0}}, "limits.max_parameters 0 must be above 0"),
        ({"limits": {"max_flops": 1e9}, "trial": {"flops": 1e9}}, "trials have a budget of flops"),
        ({"limits": {"min_head_dim": 32}}, "width 16 is not divisible by any of the allowed heads within min_head_dim"),
        ({"points": {"depth": 1}}, "points .* must be a list"),
        ({"points": [{"depth": 1}]}, "points: {'depth': 1} must give a value for each of depth, width, heads"),
        ({"points": [{"depth": 3, "width": 16, "heads": 1}]}, "lies outside the searched parameters"),
        ({"confirm": {"seeds": 1}}, "confirm.seeds 1 must be at least 2, or there is no interval"),
        ({"confirm": {"best": 1}}, "unknown key 'best' in confirm; known: top, seeds"),
        ({"pareto": "depth"}, "pareto 'depth' is not one of parameters, flops"),
        ({"pareto": "flops", "trial": {"flops": 1e12}}, "pareto flops: trials have a budget of flops"),
        ({"pareto": "flops", "confirm": {}}, "pareto flops: there is no single best to confirm"),
        ({"repeats": "again"}, "repeats 'again' is not one of answer, new_seed"),
        ({"parameters": {**minimal()["parameters"], "depth": {"values": []}}}, "parameters.depth.values"),
        ({"parameters": {**minimal()["parameters"], "depth": {"min": 4, "max": 2}}}, "min 4 must be below max 2"),
        ({"parameters": {**minimal()["parameters"], "depth": {"values": [1, 1]}}}, "names a value twice"),
        ({"parameters": {**minimal()["parameters"], "depth": {"values": [-1]}}}, "must be above 0"),
        ({"parameters": {**minimal()["parameters"], "heads": {"values": [3]}}}, "width 16 is not divisible"),
        ({"parameters": {**minimal()["parameters"], "depth": {"value": 1, "values": [2]}}}, "either value, or values"),
        (
            {
                "parameters": {
                    **minimal()["parameters"],
                    "seed": {"min": 0, "max": 9, "distribution": "log_uniform_values"},
                }
            },
            "parameters.seed.min 0 must be above 0",
        ),
        ({"seed": -1}, "seed -1 must be at least 0"),
        ({"trial": {"tokens": 1, "seed": -1}}, "trial.seed -1 is not among 0 to"),
        ({"trial": {"tokens": 1, "flops": 2}}, "exactly one budget among tokens, flops, seconds; given: tokens, flops"),
        ({"trial": 3}, "trial 3 must be a mapping"),
        ({"method": "tpo"}, "method 'tpo' is not one of bayes, random, grid, tpe, gp, .*, nor module:Class"),
        ({"method": "grid", "parameters": RATE}, "method grid: learning_rate has no end of values; give its values"),
        ({"sampler": {"seed": 1}}, "sampler: arguments for a sampler of Optuna, which method bayes is not"),
        ({"method": "tpe", "sampler": 3}, "sampler 3 must be a mapping"),
        ({"name": 2024}, 'name 2024: quote it, .*: name: "2024"'),
        ({"parameters": {**SHAPES, "bath_size": {"values": [1]}}}, "did you mean batch_size"),
        (
            {"parameters": {**SHAPES, "warmup": {"values": [0.5, 1.5]}}},
            "parameters.warmup: warmup 1.5 and cooldown 0.2",
        ),
        ({"parameters": {**SHAPES, "warmup": {"values": [0.1, 0.9]}}}, "warmup 0.9 and cooldown 0.2: .* below 1"),
        (
            {"parameters": {**SHAPES, "warmup": {"values": [0.1, 0.6]}, "cooldown": {"values": [0.1, 0.6]}}},
            "warmup 0.6 and cooldown 0.6: .* these are the highest values",
        ),
        ({"parameters": {**SHAPES, "dtype": {"values": ["int8"]}}}, "parameters.dtype 'int8' is not one of auto"),
        ({"parameters": {**SHAPES, "dtype": {"min": 1, "max": 2}}}, "parameters.dtype: give its values as a list"),
        ({"parameters": {**SHAPES, "batch_size": {"values": [8.5]}}}, "batch_size 8.5 must be a whole number"),
        ({"parameters": {**SHAPES, "evaluations": {"values": [3, 9]}}}, "unknown key 'evaluations' in parameters"),
        ({"replay": {"columns": {"deep": "d"}}}, "unknown key 'deep' in replay.columns; did you mean depth"),
        ({"trial": {"tokens": "20k", "depth": 3}}, "depth stands under both"),
        ({"trial": {"tokens": "20k", "warmup": 0.9, "cooldown": 0.2}}, "together below 1"),
        ({"trial": {"tokens": "20k", "dtype": "int8"}}, "trial.dtype 'int8' is not one of auto, float32, bfloat16"),
        ({"early_terminate": {"type": "median"}}, "early_terminate.type 'median' is not one of screen, asha"),
        (
            {"early_terminate": {"type": "screen", "factor": 3}},
            "unknown key 'factor' in early_terminate of type screen; known: type, finalists, looks, eta, min_iter",
        ),
        ({"early_terminate": {"type": "screen", "looks": 0}}, "early_terminate.looks 0 must be at least 1"),
        ({"early_terminate": {"type": "asha", "finalists": 3}}, "known: type, eta, min_iter"),
        ({"early_terminate": {"type": "screen", "finalists": 0}}, "early_terminate.finalists 0 must be at least 1"),
        ({"early_terminate": {"type": "asha", "eta": 1}}, "eta 1 must be at least 2"),
        ({"early_terminate": {"type": "asha", "min_iter": 9}}, "min_iter 9 must be below trial.evaluations 9"),
        (
            {"early_terminate": {}, "trial": {"tokens": "20k", "evaluations": 1}},
            "early_terminate.min_iter 1 must be below trial.evaluations 1",
        ),
        ({"wandb": "maybe"}, "wandb 'maybe' is not one of auto, online, offline, disabled"),
        ({"data": 3}, "data 3"),
        ({"data": {"stories": 0}}, "data.stories 0 must be above 0"),
        ({"patience": 0}, "patience 0"),
    ],
)
def test_what_does_not_hold_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")) as caught:
        load.parse(minimal(**changes))

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "- 1", "\xff"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_bytes(text.encode("latin-1"))

    with pytest.raises(ValueError, match=r"sweep\.yaml"):
        load.load(file)


@pytest.mark.parametrize("override", ["wandb", "=1", "name.x=1", "run_cap=[", "colour=red"])
def test_a_bad_override_is_refused(tmp_path: Path, override: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(minimal()), encoding="utf-8")

    with pytest.raises(ValueError, match=override.split("=")[0].split(".")[0] or "key=value"):
        load.load(file, [override])


def test_limits_know_the_vocabulary() -> None:
    spec = load.parse(minimal(limits={"max_parameters": "20k"}))

    assert spec.trials == 4
    widths = {shape["width"] for shape in spec.for_vocabulary(600).space.shapes}
    assert widths == {16}
    with pytest.raises(ValueError, match="no shape is left within limits max_parameters 20,000"):
        spec.for_vocabulary(50_000)


def test_limits_of_compute_are_those_of_a_full_trial() -> None:
    free = load.parse(minimal())
    cost = 20_000 * flops_per_token(free.trial_config({"depth": 1, "width": 32, "heads": 1}).model(300))
    spec = load.parse(minimal(limits={"max_flops": cost})).for_vocabulary(300)

    assert {(shape["depth"], shape["width"]) for shape in spec.space.shapes} == {(1, 16), (2, 16), (1, 32)}


def test_a_point_outside_the_limits_is_refused() -> None:
    point = {"depth": 2, "width": 32, "heads": 1}
    spec = load.parse(minimal(limits={"max_parameters": "20k"}, points=[point]))

    with pytest.raises(ValueError, match=r"points: .*'width': 32.* is outside limits max_parameters 20,000"):
        spec.for_vocabulary(600)


def test_curves_of_many_evaluations_are_forecast_where_they_cross() -> None:
    def forecasts(axis: str, evaluations: int) -> bool:
        return load.parse(minimal(trial={axis: 1e9, "evaluations": evaluations})).forecasts

    assert [forecasts(axis, 9) for axis in ("tokens", "flops", "seconds")] == [False, True, True]
    assert not forecasts("flops", 8)


def test_trials_are_screened_unless_there_are_two_objectives() -> None:
    def kind(**changes: Any) -> str | None:
        stopping = load.parse(minimal(**changes)).early_terminate
        return stopping and stopping.type

    assert kind() is None
    assert kind(early_terminate={}) == "screen"
    assert kind(early_terminate={"type": "asha"}) == "asha"
    assert kind(early_terminate={}, pareto="parameters") == "asha"
    with pytest.raises(ValueError, match="type screen: with pareto, allowed: asha"):
        kind(early_terminate={"type": "screen"}, pareto="parameters")
