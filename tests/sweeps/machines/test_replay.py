"""Replayed sweeps: the sweep's own decisions, on a virtual clock, from what a table recorded."""

import csv
import gzip
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeps.limits import Limits
from sweeps.machines.replay import Table, play, read_table
from sweeps.machines.simulated import Clock
from sweeps.record.folder import RunFolder
from sweeps.record.tables import Result
from sweeps.run import main
from sweeps.spec import load
from sweeps.spec.schema import Spec
from sweeps.sweep import Sweep

from ..examples import minimal

Row = dict[str, Any]


def spec(**changes: Any) -> Spec:
    raw = minimal(
        parameters={"depth": {"values": [1, 2, 3, 4]}},
        early_terminate={"type": "asha", "eta": 2, "min_iter": 1},
        trial={"tokens": 400, "evaluations": 4, "width": 16, "heads": 1, "context": 10, "batch_size": 1},
    )
    return load.parse({**raw, **changes})


def screening(finalists: int) -> dict[str, Any]:
    return {"type": "screen", "finalists": finalists, "min_iter": 1, "looks": 1}


def rows(depth: int, losses: list[float], seconds: float = 1.0) -> list[Row]:
    """A run with an evaluation every 100 tokens, each of which takes that long."""
    return [
        {
            "config": f"run-{depth}",
            "depth": depth,
            "tokens": 100 * number,
            "seconds": seconds * number,
            "val_loss": loss,
        }
        for number, loss in enumerate(losses, start=1)
    ]


GRID = [row for depth in (1, 2, 3, 4) for row in rows(depth, [5.0 - depth / 10 - step for step in range(4)])]


