"""The recorded learning curves that search.py searches on: of every table its axes, as a spec and records.

gemstones   22 GPTs of many depths and widths at a constant rate (McLeish et al. 2025, arXiv:2502.06857)
horeka-K    models of scan-bench trained on far fewer tokens than neps-K; K evaluations, one every 1.595B tokens
neps-K      models of scan-bench, one every 4B tokens
stories     this project's own models on TinyStories text; `record.py` writes the file

A run of scan-bench cools down at its own end, and all runs that reach the K-th evaluation count here, longer ones
too: in the losses of those that end about there the cool-down has begun. The table's note says how many these are.
"""

import csv
import gzip
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from sweeps.machines.replay import SLACK, Record, Row
from sweeps.spec.load import parse
from sweeps.spec.recipe import SEARCHABLE, kind
from sweeps.spec.schema import Spec
from tinystories.config import AXES, Axis

OURS: dict[str, Any] = {
    "method": "bayes",
    "early_terminate": {"type": "screen"},
}
"""How `ours` searches and stops: the keys of a sweep's YAML."""
STORIES = Path(__file__).with_name("tables") / "stories.csv.gz"
MOST_VALUES = 8
"""A parameter of more recorded values is searched as a range; width and heads are lists in any case."""
BROKEN = "21"
"""A run of horeka whose losses wander between 1.46 and 1.73 at a constant rate, where all others' fall: left out, as
those of its first evaluations are below the best final loss of all other runs."""
COOLING = 0.98
"""A learning rate below this share of its peak is that of a cool-down."""


@dataclass(frozen=True, kw_only=True)
class CurveTable:
    """One table on one axis."""

    spec: Spec
    """Its space, its budget and what `ours` does with them."""
    records: tuple[Record, ...]
    """All that have the budget and an evaluation within it, and those that diverged before."""
    note: str = ""
    """What a reader has to know about it."""

    def __post_init__(self) -> None:
        assert np.isfinite(self.finals).any()

    @property
    def axis(self) -> Axis:
        """What is spent."""
        axis: Axis = self.spec.axis
        return axis

    @property
    def finals(self) -> np.ndarray:
        """The loss of every run after the whole budget; NaN where it diverged."""
        return np.array([self.loss(record, self.spec.evaluations) for record in self.records])

    def loss(self, record: Record, evaluation: int) -> float:
        """The loss at an evaluation; NaN from where the run diverged.

        Before its first recorded loss, a power law of the cost through the first two is taken: unless it had some
        loss there, a costly run would pass all early comparisons.
        """
        cost = self.spec.cost_at(evaluation)
        try:
            values = record.at(self.axis, cost)
        except EOFError:
            return math.nan  # all others have the budget
        return values["loss"] if values else _extrapolated(record.costs[self.axis][:2], record.losses[:2], cost)

    def recorded(self, record: Record, evaluation: int) -> bool:
        """Whether the loss at an evaluation was recorded, rather than extrapolated."""
        return bool(self.spec.cost_at(evaluation) >= record.costs[self.axis][0] * (1 - SLACK))


def _extrapolated(costs: np.ndarray, losses: np.ndarray, cost: float) -> float:
    slope = np.log(losses[0] / losses[-1]) / np.log(costs[-1] / costs[0])
    return float(losses[0] * (costs[0] / cost) ** max(slope, 0))


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a table comes from."""

    file: Path
    """Relative to the folder of the data, or one that comes with the benchmark."""
    read: Callable[[Path], tuple[list[Record], str]]
    """Makes records and note."""
    evaluations: Mapping[Axis, int]
    """Evaluations of a full training, by axis."""
    cooldown: float = 0.0
    """Share of a full training in which the learning rate falls; of tables that are cut at a budget, mostly none."""
    budget: Mapping[Axis, float] = field(default_factory=dict)
    """Cost of a full training; else the smallest of all recorded ones. [token, FLOP, second]"""


@cache
def load(name: str, axis: Axis, data: Path) -> CurveTable:
    """A table on one of its axes.

    Args:
        data: folder of the files.

    Raises:
        FileNotFoundError: its file is not there.
    """
    source = SOURCES[name]
    records, note = source.read(data / source.file)
    ended = [record for record in records if np.isfinite(record.losses[-1])]
    budget = source.budget.get(axis) or min(record.costs[axis][-1] for record in ended)
    within = [record for record in records if record.costs[axis][0] * (1 - SLACK) <= budget]
    raw = {
        "name": f"{name}-{axis}",
        "parameters": _parameters(within),
        "run_cap": len(within),
        "trial": {axis: budget, "evaluations": source.evaluations[axis], "cooldown": source.cooldown},
        **OURS,
    }
    if "heads" not in raw["parameters"]:
        raw["trial"]["heads"] = 1  # not recorded, and valid for every width
    table = CurveTable(spec=parse(raw), records=tuple(within), note=note)
    return replace(table, note="; ".join(filter(None, (note, *_early(table, len(records))))))


def _early(table: CurveTable, runs: int) -> Iterator[str]:
    """What the note says of runs whose record begins late."""
    if left_out := runs - len(table.records):
        yield f"left out, as their first evaluation costs more than the budget: {left_out}"
    early = [not table.recorded(run, 1 + at) for run in table.records for at in range(table.spec.evaluations)]
    if any(early):
        yield f"{np.mean(early):.0%} of the evaluations are extrapolated, before a run's first recorded one"


def _parameters(records: list[Record]) -> dict[str, Any]:
    """A space that holds all recorded configurations, as a sweep's YAML says it."""
    found = {name: sorted({record.parameters[name] for record in records}) for name in records[0].parameters}
    return {name: _parameter(name, values) for name, values in found.items()}


