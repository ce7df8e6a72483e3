"""What a run folder says about its sweep, read from sweep.json, results.csv and curves.csv."""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

from tinystories.config import AXES, Axis

Name = TypeVar("Name", bound=str)
OBJECTIVES = {"parameters": "parameters, embeddings included", "flops": "training FLOPs"}
"""What a front trades loss against: the sweep's second objective; without one, parameters."""
UNITS: dict[Axis, str] = {"tokens": "training tokens", "flops": "training FLOPs", "seconds": "seconds"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One ended trial."""

    status: str
    """completed, stopped, failed or diverged."""
    depth: int
    width: int
    heads: int
    non_embedding_parameters: int
    size: float
    """What the front has it on, see `OBJECTIVES`. [parameter or FLOP]"""
    best_val_loss: float
    """Lowest validation loss; NaN if there was none. [nat/token]"""
    cost: float
    """Spent, on the sweep's axis. [token, FLOP or second]"""
    curve: tuple[tuple[float, float], ...]
    """Cost and val_loss of each evaluation whose loss is finite."""

    @property
    def shape(self) -> str:
        """The shape as people say it."""
        return f"depth {self.depth}, width {self.width}, heads {self.heads}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """One sweep, as far as it has got."""

    name: str
    axis: Axis
    """What the budget is counted in."""
    budget: float
    """Budget of a full trial. [token, FLOP or second]"""
    evaluations: int
    """Evaluations of a full trial, evenly spaced."""
    rungs: tuple[int, ...]
    """Where trials are compared; empty if none is stopped. [evaluation]"""
    continuing: tuple[str, ...]
    """Which trials continue at each of them, in words."""
    size: str
    """What the front trades loss against, a key of `OBJECTIVES`."""
    trials: tuple[Trial, ...]
    bits_per_nat: float
    """val_bpb / val_loss, the same in all trials, as they share their data. [bit/byte per nat/token]"""

    def cost_at(self, evaluation: int) -> float:
        """Cost of a trial at one of its evaluations. [token, FLOP or second]"""
        return self.budget * evaluation / self.evaluations

    @property
    def best(self) -> Trial | None:
        """The completed trial of the lowest loss."""
        return best_of(trial for trial in self.trials if trial.status == "completed")


def front_of(trials: Iterable[Trial]) -> list[Trial]:
    """The completed trials that none of the same size or less beats, smallest first."""
    completed = (trial for trial in trials if trial.status == "completed" and math.isfinite(trial.best_val_loss))
    front: list[Trial] = []
    for trial in sorted(completed, key=lambda trial: (trial.size, trial.best_val_loss)):
        if not front or trial.best_val_loss < front[-1].best_val_loss:
            front.append(trial)
    return front


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The trial of the lowest finite loss."""
    finite = (trial for trial in trials if math.isfinite(trial.best_val_loss))
    return min(finite, key=lambda trial: trial.best_val_loss, default=None)


def read_recording(folder: Path) -> Recording:
    """Read a run folder.

    Raises:
        FileNotFoundError: sweep.json, results.csv or curves.csv is missing.
        ValueError: one of them does not hold what a sweep writes.
    """
    with _reading(folder / "sweep.json") as file:
        facts = json.load(file)
        axis, size = _one_of(facts["axis"], AXES), _one_of(facts["pareto"] or "parameters", tuple(OBJECTIVES))
        rungs, continuing = tuple(map(int, facts["rungs"])), tuple(map(str, facts["continuing"]))
        budget, evaluations = float(facts["budget"]), int(facts["evaluations"])
    with _reading(folder / "curves.csv") as file:
        curves, bits_per_nat = _curves(_rows(file), axis)
    with _reading(folder / "results.csv") as file:
        searched = (row for row in _rows(file) if row.get("stage") != "confirm")  # the best of many seeds is luck
        trials = tuple(_trial(row, curves[row["trial_id"]], axis, size) for row in searched)
    return Recording(
        name=folder.resolve().name,
        axis=axis,
        budget=budget,
        evaluations=evaluations,
        rungs=rungs,
        continuing=continuing,
        size=size,
        trials=trials,
        bits_per_nat=bits_per_nat,
    )


def _one_of(value: Any, allowed: tuple[Name, ...]) -> Name:
    if value not in allowed:
        raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
    found: Name = value
    return found


def _rows(file: TextIO) -> Iterable[dict[str, str]]:
    """Rows of a CSV file, without a last one that a crash tore or a running sweep is still writing."""
    return csv.DictReader(line for line in file if line.endswith("\n"))


def _curves(rows: Iterable[dict[str, str]], axis: Axis) -> tuple[dict[str, list[tuple[float, float]]], float]:
    """Cost and finite val_loss of each evaluation, by trial, and the bits per byte that a nat per token is."""
    curves, bits_per_nat = defaultdict(list), math.nan
    for row in rows:
        loss = _number(row["val_loss"])
        if math.isfinite(loss):
            curves[row["trial_id"]].append((float(row[axis]), loss))
            bits_per_nat = _number(row["val_bpb"]) / loss
    return curves, bits_per_nat


def _trial(row: dict[str, str], curve: list[tuple[float, float]], axis: Axis, size: str) -> Trial:
    return Trial(
        status=row["status"],
        depth=int(row["depth"]),
        width=int(row["width"]),
        heads=int(row["heads"]),
        non_embedding_parameters=int(row["non_embedding_parameters"]),
        size=float(row[size]),
        best_val_loss=_number(row["best_val_loss"]),
        cost=float(row[axis]),
        curve=tuple(curve),
    )


def _number(cell: str) -> float:
    """A float; an empty cell is NaN."""
    return float(cell or "nan")


@contextmanager
def _reading(path: Path) -> Iterator[TextIO]:
    """A file of the run folder, open; what is wrong with its content is told with its name.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: the block found it to be damaged.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            yield file
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; a run folder has it once its first trial has ended") from None
    except (csv.Error, LookupError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        reason = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"{path} is not what a sweep writes: {reason}") from None
