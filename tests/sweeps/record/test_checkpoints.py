"""Few of many checkpoints are kept, and none that may yet be needed is deleted."""

from pathlib import Path
from typing import Any

import pytest

from sweeps.record import checkpoints
from sweeps.record.tables import read_results
from tinystories import storage

from ..driving import (
    begin,
    checkpoint,
    complete,
    metrics,
    open_sweep,
    pause,
    report,
    screening,
    train_to_its_end,
    work,
)


def kept(root: Path) -> set[str]:
    return {folder.name for folder in (root / "checkpoints").iterdir()}


def named(root: Path) -> set[str]:
    """Whose row names a checkpoint."""
    return {row.trial_id for row in read_results(root / "results.csv") if row.checkpoint}


def test_the_best_checkpoints_of_the_sweep_are_kept_and_no_others(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, keep_checkpoints=2, early_terminate=None)
    worst, best, middle = (complete(sweep, loss) for loss in (3.0, 1.0, 2.0))
    sweep.close()

    assert named(tmp_path) == kept(tmp_path) == {best, middle}
    assert worst not in kept(tmp_path)


def test_checkpoints_that_an_earlier_process_kept_give_way_to_better_ones(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, keep_checkpoints=2, early_terminate=None)
    worse, best = complete(sweep, 2.0), complete(sweep, 1.0)
    resumed = open_sweep(tmp_path, keep_checkpoints=2, early_terminate=None)
    middle = complete(resumed, 1.5)
    resumed.close()

    rows = read_results(tmp_path / "results.csv")
    assert [row.trial_id for row in rows] == [worse, best, middle]
    assert [bool(row.checkpoint) for row in rows] == [False, True, True]
    assert kept(tmp_path) == {best, middle}


def test_a_failed_trial_keeps_no_checkpoint(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    failed = begin(sweep)
    report(sweep, failed, 2, 1.0)
    sweep.fail(failed.trial_id, "its worker died")
    sweep.close()

    assert kept(tmp_path) == named(tmp_path) == set()


def test_checkpoint_paths_are_relative_to_the_run_folder(tmp_path: Path) -> None:
    trial_id = complete(open_sweep(tmp_path), 1.0)

    assert read_results(tmp_path / "results.csv")[0].checkpoint == f"checkpoints/{trial_id}/evaluation.pt"


def test_confirming_trials_keep_theirs_unless_they_fail(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, keep_checkpoints=1, early_terminate=None, run_cap=2, confirm={"top": 1, "seeds": 2})
    best, _ = complete(sweep, 1.0), complete(sweep, 2.0)
    confirming, failed = begin(sweep), begin(sweep)
    report(sweep, failed, 1, 1.0)
    sweep.fail(failed.trial_id, "why")
    report(sweep, confirming, 9, 3.0)
    sweep.settle()

    assert kept(tmp_path) == {best, confirming.trial_id}


SCREENED: dict[str, Any] = {"early_terminate": screening(2), "keep_checkpoints": 1}


def test_those_that_may_yet_be_promoted_keep_theirs_and_one_more(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, **SCREENED)
    names = [pause(sweep, loss) for loss in (4.0, 1.0, 3.0, 2.0)]
    assert kept(tmp_path) == set(names[1:]), "one may fail, and another one moves up"

    best, second = begin(sweep), begin(sweep)
    train_to_its_end(sweep, best, 0.9)
    train_to_its_end(sweep, second, 0.8)
    assert [best.trial_id, second.trial_id] == [names[1], names[3]]
    sweep.settle()
    sweep.close()
    assert kept(tmp_path) == named(tmp_path) == {second.trial_id}


@pytest.mark.parametrize("variant", ["screen", "promotion"])
def test_after_the_end_the_losers_of_all_rungs_lose_their_checkpoints(tmp_path: Path, variant: str) -> None:
    rule = {"type": "screen", "finalists": 1} if variant == "screen" else {"type": "asha", "variant": variant}
    sweep = open_sweep(tmp_path, early_terminate=rule, run_cap=8, keep_checkpoints=1)
    work(sweep, lambda trial, turn: 5 / trial.assignment["depth"] + int(trial.trial_id) / 9)
    sweep.settle()
    sweep.close()

    winners = {row.trial_id for row in read_results(tmp_path / "results.csv") if row.status == "completed"}
    assert len(winners) == 1
    assert kept(tmp_path) == named(tmp_path) == winners


@pytest.mark.parametrize("killed_in", ["before", "journal", "delete"])
def test_what_a_kill_leaves_of_the_end_is_made_good(
    tmp_path: Path, killed_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"early_terminate": screening(1), "run_cap": 3, "keep_checkpoints": 1}
    sweep = open_sweep(tmp_path, **changes)
    names = [pause(sweep, loss) for loss in (1.0, 2.0, 3.0)]
    train_to_its_end(sweep, begin(sweep), 1.0)
    assert kept(tmp_path) == set(names[:2])
    if killed_in != "before":
        owner: Any = storage if killed_in == "delete" else checkpoints.Checkpoints
        with monkeypatch.context() as patched:
            patched.setattr(owner, "delete" if killed_in == "delete" else "settle", lambda *arguments: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                sweep.settle()

    resumed = open_sweep(tmp_path, **changes)
    assert resumed.policy.left == 0
    resumed.settle()
    resumed.close()
    assert kept(tmp_path) == named(tmp_path) == {names[0]}


def test_folders_of_others_are_not_touched(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, early_terminate=None, keep_checkpoints=1)
    for name in ("notes", "9999", "00"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    running = begin(sweep)
    sweep.report(running.trial_id, metrics(1, 3.0), checkpoint(sweep, running.trial_id))
    complete(sweep, 1.0), complete(sweep, 2.0)
    sweep.settle()

    assert kept(tmp_path) == {"notes", "9999", "00", running.trial_id, "0001"}


def test_what_was_abandoned_loses_its_checkpoint(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=2)
    complete(sweep, 1.0)
    hung = begin(sweep)
    report(sweep, hung, 1, 0.5)
    smaller = open_sweep(tmp_path, run_cap=1)
    assert hung.trial_id in kept(tmp_path)
    smaller.settle()

    assert kept(tmp_path) == {"0000"}