def _parameter(name: str, values: list[int | float]) -> dict[str, Any]:
    if name in ("width", "heads") or len(values) <= MOST_VALUES:
        return {"values": values}
    return {"min": values[0], "max": values[-1], "distribution": "log_uniform_values"}


def _rows(path: Path) -> Iterator[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _records(rows: Iterator[dict[str, Any]]) -> list[Record]:
    """One record for each `config`, from rows with the names of the spec and `loss`."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        runs.setdefault(row["config"], []).append(row)
    return [_record(config, sorted(run, key=lambda row: float(row["tokens"]))) for config, run in runs.items()]


def _record(config: str, rows: list[dict[str, Any]]) -> Record:
    columns = {name: np.array([float(row[name]) for row in rows]) for name in (*AXES, "loss") if name in rows[0]}
    return Record(
        config=config,
        parameters={name: kind(name)(float(rows[0][name])) for name in SEARCHABLE if name in rows[0]},
        losses=columns.pop("loss"),
        costs=columns,
    )


def _gemstones(path: Path) -> tuple[list[Record], str]:
    rows = (
        {
            "config": row["run_name"],
            "depth": row["depth"],
            "width": row["width"],
            "tokens": row["tokens"],
            "flops": 6 * float(row["params_active_precise"]) * float(row["tokens"]),
            "seconds": float(row["step"]) * float(row["seconds_per_step"]),
            "loss": row["final_loss"],
        }
        for row in _rows(path)
        if row["lr_variant"] == "hot"
    )
    return _records(rows), "seconds: of machines with 8 to 64 nodes"


def _scan(path: Path, *, experiment: str, interval: float, points: int) -> tuple[list[Record], str]:
    """Runs with an evaluation at every multiple of the interval up to the last point."""
    cooling = _cooling(path)
    rows = (
        {
            "config": row["config_id"],
            "depth": row["n_layers"],
            "width": row["d_model"],
            "heads": row["n_heads"],
            "learning_rate": row["lr"],
            "tokens": row["tokens_so_far"],
            "flops": row["flops_so_far"],
            "loss": row["valid_loss"],
        }
        for row in _rows(path)
        if row["exp_name"].startswith(experiment) and row["tokens_so_far"] and row["config_id"] != BROKEN
    )
    wanted = [interval * (point + 1) for point in range(points)]
    records = [record for record in _records(rows) if all(_at(record, cost) is not None for cost in wanted)]
    begun = sum(_at(record, wanted[-1]) in cooling[record.config] for record in records)
    return records, f"{begun} of {len(records)} runs are cooling down at {wanted[-1] / 1e9:g}B tokens"


def _at(record: Record, cost: float) -> float | None:
    """Where a run has its evaluation of about that cost. [token]"""
    return next((float(tokens) for tokens in record.costs["tokens"] if abs(tokens / cost - 1) <= SLACK), None)


def _cooling(path: Path) -> dict[str, set[float]]:
    """Where every run was evaluated at a falling rate, by config. [token]"""
    found: dict[str, set[float]] = {}
    for row in _rows(path):
        at = found.setdefault(row["config_id"], set())
        if row["tokens_so_far"] and float(row["current_lr"]) < COOLING * float(row["lr"]):
            at.add(float(row["tokens_so_far"]))
    return found


def _stories(path: Path) -> tuple[list[Record], str]:
    return _records({**row, "loss": row["val_loss"]} for row in _rows(path)), ""


def _scan_source(experiment: str, interval: float, points: int, flops: int | None = None) -> Source:
    return Source(
        file=Path("scan_llm_curves.csv.gz"),
        read=partial(_scan, experiment=experiment, interval=interval, points=points),
        evaluations={"tokens": points} if flops is None else {"tokens": points, "flops": flops},
        budget={"tokens": interval * points},
    )


SOURCES = {
    "gemstones": Source(file=Path("gemstones_curves.csv.gz"), read=_gemstones, evaluations=dict.fromkeys(AXES, 27)),
    "horeka-2": _scan_source("Horeka", 1.595e9, 2),
    "horeka-3": _scan_source("Horeka", 1.595e9, 3),
    "horeka-5": _scan_source("Horeka", 1.595e9, 5),
    "neps-3": _scan_source("NePS", 4e9, 3),
    "neps-5": _scan_source("NePS", 4e9, 5, flops=3),  # the largest model's first evaluation is a third of the budget
    "neps-10": _scan_source("NePS", 4e9, 10),
    "stories": Source(file=STORIES, read=_stories, evaluations={"tokens": 27}, cooldown=0.2),
}
