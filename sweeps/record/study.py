"""optuna.db: the trials as an Optuna study, a view that any tool of Optuna reads.

Exactly one Optuna trial per trial, in the same order: its state, its searched parameters, its losses at the tokens
trained on, and as attributes what else a row of results.csv has. A thread of its own writes it, as sqlite takes longer
than the driver should wait.
"""

import logging
import queue
import threading
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from sweeps.events import Closed, Event, RunClosed, RunOpened, Spent
from sweeps.record.rows import Rows
from sweeps.record.study_url import study_url
from sweeps.spec.parameters import Choice, Range
from sweeps.spec.schema import Spec
from sweeps.trials import DIVERGED_LOSS, State, Trial, Trials

logger = logging.getLogger(__name__)
NAME = "sweep"
"""Name of the study in the file."""
FLUSH_SECONDS = 5.0
"""Time after which a change stands in the file. [s]"""
CLOSE_SECONDS = 60.0
"""Longest that closing waits for the file. [s]"""
STATES: dict[State, TrialState] = {
    "running": TrialState.RUNNING,
    "interrupted": TrialState.RUNNING,
    "paused": TrialState.RUNNING,
    "completed": TrialState.COMPLETE,
    "diverged": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "abandoned": TrialState.FAIL,
}
"""What Optuna calls the states of trials; a paused one is pruned once the search is closed."""


class StudyView:
    """Keeps optuna.db; see `views.View`. What goes wrong there is logged, and never ends a sweep.

    Args:
        path: the file; one that does not fit the trials is made anew.
        spec: the sweep.
        trials: all of it.
        rows: makes their rows.
    """

    def __init__(self, path: Path, spec: Spec, trials: Trials, rows: Rows) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        self._spec = spec
        self._trials = trials
        self._rows = rows
        self._distributions = {name: _distribution(entry) for name, entry in spec.space.parameters.items()}
        self._changed: dict[str, None] = dict.fromkeys(trials)
        self._flushed = time.monotonic()
        self._batches: queue.Queue[list[FrozenTrial] | None] = queue.Queue()
        self._file = _StudyFile(path, objectives=2 if spec.pareto else 1)
        self._thread = threading.Thread(target=self._work, name="optuna.db", daemon=True)
        self._thread.start()
        self._send()

    def apply(self, event: Event, trial: Trial | None) -> None:
        """See `views.View`."""
        if isinstance(event, Closed):
            self._changed |= dict.fromkeys(name for name, one in self._trials.items() if one.state == "paused")
        elif trial is not None and not isinstance(event, RunOpened | RunClosed | Spent):
            self._changed[trial.trial_id] = None

    def flush(self) -> None:
        """See `views.View`."""
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self._send()

    def close(self) -> None:
        """See `views.View`."""
        self._send()
        self._batches.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _send(self) -> None:
        """Hand what has changed to the thread, as it is now."""
        self._flushed = time.monotonic()
        changed = [self._frozen(self._trials[trial_id]) for trial_id in sorted(self._changed)]
        self._changed.clear()
        if changed:
            self._batches.put(changed)

    def _work(self) -> None:
        while (batch := self._batches.get()) is not None:
            try:
                self._file.write(batch)
            except Exception as error:  # Optuna's, SQLAlchemy's, the disk's
                logger.warning("optuna.db is not kept: %s", error)
                return

    def _frozen(self, trial: Trial) -> FrozenTrial:
        """A trial as Optuna sees it."""
        closed = trial.state == "paused" and self._trials.closed_at >= self._spec.trials
        state = TrialState.PRUNED if closed else STATES[trial.state]
        row = self._rows.row(trial)
        params = {name: trial.trained[name] for name in self._distributions}
        frozen = create_trial(
            state=state,
            params=params,
            distributions=self._distributions,
            values=self._values(trial) if state == TrialState.COMPLETE else None,
            intermediate_values={} if self._spec.pareto else self._losses(trial),
            user_attrs={
                "trial_id": trial.trial_id,
                "stage": trial.stage,
                "status": trial.state,
                "seed": row.seed,
                "parameters": row.parameters,
                "flops": trial.metrics.flops if trial.metrics else 0.0,
                "tokens_per_second": trial.metrics.tokens_per_second if trial.metrics else 0.0,
                "checkpoint": trial.checkpoint,
                "error": row.error,
            },
        )
        frozen.number = int(trial.trial_id)
        return frozen

    def _losses(self, trial: Trial) -> dict[int, float]:
        usable = (metrics for metrics in trial.evaluations if metrics.usable)
        return {metrics.tokens: getattr(metrics, self._spec.metric) for metrics in usable}

    def _values(self, trial: Trial) -> list[float]:
        assert trial.metrics
        loss = getattr(trial.metrics, self._spec.metric) if trial.metrics.usable else DIVERGED_LOSS
        if not self._spec.pareto:
            return [loss]
        row = self._rows.row(trial)
        return [loss, row.parameters if self._spec.pareto == "parameters" else row.flops]


