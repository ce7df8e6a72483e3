"""A sweep's YAML is read whole or refused with one line that names the value and what is allowed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeps.spec import load
from sweeps.spec.schema import Stopping, StoriesData
from sweeps.spec.space import Choice, Range
from tinystories.models.size import flops_per_token

from ..examples import minimal

SWEEPS = Path(load.__file__).parents[1]


@pytest.mark.parametrize("name", ["demo", "shape", "paper"])
def test_the_sweeps_that_come_along_hold(name: str) -> None:
    spec, _ = load.load(SWEEPS / f"{name}.yaml")

    assert spec.name == name
    assert spec.trials >= 16
    assert spec.rungs


def test_numbers_may_be_written_short() -> None:
    spec = load.parse(minimal(trial={"flops": "3e13", "batch_size": "1k"}))

    assert (spec.axis, spec.budget, spec.trial["batch_size"]) == ("flops", 3e13, 1000)


def test_parameters_follow_the_vocabulary_of_wandb() -> None:
    parameters = {
        "depth": {"min": 1, "max": 12},
        "width": {"values": [16, 32]},
        "heads": {"value": 2},
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
        ({"gpus_per_trial": 1}, "unknown key 'gpus_per_trial' in the sweep; known: .*, trials_per_gpu,"),
        ({"trial": {"tokens": 1, "contxt": 2}}, "unknown key 'contxt' in trial; known: tokens, flops"),
        ({"name": None}, "no 'name'"),
        ({"name": "a/b"}, "name 'a/b'"),
        ({"run_cap": "many"}, "run_cap: 'many' is not a number"),
        ({"run_cap": 2.5}, "run_cap 2.5 must be a whole number"),
        ({"run_cap": 0}, "run_cap 0 must be above 0"),
        ({"run_cap": True}, "run_cap True must be a number"),
        ({"run_cap": ".inf"}, "is not a number"),
        ({"metric": {"name": "accuracy"}}, "metric.name 'accuracy' is not one of val_loss, val_bpb"),
        ({"metric": {"name": "val_loss", "goal": "maximize"}}, "metric.goal 'maximize'"),
        ({"parameters": {}}, "parameters is empty"),
        ({"parameters": {"depth": {"values": [1]}}}, "width stands under neither parameters nor trial"),
        (
            {"parameters": {**minimal()["parameters"], "width": {"min": 1, "max": 9, "q": 3}}},
            "parameters.width.q 3: a step between whole numbers that leads from min 1 to max 9",
        ),
        ({"parameters": {**minimal()["parameters"], "depth": {"values": [1], "q": 2}}}, "q goes with min and max"),
        ({"limits": {"max_depth": 3}}, "unknown key 'max_depth' in limits; known: max_parameters, max_flops"),
        ({"limits": {"max_parameters": 0}}, "limits.max_parameters 0 must be above 0"),
        ({"limits": {"max_flops": 1e9}, "trial": {"flops": 1e9}}, "trials have a budget of flops"),
        ({"limits": {"min_head_dim": 32}}, "width 16 is not divisible by any of the allowed heads within min_head_dim"),
        ({"points": {"depth": 1}}, "points .* a list of configurations"),
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
        ({"trial": {"tokens": 1, "seed": -1}}, "trial.seed -1 must be at least 0"),
        ({"trial": {"tokens": 1, "flops": 2}}, "exactly one budget among tokens, flops, seconds; given: tokens, flops"),
        ({"trial": {}}, "given: none"),
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
