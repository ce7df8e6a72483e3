"""Weights & Biases, as the rest of the program sees it: one run per trial, all owned by the driver.

Workers report to the driver through Ray, and the driver tells W&B: W&B's own process dies with the process
that started it, so a worker that owned its run would lose rows whenever a trial is stopped.

Nothing here stops or delays a sweep. One background thread talks to W&B, fed by a queue; what goes wrong there
is logged, kept in `Tracker.problem`, and answered by writing the remaining runs to disk.
"""

import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

from sweeps.record.trial_runs import TrialRuns
from sweeps.record.wandb_client import Client, Mode
from tinystories.metrics import Metrics

CLOSE_TIMEOUT = 60.0
"""Longest that `Tracker.close` takes. [s]"""
WANDB_MODES = {
    "online": "online",
    "run": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
}
"""What WANDB_MODE may say, older words included, and the mode that it means."""


class Tracker:
    """All W&B runs of one sweep. Made by `open`; the other methods return at once and never raise.

    Call `open` after `ray.init`, whose processes copy the environment.

    Args:
        client: the client of W&B, not set up yet. Only the background thread uses it afterwards.
        runs: the runs that the client writes.
    """

    def __init__(self, client: Client, runs: TrialRuns) -> None:
        self.has_lost_runs = client.mode != "disabled" and not client.runs_folder.exists()
        """Whether the folder of the runs is gone, so that earlier ones are to be restored where they are offline."""
        self._client = client
        self._runs = runs
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._thread = threading.Thread(target=_serve, args=(self._jobs, client, runs), name="wandb", daemon=True)

    @classmethod
    def open(cls, mode: str = "auto", *, sweep: str, folder: Path, project: str, token: str) -> "Tracker":
        """Start tracking. Takes the second that importing wandb takes; waits for no server.

        Args:
            mode: auto is what WANDB_MODE says, else online where a W&B key is found and offline where not.
                Online falls back to offline when W&B cannot be reached. Disabled never imports wandb.
            sweep: the group of the runs.
            folder: runs are written to `folder/wandb`.
            project: the W&B project.
            token: tells this sweep from others of its name.

        Raises:
            ValueError: an unknown mode, here or in WANDB_MODE.
        """
        client = Client(_chosen_mode(mode), sweep=sweep, folder=folder, project=project)
        tracker = cls(client, TrialRuns(client, sweep=sweep, token=token))
        if client.mode != "disabled" and client.attempt(client.set_up):
            tracker._thread.start()
            tracker._put(client.log_in)
        return tracker

    @property
    def mode(self) -> Mode:
        """How runs are written now; auto until the key has been looked up."""
        return self._client.mode

    @property
    def problem(self) -> str | None:
        """The first thing that went wrong, in one line."""
        return self._client.problem

    @property
    def url(self) -> str | None:
        """The project's page, once a run is online."""
        return self._client.url

    @property
    def sync_command(self) -> str | None:
        """What uploads the runs that are only on this disk; None if there are none."""
        return self._client.sync_command

    def run_id(self, trial_id: str) -> str:
        """The name of a trial's run, which never changes."""
        return self._runs.run_id(trial_id)

    def restore(
        self,
        trial_id: str,
        config: Mapping[str, Any],
        evaluations: Sequence[Metrics],
        status: str | None = None,
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the run of a trial again, if runs are kept offline; a server still has it.

        Args:
            status: with which it ended; None: the run stays open.
        """
        self._put(self._runs.restore, trial_id, dict(config), list(evaluations), status, dict(summary or {}))

    def start(
        self, trial_id: str, config: Mapping[str, Any], resumed: bool, evaluations: Sequence[Metrics] = ()
    ) -> None:
        """Open the trial's run, or resume the one that was opened before, by this process or an earlier one.

        Args:
            config: shown as the run's config.
            resumed: whether it was opened before; if not, its run starts anew.
            evaluations: the trial's first ones; those that a resumed run lacks are logged.
        """
        self._put(self._runs.start, trial_id, dict(config), resumed, list(evaluations))

    def log(self, trial_id: str, metrics: Metrics) -> None:
        """Add one row; skips an evaluation that was logged before, and values that are not finite."""
        self._put(self._runs.log, trial_id, metrics)

    def end(self, trial_id: str, status: str, summary: Mapping[str, Any]) -> None:
        """Close the trial's run; once W&B has all of it, `closed` says so.

        Args:
            status: as in results.csv; becomes the run's tag. Completed and stopped runs exit with 0, others with 1.
            summary: added to the run's summary.
        """
        self._put(self._runs.end, trial_id, status, dict(summary))

    def closed(self) -> list[str]:
        """The trials whose runs W&B has ended since the last call, one entry for every `end`."""
        return self._runs.closed()

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Mark the runs that are still open as interrupted, and let W&B finish within `timeout`. [s]"""
        if not self._thread.is_alive():
            return
        self._jobs.put(None)
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._client.report(f"W&B did not finish within {timeout:.0f} s; its rows are on disk")

    def _put(self, job: Callable[..., None], *arguments: Any) -> None:
        if self._thread.is_alive():
            self._jobs.put(partial(job, *arguments))


def _serve(jobs: "queue.Queue[Callable[[], None] | None]", client: Client, runs: TrialRuns) -> None:
    """Do one job after the other until there is a None, then finish; runs on the background thread."""
    while job := jobs.get():
        client.attempt(job)
    client.attempt(runs.interrupt_open)
    client.attempt(client.tear_down)


def _chosen_mode(mode: str) -> Mode:
    if mode == "auto" and (variable := os.environ.get("WANDB_MODE")):
        if variable not in WANDB_MODES:
            raise ValueError(f"WANDB_MODE {variable!r} is not one of {', '.join(WANDB_MODES)}")
        mode = WANDB_MODES[variable]
    if mode not in get_args(Mode):
        raise ValueError(f"wandb {mode!r} is not one of {', '.join(get_args(Mode))}")
    return cast(Mode, mode)
