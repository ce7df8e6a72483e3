"""The sweep's state without Ray: what a kill between any two steps leaves can be resumed."""

import heapq
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from sweeps.machines.replay import Clock
from sweeps.policy.search import Search
from sweeps.record import tables
from sweeps.record.spending import Budget
from sweeps.record.tables import Curves, Result, RunFolder, Status, read_curves, read_results, write_results
from sweeps.record.tracking import Tracker
from sweeps.spec import load
from sweeps.sweep import Running, Sweep
from tinystories import storage
from tinystories.metrics import Metrics

from .examples import METRICS, minimal


def screening(finalists: int) -> dict[str, Any]:
    """A screening with a single rung."""
    return {"type": "screen", "finalists": finalists, "looks": 1}


def open_sweep(
    root: Path,
    hours: float | None = None,
    *,
    gpu_hours: float | None = None,
    clock: Clock | None = None,
    **changes: Any,
) -> Sweep:
    changes = {"early_terminate": {"type": "asha", "eta": 2, "min_iter": 1}, **changes}
    spec = load.parse(minimal(**changes))
    root.mkdir(exist_ok=True)
    return Sweep(
        spec,
        RunFolder(root),
        vocab_size=300,
        tracker=Tracker.open("disabled", sweep="tiny", folder=root, project="test"),
        checkpoints=f"{root}/checkpoints",
        budget=Budget(hours=hours, gpu_hours=gpu_hours),
        clock=clock or time.monotonic,
    )


def propose(sweep: Sweep) -> Running:
    trial = sweep.propose()
    assert trial is not None
    return trial


def metrics(evaluation: int, loss: float, **changes: Any) -> Metrics:
    return replace(METRICS, evaluation=evaluation, val_loss=loss, best_val_loss=loss, seconds=evaluation, **changes)


def checkpoint(sweep: Sweep, trial_id: str) -> str:
    file = Path(sweep.checkpoint_folder(trial_id)) / "evaluation.pt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"weights")
    return str(file)


def complete(sweep: Sweep, loss: float) -> str:
    trial = propose(sweep)
    sweep.report(trial.trial_id, metrics(9, loss), checkpoint(sweep, trial.trial_id))
    sweep.finish(trial.trial_id, "completed")
    return trial.trial_id


def optuna_trials(root: Path) -> list[FrozenTrial]:
    return optuna.load_study(study_name="sweep", storage=f"sqlite:///{root / 'optuna.db'}").trials


def states(root: Path) -> list[TrialState]:
    return [trial.state for trial in optuna_trials(root)]


