"""The driver's own work at a rate that no training reaches: simulated slots report to a real sweep, without Ray."""

import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rehearsal

from sweeps import showing
from sweeps.machines.simulated import Clock, Machine
from sweeps.record.folder import RunFolder
from sweeps.record.tracking import Tracker
from sweeps.spec.schema import StoppingType
from sweeps.sweep import Sweep
from sweeps.trials import Trial
from tinystories.config import TrialConfig
from tinystories.metrics import Metrics

EVALUATIONS = 9
"""Evaluations of a full trial."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The meters at one moment."""

    ended: int
    """Number of trials that have ended."""
    reports: int
    """Evaluations taken in."""
    cpu: float
    """CPU time of this process. [s]"""
    wall: float
    """Time, disk included. [s]"""
    memory: int
    """Resident. [byte]"""


def drive(*, method: str, rule: StoppingType, moments: Sequence[int], slots: int, folder: Path) -> list[Reading]:
    """Run a sweep until so many trials have ended; the meters at each of these moments, rising numbers.

    It has twice as many trials as that, so none of a screening is a finalist yet.
    """
    clock = Clock()
    spec = rehearsal.spec(method=method, trials=2 * moments[-1], evaluations=EVALUATIONS, rule=rule)
    sweep = Sweep(spec, RunFolder(folder), vocab_size=rehearsal.VOCABULARY, clocks=clock.clocks)
    sweep.take_slots(slots, gpu_share=1.0)
    showing.show(sweep, RunFolder(folder), Tracker.open("disabled", sweep="", folder=folder, project="", token=""))
    readings: list[Reading] = []

    def enough() -> bool:
        sweep.record.flush()
        while len(readings) < len(moments) and len(sweep.ended) >= moments[len(readings)]:
            readings.append(_reading(len(sweep.ended), sweep.trials.evaluations))
        return len(readings) == len(moments)

    Machine(sweep, clock, workers=slots, answer=lambda trial: _Curve(trial, sweep.rows.config(trial))).run(enough)
    sweep.close()
    return readings


class _Curve:
    """Falls with the evaluations and with the size of the model, and is a little noisy."""

    def __init__(self, trial: Trial, config: TrialConfig) -> None:
        self._trial = trial
        self._config = config

    def seconds(self, evaluation: int) -> float:
        """Time that such a trial takes up to an evaluation. [s]"""
        return 1e-3 * self._config.depth * self._config.width * evaluation

    def metrics(self, evaluation: int, before: Metrics | None) -> Metrics:
        """See `simulated.Curve`."""
        noise = random.Random(f"{self._trial.trial_id}/{evaluation}").gauss(0, 0.05)
        loss = 1 + 2 / evaluation + 1 / self._config.depth + 64 / self._config.width + noise
        return rehearsal.metrics(evaluation, loss, evaluation)


def _reading(ended: int, reports: int) -> Reading:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE")
    return Reading(ended=ended, reports=reports, cpu=time.process_time(), wall=time.perf_counter(), memory=memory)
