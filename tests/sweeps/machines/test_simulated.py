"""Recorded curves as trials: by which loss they rank, and how they end where the record cannot answer."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sweeps.machines.replay import Table, play, read_table
from sweeps.machines.simulated import Clock
from sweeps.run import main
from sweeps.trials import ranked

from ..driving import open_sweep

TRIAL = {"tokens": 400, "evaluations": 4, "width": 16, "heads": 1, "context": 10, "batch_size": 1}


def write(path: Path, losses: dict[int, Sequence[float | None]]) -> Path:
    """A table of runs by depth, with an evaluation a second, every 100 tokens, where a loss is given."""
    rows = [
        f"run-{depth},{depth},{100 * number},{number},{loss}"
        for depth, curve in losses.items()
        for number, loss in enumerate(curve, start=1)
        if loss is not None
    ]
    path.write_text("\n".join(["config,depth,tokens,seconds,val_loss", *rows, ""]), encoding="utf-8")
    return path


def test_completed_trials_rank_by_their_last_loss(tmp_path: Path) -> None:
    """The recorded one is of the whole validation file, the ones before of a sample, which may be easier."""
    clock = Clock()
    parameters = {"depth": {"values": [1, 2]}}
    sweep = open_sweep(None, clock=clock, parameters=parameters, trial=TRIAL, early_terminate=None)
    losses = {1: (3.0, 2.0, 1.8, 1.9), 2: (3.0, 2.0, 1.95, 1.85)}
    play(sweep, read_table(write(tmp_path / "t.csv", losses), sweep.spec), workers=1, clock=clock)

    assert [(trial.trained["depth"], trial.best_loss) for trial in ranked(sweep.trials.values())] == [
        (2, 1.85),
        (1, 1.9),
    ]
