"""The files of a run folder are views: delete any of them, and the same sweep makes it again, equal."""

import json
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial

from sweeps.events import Spent
from sweeps.limits import Limits
from sweeps.machines.simulated import Clock
from sweeps.record import views
from sweeps.record.folder import RunFolder
from sweeps.record.tables import read_curves, read_results
from sweeps.sweep import Sweep
from sweeps.trials import Trial

from ..driving import begin, complete, metrics, open_sweep, pause, report, screening, simulate, study_of

RULES: dict[str, dict[str, Any]] = {
    "screening": {"early_terminate": {"type": "screen", "finalists": 1}, "confirm": {"top": 1, "seeds": 2}},
    "promotion": {"early_terminate": {"type": "asha", "variant": "promotion"}},
    "pareto": {"early_terminate": {"type": "asha"}, "pareto": "parameters"},
}


def content(folder: RunFolder, name: str) -> Any:
    return study_of(folder.root) if name == "study" else getattr(folder, name).read_bytes()


def simulated(root: Path, clock: Clock, limits: Limits | None, changes: dict[str, Any]) -> Sweep:
    sweep = open_sweep(root, limits, clock=clock, run_cap=8, **changes)
    simulate(sweep, clock, workers=2)
    sweep.close()
    return sweep


def shown(trial: FrozenTrial) -> tuple[Any, ...]:
    """What a tool of Optuna sees of a trial."""
    return trial.number, trial.state, trial.values, trial.params, trial.intermediate_values, trial.user_attrs


@pytest.mark.parametrize("gpu_hours", [None, 20 / 3600])
@pytest.mark.parametrize("rule", RULES)
def test_a_deleted_file_is_made_again_equal(tmp_path: Path, rule: str, gpu_hours: float | None) -> None:
    """Of a finished sweep, and of one whose limit was used up before."""
    clock, limits, folder = Clock(), Limits(gpu_hours=gpu_hours), RunFolder(tmp_path)
    simulated(tmp_path, clock, limits, RULES[rule])
    names = ("results", "curves", "facts", "spent", "study")
    before = {name: content(folder, name) for name in names}
    for name in names:
        getattr(folder, name).unlink()

    open_sweep(tmp_path, limits, clock=clock, run_cap=8, **RULES[rule]).close()
    for name in names:
        again = content(folder, name)
        if name == "study":
            assert list(map(shown, again)) == list(map(shown, before[name]))
        else:
            assert again == before[name], name


@pytest.mark.parametrize("damage", [b"", b"trial_id\n", b"\xff\xfe", b"trial_id,stage\n0000,sea"])
def test_a_damaged_table_is_made_again(tmp_path: Path, damage: bytes) -> None:
    complete(open_sweep(tmp_path), 2.0)
    whole = {name: (tmp_path / name).read_bytes() for name in ("results.csv", "curves.csv")}
    for name in whole:
        (tmp_path / name).write_bytes(damage)
    open_sweep(tmp_path)

    assert {name: (tmp_path / name).read_bytes() for name in whole} == whole


def test_rows_and_evaluations_are_there_at_once(tmp_path: Path) -> None:
    """A reader beside the running sweep sees what has happened, not what was when it began."""
    sweep = open_sweep(tmp_path, early_terminate=screening(1))
    assert (read_results(tmp_path / "results.csv"), read_curves(tmp_path / "curves.csv")) == ([], {})
    name = pause(sweep, 2.0)
    trial = begin(sweep)
    assert read_curves(tmp_path / "curves.csv") == {name: [metrics(1, 2.0)]}
    assert [row.trial_id for row in read_results(tmp_path / "results.csv")] == [name]

    sweep.fail(trial.trial_id, "why")
    assert [row.status for row in read_results(tmp_path / "results.csv")] == ["stopped", "failed"]


def test_a_row_that_changes_is_rewritten_soon_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "REWRITE_SECONDS", 1000.0)
    sweep = open_sweep(tmp_path, early_terminate=screening(1), run_cap=1)
    pause(sweep, 2.0)
    trial = begin(sweep)
    report(sweep, trial, 9, 1.0)
    sweep.record.flush()
    assert [row.status for row in read_results(tmp_path / "results.csv")] == ["stopped"], "not again and again"

    monkeypatch.setattr(views, "REWRITE_SECONDS", 0.0)
    sweep.record.flush()
    assert [row.status for row in read_results(tmp_path / "results.csv")] == ["completed"]

    other = open_sweep(tmp_path / "other", early_terminate=screening(1), run_cap=1)
    pause(other, 2.0)
    report(other, begin(other), 9, 1.0)
    other.close()
    assert [row.status for row in read_results(tmp_path / "other/results.csv")] == ["completed"]


def test_the_end_of_a_trial_costs_no_more_after_many(tmp_path: Path) -> None:
    """A file that is written whole would be a new one."""
    sweep = open_sweep(tmp_path, keep_checkpoints=1, early_terminate=None, run_cap=8)
    complete(sweep, 1.0)
    files = [tmp_path / "results.csv", tmp_path / "curves.csv"]
    first, begun = [file.read_bytes() for file in files], [file.stat().st_ino for file in files]
    for loss in (3.0, 2.0, 4.0):
        trial = begin(sweep)
        sweep.report(trial.trial_id, metrics(9, loss), "")

    assert [file.stat().st_ino for file in files] == begun
    assert all(file.read_bytes().startswith(known) for file, known in zip(files, first, strict=True))
    assert len(read_results(files[0])) == 4


def test_time_already_spent_is_told_to_who_has_no_journal(tmp_path: Path) -> None:
    clock = Clock()
    sweep = open_sweep(tmp_path, clock=clock)
    begin(sweep)
    clock.now += 5
    sweep.close()

    assert json.loads((tmp_path / "spent.json").read_text(encoding="utf-8")) == {"seconds": 5.0, "gpu_seconds": 5.0}
    assert open_sweep(tmp_path, clock=clock).trials.spent == Spent(at=5.0, seconds=5.0, gpu_seconds=5.0)


def test_the_facts_of_a_sweep_are_there_for_readers_of_its_tables(tmp_path: Path) -> None:
    open_sweep(tmp_path, early_terminate={"type": "screen", "finalists": 2})

    assert json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8")) == {
        "name": "tiny",
        "metric": "val_loss",
        "axis": "tokens",
        "budget": 20_000,
        "evaluations": 9,
        "rungs": [1, 3],
        "continuing": ["best 6 promoted", "best 2 promoted"],
        "pareto": None,
        "searched": ["depth", "width", "heads"],
    }


def test_an_abandoned_trial_has_no_row(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=2)
    complete(sweep, 1.0)
    begin(sweep)
    smaller = open_sweep(tmp_path, run_cap=1)
    smaller.settle()
    smaller.close()

    assert [row.trial_id for row in read_results(tmp_path / "results.csv")] == ["0000"]
    abandoned: Trial = smaller.trials["0001"]
    assert abandoned.state == "abandoned"