def write(path: Path, table: list[Row]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") if path.suffix == ".gz" else open(path, "w", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path


def replayed(
    folder: Path, table: list[Row], *, workers: int = 1, hours: float | None = None, **changes: Any
) -> tuple[Sweep, Table, Clock]:
    sweep_spec, clock = spec(**changes), Clock()
    recorded = read_table(write(folder / "table.csv.gz", table), sweep_spec)
    (folder / "run").mkdir()
    sweep_spec = replace(sweep_spec, run_cap=min(sweep_spec.run_cap, len(recorded.records)))
    sweep = Sweep(
        sweep_spec,
        RunFolder(folder / "run"),
        vocab_size=300,
        checkpoints=str(folder),
        limits=Limits(hours=hours),
        clocks=clock.clocks,
    )
    sweep.take_slots(workers, gpu_share=1.0)
    play(sweep, recorded, workers=workers, clock=clock)
    return sweep, recorded, clock


def results(sweep: Sweep) -> list[Result]:
    return sweep.rows.table(sweep.trials)


def by_depth(sweep: Sweep) -> dict[int, Result]:
    return {result.depth: result for result in results(sweep)}


def test_every_trial_gets_its_recorded_losses_and_ends(tmp_path: Path) -> None:
    sweep, table, clock = replayed(tmp_path, GRID, early_terminate=None)

    assert {depth: result.val_loss for depth, result in by_depth(sweep).items()} == pytest.approx(
        {1: 1.9, 2: 1.8, 3: 1.7, 4: 1.6}
    )
    assert {result.status for result in results(sweep)} == {"completed"}
    assert (table.inexact, table.exhausted, sweep.trials.running) == (0, True, [])
    assert clock.now == pytest.approx(16)


def test_workers_share_the_time(tmp_path: Path) -> None:
    assert replayed(tmp_path, GRID, workers=4, early_terminate=None)[2].now == pytest.approx(4)


def test_a_slow_trial_reports_late_and_is_compared_with_those_before_it(tmp_path: Path) -> None:
    """Of two trials that start together, the slow one reaches the rung second, and is then the worse one."""
    table = [*rows(1, [3.0, 2.0, 1.5, 1.0], seconds=5.0), *rows(2, [2.0, 1.5, 1.0, 0.5], seconds=1.0)]
    choice = {"depth": {"values": [1, 2]}}
    (tmp_path / "slow").mkdir()
    assert by_depth(replayed(tmp_path / "slow", table, workers=2, parameters=choice)[0])[1].status == "stopped"

    hurried = [*rows(1, [3.0, 2.0, 1.5, 1.0], seconds=0.5), *rows(2, [2.0, 1.5, 1.0, 0.5], seconds=1.0)]
    assert by_depth(replayed(tmp_path, hurried, workers=2, parameters=choice)[0])[1].tokens > 100


def test_the_same_replay_twice_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (replayed(tmp_path / name, GRID, workers=2)[0] for name in "ab")

    assert results(first) == results(second)


def test_a_diverged_record_is_never_promoted(tmp_path: Path) -> None:
    table = [*rows(1, [2.0, 1.5, 1.0, 0.5]), *rows(2, [math.nan])]
    found = by_depth(replayed(tmp_path, table, parameters={"depth": {"values": [1, 2]}})[0])

    assert (found[1].status, found[2].status) == ("completed", "diverged")


def test_a_record_that_diverged_before_the_next_evaluation_is_diverged(tmp_path: Path) -> None:
    table = [*rows(1, [3.0]), {**rows(1, [math.nan])[0], "tokens": 150, "seconds": 1.5}]
    result = by_depth(replayed(tmp_path, table, parameters={"depth": {"values": [1]}}, run_cap=1)[0])[1]

    assert result.status == "diverged"


def test_what_is_not_recorded_is_answered_by_the_nearest_and_counted(tmp_path: Path) -> None:
    table = [row for row in GRID if row["depth"] in (1, 4)]
    sweep, recorded, _ = replayed(tmp_path, table, parameters={"depth": {"values": [3]}}, run_cap=1)

    assert list(by_depth(sweep)) == [4]
    assert recorded.inexact == 1


def test_a_record_that_begins_behind_the_first_rung_passes_it_and_is_counted(tmp_path: Path) -> None:
    table = [row for row in GRID if row["tokens"] > 100]
    sweep, recorded, _ = replayed(tmp_path, table, early_terminate=screening(1))

    assert recorded.late == len(results(sweep)) == 4
    assert {result.status for result in results(sweep)} == {"completed"}


def test_a_trial_ends_where_its_record_does(tmp_path: Path) -> None:
    sweep, table, _ = replayed(tmp_path, rows(1, [3.0, 2.0]), parameters={"depth": {"values": [1]}}, run_cap=1)
    result = by_depth(sweep)[1]

    assert (result.status, result.tokens, result.error) == ("stopped", 200, "its record ends at 200 tokens")
    assert table.cut_short == 1


def test_a_cost_between_two_evaluations_is_interpolated_and_one_before_the_first_is_not_answered(
    tmp_path: Path,
) -> None:
    (record,) = read_table(write(tmp_path / "table.csv", rows(1, [3.0, 2.0])), spec()).records

    halfway = record.at("tokens", math.sqrt(100 * 200))
    assert halfway is not None
    assert halfway["loss"] == pytest.approx(2.5)
    assert record.at("tokens", 50) is None


def test_finalists_are_promoted_from_where_they_are(tmp_path: Path) -> None:
    """Four trials of a second to the rung each, then three seconds more of the best two, side by side."""
    sweep, table, clock = replayed(tmp_path, GRID, workers=2, early_terminate=screening(2), run_cap=4)

    assert {depth: result.status for depth, result in by_depth(sweep).items()} == {
        1: "stopped",
        2: "stopped",
        3: "completed",
        4: "completed",
    }
    assert (clock.now, table.inexact, sweep.policy.left) == (pytest.approx(2 + 3), 0, 0)


def test_a_finalist_whose_record_ends_is_not_asked_for_again(tmp_path: Path) -> None:
    table = [*rows(1, [2.0, 1.0, 0.5, 0.4]), *rows(2, [1.0, 0.5])]
    choice = {"depth": {"values": [1, 2]}}
    sweep, _, _ = replayed(tmp_path, table, parameters=choice, early_terminate=screening(2))

    assert {depth: (r.status, r.tokens) for depth, r in by_depth(sweep).items()} == {
        1: ("completed", 400),
        2: ("stopped", 200),
    }


def test_no_more_trials_begin_than_there_are_records(tmp_path: Path) -> None:
    table = [row for row in GRID if row["depth"] < 3]
    sweep, _, _ = replayed(tmp_path, table, run_cap=4, early_terminate=screening(1))

    assert [result.status for result in by_depth(sweep).values()].count("completed") == 1
    assert len(results(sweep)) == 2


def test_hours_are_those_of_the_virtual_clock(tmp_path: Path) -> None:
    sweep, _, clock = replayed(tmp_path, GRID, hours=5 / 3600, early_terminate=None)

    assert (len(results(sweep)), clock.now) == (1, pytest.approx(5))


def test_a_sweeps_own_folder_and_other_names_can_be_replayed(tmp_path: Path) -> None:
    original = replayed(tmp_path, GRID, early_terminate=None)[0]
    raw = minimal(
        parameters={"depth": {"values": [1, 2, 3, 4]}},
        trial={"tokens": 400, "evaluations": 4, "width": 16, "heads": 1, "context": 10, "batch_size": 1},
    )
    RunFolder(tmp_path / "run").spec.write_text(yaml.safe_dump(raw), encoding="utf-8")
    again = read_table(tmp_path / "run", original.spec)
    assert {record.parameters["depth"] for record in again.records} == {1, 2, 3, 4}

    renamed = [{"n_layers" if key == "depth" else key: value for key, value in row.items()} for row in GRID]
    mapped = read_table(write(tmp_path / "renamed.csv", renamed), spec(replay={"columns": {"depth": "n_layers"}}))
    assert [record.parameters["depth"] for record in mapped.records] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such table"),
        ("a,b\n1,2\n", "has no column 'config'; it has a, b"),
        ("config,depth,tokens,val_loss\n", "holds no evaluation"),
        ("config,depth,tokens,val_loss\nx,1,many,2\n", "config x: tokens 'many' is not a number"),
        ("config,depth,tokens,val_loss\nx,1,0,2\n", "config x: tokens 0 must be above 0"),
        ("config,depth,tokens,val_loss\nx,1,nan,2\n", "config x: tokens nan must be above 0"),
        ("config,depth,tokens,val_loss\nx,1,9,low\n", "config x: val_loss 'low' is not a number"),
        ("config,depth,tokens,val_loss\nx,1.5,9,2\n", "config x: depth '1.5' must be a whole number"),
        ("config,depth,tokens,val_loss\nx,-1,9,2\n", "config x: depth -1 must be above 0"),
        ("config,depth,tokens,val_loss\nx,0,9,2\n", "config x: depth 0 must be above 0"),
        ("config,depth,tokens,val_loss\nx,,9,2\n", "config x: depth '' is not a number"),
        ("config,depth,tokens,val_loss\nx,1\0,9,2\n", "t.csv"),
    ],
)
def test_a_bad_table_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        "{name: t, parameters: {depth: {values: [1, 2]}}, run_cap: 2, "
        "trial: {tokens: 400k, width: 16, heads: 1, evaluations: 4}}",
        encoding="utf-8",
    )
    if content is not None:
        (tmp_path / "t.csv").write_text(content, encoding="utf-8")

    assert main([str(sweep), "--replay", str(tmp_path / "t.csv")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_table_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "table.csv", GRID)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))

    assert len(read_table(path, spec()).records) == 4


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_table_that_is_cut_short_is_refused(tmp_path: Path, keep: float) -> None:
    path = write(tmp_path / "table.csv.gz", GRID)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])

    with pytest.raises(ValueError, match=r"table\.csv\.gz: it is cut short"):
        read_table(path, spec())


