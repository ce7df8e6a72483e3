"""Screening: all pause at each rung, and the best are promoted when no more are to come."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.machines.simulated import metrics_of
from sweeps.policy.screening import Screening, Stretch
from sweeps.policy.verdicts import Verdict
from sweeps.spec.stopping import quotas
from sweeps.trials import State, Trial


def trial(name: str, evaluation: int, state: State = "paused") -> Trial:
    curve = [metrics_of(1.0, evaluation=evaluation, before=None)]
    return Trial(trial_id=name, assignment={}, stage="search", state=state, since=0.0, evaluations=curve)


def verdict(rule: Screening, name: str, evaluation: int, loss: float) -> Verdict:
    rule.record(name, evaluation, loss)
    return rule.verdict(trial(name, evaluation, "running"))


@dataclass
class Oracle:
    """Forecasts that are known beforehand."""

    chance: float

    def forecast(self, trial_ids: Sequence[str]) -> dict[str, float]:
        ends = {"early": 3.0, "late": 2.0, "diverged": 0.0}
        return {trial_id: ends[trial_id] for trial_id in trial_ids}

    def chance_of_best(self, trial_id: str) -> float:
        return self.chance


def test_all_pause_at_each_rung_and_the_best_are_to_be_promoted() -> None:
    rule = Screening(rungs=(2, 4), evaluations=9, finalists=1)
    trials = {name: trial(name, 2) for name in "abc"}

    assert verdict(rule, "c", 1, 9.0) is Verdict.CONTINUE
    assert {verdict(rule, name, 2, loss) for name, loss in (("c", 3.0), ("a", 1.0), ("b", 2.0))} == {Verdict.PAUSE}
    assert rule.stretches(1) == [Stretch(2, 4, 3), Stretch(4, 9, 1)]
    assert rule.best(2, 2) == ["a", "b"]
    assert rule.promotable(1, trials) == {"a": 2, "b": 2, "c": 2}

    assert verdict(rule, "b", 3, 9.0) is Verdict.CONTINUE
    assert verdict(rule, "b", 4, 1.5) is Verdict.PAUSE
    trials["b"] = trial("b", 4)
    assert (rule.best(2, 3), rule.best(4, 3)) == (["a", "b", "c"], ["b"])
    assert rule.promotable(1, trials) == {"a": 2, "c": 2, "b": 4}, "those of the first rung first, best first"
    trials["b"].state = "running"
    assert rule.promotable(1, trials) == {"a": 2, "c": 2}


def test_more_are_promoted_from_earlier_rungs() -> None:
    assert quotas(3, finalists=2, eta=4) == [32, 8, 2]


def test_a_trial_with_a_fair_chance_to_end_best_does_not_pause() -> None:
    for chance, expected in ((0.4, Verdict.CONTINUE), (0.2, Verdict.PAUSE)):
        rule = Screening(rungs=(1,), evaluations=9, finalists=1, forecaster=Oracle(chance))
        assert verdict(rule, "early", 1, 4.0) is expected


def test_finalists_are_those_forecast_to_end_best_and_never_a_diverged_one() -> None:
    rule = Screening(rungs=(1,), evaluations=9, finalists=1, forecaster=Oracle(chance=0.9))
    rule.record("early", 1, 4.0)
    rule.record("late", 1, 5.0)
    rule.record("diverged", 1, math.inf)
    trials = {"early": trial("early", 1), "late": trial("late", 1), "diverged": trial("diverged", 1, "diverged")}

    assert rule.best(1, 3) == ["late", "early"]
    assert rule.promotable(1, trials) == {"late": 1}
    assert rule.promising(trials) == {"late", "early"}
    trials["late"] = trial("late", 9, "completed")
    assert rule.promising(trials) == {"early"}


def test_another_one_moves_up_for_a_finalist_that_failed() -> None:
    for forecaster in (None, Oracle(chance=0.0)):
        rule = Screening(rungs=(1,), evaluations=9, finalists=1, forecaster=forecaster)
        rule.record("late", 1, 1.0)
        rule.record("early", 1, 4.0)
        assert rule.best(1, 1) == ["late"]
        rule.drop("late")
        assert rule.best(1, 1) == ["early"]


def test_the_work_left_is_to_the_first_rung_and_from_each_to_the_next_stop() -> None:
    rule = Screening(rungs=(1, 3), evaluations=9, finalists=1)
    for name, loss in (("ended", 1.0), ("running", 2.0), ("paused", 3.0)):
        rule.record(name, 1, loss)
    rule.record("ended", 3, 0.9)
    first, second, last = rule.work(1, running={"running": 2, "new": 0}, promoted={"paused": 1}, new=1)

    assert first == [("new", 1), (None, 1)]
    assert second == [("running", 1), ("paused", 2)]
    assert last == []
    assert rule.work(2, running={}, promoted={}, new=5) == [[(None, 1)] * 5, [(None, 2)] * 3, [(None, 6)]]
    assert rule.work(2, running={}, promoted={}, new=0) == [[], [], []], "no trial is to come that could be promoted"
