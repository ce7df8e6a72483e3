"""What a run folder says about its sweep, read from spec.yaml, results.csv and curves.csv."""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from tinystories.config import AXES, Axis, TrialConfig, parse_number

FINALISTS, LOOKS = 3, 2
"""Trials that a screening trains to their end, and its rungs, unless the spec says otherwise."""
FIRST = 9
"""Unless it is given, the first rung is at one part of so many of the evaluations, as in `sweeps.spec.schema`."""
OBJECTIVES = {"parameters": "parameters, embeddings included", "flops": "training FLOPs"}
"""What a front trades loss against: `pareto` of a spec; without it, parameters."""
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
    """Of a full trial. [token, FLOP or second]"""
    evaluations: int
    """In a full trial, evenly spaced."""
    rungs: tuple[int, ...]
    """Where trials are compared; empty if none is stopped. [evaluation]"""
    going_on: tuple[str, ...]
    """Which trials go on at each of them."""
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
        FileNotFoundError: spec.yaml, results.csv or curves.csv is missing.
        ValueError: one of them does not hold what a sweep writes.
    """
    with _reading(folder / "spec.yaml") as file:
        spec = yaml.safe_load(file)
        axis, budget, evaluations = _budget(spec["trial"])
        size = spec.get("pareto") or "parameters"
        if size not in OBJECTIVES:
            raise ValueError(f"pareto {size!r} must be one of {', '.join(OBJECTIVES)}")
        rungs, going_on = _rungs(spec, evaluations)
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
        going_on=going_on,
        size=size,
        trials=trials,
        bits_per_nat=bits_per_nat,
    )


def _budget(trial: dict[str, Any]) -> tuple[Axis, float, int]:
    axes = [axis for axis in AXES if axis in trial]
    if len(axes) != 1:
        raise ValueError(f"trial names {', '.join(axes) or 'no budget'}; one of {', '.join(AXES)} is needed")
    default = TrialConfig.__dataclass_fields__["evaluations"].default
    return axes[0], parse_number(trial[axes[0]]), int(trial.get("evaluations", default))


def _rungs(spec: dict[str, Any], evaluations: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Where trials are compared, and which go on there."""
    stopping = spec.get("early_terminate")
    if stopping is None:
        return (), ()
    first, eta = int(stopping.get("min_iter") or max(1, evaluations // FIRST)), int(stopping.get("eta", 3))
    if first < 1 or eta < 2:
        raise ValueError(f"early_terminate needs min_iter >= 1 and eta >= 2, not {first} and {eta}")
    rungs: list[int] = []
    while first * eta ** len(rungs) < evaluations:
        rungs.append(first * eta ** len(rungs))
    if stopping.get("type", "asha" if spec.get("pareto") else "screen") == "asha":
        return tuple(rungs), (f"best 1/{eta} go on",) * len(rungs)
    rungs = rungs[: int(stopping.get("looks", LOOKS))]
    quotas = [int(stopping.get("finalists", FINALISTS)) * eta**rest for rest in reversed(range(len(rungs)))]
    return tuple(rungs), tuple(f"best {quota} go on later" for quota in quotas)


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
    except (yaml.YAMLError, csv.Error, LookupError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        reason = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"{path} is not what a sweep writes: {reason}") from None
