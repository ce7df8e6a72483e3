"""The W&B runs of a sweep, written by W&B's own client, offline; each sweep in a process of its own."""

import shutil
from pathlib import Path
from typing import Any

from .test_tracking import sweep as python
from .test_tracking import written

SWEEP = """
from sweeps import showing
from sweeps.record.folder import RunFolder
from sweeps.record.tracking import Tracker
from sweeps.spec import load
from sweeps.sweep import Sweep

SPEC = {
    "name": "demo", "run_cap": 4, "trial": {"tokens": "20k", "width": 16, "heads": 1},
    "parameters": {"depth": {"values": [1, 2, 3, 4]}},
    "early_terminate": {"type": "screen", "finalists": 1, "looks": 1},
}

def open_sweep(**changes):
    folder = RunFolder(Path("runs/demo").absolute())
    folder.root.mkdir(parents=True, exist_ok=True)
    sweep = Sweep(load.parse({**SPEC, **changes}), folder, vocab_size=300, checkpoints="checkpoints")
    sweep.recover()
    token = sweep.record.token
    showing.show(sweep, folder, Tracker.open("offline", sweep="demo", folder=folder.root, project="p", token=token))
    return sweep

def train(sweep, *evaluations, loss=2.0):
    trial_id = sweep.next().trial_id
    for evaluation in evaluations:
        sweep.report(trial_id, metrics(evaluation, loss), "")
    return trial_id
"""


def sweep(folder: Path, code: str, status: int = 0) -> Any:
    return python(folder, SWEEP + code, status)


def runs(folder: Path) -> list[tuple[str, list[str], list[int], list[int]]]:
    """Trial, tag, evaluations and exit codes of each run on disk, in the order of their start."""
    return [
        (run["run_id"][-4:], run["tags"], [row["evaluation"] for row in run["rows"]], run["exit_code"])
        for run in written(folder)
    ]


def ours(summary: dict[str, Any]) -> dict[str, Any]:
    """Without W&B's own step and times."""
    return {name: value for name, value in summary.items() if not name.startswith("_")}


SCREENED = """
sweep = open_sweep()
for loss in (4.0, 1.0, 3.0, 2.0):
    train(sweep, 1, loss=loss)
train(sweep, *range(1, 10), loss=0.5)
sweep.settle()
sweep.close()
print(json.dumps([[trial.run_id, trial.state] for trial in sweep.trials.values()]))
"""


def test_every_trial_has_one_run_and_a_promoted_one_carries_it_on(tmp_path: Path) -> None:
    told = sweep(tmp_path, SCREENED)

    assert [state for _, state in told] == ["paused", "completed", "paused", "paused"]
    assert runs(tmp_path) == [
        ("0000", ["stopped"], [1], [0]),
        ("0001", ["stopped"], [1], [0]),
        ("0002", ["stopped"], [1], [0]),
        ("0003", ["stopped"], [1], [0]),
        ("0001", ["completed"], list(range(2, 10)), [0]),
    ]
    found = written(tmp_path)
    assert {run["run_id"] for run in found} == {run_id for run_id, _ in told}
    assert found[0]["config"]["stage"] == "search"
    assert {"depth", "learning_rate", "parameters", "non_embedding_parameters"} <= set(found[0]["config"])
    assert found[-1]["summary"]["trial/status"] == "completed"


def test_a_deleted_folder_of_runs_is_made_again(tmp_path: Path) -> None:
    sweep(tmp_path, SCREENED)
    before = written(tmp_path)
    shutil.rmtree(tmp_path / "runs/demo/wandb")
    sweep(tmp_path, "sweep = open_sweep(); sweep.close()")

    assert runs(tmp_path) == [
        ("0000", ["stopped"], [1], [0]),
        ("0001", ["completed"], list(range(1, 10)), [0]),
        ("0002", ["stopped"], [1], [0]),
        ("0003", ["stopped"], [1], [0]),
    ]
    again = {run["run_id"]: run for run in written(tmp_path)}
    for run in before:
        assert again[run["run_id"]]["config"] == run["config"]
    last = before[-1]["run_id"]
    assert ours(again[last]["summary"]) == ours(before[-1]["summary"])


def test_a_deleted_folder_of_an_unfinished_sweep_loses_no_row(tmp_path: Path) -> None:
    sweep(tmp_path, "sweep = open_sweep(early_terminate=None); train(sweep, 1, 2); sweep.close()")
    shutil.rmtree(tmp_path / "runs/demo/wandb")
    sweep(tmp_path, "sweep = open_sweep(early_terminate=None); train(sweep, 2, 3); sweep.close()")

    assert runs(tmp_path) == [("0000", ["interrupted"], [1, 2, 3], [1])]


def test_a_trial_that_ended_as_the_driver_was_killed_ends_in_wandb_too(tmp_path: Path) -> None:
    """The kill comes after the last evaluation was written down, and before the end was."""
    sweep(
        tmp_path,
        """
from sweeps.events import Evaluated
sweep = open_sweep(early_terminate=None)
trial_id = train(sweep, 1)
while not any(b"val_bpb" in file.read_bytes() for file in Path("runs").rglob("*.wandb")):
    time.sleep(0.05)
sweep.record.write(Evaluated(trial_id=trial_id, at=1.0, metrics=metrics(9), checkpoint=""))
os.kill(os.getpid(), 9)
""",
        status=-9,
    )
    sweep(tmp_path, "sweep = open_sweep(early_terminate=None); sweep.close()")

    *_, last = runs(tmp_path)
    assert (last[0], last[1], last[3]) == ("0000", ["completed"], [0])


def test_a_sweep_without_wandb_notes_no_runs(tmp_path: Path) -> None:
    code = SWEEP.replace('"offline"', '"disabled"') + "sweep = open_sweep(); train(sweep, 1); sweep.close()"
    python(tmp_path, code)

    assert "runopened" not in (tmp_path / "runs/demo/journal.jsonl").read_text(encoding="utf-8")
