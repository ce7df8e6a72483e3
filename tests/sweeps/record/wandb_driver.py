"""Drivers of a sweep's W&B runs, each in a process of its own, and what they leave on the disk."""

import json
import os
import subprocess
import sys
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PRELUDE = """
import json, os, sys, time
from pathlib import Path
from sweeps.record.tracking import Tracker
from tinystories.metrics import Metrics

def metrics(evaluation, val_loss=2.0):
    return Metrics(
        evaluation=evaluation, step=10 * evaluation, tokens=1000 * evaluation, flops=1e6, seconds=1.0,
        train_loss=2.0, val_loss=val_loss, val_loss_se=0.01,
        sample_loss=val_loss, val_bpb=1.0, best_val_loss=2.0, learning_rate=1e-3,
        tokens_per_second=100.0, diverged=val_loss != val_loss,
    )

def open_tracker(mode="auto"):
    return Tracker.open(mode, sweep="demo", folder=Path("runs/demo"), project="tinystories", token="abc123")

def run_trial(tracker, trial_id, evaluations, known=()):
    tracker.start(trial_id, {"depth": 2}, bool(known), [metrics(evaluation) for evaluation in known])
    for evaluation in evaluations:
        tracker.log(trial_id, metrics(evaluation))
    tracker.end(trial_id, "completed", {"best_val_loss": 2.0})
"""
"""What `code` of a driver finds."""


def sweep(folder: Path, code: str, status: int = 0, **variables: str) -> Any:
    """Run `code` as a driver would in `folder`; what it prints, read as JSON."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    own = {f"WANDB_{name}_DIR": str(folder / ".wandb") for name in ("CACHE", "CONFIG", "DATA")}
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        cwd=folder,
        env={
            **environment,
            **own,
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "WANDB_ERROR_REPORTING": "false",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if done.stdout else None


def written(folder: Path, pattern: str = "offline-run-*") -> list[dict[str, Any]]:
    """What the runs on disk hold, in the order of their start, but for those that a kill left without a beginning."""
    runs = [read_run(path) for path in (folder / "runs/demo/wandb").glob(pattern)]
    return sorted((run for run in runs if run), key=lambda run: run["start_time"])


def read_run(path: Path) -> dict[str, Any]:
    tool = [Path(sys.executable).with_name("wandb"), "leet", "inspect", "--json", path]
    lines = subprocess.run(tool, capture_output=True, check=True, timeout=60).stdout.splitlines()
    records: dict[str, list[Any]] = defaultdict(list)
    for record in map(json.loads, lines):
        records[record["type"]].append(record.get(record["type"]))
    if not records["run"]:
        return {}
    run = records["run"][-1]
    return {
        **run,
        "config": {name: value for name, value in run["config"]["update"].items() if name != "_wandb"},
        "rows": [row["item"] for row in records["history"]],
        "summary": {name: value for part in records["summary"] for name, value in part["update"].items()},
        "exit_code": [record.get("exit_code", 0) for record in records["exit"]],
    }
