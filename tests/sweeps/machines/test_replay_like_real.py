"""A real sweep on Ray and a replay of the same recorded results take the same decisions."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeps.events import Evaluated, Event, Proposed, Spent, Substituted
from sweeps.machines.replay import play, read_table
from sweeps.machines.simulated import Clock
from sweeps.record.folder import RunFolder
from sweeps.record.journal import read
from sweeps.spec import load
from sweeps.sweep import Sweep

DEPTHS, HEADS, EVALUATIONS = (1, 2, 3, 4, 5, 6), (1, 2), 9
SPEC: dict[str, Any] = {
    "name": "same",
    "parameters": {"depth": {"values": list(DEPTHS)}, "heads": {"values": list(HEADS)}},
    "run_cap": 12,
}
RULES: dict[str, dict[str, Any]] = {
    "screening": {"early_terminate": {"type": "screen", "finalists": 2}, "trial": {"flops": 9000}},
    "stopping": {"early_terminate": {"type": "asha"}, "trial": {"tokens": 9000}, "method": "tpe"},
    "promotion": {
        "early_terminate": {"type": "asha", "variant": "promotion", "eta": 2},
        "trial": {"tokens": 9000},
        "method": "random",
    },
}
REAL = '''
"""Real slots, whose trials report what a table says instead of training. Arguments: a folder, and the data."""

import csv, json, sys
from pathlib import Path


def train(job, dataset, config):
    from sweeps.machines.worker import Report
    from tinystories.metrics import Metrics

    with open(Path(config.storage) / "../table.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["config"] == f"{job.config.depth}-{job.config.heads}"]
    for number, row in enumerate(rows, start=1):
        loss = float(row["val_loss"])
        yield Report(metrics=Metrics(
            evaluation=number, step=number, tokens=int(row["tokens"]), flops=float(row["flops"]),
            seconds=float(row["seconds"]), train_loss=loss, val_loss=loss, val_loss_se=0.01, sample_loss=loss,
            val_bpb=loss, best_val_loss=loss,
            learning_rate=1e-3, tokens_per_second=1e3, diverged=loss != loss,
        ))


if __name__ == "__main__":
    from sweeps.machines import cluster

    cluster.connect(None)  # before anything imports Ray
    from sweeps import showing
    from sweeps.machines import tuning
    from sweeps.machines.worker import SlotConfig
    from sweeps.record.folder import RunFolder
    from sweeps.record.tracking import Tracker
    from sweeps.spec import load
    from sweeps.sweep import Sweep
    from tinystories.data.dataset import open_dataset

    folder, data = Path(sys.argv[1]), open_dataset(Path(sys.argv[2]))
    for name, raw in json.loads((folder / "specs.json").read_text(encoding="utf-8")).items():
        run = RunFolder(folder / name)
        run.root.mkdir()
        sweep = Sweep(load.parse(raw), run, vocab_size=data.vocab_size, checkpoints=str(run.checkpoints))
        tracker = Tracker.open("disabled", sweep="same", folder=run.root, project="test", token=sweep.record.token)
        showing.show(sweep, run, tracker)
        sweep.take_slots(1, gpu_share=1.0)
        slot = SlotConfig(
            cpus=1, gpus=0, patience=120, storage=str(folder / "ray"), data=str(data.folder), stories=None,
            fingerprint=data.fingerprint, shared_code=None, train=train,
        )
        tuning.run(sweep, slot, slots=1, on_step=sweep.record.flush)
        sweep.settle()
        sweep.close()
    cluster.disconnect()
'''


def write_table(path: Path) -> None:
    """Deep models begin late and end low; one diverges."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["config", "depth", "heads", "tokens", "flops", "seconds", "val_loss"])
        for depth in DEPTHS:
            for heads in HEADS:
                for number in range(1, EVALUATIONS + 1):
                    loss = 2 / depth + depth / number / 2 + heads / 20
                    diverges = (depth, heads) == (6, 1)
                    cost = 1000 * number
                    told = "nan" if diverges else f"{loss:.6f}"
                    writer.writerow([f"{depth}-{heads}", depth, heads, cost, cost, depth * number, told])
                    if diverges:
                        break


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Path:
    """A folder with the table, and a real sweep's run folder of each rule."""
    folder = tmp_path_factory.mktemp("recorded")
    write_table(folder / "table.csv")
    (folder / "ray").mkdir()
    (folder / "specs.json").write_text(json.dumps({name: raw(name) for name in RULES}), encoding="utf-8")
    (folder / "real.py").write_text(REAL, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, folder / "real.py", folder, data_folder], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder


def raw(name: str) -> dict[str, Any]:
    fixed = {"width": 24, "context": 32, "batch_size": 4, "evaluations": EVALUATIONS}
    rule = RULES[name]
    return {**SPEC, **rule, "trial": {**fixed, **rule["trial"]}, "wandb": "disabled"}


def decisions(folder: RunFolder) -> list[tuple[Any, ...]]:
    """What happened, to whom, with which configuration or at which evaluation."""

    def told(event: Event) -> tuple[Any, ...]:
        trial = getattr(event, "trial_id", "")
        if isinstance(event, Proposed):
            return "proposed", trial, tuple(event.assignment.items())
        if isinstance(event, Evaluated):
            return (
                "evaluated",
                trial,
                event.metrics.evaluation,
                event.metrics.val_loss if event.metrics.usable else None,
            )
        return type(event).__name__.lower(), trial

    known = (line.event for line in read(folder.journal))
    return [told(event) for event in known if not isinstance(event, Spent | Substituted)]


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_decisions_are_the_same(recorded: Path, tmp_path: Path, name: str) -> None:
    spec, clock = load.parse(raw(name)), Clock()
    table = read_table(recorded / "table.csv", spec)
    sweep = Sweep(spec, RunFolder(tmp_path), vocab_size=300, checkpoints=str(tmp_path / "c"), clocks=clock.clocks)
    sweep.take_slots(1, gpu_share=1.0)
    play(sweep, table, workers=1, clock=clock)
    sweep.settle()
    real = decisions(RunFolder(recorded / name))

    assert real == decisions(RunFolder(tmp_path))
    assert table.inexact == 0
    assert {"completed", "diverged", "closed"} <= {kind for kind, *_ in real}
