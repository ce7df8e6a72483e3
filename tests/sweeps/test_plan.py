"""What a sweep is expected to cost, against the rule itself on trials in random order."""

import pytest
from rich.console import Console

from sweeps import parsing, plan
from sweeps.budget import Budget
from sweeps.plan import Cost, parts
from sweeps.spec import Spec
from sweeps.stopping import expected_to_pass

from .examples import minimal

COST = Cost(flops=1e12, tokens=9000, seconds=90)


def spec(**changes: object) -> Spec:
    trial = {"tokens": 9000, "context": 10, "batch_size": 1, "evaluations": 9}
    halving = {"type": "asha", "eta": 3, "min_iter": 1}
    return parsing.parse(minimal(**{"trial": trial, "early_terminate": halving, "repeats": "new_seed", **changes}))


def test_the_parts_are_the_stretches_between_rungs_and_the_confirmation() -> None:
    found = parts(spec(run_cap=20, confirm={"top": 2, "seeds": 3}), [COST])

    assert [part.name for part in found] == ["to evaluation 1", "to evaluation 3", "to evaluation 9", "confirm"]
    assert found[0].trials == 20
    assert found[1].trials == pytest.approx(expected_to_pass(20, 3))
    assert found[1].cost.tokens == pytest.approx(found[1].trials * 2 / 9 * COST.tokens)
    assert (found[3].trials, found[3].cost.seconds) == (6, 6 * COST.seconds)


def test_a_screening_trains_its_finalists_to_their_end() -> None:
    found = parts(spec(run_cap=20, early_terminate={"type": "screen", "finalists": 4}), [COST])

    assert [part.trials for part in found] == [20, 12, 4]
    assert [part.cost.tokens for part in found] == pytest.approx([COST.tokens * t / 9 for t in (20, 24, 24)])


def test_without_early_stopping_every_trial_is_paid_in_full() -> None:
    (only,) = parts(spec(run_cap=7, early_terminate=None), [COST])

    assert (only.trials, only.cost.flops) == (7, 7 * COST.flops)


def test_a_given_speed_and_price_make_the_cost(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    console = Console(record=True, width=120)
    one = {"depth": {"values": [1]}, "width": {"values": [16]}, "heads": {"values": [1]}}
    only = spec(run_cap=4, early_terminate=None, parameters=one)
    plan.show(only, 300, console, price=Budget(cost_per_hour=2.0), tokens_per_second=1.0)

    total = console.export_text().split("total")[1].split()
    assert total[:2] == ["4", "36k"]  # trials and tokens, so 36,000 seconds
    assert total[3:6] == ["10:00:00", "10", "20.00"]
