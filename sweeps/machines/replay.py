"""Recorded learning curves instead of training: a sweep's own policy on a virtual clock.

A table is a CSV file, gzip or not, with one row per recorded evaluation: a column `config` that names the training
run, the searched parameters, the axes that were recorded (`tokens`, `flops`, `seconds`) and the metric. A spec's
`replay.columns` maps these names to others. The run folder of a sweep is a table too.
"""

import csv
import gzip
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeps.machines.simulated import Clock, Machine, metrics_of
from sweeps.record.folder import RunFolder
from sweeps.record.record import read_trials
from sweeps.spec import document, load
from sweeps.spec.recipe import Assignment, Value, read_cell
from sweeps.spec.schema import Spec
from sweeps.sweep import Sweep
from sweeps.trials import Trial
from tinystories.config import AXES
from tinystories.metrics import Metrics

SLACK = 0.02
"""How far beyond the ends of a record a cost may lie and still be answered: updates do not end on round numbers."""
Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One recorded training run."""

    config: str
    """Its name in the table."""
    parameters: Assignment
    """Its searched parameters."""
    costs: Mapping[str, NDArray[np.float64]]
    """What had been spent at each evaluation, by axis. [token, FLOP, second]"""
    losses: NDArray[np.float64]
    """The metric at each evaluation; NaN where it diverged."""

    def at(self, axis: str, cost: float) -> dict[str, float] | None:
        """Costs on all axes, and `loss`, interpolated on the logarithm of the cost; None where nothing is recorded.

        Raises:
            EOFError: the record ends before that cost, and not because the run diverged.
        """
        known = self.costs[axis]
        if cost > known[-1] * (1 + SLACK) and math.isfinite(self.losses[-1]):
            raise EOFError(f"its record ends at {known[-1]:.4g} {axis}")
        if cost < known[0] * (1 - SLACK):
            return None
        columns = {**self.costs, "loss": self.losses}
        return {name: float(np.interp(math.log(cost), np.log(known), values)) for name, values in columns.items()}


class Table:
    """Recorded runs, each of which answers one trial.

    Args:
        records: at least one.
        invalid: runs left out because no trial can have their configuration.
    """

    def __init__(self, records: Iterable[Record], *, invalid: int = 0) -> None:
        self.invalid = invalid
        self.records = list(records)
        self._names = list(self.records[0].parameters)
        self._words = {
            name: sorted({str(record.parameters[name]) for record in self.records})
            for name, value in self.records[0].parameters.items()
            if isinstance(value, str)
        }
        self._points = self._features([record.parameters for record in self.records])
        self._span = np.maximum(np.ptp(self._points, axis=0), 1e-12)
        self._unused = np.ones(len(self.records), dtype=bool)
        self.inexact = 0
        """Trials that were answered by another configuration than the proposed one."""
        self.cut_short = 0
        """Trials that ended because their record does."""
        self.late = 0
        """Trials that passed the first rung because their record begins behind it."""

    def _features(self, rows: Iterable[Mapping[str, Value]]) -> NDArray[np.float64]:
        """Parameters on a logarithmic scale, but for 0, which has none; a text by which of those recorded it is."""
        return np.array([[place for name in self._names for place in self._places(name, row[name])] for row in rows])

    def _places(self, name: str, value: Value) -> list[float]:
        if isinstance(value, str):
            return [float(value == word) for word in self._words[name]]
        return [math.log(value) if value > 0 else -1.0]

    @property
    def exhausted(self) -> bool:
        """Whether every recorded run has answered a trial."""
        return not self._unused.any()

    def take(self, assignment: Assignment) -> Record:
        """The run nearest to a configuration among those not taken yet: one run is one training."""
        assert not self.exhausted
        away = (self._points - self._features([assignment])) / self._span
        distances = np.where(self._unused, (away**2).sum(axis=1), math.inf)
        nearest = int(distances.argmin())
        self._unused[nearest] = False
        self.inexact += bool(distances[nearest] > 1e-12)
        return self.records[nearest]


def read_table(path: Path, spec: Spec) -> Table:
    """Read a table, or the run folder of a sweep, for the parameters, the axis and the metric of a spec.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: a column is missing, a cell holds what no trial can have, or there is no row.
    """
    rows = _sweep_rows(path) if path.is_dir() else _csv_rows(path)
    renamed = {} if path.is_dir() else spec.replay
    axis = spec.axis
    second = ("flops",) if spec.pareto == "flops" and axis != "flops" else ()
    needed = ("config", *spec.space.parameters, axis, spec.metric, *second)
    columns = {name: renamed.get(name, name) for name in (*needed, *AXES)}
    runs: dict[str, list[Row]] = {}
    for raw in rows:
        if missing := [columns[name] for name in needed if columns[name] not in raw]:
            raise ValueError(
                f"{path} has no column {missing[0]!r}; it has {', '.join(map(str, raw))}; see replay.columns"
            )
        row = {name: raw.get(column) or "" for name, column in columns.items()}
        if row[axis] and row[spec.metric]:
            runs.setdefault(row["config"], []).append(row)
    if not runs:
        raise ValueError(f"{path} holds no evaluation with {axis} and {spec.metric}")
    try:
        records = [_record(config, run, spec) for config, run in runs.items()]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    valid = [record for record in records if _is_valid(record, spec)]
    if not valid:
        raise ValueError(
            f"{path}: none of its {len(records)} runs has a shape whose heads divide the width, within the limits"
        )
    return Table(valid, invalid=len(records) - len(valid))


def _is_valid(record: Record, spec: Spec) -> bool:
    """Whether its heads divide its width and its shape keeps to the limits."""
    shape = {**spec.space.fixed, **record.parameters}
    heads_fit = spec.space.limits.allow_heads(int(shape["width"]), int(shape["heads"]))
    return heads_fit and spec.space.allows(shape)


def _record(config: str, rows: list[Row], spec: Spec) -> Record:
    axis = spec.axis
    recorded = [name for name in AXES if all(row[name] for row in rows)]
    columns = {name: [_number(row, name) for row in rows] for name in (*recorded, spec.metric)}
    if wrong := [cost for cost in columns[axis] if not 0 < cost < math.inf]:
        raise ValueError(f"config {config}: {axis} {wrong[0]:g} must be above 0 and finite")
    order = np.argsort(columns[axis], kind="stable")
    values = {name: np.array(numbers)[order] for name, numbers in columns.items()}
    losses = values.pop(spec.metric)
    try:
        parameters: Assignment = {name: read_cell(name, rows[0][name]) for name in spec.space.parameters}
    except ValueError as error:
        raise ValueError(f"config {config}: {error}") from None
    return Record(config=config, parameters=parameters, costs=values, losses=losses)


def _number(row: Row, name: str) -> float:
    try:
        return float(row[name])
    except ValueError:
        raise ValueError(f"config {row['config']}: {name} {row[name]!r} is not a number") from None


def _csv_rows(path: Path) -> Iterator[Row]:
    try:
        opened = gzip.open if path.suffix.lower() == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:  # spreadsheets begin with a byte-order mark
            yield from csv.DictReader(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"--replay {path}: no such table, nor a run folder") from None
    except EOFError:
        raise ValueError(f"--replay {path}: it is cut short; copy it again") from None
    except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, csv.Error) as error:
        raise ValueError(f"--replay {path}: not a CSV table: {error}") from None


def _sweep_rows(path: Path) -> Iterator[Row]:
    """A sweep's evaluations, each with its trial's configuration."""
    folder = RunFolder(path)
    if not folder.journal.exists():
        raise FileNotFoundError(f"--replay {path}: a folder without journal.jsonl is no run folder")
    original = load.parse(document.read(folder.spec))
    for trial in read_trials(folder).values():
        config = asdict(original.trial_config(trial.trained))
        for metrics in trial.evaluations:
            row = asdict(metrics) | config | {"config": trial.trial_id}  # an evaluation's rate is of its last update
            yield {name: str(value) for name, value in row.items()}


def play(sweep: Sweep, table: Table, *, workers: int, clock: Clock) -> None:
    """Run a sweep on recorded curves.

    Args:
        sweep: made with this clock; it has no more trials than the table has runs.
        workers: trials at a time.
        clock: moves by the table's seconds; without that column, by a second for every unit of the axis.
    """
    curves: dict[str, RecordedCurve] = {}

    def answer(trial: Trial) -> RecordedCurve:
        if trial.trial_id not in curves:
            assignment = {name: trial.assignment[name] for name in sweep.spec.space.parameters}
            curves[trial.trial_id] = RecordedCurve(table.take(assignment), sweep.spec, table)
            sweep.substitute(trial.trial_id, curves[trial.trial_id].record.parameters)
        return curves[trial.trial_id]

    Machine(sweep, clock, workers=workers, answer=answer).run()


class RecordedCurve:
    """A recorded run as a trial's curve.

    Args:
        record: the run.
        spec: the sweep.
        table: counts what the record could not answer.
    """

    def __init__(self, record: Record, spec: Spec, table: Table) -> None:
        self.record = record
        self._spec = spec
        self._table = table

    def seconds(self, evaluation: int) -> float:
        """See `simulated.Curve`."""
        costs = self.record.costs[self._spec.axis]
        times = self.record.costs.get("seconds", costs)
        return float(np.interp(self._spec.cost_at(evaluation), [0, *costs], [0, *times]))

    def metrics(self, evaluation: int, before: Metrics | None) -> Metrics | None:
        """See `simulated.Curve`."""
        try:
            values = self.record.at(self._spec.axis, self._spec.cost_at(evaluation))
        except EOFError:
            self._table.cut_short += 1
            raise
        if values is None:
            self._table.late += evaluation in self._spec.rungs[:1]
            return None
        loss, last = values.pop("loss"), evaluation == self._spec.evaluations
        return metrics_of(loss, evaluation=evaluation, before=before, last=last, metric=self._spec.metric, **values)