class _StudyFile:
    """The file, opened when it is first written to."""

    def __init__(self, path: Path, *, objectives: int) -> None:
        self._path = path
        self._objectives = objectives
        self._storage: RDBStorage | None = None
        self._study = 0
        self._known: list[FrozenTrial] = []

    def write(self, trials: Iterable[FrozenTrial]) -> None:
        """Bring trials up to date; the first call is of all."""
        trials = list(trials)
        if self._storage is None:
            self._open()
            if not self._fits(trials):
                self._path.unlink()
                self._open()
        for trial in trials:
            if trial.number < len(self._known):
                self._update(self._known[trial.number], trial)
            else:
                self._create(trial)

    def _open(self) -> None:
        try:
            self._connect()
        except (StorageInternalError, SQLAlchemyError, RuntimeError):  # not a database, or of another version
            self._path.unlink()
            self._connect()

    def _connect(self) -> None:
        self._storage = RDBStorage(study_url(self._path))
        directions = [StudyDirection.MINIMIZE] * self._objectives
        optuna.create_study(study_name=NAME, storage=self._storage, load_if_exists=True, directions=directions)
        self._study = self._storage.get_study_id_from_name(NAME)
        self._known = self._storage.get_all_trials(self._study, deepcopy=False)

    def _fits(self, trials: list[FrozenTrial]) -> bool:
        """Whether what the file says of trials is still so, or can become so."""
        if len(self._known) > len(trials):
            return False
        return all(_can_become(old, new) for old, new in zip(self._known, trials, strict=False))

    def _create(self, trial: FrozenTrial) -> None:
        assert self._storage is not None
        trial.datetime_start = trial.datetime_start or datetime.now()
        number = self._storage.create_new_trial(self._study, trial)
        self._known.append(self._storage.get_trial(number))

    def _update(self, old: FrozenTrial, new: FrozenTrial) -> None:
        assert self._storage is not None
        if _said(old) == _said(new):
            return
        trial = self._storage.get_trial_id_from_study_id_trial_number(self._study, old.number)
        if old.state.is_finished():
            self._reopen(trial)
        for step, value in new.intermediate_values.items():
            if step not in old.intermediate_values:
                self._storage.set_trial_intermediate_value(trial, step, value)
        for name, value in new.user_attrs.items():
            if old.user_attrs.get(name) != value:
                self._storage.set_trial_user_attr(trial, name, value)
        if new.state.is_finished():
            self._storage.set_trial_state_values(trial, new.state, new.values)
        self._known[old.number] = self._storage.get_trial(trial)

    def _reopen(self, trial: int) -> None:
        """Let an ended trial be changed, for which Optuna has no way: one that is promoted after its search was closed,
        or whose checkpoint is deleted.
        """
        assert self._storage is not None
        with self._storage.engine.begin() as connection:
            connection.execute(text("UPDATE trials SET state = 'RUNNING' WHERE trial_id = :trial"), {"trial": trial})


def _said(trial: FrozenTrial) -> tuple[Any, ...]:
    """What the file says of a trial, but for what cannot change."""
    return trial.state, trial.values, trial.intermediate_values, trial.user_attrs


def _can_become(old: FrozenTrial, new: FrozenTrial) -> bool:
    same = old.user_attrs.get("trial_id") == new.user_attrs["trial_id"] and old.params == new.params
    return same and old.intermediate_values.items() <= new.intermediate_values.items()


def _distribution(parameter: Choice | Range) -> BaseDistribution:
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.values)
    if parameter.integer:
        return IntDistribution(
            int(parameter.low), int(parameter.high), log=parameter.log, step=int(parameter.step or 1)
        )
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
