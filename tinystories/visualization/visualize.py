"""Draws what a sweep found, and what its data are: runs/NAME -> reports/figures."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tinystories import storage, terminal
from tinystories.data.dataset import Dataset, describe, open_dataset
from tinystories.options import Parser, path
from tinystories.visualization.charts import curves_figure, data_figure, front_figure, shapes_figure, short_number
from tinystories.visualization.recording import read_recording

DATA_SAMPLE = 20_000_000
"""Lengths and frequencies are counted over the first tokens of the training text; more change no line. [token]"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        figures = draw(options.run or newest_run(Path("runs")), options.data)
        for drawn in save(figures, options.out):
            print(drawn)
    except (ValueError, OSError) as error:
        return terminal.refuse(error)
    return 0


def draw(run: Path | None, data: Path | None = None) -> dict[str, Figure]:
    """All figures of a run, and of its data, by file name; either may be left out.

    Raises:
        FileNotFoundError: the run or the data are not there, or neither was asked for.
        ValueError: a file of theirs is damaged, or no trial has ended yet.
    """
    if not (run or data):
        raise FileNotFoundError("no runs/*/results.csv; run a sweep first: python sweeps/run.py")
    figures = _draw_run(run) if run else {}
    return {**figures, "data.png": _draw_data(data)} if data else figures


def newest_run(runs: Path) -> Path | None:
    """The run folder whose results are the latest; None when there is none."""
    results = runs.glob("*/results.csv")
    newest = max(results, key=lambda file: file.stat().st_mtime, default=None)
    return newest.parent if newest else None


def save(figures: dict[str, Figure], folder: Path) -> list[Path]:
    """Write the figures as PNG, each whole or not at all."""
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=160, facecolor="white")
        storage.write(str(folder / name), buffer.getvalue())
    return [folder / name for name in figures]


def _draw_run(run: Path) -> dict[str, Figure]:
    recording = read_recording(run)
    if not recording.trials:
        raise ValueError(f"{run}: no trial has ended yet")
    front = {f"{recording.name}_front.png": front_figure(recording)} if recording.best else {}
    return {
        f"{recording.name}_curves.png": curves_figure(recording),
        **front,
        f"{recording.name}_shapes.png": shapes_figure(recording),
    }


def _draw_data(folder: Path) -> Figure:
    dataset = open_dataset(folder)
    splits = describe(folder)
    stories, tokens = splits["train"]["stories"], splits["train"]["tokens"]
    title = f"{stories:,} training stories, {short_number(tokens)} tokens, tokenizer {dataset.tokenizer}"
    lengths, counts = _count(dataset)
    names = {"training": "train", "validation": "valid"}
    bytes_per_token = {name: splits[key]["bytes"] / splits[key]["tokens"] for name, key in names.items()}
    return data_figure(title, lengths, counts, bytes_per_token)


def _count(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the training stories, and how often each token occurs, end-of-text not counted."""
    tokens = dataset.train[:DATA_SAMPLE]
    end_of_text = int(dataset.valid[-1])  # every story ends with it
    counts = np.bincount(tokens, minlength=dataset.vocab_size)
    counts[end_of_text] = 0
    ends = np.flatnonzero(tokens == end_of_text)
    return np.diff(ends, prepend=-1) - 1, counts


def _parser() -> Parser:
    parser = Parser(prog="python -m tinystories.visualization.visualize", description=__doc__)
    parser.add_argument("run", nargs="?", type=path, help="run folder (default: the newest in runs/)")
    parser.add_argument("--out", type=path, default=Path("reports/figures"), help="where the figures go (%(default)s)")
    parser.add_argument("--data", type=path, help="data folder to draw as well, such as data/processed")
    return parser


if __name__ == "__main__":
    sys.exit(terminal.run(main))