def test_what_is_no_gzip_or_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain.csv.gz").write_text("config,depth\n", encoding="utf-8")
    damaged = write(tmp_path / "damaged.csv.gz", GRID)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)

    for name in ("plain.csv.gz", "damaged.csv.gz"):
        with pytest.raises(ValueError, match=name):
            read_table(tmp_path / name, spec())


def test_any_searched_parameter_is_a_column(tmp_path: Path) -> None:
    searched = {
        "depth": {"values": [1, 2, 3, 4]},
        "batch_size": {"values": [4, 8]},
        "dtype": {"values": ["float32", "bfloat16"]},
        "scale_learning_rate": {"values": [True, False]},
    }
    more = {1: (4, "float32", "true"), 2: (8, "float32", "FALSE"), 3: (4, "bfloat16", "True"), 4: (8, "auto", "false")}
    names = ("batch_size", "dtype", "scale_learning_rate")
    rows = [{**row, **dict(zip(names, more[row["depth"]], strict=True))} for row in GRID]
    trial = {"tokens": 400, "evaluations": 4, "width": 16, "heads": 1, "context": 10}
    table = read_table(write(tmp_path / "table.csv", rows), spec(parameters=searched, trial=trial))

    assert table.records[1].parameters == {
        "depth": 2,
        "batch_size": 8,
        "dtype": "float32",
        "scale_learning_rate": False,
    }
    wanted = {"depth": 3, "batch_size": 4, "dtype": "bfloat16", "scale_learning_rate": True}
    assert table.take(wanted).parameters == wanted


