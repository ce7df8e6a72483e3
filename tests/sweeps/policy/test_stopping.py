"""Which rule a sweep has, and how many are expected to go on by it."""

import random
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pytest

from sweeps.policy import stopping
from sweeps.policy.halving import Screening, SuccessiveHalving
from sweeps.policy.pareto import ParetoHalving
from sweeps.policy.stopping import Stretch, expected_to_pass, stretches
from sweeps.spec import load

from ..examples import minimal


class Forecaster:
    """Puts every trial at the same end."""

    def forecast(self, trial_ids: Sequence[str]) -> dict[str, float]:
        return dict.fromkeys(trial_ids, 1.0)

    def chance_of_best(self, trial_id: str) -> float:
        return 1.0


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"early_terminate": {"type": "screen"}}, Screening),
        ({"early_terminate": {"type": "asha"}}, SuccessiveHalving),
        ({"early_terminate": {}, "pareto": "parameters"}, ParetoHalving),
        ({}, SuccessiveHalving),
    ],
)
def test_a_sweep_has_the_rule_that_its_spec_names(changes: dict[str, Any], kind: type) -> None:
    spec = load.parse(minimal(**changes))
    rule = stopping.rule(spec, forecaster=Forecaster(), second={"a": 1.0})

    assert type(rule) is kind
    if not spec.early_terminate:
        assert all(rule.report("a", evaluation, 99.0) for evaluation in range(1, 10)), "nothing is stopped"


@pytest.mark.parametrize(("axis", "goes_on"), [("tokens", False), ("flops", True)])
def test_a_screening_asks_the_forecasts_where_curves_cross(axis: str, goes_on: bool) -> None:
    spec = load.parse(minimal(trial={axis: 1e9}, early_terminate={"type": "screen"}))

    assert stopping.rule(spec, forecaster=Forecaster(), second={}).report("a", 1, 3.0) == goes_on


def test_of_a_screening_three_times_as_many_as_finalists_go_on_to_the_second_rung() -> None:
    spec = load.parse(minimal(run_cap=8, early_terminate={"type": "screen", "finalists": 2}))

    assert stretches(spec) == [Stretch(0, 1, 8.0), Stretch(1, 3, 6), Stretch(3, 9, 2)]
    assert [stretch.share(spec) for stretch in stretches(spec)] == pytest.approx([1 / 9, 2 / 9, 6 / 9])


def test_as_many_pass_as_the_rule_lets_pass_on_average() -> None:
    source = random.Random(0)
    passed = []
    for _ in range(2000):
        halving = SuccessiveHalving(eta=3, rungs=(1,))
        passed.append(sum(halving.report(str(i), 1, source.random()) for i in range(20)))

    assert expected_to_pass(20, 3) == pytest.approx(fmean(passed), rel=0.02)


def test_all_pass_who_come_alone_and_fractions_lie_between() -> None:
    assert expected_to_pass(0, 3) == 0
    assert expected_to_pass(1, 3) == 1
    assert expected_to_pass(1.5, 3) == pytest.approx(1.25)
