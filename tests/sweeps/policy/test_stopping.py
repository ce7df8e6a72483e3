"""Which rule a sweep has, and how many are expected to continue by it."""

import random
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pytest

from sweeps.machines.simulated import metrics_of
from sweeps.policy.halving import PromotionHalving, Rule, SuccessiveHalving
from sweeps.policy.pareto import ParetoHalving
from sweeps.policy.screening import Screening
from sweeps.policy.stopping import (
    Stretch,
    expected_to_be_promoted,
    expected_to_continue,
    make_rule,
    stretches,
)
from sweeps.policy.verdicts import Verdict
from sweeps.spec import load
from sweeps.trials import Trial

from ..examples import minimal


class Forecaster:
    """Puts every trial at the same end."""

    def forecast(self, trial_ids: Sequence[str]) -> dict[str, float]:
        return dict.fromkeys(trial_ids, 1.0)

    def chance_of_best(self, trial_id: str) -> float:
        return 1.0


def verdict(rule: Rule, name: str, evaluation: int, loss: float) -> Verdict:
    rule.record(name, evaluation, loss)
    curve = [metrics_of(loss, evaluation=evaluation, before=None)]
    return rule.verdict(
        Trial(trial_id=name, assignment={}, stage="search", state="running", since=0.0, evaluations=curve)
    )


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"early_terminate": {"type": "screen"}}, Screening),
        ({"early_terminate": {"type": "asha"}}, SuccessiveHalving),
        ({"early_terminate": {"type": "asha", "variant": "promotion"}}, PromotionHalving),
        ({"early_terminate": {}, "pareto": "parameters"}, ParetoHalving),
        ({}, SuccessiveHalving),
    ],
)
def test_a_sweep_has_the_rule_that_its_spec_names(changes: dict[str, Any], kind: type) -> None:
    spec = load.parse(minimal(**changes))
    rule = make_rule(spec, forecaster=Forecaster(), second={"a": 1.0})

    assert type(rule) is kind
    if not spec.early_terminate:
        found = {verdict(rule, "a", evaluation, 99.0) for evaluation in range(1, 10)}
        assert found == {Verdict.CONTINUE}, "nothing is stopped"


@pytest.mark.parametrize(("axis", "expected"), [("tokens", Verdict.PAUSE), ("flops", Verdict.CONTINUE)])
def test_a_screening_asks_the_forecasts_where_curves_cross(axis: str, expected: Verdict) -> None:
    spec = load.parse(minimal(trial={axis: 1e9}, early_terminate={"type": "screen"}))

    assert verdict(make_rule(spec, forecaster=Forecaster(), second={}), "a", 1, 3.0) is expected


def test_of_a_screening_three_times_as_many_as_finalists_are_promoted_to_the_second_rung() -> None:
    spec = load.parse(minimal(run_cap=8, early_terminate={"type": "screen", "finalists": 2}))

    assert stretches(spec) == [Stretch(0, 1, 8.0), Stretch(1, 3, 6), Stretch(3, 9, 2)]
    assert [stretch.share(spec) for stretch in stretches(spec)] == pytest.approx([1 / 9, 2 / 9, 6 / 9])


def test_where_the_best_are_promoted_a_share_is_expected_at_each_rung() -> None:
    promotion = {"type": "asha", "variant": "promotion", "eta": 2, "min_iter": 2}
    spec = load.parse(minimal(run_cap=8, early_terminate=promotion))

    assert stretches(spec) == [Stretch(0, 2, 8.0), Stretch(2, 4, 4.0), Stretch(4, 8, 2.0), Stretch(8, 9, 1.0)]


def test_as_many_continue_as_the_rule_says_on_average() -> None:
    source = random.Random(0)
    continued = []
    for _ in range(1000):
        halving = SuccessiveHalving(eta=3, rungs=(1,))
        verdicts = [verdict(halving, str(number), 1, source.random()) for number in range(20)]
        continued.append(verdicts.count(Verdict.CONTINUE))

    assert expected_to_continue(20, 3) == pytest.approx(fmean(continued), rel=0.03)


def test_all_continue_who_come_alone_and_fractions_lie_between() -> None:
    assert expected_to_continue(0, 3) == 0
    assert expected_to_continue(1, 3) == 1
    assert expected_to_continue(1.5, 3) == pytest.approx(1.25)


def test_one_is_promoted_at_least_and_nobody_where_nobody_came() -> None:
    assert [expected_to_be_promoted(trials, 3) for trials in (0, 1, 2, 9)] == [0, 1, 1, 3]