def test_a_replay_without_any_loss_does_not_point_to_files_that_are_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        "{name: t, parameters: {depth: {values: [1, 2]}}, run_cap: 2, "
        "trial: {tokens: 400k, width: 16, heads: 1, evaluations: 4}}",
        encoding="utf-8",
    )
    table = write(tmp_path / "t.csv", [{**row, "tokens": 1000 * row["tokens"], "val_loss": math.nan} for row in GRID])

    assert main([str(sweep), "--replay", str(table)]) == 1
    out = capsys.readouterr().out
    assert "No trial gave a usable loss: the recorded curves hold none." in out
    assert "results.csv" not in out


def test_a_replay_says_what_answered_needs_no_ray_and_leaves_nothing(tmp_path: Path) -> None:
    text = """
    {name: t, parameters: {depth: {values: [1, 2, 3, 4, 5, 6]}}, run_cap: 6, early_terminate: {finalists: 1},
     trial: {tokens: 400, width: 16, heads: 1, evaluations: 4, context: 10, batch_size: 1}}
    """
    (tmp_path / "sweep.yaml").write_text(text, encoding="utf-8")
    write(tmp_path / "t.csv", GRID)
    code = (
        "import sys; from sweeps import run; status = run.main(sys.argv[1:]); "
        "sys.exit(status or bool({'ray', 'torch'} & set(sys.modules)))"
    )
    options = ["sweep.yaml", "--replay", "t.csv", "--workers", "2"]
    done = subprocess.run([sys.executable, "-c", code, *options], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "Best of 4 trials (1 completed, 3 stopped): depth 4," in said
    assert "Replayed from 4 runs of t.csv by 2 simulated workers; " in said
    assert re.search("; [1-4] of 4 trials were answered by the nearest recorded configuration. Every recorded", said)
    assert {path.name for path in tmp_path.iterdir()} == {"sweep.yaml", "t.csv"}


def test_recorded_runs_outside_the_limits_answer_nothing(tmp_path: Path) -> None:
    limited = spec(limits={"max_parameters": 12_000}).for_vocabulary(300)
    table = read_table(write(tmp_path / "table.csv", GRID), limited)

    assert [record.parameters["depth"] for record in table.records] == [1, 2]
    assert table.invalid == 2


def test_a_time_budget_needs_recorded_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        "{name: t, parameters: {depth: {values: [1]}}, run_cap: 1, trial: {tokens: 400k, width: 16, heads: 1}}",
        encoding="utf-8",
    )
    table = write(tmp_path / "t.csv", [{k: v for k, v in row.items() if k != "seconds"} for row in GRID])

    assert main([str(sweep), "--replay", str(table), "--hours", "1"]) == 2
    assert "has no seconds" in capsys.readouterr().err
