"""What a study hears of trials, and what a sampler is asked."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from sweeps.policy.proposals import Proposals
from sweeps.trials import DIVERGED_LOSS

from ..driving import begin, metrics, open_sweep
from .methods import spec


@pytest.fixture
def own_samplers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("own_samplers")


def test_optuna_hears_the_truth_about_every_attempt(own_samplers: ModuleType) -> None:
    proposals = Proposals(spec("own_samplers:Listener"))
    for number in range(4):
        proposals.begin(str(number), proposals.propose())
        proposals.report(str(number), 1, 3.0)
    proposals.report("1", 2, float("nan"))
    proposals.end("0", "paused")
    proposals.end("1", "diverged")
    proposals.end("2", "failed")
    proposals.end("3", "abandoned")
    proposals.resume("0")
    proposals.report("0", 2, 2.5)
    proposals.end("0", "completed", [2.5])

    repeated = ("FAIL", None, {})
    assert [heard for heard in own_samplers.Listener.heard if heard != repeated] == [
        ("PRUNED", [3.0], {1: 3.0}),
        ("COMPLETE", [DIVERGED_LOSS], {1: 3.0}),
        ("FAIL", None, {1: 3.0}),
        ("FAIL", None, {1: 3.0}),
        ("COMPLETE", [2.5], {1: 3.0, 2: 2.5}),
    ]


@pytest.mark.parametrize("values", [None, [1.0, 500.0]])
def test_a_trial_that_diverged_has_two_values_if_one_is_known(
    own_samplers: ModuleType, values: list[float] | None
) -> None:
    proposals = Proposals(spec("own_samplers:Listener", pareto="parameters"))
    proposals.begin("0", proposals.propose())
    proposals.end("0", "diverged", values)

    told = ("FAIL", None, {}) if values is None else ("COMPLETE", [DIVERGED_LOSS, 500.0], {})
    assert own_samplers.Listener.heard == [told]


@pytest.mark.parametrize("metric", ["val_loss", "val_bpb"])
def test_optuna_hears_all_values_of_a_trial_in_one_unit(own_samplers: ModuleType, metric: str) -> None:
    trial = {"tokens": "20k", "evaluations": 2}
    sweep = open_sweep(None, method="own_samplers:Listener", metric={"name": metric}, early_terminate=None, trial=trial)
    trial_id = begin(sweep).trial_id
    sweep.report(trial_id, metrics(1, 3.0, val_bpb=1.5), "")
    sweep.report(trial_id, metrics(2, 2.6, sample_loss=2.5, val_bpb=1.3), "")

    assert own_samplers.Listener.heard == [("COMPLETE", [2.6], {1: 3.0, 2: 2.5})]
