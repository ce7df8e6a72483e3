"""The driver's own work at a rate that no training reaches: simulated slots report to a real sweep, without Ray."""

import heapq
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rehearsal

from sweeps.machines.replay import Clock
from sweeps.record.tables import RunFolder
from sweeps.record.tracking import Tracker
from sweeps.spec.schema import Spec, StoppingType
from sweeps.spec.space import Method
from sweeps.sweep import Running, Sweep

EVALUATIONS = 9
"""Of a full trial."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The meters at one moment."""

    ended: int
    """Trials."""
    reports: int
    """Evaluations taken in."""
    cpu: float
    """CPU time of this process. [s]"""
    wall: float
    """Time, disk included. [s]"""
    memory: int
    """Resident. [byte]"""


def drive(*, method: Method, rule: StoppingType, moments: Sequence[int], slots: int, folder: Path) -> list[Reading]:
    """Run a sweep until so many trials have ended; the meters at each of these moments, rising numbers.

    It has twice as many trials as that, so none of a screening is a finalist yet.
    """
    clock = Clock()
    spec = rehearsal.spec(method=method, trials=2 * moments[-1], evaluations=EVALUATIONS, rule=rule)
    sweep = _sweep(spec, folder, clock)
    due: list[tuple[float, str, int]] = []
    readings: list[Reading] = []
    reports = 0
    while len(readings) < len(moments):
        while len(due) < slots and (trial := sweep.propose()):
            heapq.heappush(due, (clock.now + _seconds(trial), trial.trial_id, 1))
        clock.now, trial_id, evaluation = heapq.heappop(due)
        reports += 1
        if _goes_on(sweep, trial_id, evaluation):
            heapq.heappush(due, (clock.now + _seconds(sweep.running[trial_id]), trial_id, evaluation + 1))
        elif len(sweep.results) == moments[len(readings)]:
            readings.append(_reading(len(sweep.results), reports))
    return readings


def _sweep(spec: Spec, folder: Path, clock: Clock) -> Sweep:
    return Sweep(
        spec,
        RunFolder(folder),
        vocab_size=rehearsal.VOCABULARY,
        tracker=Tracker.open("disabled", sweep=spec.name, folder=folder, project=spec.project),
        checkpoints=str(folder / "checkpoints"),
        clock=clock,
    )


def _goes_on(sweep: Sweep, trial_id: str, evaluation: int) -> bool:
    trial = sweep.running[trial_id]
    metrics = rehearsal.metrics(evaluation, _loss(trial, evaluation), evaluation)
    if not sweep.report(trial_id, metrics, f"{sweep.checkpoint_folder(trial_id)}/evaluation.pt"):
        sweep.finish(trial_id, "stopped")
    elif evaluation == EVALUATIONS:
        sweep.finish(trial_id, "completed")
    return trial_id in sweep.running


def _loss(trial: Running, evaluation: int) -> float:
    """Falls with the evaluations and with the size of the model, and is a little noisy."""
    config = trial.config
    noise = random.Random(f"{trial.trial_id}/{evaluation}").gauss(0, 0.05)
    return 1 + 2 / evaluation + 1 / config.depth + 64 / config.width + noise


def _seconds(trial: Running) -> float:
    """What it takes such a trial from one evaluation to the next. [s]"""
    return 1e-3 * trial.config.depth * trial.config.width


def _reading(ended: int, reports: int) -> Reading:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE")
    return Reading(ended=ended, reports=reports, cpu=time.process_time(), wall=time.perf_counter(), memory=memory)
