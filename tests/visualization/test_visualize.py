import csv
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from sweeps.record import facts
from sweeps.spec import load
from tinystories.config import field_names, parse_number
from tinystories.data.make_dataset import make_stories
from tinystories.metrics import Metrics
from tinystories.visualization.charts import FAINT, VERMILION, short_number
from tinystories.visualization.recording import read_recording
from tinystories.visualization.visualize import draw, main, newest_run

from ..sweeps.examples import minimal

FACTS: dict[str, Any] = {
    "name": "tiny",
    "metric": "val_loss",
    "axis": "tokens",
    "budget": 90_000,
    "evaluations": 9,
    "rungs": [1, 3],
    "continuing": ["best 1/3 continue", "best 1/3 continue"],
    "pareto": None,
    "searched": ["depth", "width", "heads"],
}
TRIALS = {  # status, depth, width, heads, losses
    "t1": ("completed", 1, 32, 2, [5.0, 4.0, 3.5, 3.2, 3.0, 2.9, 2.8, 2.7, 2.5]),
    "t2": ("completed", 1, 32, 4, [4.9, 3.9, 3.4, 3.1, 2.9, 2.8, 2.7, 2.6, 2.4]),
    "t3": ("completed", 2, 64, 4, [4.5, 3.5, 3.0, 2.8, 2.6, 2.5, 2.4, 2.2, 2.1]),
    "t4": ("stopped", 2, 32, 8, [5.5, 4.6, 4.2]),
    "t5": ("diverged", 1, 64, 1, [6.0, float("nan")]),
}
COLUMNS = [
    "trial_id",
    "status",
    "depth",
    "width",
    "heads",
    "learning_rate",
    "seed",
    "parameters",
    "non_embedding_parameters",
    "tokens",
    "flops",
    "seconds",
    "val_loss",
    "val_bpb",
    "best_val_loss",
    "checkpoint",
    "error",
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "runs/tiny", FACTS)


