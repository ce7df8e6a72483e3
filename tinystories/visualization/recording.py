"""What a run folder says about its sweep, read from spec.yaml, results.csv and curves.csv."""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tinystories.config import AXES, Axis, TrialConfig, parse_number

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
    """Where ASHA compares trials; empty without it. [evaluation]"""
    eta: int
    """ASHA lets the best 1/eta go on."""
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
    results = _read_csv(folder / "results.csv")
    curves = _read_csv(folder / "curves.csv")
    try:
        spec = yaml.safe_load((folder / "spec.yaml").read_text(encoding="utf-8"))
        axis, budget, evaluations = _budget(spec["trial"])
        halving = spec.get("early_terminate") or {}
        eta = int(halving.get("eta", 3))
        rungs = _rungs(int(halving.get("min_iter", 1)), eta, evaluations) if halving else ()
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"{folder / 'spec.yaml'}: not the spec of a sweep: {error!r}") from None
    try:
        trials = tuple(_trial(row, curves, axis) for row in results)
        ratios = [float(row["val_bpb"]) / float(row["val_loss"]) for row in curves if row["val_bpb"]]
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"{folder}: results.csv or curves.csv is damaged: {error!r}") from None
    return Recording(
        name=folder.resolve().name,
        axis=axis,
        budget=budget,
        evaluations=evaluations,
        rungs=rungs,
        eta=eta,
        trials=trials,
        bits_per_nat=next(filter(math.isfinite, ratios), math.nan),
    )


def _budget(trial: dict[str, Any]) -> tuple[Axis, float, int]:
    axes = [axis for axis in AXES if axis in trial]
    if len(axes) != 1:
        raise ValueError(f"spec.yaml: trial names {', '.join(axes) or 'no budget'}; one of {', '.join(AXES)} is needed")
    default = TrialConfig.__dataclass_fields__["evaluations"].default
    return axes[0], parse_number(trial[axes[0]]), int(trial.get("evaluations", default))


def _rungs(first: int, eta: int, evaluations: int) -> tuple[int, ...]:
    """The evaluations first, first * eta, ... before the last one."""
    if first < 1 or eta < 2:
        raise ValueError(f"spec.yaml: early_terminate needs min_iter >= 1 and eta >= 2, not {first} and {eta}")
    return (first, *_rungs(first * eta, eta, evaluations)) if first < evaluations else ()


def _trial(row: dict[str, str], curves: list[dict[str, str]], axis: Axis) -> Trial:
    points = [
        (float(point[axis]), _number(point["val_loss"])) for point in curves if point["trial_id"] == row["trial_id"]
    ]
    return Trial(
        status=row["status"],
        depth=int(row["depth"]),
        width=int(row["width"]),
        heads=int(row["heads"]),
        non_embedding_parameters=int(row["non_embedding_parameters"]),
        best_val_loss=_number(row["best_val_loss"]),
        cost=float(row[axis]),
        curve=tuple((cost, loss) for cost, loss in points if math.isfinite(loss)),
    )


def _number(cell: str) -> float:
    """A float; an empty cell is NaN."""
    return float(cell or "nan")


def _read_csv(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; a run folder has it once its first trial has ended") from None
