"""The preview: what a sweep is expected to train, and what that costs."""

from dataclasses import astuple, replace
from pathlib import Path

import pytest
from rich.console import Console

from sweeps.limits import Limits
from sweeps.policy.stopping import expected_to_continue
from sweeps.record.folder import RunFolder
from sweeps.record.tables import CURVE_COLUMNS, curve_line, line
from sweeps.report import preview
from sweeps.report.preview import Cost, parts
from sweeps.spec import load
from sweeps.spec.schema import Spec

from ..examples import METRICS, minimal

COST = Cost(flops=1e12, tokens=9000, seconds=90)
NOTHING = Cost(flops=0, tokens=0, seconds=0)


def spec(**changes: object) -> Spec:
    trial = {"tokens": 9000, "context": 10, "batch_size": 1, "evaluations": 9}
    halving = {"type": "asha", "eta": 3, "min_iter": 1}
    return load.parse(minimal(**{"trial": trial, "early_terminate": halving, "repeats": "new_seed", **changes}))


def test_the_parts_are_the_stretches_between_rungs_and_the_confirmation() -> None:
    found = parts(spec(run_cap=20, confirm={"top": 2, "seeds": 3}), [COST], [NOTHING])

    assert [part.name for part in found] == ["to evaluation 1", "to evaluation 3", "to evaluation 9", "confirm"]
    assert found[0].trials == 20
    assert found[1].trials == pytest.approx(expected_to_continue(20, 3))
    assert found[1].cost.tokens == pytest.approx(found[1].trials * 2 / 9 * COST.tokens)
    assert (found[3].trials, found[3].cost.seconds) == (6, 6 * COST.seconds)


def test_a_screening_trains_its_finalists_to_their_end() -> None:
    found = parts(spec(run_cap=20, early_terminate={"type": "screen", "finalists": 4}), [COST], [NOTHING])

    assert [part.trials for part in found] == [20, 12, 4]
    assert [part.cost.tokens for part in found] == pytest.approx([COST.tokens * t / 9 for t in (20, 24, 24)])


def test_without_early_stopping_every_trial_is_paid_in_full() -> None:
    (only,) = parts(spec(run_cap=7, early_terminate=None), [COST], [NOTHING])

    assert (only.trials, only.cost.flops) == (7, 7 * COST.flops)


@pytest.mark.parametrize(
    ("axis", "budget", "full"),
    [
        ("tokens", 9000, Cost(flops=9000 * 6_720, tokens=9000, seconds=9.9)),
        ("flops", 6_720_000, Cost(flops=6_720_000, tokens=1000, seconds=1.1)),
        ("seconds", 2, Cost(flops=1.5 * 6_720_000, tokens=1500, seconds=2)),
    ],
)
def test_a_trial_costs_what_its_budget_buys_and_a_tenth_for_evaluations(
    axis: str, budget: float, full: Cost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview.size, "flops_per_token", lambda model: 6_720)
    trial = {axis: budget, "evaluations": 1} | ({"evaluation_tokens": 1500} if axis == "seconds" else {})
    config = spec(trial=trial, early_terminate=None).trial_config({"depth": 1, "width": 16, "heads": 1})

    assert astuple(preview.cost(config, 300, 10**6, speed=6_720_000)) == pytest.approx(astuple(full))


def test_an_evaluation_of_a_small_file_costs_no_more_than_the_file() -> None:
    config = spec().trial_config({"depth": 1, "width": 16, "heads": 1})
    training = 9000 * preview.size.flops_per_token(config.model(300))

    assert preview.cost(config, 300, 100, speed=training).seconds == pytest.approx(1 + 9 * 100 / 3 / 9000)
    assert preview.ending(config, 300, 100, speed=training).seconds == 0


def test_trials_that_end_read_the_whole_file_once_and_those_that_stop_do_not() -> None:
    one = spec(run_cap=20, early_terminate={"type": "screen", "finalists": 4})
    config = one.trial_config({"depth": 1, "width": 16, "heads": 1})
    training = 9000 * preview.size.flops_per_token(config.model(300))
    last = preview.ending(config, 300, 27_000, speed=training)

    found = parts(one, [COST], [last])

    assert last.seconds == pytest.approx(1)  # 27,000 tokens at a third of what training on 9,000 takes each
    assert [part.cost.seconds for part in found] == pytest.approx([20 * 10, 12 * 20, 4 * 60 + 4 * 1])


def test_the_speed_of_trials_that_have_run_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    only = spec(run_cap=1, early_terminate=None, trial={"flops": 6e12})
    curves = RunFolder(tmp_path / "runs/tiny").curves
    curves.parent.mkdir(parents=True)
    fast = replace(METRICS, tokens=1000, flops=1e9, tokens_per_second=5e5, seconds=99)
    curves.write_text(line(CURVE_COLUMNS) + curve_line("0000", fast), encoding="utf-8")
    console = Console(record=True, width=120)
    preview.show(only, 300, console, valid_tokens=0, price=Limits())

    shown = console.export_text()
    assert "at 5.0e11 FLOP/s: the mean of 1 trials in runs/tiny" in shown
    assert shown.split("total")[1].split()[3] == "0:12"


def test_a_given_speed_and_price_make_the_cost(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    console = Console(record=True, width=120)
    one = {"depth": {"values": [1]}, "width": {"values": [16]}, "heads": {"values": [1]}}
    only = spec(run_cap=4, early_terminate=None, parameters=one)
    preview.show(only, 300, console, valid_tokens=0, price=Limits(cost_per_hour=2.0), tokens_per_second=1.0)

    total = console.export_text().split("total")[1].split()
    assert total[:2] == ["4", "36k"]  # trials and tokens, so 36,000 seconds
    assert total[3:6] == ["10:00:00", "10", "20.00"]
