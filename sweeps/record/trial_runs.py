"""The open W&B runs of a sweep's trials: what is written into them, and how they end."""

import math
import queue
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from sweeps.record.wandb_client import Client
from tinystories.metrics import Metrics

LONGEST_ID = 128
"""Longest name of a run that W&B takes. [character]"""


class TrialRuns:
    """One run a trial. All methods but `run_id` and `closed` wait for W&B and raise what it raises.

    Args:
        client: opens the runs.
        sweep: the sweep's name.
        token: tells this sweep from others of its name.
    """

    def __init__(self, client: Client, *, sweep: str, token: str) -> None:
        self._client = client
        self._sweep = sweep
        self._token = token
        self._open: dict[str, Any] = {}
        self._logged: dict[str, int] = {}
        """The last evaluation that each open run has."""
        self._closed: queue.SimpleQueue[str] = queue.SimpleQueue()

    def run_id(self, trial_id: str) -> str:
        r"""The name of a trial's run, as W&B takes it: its addresses allow no /, \, #, ?, % or :."""
        text = f"{self._sweep}-{self._token}-{trial_id}"
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[-LONGEST_ID:]

    def closed(self) -> list[str]:
        """See `Tracker.closed`; for any thread."""
        return [self._closed.get() for _ in range(self._closed.qsize())]

    def start(self, trial_id: str, config: dict[str, Any], resumed: bool, evaluations: Sequence[Metrics] = ()) -> None:
        """Open a run, unless it is open, and log what it lacks; see `Tracker.start`."""
        if trial_id not in self._open:
            run = self._client.open_run(self.run_id(trial_id), trial_id, config, resumed)
            self._open[trial_id] = run
            held = evaluations[: run.starting_step]  # W&B counts rows in steps, and every evaluation is one
            self._logged[trial_id] = held[-1].evaluation if held else 0
        for metrics in evaluations:
            self.log(trial_id, metrics)

    def restore(
        self,
        trial_id: str,
        config: dict[str, Any],
        evaluations: Sequence[Metrics],
        status: str | None,
        summary: Mapping[str, Any],
    ) -> None:
        """Write a run again, if runs are kept offline; see `Tracker.restore`."""
        if self._client.mode == "offline":
            self.start(trial_id, config, False, evaluations)
            if status is not None:
                self._finish(trial_id, status, summary)

    def log(self, trial_id: str, metrics: Metrics) -> None:
        """Add one row, unless it was added before.

        Raises:
            LookupError: the trial has no open run.
        """
        run = self._run(trial_id)
        if metrics.evaluation > self._logged[trial_id]:
            run.log(_finite(asdict(metrics)))
            self._logged[trial_id] = metrics.evaluation

    def end(self, trial_id: str, status: str, summary: Mapping[str, Any]) -> None:
        """Close a run; see `Tracker.end`. A server that does not answer in time leaves later runs on disk.

        Raises:
            LookupError: the trial has no open run.
        """
        if self._finish(trial_id, status, summary):
            self._closed.put(trial_id)

    def _finish(self, trial_id: str, status: str, summary: Mapping[str, Any]) -> bool:
        """Close a run; returns whether W&B has all of it."""
        run = self._run(trial_id)
        del self._open[trial_id]
        _mark(run, status, summary)
        try:
            run.finish(exit_code=0 if status in ("completed", "stopped") else 1)
        except TimeoutError as error:
            self._client.go_offline(error)
            return False
        return True

    def interrupt_open(self) -> None:
        """End the open runs as interrupted, all at once, as each may wait for a dead server; errors are reported."""
        with ThreadPoolExecutor(max_workers=len(self._open) or 1) as pool:
            endings = [pool.submit(_interrupt, run) for run in self._open.values()]
        for ending in endings:
            self._client.attempt(ending.result)

    def _run(self, trial_id: str) -> Any:
        if trial_id not in self._open:
            raise LookupError(f"trial {trial_id} has no open run")
        return self._open[trial_id]


def _mark(run: Any, status: str, summary: Mapping[str, Any]) -> None:
    run.tags = (status,)
    run.summary.update({**_finite(summary), "trial/status": status})


def _interrupt(run: Any) -> None:
    run.mark_preempting()
    _mark(run, "interrupted", {})
    run.finish(exit_code=1)


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without NaN and infinity, which W&B stores as text."""
    return {name: value for name, value in values.items() if not isinstance(value, float) or math.isfinite(value)}
