"""Recorded curves as trials: by which loss they rank, and how they end where the record cannot answer."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sweeps.machines.replay import play, read_table
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


def test_a_record_that_begins_behind_the_full_budget_answers_no_evaluation(tmp_path: Path) -> None:
    clock = Clock()
    sweep = open_sweep(None, clock=clock, parameters={"depth": {"values": [1]}}, trial=TRIAL, early_terminate=None)
    play(sweep, read_table(write(tmp_path / "t.csv", {1: [None] * 5 + [2.0]}), sweep.spec), workers=1, clock=clock)
    (trial,) = sweep.trials.values()

    assert (trial.state, trial.evaluation) == ("stopped", 0)
    assert trial.error == "nothing is known of its last evaluation, number 4"


@pytest.mark.parametrize(
    ("trials", "more", "is_said"), [(3, [], True), (2, [], False), (3, ["--hours", "0.0015"], False)]
)
def test_a_table_that_is_used_up_before_the_trials_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trials: int, more: list[str], is_said: bool
) -> None:
    """Two trials take 8 s, and the limit of the third case is used up after 5.4 s."""
    trial = ", ".join(f"{key}: {value}" for key, value in TRIAL.items())
    sweep = tmp_path / "sweep.yaml"
    parameters = "parameters: {depth: {values: [1, 2, 3, 4]}}"
    sweep.write_text(f"{{name: t, {parameters}, run_cap: {trials}, trial: {{{trial}}}}}", encoding="utf-8")
    table = write(tmp_path / "t.csv", {1: (3.0, 2.0, 1.8, 1.9), 2: (3.0, 2.0, 1.95, 1.85)})

    assert main([str(sweep), "--replay", str(table), *more]) == 0
    assert ("Every recorded run has been used." in capsys.readouterr().out) == is_said