def test_the_second_at_a_rung_stops_if_it_is_worse(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    first, second = propose(sweep), propose(sweep)

    assert sweep.report(first.trial_id, metrics(1, 2.0), "")
    assert not sweep.report(second.trial_id, metrics(1, 3.0), "")


def test_a_diverged_trial_is_worse_than_any_other(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    first, second = propose(sweep), propose(sweep)
    sweep.report(first.trial_id, metrics(1, 11.0), "")
    nan = metrics(1, float("nan"), diverged=True)

    assert not sweep.report(second.trial_id, nan, "")
    assert sweep.finish(second.trial_id, "diverged").status == "diverged"
    assert read_results(tmp_path / "results.csv")[0].usable is False


def test_the_best_checkpoints_of_the_sweep_are_kept_and_no_others(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, keep_checkpoints=2, early_terminate=None)
    worst, best, middle = (complete(sweep, loss) for loss in (3.0, 1.0, 2.0))

    kept = {result.trial_id for result in read_results(tmp_path / "results.csv") if result.checkpoint}
    assert kept == {best, middle}
    assert {folder.name for folder in (tmp_path / "checkpoints").iterdir()} == kept
    assert worst not in kept


def test_checkpoints_that_an_earlier_process_kept_give_way_to_better_ones(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, keep_checkpoints=2, early_terminate=None)
    worse, best = complete(sweep, 2.0), complete(sweep, 1.0)
    resumed = open_sweep(tmp_path, keep_checkpoints=2, early_terminate=None)
    middle = complete(resumed, 1.5)

    rows = read_results(tmp_path / "results.csv")
    assert [row.trial_id for row in rows] == [worse, best, middle]
    assert [bool(row.checkpoint) for row in rows] == [False, True, True]
    assert {folder.name for folder in (tmp_path / "checkpoints").iterdir()} == {best, middle}


def test_a_failed_trial_keeps_no_checkpoint(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    failed = propose(sweep)
    sweep.report(failed.trial_id, metrics(2, 1.0), checkpoint(sweep, failed.trial_id))

    assert sweep.finish(failed.trial_id, "failed", "its worker died").checkpoint == ""
    assert not list((tmp_path / "checkpoints").iterdir())


class NeverReadWhole(dict[str, Result]):
    """Results that nobody may go through, so that nothing grows with their number."""

    def __iter__(self) -> Any:
        raise AssertionError("read whole")

    keys = values = items = __iter__


def test_the_end_of_a_trial_costs_no_more_after_many(tmp_path: Path) -> None:
    """Neither in memory nor on disk, where a file written whole would be a new one."""
    sweep = open_sweep(tmp_path, keep_checkpoints=1, early_terminate=None, run_cap=8)
    complete(sweep, 1.0)
    file = tmp_path / "results.csv"
    first, begun = file.read_bytes(), file.stat().st_ino
    sweep.results = NeverReadWhole(sweep.results)
    for loss in (3.0, 2.0, 4.0):
        complete(sweep, loss)

    assert file.stat().st_ino == begun
    assert file.read_bytes().startswith(first)
    assert len(read_results(file)) == 4


def test_checkpoint_paths_are_relative_to_the_run_folder(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    trial_id = complete(sweep, 1.0)

    assert sweep.results[trial_id].checkpoint == f"checkpoints/{trial_id}/evaluation.pt"


def test_a_failed_trial_says_why_and_the_sweep_goes_on(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    failed = propose(sweep)
    sweep.finish(failed.trial_id, "failed", "ValueError: too\nlong")
    complete(sweep, 1.0)

    rows = read_results(tmp_path / "results.csv")
    assert (rows[0].status, rows[0].error) == ("failed", "ValueError: too long")
    assert states(tmp_path) == [TrialState.FAIL, TrialState.COMPLETE]


def test_no_more_trials_than_the_cap_and_a_larger_cap_adds_some(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=2)
    complete(sweep, 2.0)
    complete(sweep, 1.0)
    assert sweep.left == 0
    assert sweep.propose() is None

    larger = open_sweep(tmp_path, run_cap=3)
    assert larger.left
    assert complete(larger, 3.0) == "0002"
    assert larger.left == 0


def test_a_killed_driver_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    complete(sweep, 2.0)
    left = propose(sweep)
    sweep.report(left.trial_id, metrics(1, 1.9), "checkpoints/a")

    resumed = open_sweep(tmp_path)
    trial = propose(resumed)
    assert (trial.trial_id, trial.config, trial.metrics) == (left.trial_id, left.config, metrics(1, 1.9))
    resumed.report(trial.trial_id, metrics(1, 1.9), "checkpoints/a")
    resumed.report(trial.trial_id, metrics(2, 1.8), "checkpoints/b")
    resumed.finish(trial.trial_id, "stopped")
    assert [row.evaluation for row in read_curves(tmp_path / "curves.csv")[trial.trial_id]] == [1, 2]
    assert states(tmp_path) == [TrialState.COMPLETE, TrialState.PRUNED]


def test_rungs_remember_the_losses_of_an_earlier_driver(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    sweep.report(propose(sweep).trial_id, metrics(1, 1.0), "")

    resumed = open_sweep(tmp_path)
    propose(resumed)
    assert not resumed.report(propose(resumed).trial_id, metrics(1, 2.0), "")


def test_a_kill_between_row_and_study_is_made_good(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    trial = propose(sweep)
    sweep.report(trial.trial_id, metrics(9, 2.0), "")
    write_results(tmp_path / "results.csv", [sweep._result(trial, "completed", "")])
    assert states(tmp_path) == [TrialState.RUNNING]

    resumed = open_sweep(tmp_path)
    assert states(tmp_path) == [TrialState.COMPLETE]
    assert propose(resumed).trial_id == "0001"


def test_a_row_that_a_kill_tore_belongs_to_a_trial_that_goes_on(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    complete(sweep, 2.0)
    torn = propose(sweep)
    sweep.report(torn.trial_id, metrics(9, 1.0), "")
    with open(tmp_path / "results.csv", "a", encoding="utf-8") as file:
        file.write(f"{torn.trial_id},completed,1,16")

    resumed = open_sweep(tmp_path)
    assert propose(resumed).trial_id == torn.trial_id
    resumed.report(torn.trial_id, metrics(9, 1.0), "")
    resumed.finish(torn.trial_id, "completed")
    assert [row.trial_id for row in read_results(tmp_path / "results.csv")] == ["0000", torn.trial_id]
    assert states(tmp_path) == [TrialState.COMPLETE, TrialState.COMPLETE]


def test_time_already_run_counts_and_time_in_between_does_not(tmp_path: Path) -> None:
    (tmp_path / "spent.json").write_text('{"seconds": 3599, "gpu_seconds": 0}', encoding="utf-8")

    assert not open_sweep(tmp_path, hours=1.01).meter.used_up
    (tmp_path / "spent.json").write_text('{"seconds": 3601, "gpu_seconds": 0}', encoding="utf-8")
    late = open_sweep(tmp_path, hours=1)
    assert late.meter.used_up == "--hours 1"
    assert late.propose() is None


def test_busy_time_is_what_this_process_was_told_of(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    trial = propose(sweep)
    sweep.report(trial.trial_id, metrics(1, 2.0), "")
    resumed = open_sweep(tmp_path)
    propose(resumed)
    resumed.report(trial.trial_id, metrics(1, 2.0), "")
    resumed.report(trial.trial_id, metrics(3, 2.0), "")

    assert sweep.busy_seconds == pytest.approx(1)
    assert resumed.busy_seconds == pytest.approx(2)


def test_a_paused_trial_gives_its_slot_back_and_goes_on_later(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    trial = propose(sweep)
    sweep.report(trial.trial_id, metrics(1, 2.0), "")
    sweep.pause(trial.trial_id)
    assert (sweep.running, read_results(tmp_path / "results.csv")) == ({}, [])

    assert propose(open_sweep(tmp_path)).trial_id == trial.trial_id


def test_the_best_are_confirmed_when_the_search_has_ended_and_after_a_kill_too(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=2, confirm={"top": 1, "seeds": 2}, trial={"tokens": "20k", "cooldown": 0})
    first, second = propose(sweep), propose(sweep)
    assert sweep.propose() is None
    assert sweep.may_follow
    for trial, loss in ((first, 2.0), (second, 1.0)):
        sweep.report(trial.trial_id, metrics(9, loss), checkpoint(sweep, trial.trial_id))
        sweep.finish(trial.trial_id, "completed")

    again = propose(sweep)
    assert (again.stage, again.configuration, again.config.seed) == ("confirm", second.configuration, 1)
    assert (second.config.cooldown, again.config.cooldown) == (0, 0.2)
    assert sweep.report(again.trial_id, metrics(1, 50.0), ""), "a confirming trial is not stopped"

    resumed = open_sweep(tmp_path, run_cap=2, confirm={"top": 1, "seeds": 2}, trial={"tokens": "20k", "cooldown": 0})
    assert (propose(resumed).trial_id, propose(resumed).config.seed) == (again.trial_id, 2)
    assert resumed.propose() is None
    assert not resumed.may_follow
    for trial_id in list(resumed.running):
        resumed.report(trial_id, metrics(9, 1.0), checkpoint(resumed, trial_id))
        resumed.finish(trial_id, "completed")
    assert resumed.left == 0
    assert [row.stage for row in read_results(tmp_path / "results.csv")] == ["search"] * 2 + ["confirm"] * 2


SCREENED: dict[str, Any] = {"early_terminate": screening(2), "keep_checkpoints": 1}


def screen(sweep: Sweep, loss: float) -> str:
    """A trial that reaches the rung and stops there."""
    trial = propose(sweep)
    assert not sweep.report(trial.trial_id, metrics(1, loss), checkpoint(sweep, trial.trial_id))
    sweep.finish(trial.trial_id, "stopped")
    return trial.trial_id


def train_to_its_end(sweep: Sweep, trial: Running, loss: float) -> None:
    """A finalist: its worker reports the last evaluation again before it continues."""
    for evaluation in range(1, 10):
        assert sweep.report(trial.trial_id, metrics(evaluation, loss), checkpoint(sweep, trial.trial_id))
    sweep.finish(trial.trial_id, "completed")


def kept(root: Path) -> set[str]:
    return {folder.name for folder in (root / "checkpoints").iterdir()}


def test_all_are_screened_and_the_best_are_trained_to_their_end(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, **SCREENED)
    names = [screen(sweep, loss) for loss in (4.0, 1.0, 3.0)]
    late = propose(sweep)
    assert sweep.propose() is None, "a better one may come"
    assert sweep.may_follow
    sweep.report(late.trial_id, metrics(1, 2.0), checkpoint(sweep, late.trial_id))
    sweep.finish(late.trial_id, "stopped")
    assert states(tmp_path) == [TrialState.PRUNED] * 4
    assert kept(tmp_path) == {names[1], names[2], late.trial_id}, "one may fail, and another one moves up"
    assert sweep.left == 2

    best, second = propose(sweep), propose(sweep)
    assert [best.trial_id, second.trial_id] == [names[1], late.trial_id]
    assert (best.metrics, best.checkpoint) == (metrics(1, 1.0), f"checkpoints/{names[1]}/evaluation.pt")
    assert (sweep.propose(), sweep.left) == (None, 2)
    train_to_its_end(sweep, best, 0.9)
    train_to_its_end(sweep, second, 0.8)

    assert (sweep.propose(), sweep.may_follow, sweep.left) == (None, False, 0)
    rows = {row.trial_id: row for row in read_results(tmp_path / "results.csv")}
    assert [rows[name].status for name in sorted(rows)] == ["stopped", "completed", "stopped", "completed"]
    assert states(tmp_path) == [TrialState.PRUNED] * 4 + [TrialState.COMPLETE] * 2
    assert [row.evaluation for row in read_curves(tmp_path / "curves.csv")[names[1]]] == list(range(1, 10))
    assert kept(tmp_path) == {late.trial_id} == {row.trial_id for row in rows.values() if row.checkpoint}


def test_after_the_end_the_losers_of_all_rungs_lose_their_checkpoints(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"early_terminate": {"finalists": 1}, "run_cap": 8, "keep_checkpoints": 1}
    drive(tmp_path, workers=3, reports=1000, clock=Clock(), gpu_hours=None, **changes)

    (winner,) = (row for row in read_results(tmp_path / "results.csv") if row.status == "completed")
    assert kept(tmp_path) == {winner.trial_id}
    assert [row.trial_id for row in read_results(tmp_path / "results.csv") if row.checkpoint] == [winner.trial_id]


@pytest.mark.parametrize("killed_in", ["before", "write_results", "delete"])
def test_what_a_kill_leaves_of_the_end_is_made_good(
    tmp_path: Path, killed_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"early_terminate": screening(1), "run_cap": 3, "keep_checkpoints": 1}
    sweep = open_sweep(tmp_path, **changes)
    names = [screen(sweep, loss) for loss in (1.0, 2.0, 3.0)]
    train_to_its_end(sweep, propose(sweep), 1.0)
    assert kept(tmp_path) == set(names[:2])
    if killed_in != "before":
        owner = storage if killed_in == "delete" else tables
        with monkeypatch.context() as patched:
            patched.setattr(owner, killed_in, lambda *arguments: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                sweep.settle()

    resumed = open_sweep(tmp_path, **changes)
    assert resumed.left == 0
    resumed.settle()
    assert kept(tmp_path) == {names[0]} == {row.trial_id for row in resumed.results.values() if row.checkpoint}


def test_a_finalist_that_pauses_keeps_the_search_open_and_has_a_row_of_its_latest(tmp_path: Path) -> None:
    clock = Clock()
    sweep = open_sweep(tmp_path, gpu_hours=4 / 3600, clock=clock, run_cap=1, early_terminate=screening(1))
    name = screen(sweep, 3.0)
    finalist = propose(sweep)
    clock.now += 4
    sweep.report(name, metrics(2, 2.0), f"{sweep.checkpoint_folder(name)}/evaluation-2.pt")
    sweep.pause(finalist.trial_id)
    sweep.settle()

    assert sweep.left == open_sweep(tmp_path, run_cap=1, early_terminate=screening(1)).left == 1
    (row,) = read_results(tmp_path / "results.csv")
    assert (row.status, row.val_loss, row.checkpoint) == ("stopped", 2.0, f"checkpoints/{name}/evaluation-2.pt")


@pytest.mark.parametrize("reported", [0, 3, 9])
def test_a_kill_among_the_finalists_loses_nothing(tmp_path: Path, reported: int) -> None:
    sweep = open_sweep(tmp_path, run_cap=3, **SCREENED)
    names = [screen(sweep, loss) for loss in (1.0, 2.0, 3.0)]
    begun = propose(sweep)
    for evaluation in range(1, 1 + reported):
        sweep.report(begun.trial_id, metrics(evaluation, 1.0), checkpoint(sweep, begun.trial_id))

    resumed = open_sweep(tmp_path, run_cap=3, **SCREENED)
    assert resumed.left == 2
    first, second = propose(resumed), propose(resumed)
    assert ([first.trial_id, second.trial_id], resumed.propose()) == (names[:2], None)
    assert first.metrics == metrics(max(1, reported), 1.0)
    for trial in (first, second):
        train_to_its_end(resumed, trial, 1.0)

    assert resumed.left == open_sweep(tmp_path, run_cap=3, **SCREENED).left == 0
    assert [row.trial_id for row in read_results(tmp_path / "results.csv")] == names
    assert [row.evaluation for row in read_curves(tmp_path / "curves.csv")[first.trial_id]] == list(range(1, 10))
    assert states(tmp_path) == [TrialState.PRUNED] * 3 + [TrialState.COMPLETE] * 2


def test_a_kill_before_optuna_hears_of_the_first_loss_is_repaired(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"early_terminate": {}, "trial": {"flops": "9e9"}}
    killed = propose(open_sweep(tmp_path, **changes))
    Curves(tmp_path / "curves.csv").append(killed.trial_id, metrics(1, 2.0))

    resumed = open_sweep(tmp_path, gpu_hours=1, **changes)
    assert [propose(resumed).trial_id, propose(resumed).trial_id] == [killed.trial_id, "0001"]
    assert optuna_trials(tmp_path)[0].intermediate_values == {1: 2.0}


def test_what_was_abandoned_is_proposed_again_when_it_is_asked_for(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "parameters": {"depth": {"values": [1, 2]}},
        "trial": {"tokens": "20k", "width": 16, "heads": 1},
    }
    sweep = open_sweep(tmp_path, run_cap=2, **changes)
    complete(sweep, 1.0)
    hung = propose(sweep)
    checkpoint(sweep, hung.trial_id)

    smaller = open_sweep(tmp_path, run_cap=1, **changes)
    assert smaller.left == 0
    smaller.abandon()
    smaller.settle()
    assert states(tmp_path) == [TrialState.COMPLETE, TrialState.FAIL]
    assert hung.trial_id not in kept(tmp_path)

    again = propose(open_sweep(tmp_path, run_cap=2, **changes))
    assert (again.config.depth, again.trial_id) == (hung.config.depth, "0002")


def test_more_trials_may_bring_more_finalists(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=2, early_terminate=screening(1))
    screen(sweep, 2.0), screen(sweep, 3.0)
    train_to_its_end(sweep, propose(sweep), 2.0)
    assert sweep.left == 0

    larger = open_sweep(tmp_path, run_cap=3, early_terminate=screening(1))
    better = screen(larger, 1.0)
    train_to_its_end(larger, propose(larger), 0.5)
    assert [row.status for row in read_results(tmp_path / "results.csv")] == ["completed", "stopped", "completed"]
    assert (larger.results[better].status, larger.left) == ("completed", 0)


def spend(sweep: Sweep, clock: Clock) -> list[str]:
    """A slot trains what is proposed, a second an evaluation, until there is no more; the trials in their order."""
    order = []
    while trial := sweep.propose():
        order.append(trial.trial_id)
        evaluation = trial.metrics.evaluation if trial.metrics else 0
        while True:
            evaluation += 1
            clock.now += 1
            goes_on = sweep.report(trial.trial_id, metrics(evaluation, 5 - len(order) % 7 / 7), "")
            if not goes_on or evaluation == 9:
                sweep.finish(trial.trial_id, "completed" if goes_on else "stopped")
                break
            if sweep.meter.used_up:
                sweep.pause(trial.trial_id)
                break
    return order


@pytest.mark.parametrize(("seconds", "completed"), [(25, 1), (29, 1), (33, 2), (41, 2), (46, 3)])
def test_once_all_have_begun_as_many_are_finalists_as_the_rest_of_the_budget_trains(
    tmp_path: Path, seconds: float, completed: int
) -> None:
    """Screened in 9 s; then one finalist takes 12 s with the losers of its second rung, two 24 s, three 36 s."""
    clock = Clock()
    changes: dict[str, Any] = {"run_cap": 9, "repeats": "new_seed", "early_terminate": {}}
    sweep = open_sweep(tmp_path, gpu_hours=seconds / 3600, clock=clock, **changes)
    spend(sweep, clock)

    assert [result.status for result in sweep.results.values()].count("completed") == completed


def test_the_last_of_a_budget_is_for_the_finalists(tmp_path: Path) -> None:
    """A trial takes 9 s, 1 s to the rung: with 30 s there is room for one finalist, and it is trained in time."""
    clock = Clock()
    changes: dict[str, Any] = {
        "run_cap": 60,
        "repeats": "new_seed",
        "early_terminate": screening(5),
    }
    sweep = open_sweep(tmp_path, gpu_hours=30 / 3600, clock=clock, **changes)
    order = spend(sweep, clock)

    (completed,) = (name for name, result in sweep.results.items() if result.status == "completed")
    finalist_at = len(order) - 1 - order[::-1].index(completed)
    assert sweep.meter.used_up == f"--gpu-hours {30 / 3600:g}"
    assert completed == "0005", "the first of the lowest losses"
    assert finalist_at == 21, "one more trial and 1.1 times what the finalist needs fit until then"
    assert len(order) == 23, "what is left goes into new ones"


def test_a_finalist_that_the_budget_does_not_last_for_waits_for_those_that_run(tmp_path: Path) -> None:
    """Screened in 4 s; 9 s are left for finalists of 8 s each."""
    clock = Clock()
    sweep = open_sweep(tmp_path, gpu_hours=13 / 3600, clock=clock, run_cap=4, early_terminate=screening(3))
    for loss in (1.0, 2.0, 3.0, 4.0):
        trial = propose(sweep)
        clock.now += 1
        sweep.report(trial.trial_id, metrics(1, loss), "")
        sweep.finish(trial.trial_id, "stopped")

    first = propose(sweep)
    assert (sweep.propose(), sweep.may_follow, sweep.left) == (None, True, 3)
    clock.now += 8
    train_to_its_end(sweep, first, 1.0)
    second = propose(sweep)
    clock.now += 1
    assert sweep.report(second.trial_id, metrics(2, 2.0), "")
    assert sweep.meter.used_up
    sweep.pause(second.trial_id)
    assert (sweep.propose(), sweep.may_follow, sweep.left) == (None, False, 2)

    larger = open_sweep(tmp_path, gpu_hours=1, run_cap=4, early_terminate=screening(3))
    again = propose(larger)
    assert (again.trial_id, again.metrics, larger.left) == (second.trial_id, metrics(2, 2.0), 2)
    train_to_its_end(larger, again, 2.0)
    train_to_its_end(larger, propose(larger), 3.0)
    assert (larger.propose(), larger.left) == (None, 0)
    assert states(tmp_path).count(TrialState.RUNNING) == 0


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_another_one_goes_on_for_a_finalist_that_comes_to_nothing(tmp_path: Path, status: Status) -> None:
    changes: dict[str, Any] = {"run_cap": 3, "early_terminate": screening(1)}
    sweep = open_sweep(tmp_path, **changes)
    names = [screen(sweep, loss) for loss in (1.0, 2.0, 3.0)]
    assert propose(sweep).trial_id == names[0]
    sweep.finish(names[0], status, "why")
    assert sweep.left == open_sweep(tmp_path, **changes).left == 1

    second = propose(open_sweep(tmp_path, **changes))
    assert (second.trial_id, second.checkpoint != "") == (names[1], True)
    assert names[0] not in kept(tmp_path)


def test_forecasts_that_change_after_the_end_call_for_no_other_finalist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forecast_best(trial_id: str) -> None:
        monkeypatch.setattr(Search, "chance_of_best", lambda search, name: 0.0)
        monkeypatch.setattr(Search, "forecast", lambda search, names: {name: name != trial_id for name in names})

    changes: dict[str, Any] = {"run_cap": 2, "early_terminate": screening(1), "trial": {"flops": "9e9"}}
    sweep = open_sweep(tmp_path, **changes)
    forecast_best("0001")
    names = [screen(sweep, loss) for loss in (1.0, 2.0)]
    train_to_its_end(sweep, propose(sweep), 2.0)
    assert (sweep.propose(), sweep.left) == (None, 0)

    forecast_best("0000")
    assert (open_sweep(tmp_path, **changes).propose(), open_sweep(tmp_path, **changes).left) == (None, 0)
    assert [sweep.results[name].status for name in names] == ["stopped", "completed"]
    larger = open_sweep(tmp_path, **changes | {"run_cap": 3})
    screen(larger, 3.0)
    assert propose(larger).trial_id == "0000", "more trials open the search again"


def test_finalists_are_confirmed_in_their_turn(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "run_cap": 2,
        "confirm": {"top": 1, "seeds": 2},
        "early_terminate": screening(1),
    }
    sweep = open_sweep(tmp_path, **changes)
    best, _ = screen(sweep, 1.0), screen(sweep, 2.0)
    finalist = propose(sweep)
    assert (finalist.trial_id, sweep.propose(), sweep.may_follow) == (best, None, True)
    train_to_its_end(sweep, finalist, 0.5)

    confirming = [propose(sweep), propose(sweep)]
    assert [(trial.stage, trial.configuration) for trial in confirming] == [("confirm", finalist.configuration)] * 2
    for trial in confirming:
        sweep.report(trial.trial_id, metrics(9, 0.5), "")
        sweep.finish(trial.trial_id, "completed")
    assert (sweep.propose(), sweep.left) == (None, 0)


def drive(root: Path, *, workers: int, reports: int, clock: Clock, gpu_hours: float | None, **changes: Any) -> Sweep:
    """A process of a sweep: until it ends, or is killed after so many reports; curves of large models cross others'."""
    sweep = open_sweep(root, gpu_hours=gpu_hours, clock=clock, **changes)
    due: list[tuple[float, str, int]] = []

    def begin() -> None:
        while len(due) < workers and (trial := sweep.propose()):
            at = trial.metrics.evaluation if trial.metrics else 0
            heapq.heappush(due, (clock.now + trial.config.depth, trial.trial_id, at + 1))

    begin()
    for _ in range(reports):
        if not due:
            break
        clock.now, trial_id, evaluation = heapq.heappop(due)
        config = sweep.running[trial_id].config
        loss = 1 / config.depth + config.depth / evaluation + config.heads / 100
        spent = {"flops": 1e9 * evaluation, "tokens": 100 * evaluation}
        reported = replace(metrics(evaluation, loss, **spent), seconds=config.depth * evaluation)
        goes_on = sweep.report(trial_id, reported, checkpoint(sweep, trial_id))
        if not goes_on or evaluation == 9:
            sweep.finish(trial_id, "completed" if goes_on else "stopped")
        elif sweep.meter.used_up:
            sweep.pause(trial_id)
        else:
            heapq.heappush(due, (clock.now + config.depth, trial_id, evaluation + 1))
        begin()
    return sweep


@pytest.mark.parametrize(
    ("axis", "method"), [("tokens", "bayes"), ("tokens", "tpe"), ("flops", "bayes"), ("flops", "random")]
)
@pytest.mark.parametrize("gpu_hours", [None, 30 / 3600])
def test_a_screening_that_is_killed_again_and_again_ends_as_it_should(
    tmp_path: Path, axis: str, method: str, gpu_hours: float | None
) -> None:
    changes: dict[str, Any] = {
        "method": method,
        "trial": {axis: "9e9", "width": 16},
        "parameters": {"depth": {"values": [1, 2, 3, 4, 5, 6]}, "heads": {"values": [1, 2, 4]}},
        "run_cap": 18,
        "early_terminate": {"type": "screen", "finalists": 2},
        "keep_checkpoints": 2,
    }
    clock = Clock()
    for reports in range(1, 8):
        drive(tmp_path, workers=3, reports=reports, clock=clock, gpu_hours=gpu_hours, **changes)
    sweep = drive(tmp_path, workers=3, reports=1000, clock=clock, gpu_hours=gpu_hours, **changes)

    assert bool(sweep.meter.used_up) == bool(sweep.left) == (gpu_hours is not None)
    if gpu_hours:
        drive(tmp_path, workers=3, reports=1000, clock=clock, gpu_hours=None, **changes)
    assert open_sweep(tmp_path, **changes).left == 0
    rows, curves = read_results(tmp_path / "results.csv"), read_curves(tmp_path / "curves.csv")
    assert len(rows) == 18
    assert TrialState.RUNNING not in states(tmp_path)
    for row in rows:
        assert [point.evaluation for point in curves[row.trial_id]] == list(range(1, 1 + len(curves[row.trial_id])))
        assert (row.status == "completed") == (len(curves[row.trial_id]) == 9)
    assert {len(curve) for curve in curves.values()} == {1, 3, 9}, "nobody stops between the rungs"
    if axis == "tokens":
        for rung, going_on in ((1, 6), (3, 2)):
            reached = [name for name, curve in curves.items() if len(curve) >= rung]
            best = sorted(reached, key=lambda name: curves[name][rung - 1].val_loss)[:going_on]
            assert all(len(curves[name]) > rung for name in best)
            assert gpu_hours or sum(len(curves[name]) > rung for name in reached) == going_on
    else:
        completed = [row for row in rows if row.status == "completed"]
        assert max(row.depth for row in completed) > 1, "forecasts see through the early losses of deep ones"
    assert {row.trial_id for row in rows if row.checkpoint} == kept(tmp_path)