def write_run(folder: Path, facts: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(json.dumps(facts), encoding="utf-8")
    results, points = [], []
    for trial_id, (status, depth, width, heads, losses) in TRIALS.items():
        shape = {"trial_id": trial_id, "depth": depth, "width": width, "heads": heads}
        for evaluation, loss in enumerate(losses, 1):
            spent = {"tokens": 10_000 * evaluation, "flops": 1e9 * evaluation, "seconds": 2.0 * evaluation}
            measured = {"val_loss": cell(loss), "val_bpb": cell(loss * 0.5)}
            points.append({"trial_id": trial_id, "evaluation": evaluation, **spent, **measured})
        best = min(loss for loss in losses if loss == loss)
        size = {"parameters": 20 * depth * width**2, "non_embedding_parameters": 12 * depth * width**2}
        results.append({**shape, "status": status, **spent, **size, **measured, "best_val_loss": best})
    write_csv(folder / "results.csv", COLUMNS, results)
    write_csv(folder / "curves.csv", ["trial_id", *field_names(Metrics)], points)
    return folder


def cell(value: float) -> float | str:
    return value if value == value else ""


def write_csv(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def lines(figure: Figure) -> list[tuple[list[float], list[float]]]:
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in figure.axes[0].lines]
    return [(xs, ys) for xs, ys in drawn if xs]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_finite_loss_is_drawn_at_its_cost(run: Path) -> None:
    drawn = lines(draw(run)["tiny_curves.png"])

    for *_, losses in TRIALS.values():
        finite = [loss for loss in losses if loss == loss]
        assert ([10_000.0 * number for number in range(1, len(finite) + 1)], finite) in drawn


def test_the_best_completed_trial_stands_out_and_is_named_by_its_shape(run: Path) -> None:
    axes = draw(run)["tiny_curves.png"].axes[0]

    (best,) = (line for line in axes.lines if len(line.get_xdata()) and same_color(line.get_color(), VERMILION))
    legend = [text.get_text() for text in axes.get_legend().get_texts()]

    assert list(best.get_ydata()) == TRIALS["t3"][-1]
    assert legend == ["best: depth 2, width 64, heads 4 (2.100)", "stopped", "diverged"]


def test_a_diverged_trial_is_crossed_at_its_last_finite_loss(run: Path) -> None:
    axes = draw(run)["tiny_curves.png"].axes[0]

    crosses = [(*line.get_xdata(), *line.get_ydata()) for line in axes.lines if line.get_marker() == "x"]

    assert (10_000.0, 6.0) in crosses


@pytest.mark.parametrize(
    ("axis", "budget", "named", "rungs"),
    [
        ("tokens", "90k", "training tokens", [10_000, 30_000]),
        ("flops", "9e9", "training FLOPs", [1e9, 3e9]),
        ("seconds", "18", "seconds", [2, 6]),
    ],
)
def test_rungs_stand_where_the_sweep_says_on_every_axis(
    tmp_path: Path, axis: str, budget: str, named: str, rungs: list[float]
) -> None:
    folder = write_run(tmp_path / axis, {**FACTS, "axis": axis, "budget": parse_number(budget)})

    figures = draw(folder)
    curves, shapes = figures[f"{axis}_curves.png"], figures[f"{axis}_shapes.png"]

    assert [xs[0] for xs, ys in lines(curves) if ys == [0, 1]] == pytest.approx(rungs)
    assert named in curves.axes[0].get_xlabel()
    assert any(f"{short_number(float(rungs[0] * 9))} {named}" in text for text in texts(shapes))


@pytest.mark.parametrize(
    ("changes", "continuing"),
    [
        ({"early_terminate": {}}, ["best 9 promoted", "best 3 promoted"]),
        ({"early_terminate": {"type": "asha", "eta": 2}}, ["best 1/2 continue"] * 4),
        ({"early_terminate": {"type": "asha", "variant": "promotion"}}, ["best 1/3 promoted"] * 2),
        ({"early_terminate": None, "pareto": "flops"}, []),
    ],
)
def test_what_a_sweep_writes_of_itself_is_what_the_pictures_read(
    tmp_path: Path, changes: dict[str, Any], continuing: list[str]
) -> None:
    spec = load.parse(minimal(trial={"tokens": "90k", "evaluations": 27}, **changes))
    facts.write(tmp_path / "facts.json", spec)
    recording = read_recording(
        write_run(tmp_path / "run", json.loads((tmp_path / "facts.json").read_text(encoding="utf-8")))
    )

    assert (recording.axis, recording.budget, recording.evaluations) == ("tokens", 90_000, 27)
    assert recording.size == (spec.pareto or "parameters")
    assert recording.rungs == spec.rungs
    assert list(recording.continuing) == continuing


def test_without_halving_there_are_no_rungs(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "plain", {**FACTS, "rungs": [], "continuing": []})

    curves = draw(folder)["plain_curves.png"]

    assert not [xs for xs, ys in lines(curves) if ys == [0, 1]]


def test_cells_hold_the_best_loss_and_heads_of_their_shape(run: Path) -> None:
    axes = draw(run)["tiny_shapes.png"].axes[0]

    written = defaultdict(set)
    for text in axes.texts:
        column, row = text.get_position()
        written[round(column), round(row)].add(text.get_text())

    assert {"2.400", "heads 4"} <= written[0, 0]
    assert {"2.100", "heads 4"} <= written[1, 1]
    assert {"4.200", "heads 8, at 33%"} <= written[0, 1]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["32", "64"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["1", "2"]


def test_the_front_names_the_full_trials_that_no_smaller_one_beats(run: Path) -> None:
    axes = draw(run)["tiny_front.png"].axes[0]

    assert [text.get_text() for text in axes.texts] == ["1x32, 4", "2x64, 4"]


def test_a_search_for_loss_and_flops_has_its_front_over_flops(tmp_path: Path) -> None:
    axes = draw(write_run(tmp_path / "compute", {**FACTS, "pareto": "flops"}))["compute_front.png"].axes[0]

    assert axes.get_xlabel() == "training FLOPs"
    assert [text.get_text() for text in axes.texts] == ["2x64, 4"]  # all trials here cost the same


def test_cells_that_only_stopped_trials_reached_have_no_colour_of_the_scale(run: Path) -> None:
    axes = draw(run)["tiny_shapes.png"].axes[0]

    grey = {patch.get_xy() for patch in axes.patches if same_color(patch.get_facecolor(), FAINT)}

    assert grey == {(-0.5, 0.5), (0.5, -0.5)}


def test_a_sweep_without_a_completed_trial_is_drawn(run: Path, tmp_path: Path) -> None:
    results = (run / "results.csv").read_text(encoding="utf-8").replace("completed", "stopped")
    (run / "results.csv").write_text(results, encoding="utf-8")

    assert main([str(run), "--out", str(tmp_path / "figures")]) == 0


def test_the_data_figure_shows_lengths_frequencies_and_bytes_per_token(run: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_stories(data, stories=60, valid_stories=10, tokenizer="bpe:300")

    lengths, frequencies, widths = draw(run, data)["data.png"].axes
    shares = list(frequencies.lines[0].get_ydata())

    assert sum(bar.get_height() for bar in lengths.patches) == pytest.approx(1, abs=0.05)
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert all(1 < bar.get_height() < 10 for bar in widths.patches)


def test_data_are_drawn_without_a_run(tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["--data", str(data_folder), "--out", "figures"]) == 0
    assert [path.name for path in Path("figures").iterdir()] == ["data.png"]


def test_the_command_writes_pngs_and_names_them(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures"

    assert main([str(run), "--out", str(out)]) == 0

    written = sorted(path.name for path in out.iterdir())
    assert written == ["tiny_curves.png", "tiny_front.png", "tiny_shapes.png"]
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in written)
    assert capsys.readouterr().out.split() == [str(out / name) for name in written]


def test_without_a_folder_the_newest_results_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, name in enumerate(("new", "older", "oldest")):
        results = write_run(tmp_path / "runs" / name, FACTS) / "results.csv"
        os.utime(results, (1e9 - age, 1e9 - age))
    (tmp_path / "runs/empty").mkdir()
    monkeypatch.chdir(tmp_path)

    assert newest_run(Path("runs")) == Path("runs/new")
    assert main([]) == 0
    assert Path("reports/figures/new_curves.png").exists()


def test_rows_that_are_not_whole_yet_are_left_out(run: Path) -> None:
    whole = read_recording(run)
    for name in ("results.csv", "curves.csv"):
        text = (run / name).read_text(encoding="utf-8")
        (run / name).write_text(text + text.splitlines()[-1][:-1], encoding="utf-8")

    assert read_recording(run) == whole


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda run: (run / "sweep.json").unlink(), "sweep.json is missing"),
        (lambda run: (run / "curves.csv").unlink(), "curves.csv is missing"),
        (lambda run: (run / "sweep.json").write_text("{}", encoding="utf-8"), "sweep.json is not what a sweep writes"),
        (lambda run: (run / "sweep.json").write_text("[1", encoding="utf-8"), "sweep.json is not what a sweep writes"),
        (
            lambda run: (run / "sweep.json").write_text(json.dumps({**FACTS, "axis": "miles"}), encoding="utf-8"),
            "'miles' is not one of",
        ),
        (
            lambda run: (run / "results.csv").write_text("trial_id,status\nt1,completed\n", encoding="utf-8"),
            "results.csv is not what",
        ),
        (lambda run: (run / "results.csv").write_bytes(b"trial_id\n\xff\n"), "results.csv is not what"),
        (
            lambda run: (run / "curves.csv").write_text("trial_id\n" + "x" * 200_000 + "\n", encoding="utf-8"),
            "curves.csv is not what",
        ),
        (
            lambda run: (run / "curves.csv").write_text("trial_id,val_loss\nt1,low\n", encoding="utf-8"),
            "curves.csv is not what",
        ),
        (lambda run: (run / "results.csv").write_text(",".join(COLUMNS), encoding="utf-8"), "no trial has ended yet"),
    ],
)
def test_a_damaged_run_is_refused_in_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any, told: str
) -> None:
    damage(run)

    status = main([str(run), "--out", str(tmp_path / "figures")])

    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert told in error
    assert not (tmp_path / "figures").exists()


def test_no_run_at_all_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main([]) == 2
    assert "python sweeps/run.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "text"), [(66.7, "66.7"), (400_000, "400k"), (2e6, "2M"), (1.5e9, "1.5B"), (3e13, "3e+13")]
)
def test_numbers_read_as_people_write_them(value: float, text: str) -> None:
    assert short_number(value) == text
