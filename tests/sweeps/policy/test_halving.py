"""Stopping rules: ASHA against a plain reference, and screening."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from sweeps.policy.halving import DIVERGED_LOSS, Screening, SuccessiveHalving


def reference_goes_on(reported: list[float], loss: float, eta: int) -> bool:
    """The published rule: among all losses of the rung, this one included, is it in the best 1/eta?

    Of equal losses, the earlier ones are the better.
    """
    if loss == DIVERGED_LOSS:
        return False
    return sum(other <= loss for other in reported) < max(1, (len(reported) + 1) // eta)


LOSSES = st.one_of(st.floats(0, 10), st.sampled_from([1.0, 2.0, 3.0, DIVERGED_LOSS]))
"""Any, with ties and diverged ones among them."""


@given(losses=st.lists(LOSSES, min_size=1, max_size=60), eta=st.integers(2, 4))
def test_decisions_are_those_of_the_published_rule(losses: list[float], eta: int) -> None:
    halving = SuccessiveHalving(eta=eta, rungs=(3,))
    for number, loss in enumerate(losses):
        expected = reference_goes_on(losses[:number], loss, eta)
        assert halving.report(f"{number:04d}", 3, loss) == expected


def test_a_trial_goes_on_between_rungs_whatever_its_loss() -> None:
    halving = SuccessiveHalving(eta=3, rungs=(1, 3))
    halving.report("good", 1, 1.0)

    assert halving.report("bad", 2, 9.0)
    assert not halving.report("bad", 1, 9.0)


def test_telling_a_rung_again_changes_nothing() -> None:
    once, twice = (SuccessiveHalving(eta=2, rungs=(1,)) for _ in range(2))
    for number, loss in enumerate((3.0, 1.0, 2.0, 4.0)):
        twice.report(str(number), 1, loss)
        assert once.report(str(number), 1, loss) == twice.report(str(number), 1, loss)


class Counted(float):
    """A loss that counts how often it is compared."""

    comparisons = 0

    def __lt__(self, other: float) -> bool:
        Counted.comparisons += 1
        return float.__lt__(self, other)


def test_a_decision_takes_few_comparisons_however_many_trials_have_reached_the_rung() -> None:
    halving = SuccessiveHalving(eta=3, rungs=(1,))
    for number in range(1000):
        halving.report(str(number), 1, Counted(number * 7919 % 1000))
    Counted.comparisons = 0
    halving.report("last", 1, Counted(500.5))

    assert Counted.comparisons < 30


@dataclass
class Oracle:
    """Forecasts that are known beforehand."""

    chance: float

    def forecast(self, trial_ids: Sequence[str]) -> dict[str, float]:
        ends = {"early": 3.0, "late": 2.0, "diverged": 0.0}
        return {trial_id: ends[trial_id] for trial_id in trial_ids}

    def chance_of_best(self, trial_id: str) -> float:
        return self.chance


def test_all_stop_at_each_rung_and_the_best_pass_when_they_are_let() -> None:
    rule = Screening(rungs=(2, 4), evaluations=9, finalists=1)

    assert rule.report("c", 1, 9.0)
    assert not any(rule.report(name, 2, loss) for name, loss in (("c", 3.0), ("a", 1.0), ("b", 2.0)))
    assert rule.stretches(1) == [(2, 4, 3), (4, 9, 1)]
    assert rule.best(2, 2) == ["a", "b"]
    rule.let_pass("b", 2)
    assert rule.report("b", 2, 2.0)
    assert rule.report("b", 3, 9.0)
    assert not rule.report("b", 4, 1.5)
    assert (rule.best(2, 3), rule.best(4, 3)) == (["a", "b", "c"], ["b"])
    rule.let_pass("b", 4)
    assert rule.report("b", 4, 1.5)


def test_a_trial_with_a_fair_chance_to_end_best_is_not_stopped() -> None:
    for chance, goes_on in ((0.4, True), (0.2, False)):
        rule = Screening(rungs=(1,), evaluations=9, finalists=1, forecaster=Oracle(chance))
        assert rule.report("early", 1, 4.0) == goes_on


def test_finalists_are_those_forecast_to_end_best_and_never_a_diverged_one() -> None:
    rule = Screening(rungs=(1,), evaluations=9, finalists=1, forecaster=Oracle(chance=0.9))
    rule.report("early", 1, 4.0)
    rule.report("late", 1, 5.0)

    assert not rule.report("diverged", 1, DIVERGED_LOSS)
    assert rule.best(1, 1) == ["late"]
    assert rule.promising({"late": 1, "early": 1}.get) == {"late", "early"}
    assert rule.promising({"late": 9, "early": 1}.get) == {"early"}


def test_another_one_moves_up_for_a_finalist_that_failed() -> None:
    for forecaster in (None, Oracle(chance=0.0)):
        rule = Screening(rungs=(1,), evaluations=9, finalists=1, forecaster=forecaster)
        rule.report("late", 1, 1.0)
        rule.report("early", 1, 4.0)
        assert rule.best(1, 1) == ["late"]
        rule.drop("late")
        assert rule.best(1, 1) == ["early"]


def test_the_work_left_is_to_the_first_rung_and_on_from_each_to_the_next_stop() -> None:
    rule = Screening(rungs=(1, 3), evaluations=9, finalists=1)
    for name, loss in (("ended", 1.0), ("running", 2.0), ("stopped", 3.0)):
        rule.report(name, 1, loss)
    rule.report("ended", 3, 0.9)
    first, second, last = rule.work(1, running={"running": 2, "new": 0}, waiting={"stopped": 1}, new=1)

    assert first == [("new", 1), (None, 1)]
    assert second == [("running", 1), ("stopped", 2)]
    assert last == []
    assert rule.work(2, running={}, waiting={}, new=5) == [[(None, 1)] * 5, [(None, 2)] * 3, [(None, 6)]]
    assert rule.work(2, running={}, waiting={}, new=0) == [[], [], []], "no trial is to come that could go on"
