"""The tables of a sweep, as people and other programs read them; `views` keeps them.

`results.csv`, one row a trial that has ended or is paused:

| column | meaning |
|---|---|
| trial_id | name of the trial, in the order of proposal |
| stage | search, or confirm: one of the best again with another seed |
| status | completed: full budget; stopped: at a rung, or paused there as long as it may be promoted; failed: an error; diverged: NaN, or loss far above its start |
| depth, width, heads, learning_rate, seed | the configuration; learning_rate is the one at width 256 |
| parameters, non_embedding_parameters | sizes in closed form |
| tokens, flops, seconds | spent on training; seconds over all resumes |
| gpu_hours | these seconds times the share of a GPU, or one slot on CPUs, that the trial held |
| val_loss, val_bpb | at the last evaluation, of a completed trial over all validation stories, else over the sample [nat/token], [bit/byte] |
| best_val_loss | what trials of one status are ranked by: of a completed one val_loss, else its lowest over the sample [nat/token] |
| checkpoint | file of that evaluation, relative to the run folder unless a URI; empty: not kept |
| error | one line: why a trial failed |
| all others | what else was searched, under its name in the sweep's file |

`curves.csv`, one row an evaluation: `trial_id` and the fields of `tinystories.metrics.Metrics`.
"""  # noqa: E501

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, TypeVar, get_type_hints

from sweeps import trials
from sweeps.events import Stage
from sweeps.spec.recipe import read_cell
from sweeps.spec.schema import Objective
from tinystories.config import field_names
from tinystories.metrics import Metrics

Status = Literal["completed", "stopped", "failed", "diverged"]
MEASURED = ("tokens", "flops", "seconds", "val_loss", "val_bpb", "best_val_loss")
"""What a row has from the trial's last evaluation, under the same names."""
Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One row of results.csv; the columns are described at the top of this module."""

    trial_id: str
    stage: Stage = "search"
    status: Status
    depth: int
    width: int
    heads: int
    learning_rate: float
    seed: int
    parameters: int
    non_embedding_parameters: int
    tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0
    gpu_hours: float = 0.0
    val_loss: float = math.nan
    val_bpb: float = math.nan
    best_val_loss: float = math.nan
    checkpoint: str = ""
    error: str = ""
    searched: Mapping[str, Any] = field(default_factory=dict)
    """What else was searched, by name."""

    @property
    def usable(self) -> bool:
        """Whether the trial has a loss to be ranked by."""
        return self.status in ("completed", "stopped") and math.isfinite(self.best_val_loss)

    @property
    def rank(self) -> tuple[bool, float]:
        """Smaller is better: full trials before stopped ones, as losses at unequal budgets or on unequal text do not
        compare."""
        return self.status != "completed", self.best_val_loss

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells its configuration from others: all that may be searched but the seed."""
        return self.depth, self.width, self.heads, self.learning_rate, *self.searched.values()

    @property
    def shape(self) -> str:
        """The shape as people say it."""
        return f"depth {self.depth}, width {self.width}, heads {self.heads}"


COLUMNS = tuple(name for name in field_names(Result) if name != "searched")
CURVE_COLUMNS = ("trial_id", *field_names(Metrics))


def mean_loss(results: Sequence[Result]) -> float:
    """Mean of the final losses of one configuration's trials; infinite if one of them did not run to its end."""
    if any(result.status != "completed" for result in results):
        return math.inf
    return fmean(result.best_val_loss for result in results)


def confirming_groups(results: Iterable[Result]) -> dict[tuple[object, ...], list[Result]]:
    """The trials that confirm, by what they confirm."""
    groups: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        if result.stage == "confirm":
            groups.setdefault(result.identity, []).append(result)
    return groups


def ranked(results: Iterable[Result]) -> list[Result]:
    """Usable trials, best first; those that confirm lead, in the order of their configurations' means."""
    results = list(results)
    means = {identity: mean_loss(group) for identity, group in confirming_groups(results).items()}
    usable = sorted((result for result in results if result.usable), key=lambda result: result.rank)
    confirming = [result for result in usable if result.stage == "confirm"]
    searching = [result for result in usable if result.stage == "search"]
    return sorted(confirming, key=lambda result: means[result.identity]) + searching


def second_objective(result: Result, objective: Objective) -> float:
    """What a trial is judged by besides its loss. [parameter or FLOP]"""
    return result.parameters if objective == "parameters" else result.flops


def front(results: Iterable[Result], objective: Objective) -> list[Result]:
    """The full trials that none beats in both objectives, smallest first."""
    full = (result for result in results if result.status == "completed" and result.usable)
    return trials.front(full, loss=_best_loss, second=lambda result: second_objective(result, objective))


def _best_loss(result: Result) -> float:
    return result.best_val_loss


def result_line(result: Result) -> str:
    """A row of results.csv."""
    cells = asdict(result)
    return line([*(cells[name] for name in COLUMNS), *result.searched.values()])


def curve_line(trial_id: str, metrics: Metrics) -> str:
    """A row of curves.csv."""
    return line([trial_id, *asdict(metrics).values()])


def line(values: Iterable[Any]) -> str:
    """One line of CSV; the cell of a NaN is empty."""
    text = io.StringIO()
    cells = ("" if isinstance(value, float) and math.isnan(value) else value for value in values)
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def read_results(path: Path) -> list[Result]:
    """Read results.csv; a missing file is an empty sweep.

    Raises:
        ValueError: the file does not have the columns, or a cell is not of its type.
    """
    return [_result(row, path) for row in _rows(path, COLUMNS)]


def read_curves(path: Path) -> dict[str, list[Metrics]]:
    """All evaluations by trial, in order; a missing file is an empty sweep."""
    curves: dict[str, list[Metrics]] = {}
    for row in _rows(path, CURVE_COLUMNS):
        curves.setdefault(row.pop("trial_id"), []).append(_parse(Metrics, row, path))
    return curves


def _result(row: dict[str, str], path: Path) -> Result:
    try:
        searched = {name: read_cell(name, cell) for name, cell in row.items() if name not in COLUMNS}
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: bad row {row}: {error}") from None
    return _parse(Result, {name: row[name] for name in COLUMNS}, path, searched=searched)


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(line for line in file if line.endswith("\n"))  # others are torn, or still being written
        if tuple(reader.fieldnames or ())[: len(columns)] != columns:
            raise ValueError(f"{path}: not the columns of this version: {', '.join(columns)}")
        return list(reader)


def _parse(record: type[Record], row: dict[str, str], path: Path, **more: Any) -> Record:
    types = get_type_hints(record)
    try:
        return record(**{name: _value(types[name], cell) for name, cell in row.items()}, **more)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: bad row {row}: {error}") from None


def _value(kind: Any, cell: str) -> Any:
    if kind is bool:
        return cell == "True"
    if kind is float:
        return float(cell or "nan")
    return int(cell) if kind is int else cell
