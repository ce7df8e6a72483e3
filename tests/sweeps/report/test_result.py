"""What is said of a sweep when it has ended."""

import math
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sweeps.limits import Limits
from sweeps.record.folder import RunFolder
from sweeps.record.tables import Result
from sweeps.report import result
from sweeps.spec import load

from ..examples import RESULT, minimal


def said(results: list[Result], price: Limits | None = None, **changes: Any) -> str:
    console = Console(record=True, width=100)
    result.show_ranking(load.parse(minimal(**changes)), results, console, price or Limits())
    return console.export_text()


def test_the_leaderboard_has_gpu_hours_and_the_cost_if_there_is_a_price() -> None:
    result = replace(RESULT, gpu_hours=1.5)

    assert "1.5 " in said([result])
    assert "cost" not in said([result])
    assert "3.00" in said([result], Limits(cost_per_hour=2.0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Compared at equal tokens; learning rate one for all shapes, scaled by width."),
        (
            {"trial": {"flops": 1e12, "scale_learning_rate": False}},
            "equal flops; learning rate one for all shapes",
        ),
        (
            {"parameters": {**minimal()["parameters"], "learning_rate": {"values": [1e-3, 2e-3]}}},
            "learning rate searched jointly with the shape, scaled by width.",
        ),
    ],
)
def test_the_report_says_how_widths_got_their_rates(changes: dict[str, Any], words: str) -> None:
    assert words in said([RESULT], **changes)


def test_a_replay_does_not_say_how_rates_were_set() -> None:
    sentence = result.fairness(load.parse(minimal()), replayed=True)

    assert sentence == "Compared at equal tokens; learning rates as they were when the curves were recorded."


def test_a_sweep_with_two_objectives_ends_with_its_front() -> None:
    small = replace(RESULT, trial_id="0001", depth=1, parameters=400, best_val_loss=3.0)
    beaten = replace(RESULT, trial_id="0002", parameters=2000, best_val_loss=3.5)
    text = said([RESULT, small, beaten], pareto="parameters")

    assert "2 shapes have the lowest loss of all with as few parameters: from depth 1, width 32, heads 4 (400" in text
    assert "0002" not in text


def test_confirmed_shapes_are_shown_with_their_means() -> None:
    seeds = [replace(RESULT, stage="confirm", seed=seed, trial_id=f"000{seed}") for seed in (1, 2, 3)]

    assert "Confirmed with 3 new seeds: depth 2, width 32, heads 4, 2.4000 ± 0.0000 nat/token." in said(
        [RESULT, *seeds]
    )


def test_an_exhausted_space_is_said() -> None:
    one = {"depth": {"values": [2]}, "width": {"values": [32]}, "heads": {"values": [4]}}

    assert "All 1 configurations of the space have been tried; run_cap 4 is more." in said([RESULT], parameters=one)
    assert "have been tried" not in said([RESULT])


def test_everything_that_is_searched_has_a_column() -> None:
    parameters = {**minimal()["parameters"], "learning_rate": {"min": 1e-4, "max": 1e-2}, "seed": {"values": [0, 1]}}
    above, heading, row, *_ = said([RESULT], parameters=parameters).splitlines()

    assert above.split() == ["learning"]
    assert heading.split()[:6] == ["trial", "depth", "width", "heads", "rate", "seed"]
    assert row.split()[:6] == ["0000", "2", "32", "4", "0.002", "0"]


def test_a_searched_scale_of_rates_is_said() -> None:
    parameters = {**minimal()["parameters"], "scale_learning_rate": {"values": [True, False]}}

    assert "whether learning rates are scaled by width is searched." in said([RESULT], parameters=parameters)


def test_the_loss_is_printed_under_its_name() -> None:
    """The last evaluation's, 2.5, is not the lowest, 2.4."""
    text = said([RESULT])

    assert "with best_val_loss 2.4000 nat/token" in text
    assert " best_val_loss " in text.splitlines()[0]
    assert "2.5000" not in text


def test_a_replay_without_a_usable_loss_points_to_no_file() -> None:
    lost = [replace(RESULT, status="diverged", best_val_loss=math.nan)]

    assert result.conclusion(lost, replayed=True) == "No trial gave a usable loss: the recorded curves hold none."
    assert "results.csv" in result.conclusion(lost)


def test_paths_are_printed_as_they_are_and_commands_can_be_pasted(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a [red] 'b'")
    console = Console(record=True, width=100, markup=False)
    result.show_result(load.parse(minimal()), [RESULT], folder, console, Limits())
    lines = console.export_text().splitlines()
    name = os.path.relpath(folder.root)
    (command,) = (line.partition(": ")[2] for line in lines if line.startswith("Export the best: "))

    assert f"All trials: {name}/results.csv, curves.csv; log: {name}/sweep.log" in lines
    assert shlex.split(command) == ["python", "sweeps/export.py", name, "--out", "models/best"]
