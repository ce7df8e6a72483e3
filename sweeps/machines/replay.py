"""Recorded learning curves instead of training: a sweep's own searcher and scheduler on a virtual clock.

A table is a CSV file, gzip or not, with one row per recorded evaluation: a column `config` that names the training
run, the searched parameters, the axes that were recorded (`tokens`, `flops`, `seconds`) and the metric. A spec's
`replay.columns` maps these names to others. The run folder of a sweep is a table too.
"""

import csv
import gzip
import heapq
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeps.record import tables
from sweeps.record.tables import RunFolder
from sweeps.spec.schema import Spec
from sweeps.spec.space import Assignment, kind
from sweeps.sweep import Running, Sweep
from tinystories.config import AXES
from tinystories.metrics import Metrics

SLACK = 0.02
"""How far beyond the ends of a record a cost may lie and still be answered: updates do not end on round numbers."""
Row = Mapping[str, str]


class Clock:
    """Virtual time; called, it says how late it is. [s]"""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time. [s]"""
        return self.now


@dataclass(frozen=True, kw_only=True)
class Record:
    """One recorded training run."""

    config: str
    """Its name in the table."""
    parameters: Assignment
    """The searched ones."""
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
        self._points = self._features([record.parameters for record in self.records])
        self._span = np.maximum(np.ptp(self._points, axis=0), 1e-12)
        self._unused = np.ones(len(self.records), dtype=bool)
        self.inexact = 0
        """Trials that were answered by another configuration than the proposed one."""
        self.cut_short = 0
        """Trials that ended because their record does."""
        self.late = 0
        """Trials that passed the first rung because their record begins behind it."""

    def _features(self, rows: Iterable[Mapping[str, float]]) -> NDArray[np.float64]:
        """Parameters on a logarithmic scale, but for 0, which has none."""
        return np.array([[math.log(row[name]) if row[name] > 0 else -1.0 for name in self._names] for row in rows])

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
        ValueError: a column is missing, a cell is no number, or there is no row.
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
    rows = sorted(rows, key=lambda row: float(row[axis]))

    def column(name: str) -> NDArray[np.float64]:
        return np.array([float(row[name]) for row in rows])

    recorded = [name for name in AXES if all(row[name] for row in rows)]
    costs: dict[str, NDArray[np.float64]] = {name: column(name) for name in recorded}
    if not costs[axis][0] > 0:
        raise ValueError(f"config {config}: {axis} {costs[axis][0]:g} must be above 0")
    parameters: Assignment = {name: kind(name)(float(rows[0][name])) for name in spec.space.parameters}
    return Record(config=config, parameters=parameters, costs=costs, losses=column(spec.metric))


def _csv_rows(path: Path) -> Iterator[Row]:
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
            yield from csv.DictReader(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"--replay {path}: no such table, nor a run folder") from None
    except (UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise ValueError(f"--replay {path}: not a CSV table: {error}") from None


def _sweep_rows(path: Path) -> Iterator[Row]:
    """A sweep's evaluations, each with its trial's configuration."""
    folder = RunFolder(path)
    if not folder.curves.exists():
        raise FileNotFoundError(f"--replay {path}: a folder without curves.csv is no run folder")
    curves = tables.read_curves(folder.curves)
    for result in tables.read_results(folder.results):
        trial = {name: str(value) for name, value in asdict(result).items()}
        for metrics in curves.get(result.trial_id, []):
            row = {name: str(value) for name, value in asdict(metrics).items()}
            rate = trial["learning_rate"]  # the trial's own; an evaluation's is that of its last update
            yield {**trial, **row, "learning_rate": rate, "config": result.trial_id}


def play(sweep: Sweep, table: Table, *, workers: int, clock: Clock) -> None:
    """Run a sweep on recorded curves: every worker serves trial after trial, and a long one reports late.

    Args:
        sweep: made with this clock.
        workers: trials at a time.
        clock: goes on by the table's seconds; without that column, by a second for every unit of the axis.
    """
    sweep.spec = spec = replace(sweep.spec, run_cap=min(sweep.spec.run_cap, len(table.records)))
    axis = spec.axis
    records: dict[str, Record] = {}
    due: list[tuple[float, int, Running, int]] = []
    begun = itertools.count()

    def seconds(trial: Running, evaluation: int) -> float:
        record = records[trial.trial_id]
        time = record.costs.get("seconds", record.costs[axis])
        return float(np.interp(spec.cost_at(evaluation), [0, *record.costs[axis]], [0, *time]))

    def work(trial: Running, evaluation: int) -> None:
        """Have a worker train a trial up to the evaluation after this one."""
        after = clock.now + seconds(trial, evaluation + 1) - seconds(trial, evaluation)
        heapq.heappush(due, (after, next(begun), trial, evaluation + 1))

    def start() -> None:
        while len(due) < workers and (trial := sweep.propose()):
            if trial.trial_id not in records:
                assignment = {name: getattr(trial.config, name) for name in spec.space.parameters}
                records[trial.trial_id] = table.take(assignment)
            sweep.stand_for(trial.trial_id, spec.trial_config(records[trial.trial_id].parameters))
            work(trial, trial.metrics.evaluation if trial.metrics else 0)

    start()
    while due:
        clock.now, _, trial, evaluation = heapq.heappop(due)
        if _goes_on(sweep, trial, records[trial.trial_id], evaluation, table):
            work(trial, evaluation)
        start()


def _goes_on(sweep: Sweep, trial: Running, record: Record, evaluation: int, table: Table) -> bool:
    """Report one recorded evaluation, if there is one, and end the trial where it ends."""
    spec = sweep.spec
    try:
        values = record.at(spec.axis, spec.cost_at(evaluation))
    except EOFError as error:
        table.cut_short += 1
        sweep.finish(trial.trial_id, "stopped", str(error))
        return False
    if values is None:
        table.late += evaluation in spec.rungs[:1]
        return True
    metrics = _metrics(values, evaluation, trial.metrics, metric=spec.metric)
    goes_on = sweep.report(trial.trial_id, metrics, "")
    if metrics.diverged or evaluation == spec.evaluations:
        sweep.finish(trial.trial_id, "diverged" if metrics.diverged else "completed")
        return False
    if not goes_on:
        sweep.finish(trial.trial_id, "stopped")
    elif sweep.meter.used_up:
        sweep.pause(trial.trial_id)
        return False
    return goes_on


def _metrics(values: Mapping[str, float], evaluation: int, before: Metrics | None, *, metric: str) -> Metrics:
    """A recorded evaluation as a trial reports it; what was not recorded is NaN, or 0 where it is a count."""
    loss = values["loss"]
    return Metrics(
        evaluation=evaluation,
        step=0,
        tokens=round(values.get("tokens", 0)),
        flops=values.get("flops", math.nan),
        seconds=values.get("seconds", 0.0),
        train_loss=math.nan,
        val_loss=loss,
        val_loss_se=math.nan,
        sample_loss=loss,
        val_bpb=loss if metric == "val_bpb" else math.nan,
        best_val_loss=min(before.best_val_loss if before else math.inf, loss),
        learning_rate=math.nan,
        tokens_per_second=math.nan,
        diverged=not math.isfinite(loss),
    )
