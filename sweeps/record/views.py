"""results.csv, curves.csv and spent.json: views of the trials, made whole on opening and kept current after that.

While a sweep runs, rows are added at the end; on closing, the tables are written once more in the order of proposal, as
they are when they are made again.
"""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from sweeps.events import (
    Began,
    CheckpointDeleted,
    Evaluated,
    Event,
    Interrupted,
    Promoted,
    Proposed,
    RunClosed,
    RunOpened,
    Spent,
)
from sweeps.record.folder import RunFolder
from sweeps.record.rows import Rows, has_row
from sweeps.record.tables import COLUMNS, CURVE_COLUMNS, curve_line, line, result_line
from sweeps.trials import Trial, Trials
from tinystories import storage

REWRITE_SECONDS = 1.0
"""Shortest time between two rewritings of results.csv: a row that changes needs one, a new row is appended. [s]"""


class View(Protocol):
    """Something that can be made again from the trials."""

    def apply(self, event: Event, trial: Trial | None) -> None:
        """Follow an event; `trial` is the one that it is of, if it is of one."""

    def flush(self) -> None:
        """Write what is due."""

    def close(self) -> None:
        """Write all."""


class ResultsView:
    """results.csv.

    Args:
        folder: whose file it is.
        trials: all of the sweep.
        rows: makes them.
    """

    def __init__(self, folder: RunFolder, trials: Trials, rows: Rows) -> None:
        self._path = folder.results
        self._trials = trials
        self._rows = rows
        self._header = line([*COLUMNS, *rows.searched])
        self._listed = {trial_id for trial_id, trial in trials.items() if has_row(trial)}
        self._is_stale = self._is_appended_to = False
        self._written = -REWRITE_SECONDS
        self._write()

    def apply(self, event: Event, trial: Trial | None) -> None:
        """See `View`."""
        if trial is None or isinstance(event, Proposed | Began | Evaluated | Interrupted | RunOpened | RunClosed):
            return
        if isinstance(event, Promoted | CheckpointDeleted) or trial.trial_id in self._listed:
            self._is_stale = True
        elif has_row(trial):
            self._listed.add(trial.trial_id)
            self._is_appended_to = True
            _append(self._path, result_line(self._rows.row(trial)))

    def flush(self) -> None:
        """See `View`."""
        if self._is_stale and time.monotonic() - self._written >= REWRITE_SECONDS:
            self._write()

    def close(self) -> None:
        """See `View`."""
        if self._is_stale or self._is_appended_to:
            self._write()

    def _write(self) -> None:
        rows = map(result_line, self._rows.table(self._trials))
        storage.write(str(self._path), "".join([self._header, *rows]).encode())
        self._is_stale = self._is_appended_to = False
        self._written = time.monotonic()


class CurvesView:
    """curves.csv; arguments as those of `ResultsView`."""

    def __init__(self, folder: RunFolder, trials: Trials) -> None:
        self._path = folder.curves
        self._trials = trials
        self._write()

    def apply(self, event: Event, trial: Trial | None) -> None:
        """See `View`."""
        if isinstance(event, Evaluated):
            self._is_appended_to = True
            _append(self._path, curve_line(event.trial_id, event.metrics))

    def flush(self) -> None:
        """See `View`; nothing waits."""

    def close(self) -> None:
        """See `View`."""
        if self._is_appended_to:
            self._write()

    def _write(self) -> None:
        curves = self._trials.items()
        lines = (curve_line(name, metrics) for name, trial in curves for metrics in trial.evaluations)
        storage.write(str(self._path), "".join([line(CURVE_COLUMNS), *lines]).encode())
        self._is_appended_to = False


class SpentView:
    """spent.json; arguments as those of `ResultsView`."""

    def __init__(self, folder: RunFolder, trials: Trials) -> None:
        self._path = folder.spent
        self._write(trials.spent)

    def apply(self, event: Event, trial: Trial | None) -> None:
        """See `View`."""
        if isinstance(event, Spent):
            self._write(event)

    def flush(self) -> None:
        """See `View`; nothing waits."""

    def close(self) -> None:
        """See `View`; nothing waits."""

    def _write(self, spent: Spent) -> None:
        counts = {name: value for name, value in asdict(spent).items() if name != "at"}
        storage.write(str(self._path), (json.dumps(counts) + "\n").encode())


def _append(path: Path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)
