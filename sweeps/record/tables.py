"""What a sweep leaves behind: the run folder's file names, one row a trial, one row an evaluation.

`results.csv`, one row appended whenever a trial ends; written whole when that changes an earlier row, as when a trial
ends again that went on after it had stopped:

| column | meaning |
|---|---|
| trial_id | name of the trial, in the order of proposal |
| stage | search, or confirm: one of the best again with another seed |
| status | completed: full budget; stopped: at a rung; failed: an error; diverged: NaN, or loss far above its start |
| depth, width, heads, learning_rate, seed | the configuration; learning_rate is the one at width 256 |
| parameters, non_embedding_parameters | sizes in closed form |
| tokens, flops, seconds | spent on training; seconds over all resumes |
| gpu_hours | these seconds times the share of a GPU, or one slot on CPUs, that the trial held |
| val_loss, val_bpb | at the last evaluation [nat/token], [bit/byte] |
| best_val_loss | lowest of the trial [nat/token] |
| checkpoint | file of the best evaluation, relative to the run folder unless a URI; empty: not kept |
| error | one line: why a trial failed |

`curves.csv`, appended at every evaluation: `trial_id` and the fields of `tinystories.metrics.Metrics`.
"""

import csv
import fcntl
import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, TypeVar, get_type_hints

from tinystories import storage
from tinystories.config import field_names
from tinystories.metrics import Metrics

Stage = Literal["search", "confirm"]
Status = Literal["completed", "stopped", "failed", "diverged"]
Configuration = tuple[float, ...]
"""Depth, width, heads and learning rate: what is compared, all but the seed."""
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

    @property
    def usable(self) -> bool:
        """Whether the trial has a loss to be ranked by."""
        return self.status in ("completed", "stopped") and math.isfinite(self.best_val_loss)

    @property
    def rank(self) -> tuple[bool, float]:
        """Smaller is better: full trials before stopped ones, as losses at unequal budgets do not compare."""
        return self.status != "completed", self.best_val_loss

    @property
    def configuration(self) -> Configuration:
        """What is compared."""
        return self.depth, self.width, self.heads, self.learning_rate

    @property
    def shape(self) -> str:
        """The shape as people say it."""
        return f"depth {self.depth}, width {self.width}, heads {self.heads}"


def mean_loss(results: Sequence[Result]) -> float:
    """Mean of the best losses of one configuration's trials; infinite if one of them did not run to its end."""
    if any(result.status != "completed" for result in results):
        return math.inf
    return fmean(result.best_val_loss for result in results)


def confirming_groups(results: Iterable[Result]) -> dict[Configuration, list[Result]]:
    """The trials that confirm, by what they confirm."""
    groups: dict[Configuration, list[Result]] = {}
    for result in results:
        if result.stage == "confirm":
            groups.setdefault(result.configuration, []).append(result)
    return groups


def ranked(results: Iterable[Result]) -> list[Result]:
    """Usable trials, best first; those that confirm lead, in the order of their configurations' means."""
    results = list(results)
    means = {configuration: mean_loss(group) for configuration, group in confirming_groups(results).items()}
    usable = sorted((result for result in results if result.usable), key=lambda result: result.rank)
    confirming = [result for result in usable if result.stage == "confirm"]
    searching = [result for result in usable if result.stage == "search"]
    return sorted(confirming, key=lambda result: means[result.configuration]) + searching


@dataclass(frozen=True)
class RunFolder:
    """Owner of the names in `runs/NAME/`."""

    root: Path

    @property
    def spec(self) -> Path:
        """The spec as run."""
        return self.root / "spec.yaml"

    @property
    def results(self) -> Path:
        """One row a trial."""
        return self.root / "results.csv"

    @property
    def curves(self) -> Path:
        """One row an evaluation."""
        return self.root / "curves.csv"

    @property
    def origin(self) -> Path:
        """What the trials train on, and where their checkpoints are (JSON)."""
        return self.root / "origin.json"

    @property
    def spent(self) -> Path:
        """What the sweep has taken, over all its processes: `seconds` and `gpu_seconds` (JSON)."""
        return self.root / "spent.json"

    @property
    def study(self) -> Path:
        """Optuna's storage (sqlite)."""
        return self.root / "optuna.db"

    @property
    def log(self) -> Path:
        """What Ray, Optuna and W&B have to say."""
        return self.root / "sweep.log"

    @property
    def ray(self) -> Path:
        """Ray's own files."""
        return self.root / "ray"

    @property
    def checkpoints(self) -> Path:
        """One folder a trial, unless the sweep has a `--storage` URI."""
        return self.root / "checkpoints"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process.

        Raises:
            ValueError: another process runs this sweep.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.root / ".lock", "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"{self.root}: another process is running this sweep; wait for it") from None
            yield


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write results.csv whole."""
    lines = [_line(field_names(Result)), *(_line(asdict(result).values()) for result in results)]
    storage.write(str(path), "".join(lines).encode())


def append_result(path: Path, result: Result) -> None:
    """Add one row to results.csv, on the disk when this returns; see `drop_torn_row`."""
    if not path.exists():
        write_results(path, [])
    _append(path, asdict(result).values())


def read_results(path: Path) -> list[Result]:
    """Read results.csv; a missing file is an empty sweep.

    Raises:
        ValueError: the file does not have the columns, or a cell is not of its type.
    """
    return [_parse(Result, row, path) for row in _rows(path, field_names(Result))]


class Curves:
    """Appends to curves.csv; each row reaches the disk whole, and a row torn by a crash is dropped on opening."""

    columns = ("trial_id", *field_names(Metrics))

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            storage.write(str(path), _line(self.columns).encode())
        drop_torn_row(path)

    def append(self, trial_id: str, metrics: Metrics) -> None:
        """Add one evaluation, on the disk when this returns: decisions follow from it."""
        _append(self.path, [trial_id, *asdict(metrics).values()])


def _append(path: Path, values: Iterable[Any]) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(_line(values))
        file.flush()
        os.fsync(file.fileno())


def read_curves(path: Path) -> dict[str, list[Metrics]]:
    """All evaluations by trial, in order; a missing file is an empty sweep."""
    curves: dict[str, list[Metrics]] = {}
    for row in _rows(path, Curves.columns):
        curves.setdefault(row.pop("trial_id"), []).append(_parse(Metrics, row, path))
    return curves


def drop_torn_row(path: Path) -> None:
    """Cut off the end of a file that a crash left without its line's end; to be done before rows are added."""
    if path.exists() and not (text := path.read_bytes()).endswith(b"\n"):
        os.truncate(path, text.rfind(b"\n") + 1)


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(line for line in file if line.endswith("\n"))  # others are torn, or still being written
        if tuple(reader.fieldnames or ()) != columns:
            raise ValueError(f"{path}: not the columns of this version: {', '.join(columns)}")
        return list(reader)


def _line(values: Iterable[Any]) -> str:
    """One line of CSV; the cell of a NaN is empty."""
    line = io.StringIO()
    cells = ("" if isinstance(value, float) and math.isnan(value) else value for value in values)
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _parse(record: type[Record], row: dict[str, str], path: Path) -> Record:
    types = get_type_hints(record)
    try:
        return record(**{name: _value(types[name], cell) for name, cell in row.items()})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: bad row {row}: {error}") from None


def _value(kind: Any, cell: str) -> Any:
    if kind is bool:
        return cell == "True"
    if kind is float:
        return float(cell or "nan")
    return int(cell) if kind is int else cell
