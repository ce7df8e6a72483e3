"""Weights & Biases: one run per trial, all owned by the driver. The only module that imports wandb.

Workers report to the driver through Ray, and the driver tells W&B: W&B's own process dies with the process
that started it, so a worker that owned its run would lose rows whenever a trial is stopped.

Nothing here stops or delays a sweep. One background thread talks to W&B, fed by a queue; what goes wrong there
is logged, kept in `Tracker.problem`, and answered by writing the remaining runs to disk.
"""

import logging
import math
import os
import queue
import re
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast, get_args

from tinystories.metrics import Metrics

Mode = Literal["auto", "online", "offline", "disabled"]
CLOSE_TIMEOUT = 60.0
"""Longest that `Tracker.close` takes. [s]"""

logger = logging.getLogger(__name__)

# Left behind by a W&B agent or a parent process. A sweep id makes wandb.init ignore project and id;
# WANDB_SERVICE joins our runs to a process that ends with somebody else's.
_FOREIGN_VARIABLES = ("WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_RUN_ID", "WANDB_LAUNCH", "WANDB_SERVICE")
_WANDB_MODES = {
    "online": "online",
    "run": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
}
_INIT_TIMEOUT = 20.0
_FINISH_TIMEOUT = 10.0
_LONGEST_ID = 128


class Tracker:
    """All W&B runs of one sweep. Made by `open`; the other methods return at once and never raise.

    Call `open` after `ray.init`, whose processes copy the environment.
    """

    mode: Mode
    """How runs are written now; auto until the key has been looked up."""
    problem: str | None = None
    """The first thing that went wrong, in one line."""
    url: str | None = None
    """The project's page, once a run is online."""
    sync_command: str | None = None
    """What uploads the runs that are only on this disk; None if there are none."""

    def __init__(self, mode: Mode, *, sweep: str, folder: Path, project: str, token: str) -> None:
        self.mode = mode
        self.has_lost_runs = mode != "disabled" and not (folder / "wandb").exists()
        """Whether the folder of the runs is gone, so that earlier ones are to be restored where they are offline."""
        self._sweep = sweep
        self._folder = folder
        self._project = project
        self._wandb: ModuleType
        self._token = token
        self._runs: dict[str, Any] = {}
        self._logged: dict[str, int] = {}
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="wandb", daemon=True)

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
        tracker = cls(_chosen_mode(mode), sweep=sweep, folder=folder, project=project, token=token)
        if tracker.mode != "disabled" and tracker._attempt(tracker._set_up):
            tracker._thread.start()
            tracker._put(tracker._log_in)
        return tracker

    def run_id(self, trial_id: str) -> str:
        """The name of a trial's run, which never changes."""
        return _run_id(f"{self._sweep}-{self._token}-{trial_id}")

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
        self._put(self._restore, trial_id, dict(config), list(evaluations), status, dict(summary or {}))

    def start(self, trial_id: str, config: Mapping[str, Any], resumed: bool) -> None:
        """Open the trial's run, or resume the one that an earlier process left.

        Args:
            config: shown as the run's config.
            resumed: whether rows of this trial were logged before; if not, its run starts anew.
        """
        self._put(self._start, trial_id, dict(config), resumed)

    def log(self, trial_id: str, metrics: Metrics) -> None:
        """Add one row; skips an evaluation that was logged before, and values that are not finite."""
        self._put(self._log, trial_id, metrics)

    def end(self, trial_id: str, status: str, summary: Mapping[str, Any]) -> None:
        """Close the trial's run.

        Args:
            status: as in results.csv; becomes the run's tag. Completed and stopped runs exit with 0, others with 1.
            summary: added to the run's summary.
        """
        self._put(self._end, trial_id, status, dict(summary))

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Mark the runs that are still open as interrupted, and let W&B finish within `timeout`. [s]"""
        if not self._thread.is_alive():
            return
        self._jobs.put(None)
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._report(f"W&B did not finish within {timeout:.0f} s; its rows are on disk")

    # From here on, everything but _put and _set_up runs on the background thread.

    def _put(self, job: Callable[..., None], *arguments: Any) -> None:
        if self._thread.is_alive():
            self._jobs.put(partial(job, *arguments))

    def _work(self) -> None:
        while job := self._jobs.get():
            self._attempt(job)
        self._attempt(self._finish)

    def _attempt(self, job: Callable[[], None]) -> bool:
        """Run a job and report what it raises: no error of W&B may end a sweep."""
        try:
            job()
        except Exception as error:
            self._report(f"W&B: {_one_line(error)}")
            return False
        return True

    def _report(self, problem: str) -> None:
        self.problem = self.problem or problem
        logger.warning(problem)

    def _set_up(self) -> None:
        """Import wandb and start its process; needs no network."""
        for variable in _FOREIGN_VARIABLES:
            os.environ.pop(variable, None)
        import wandb

        self._wandb = wandb
        wandb.setup(self._settings() if self.mode == "auto" else self._settings(mode=self.mode))
        os.environ.pop("WANDB_SERVICE", None)  # setup leaves it for child processes, which must not join our runs

    def _log_in(self) -> None:
        """Settle on online or offline."""
        if self.mode == "offline":
            return
        try:
            logged_in = self._wandb.login(prompt=False)
        except Exception as error:
            self._go_offline(error)
            return
        if self.mode == "online" and not logged_in:
            self._go_offline("no key found; set WANDB_API_KEY or run `wandb login`")
        else:
            self.mode = "online" if logged_in else "offline"

    def _start(self, trial_id: str, config: dict[str, Any], resumed: bool) -> None:
        if trial_id in self._runs:
            return
        try:
            self._runs[trial_id] = self._init(trial_id, config, resumed)
        except Exception as error:
            if self.mode == "offline":
                raise
            self._go_offline(error)
            self._runs[trial_id] = self._init(trial_id, config, resumed)

    def _restore(
        self,
        trial_id: str,
        config: dict[str, Any],
        evaluations: list[Metrics],
        status: str | None,
        summary: dict[str, Any],
    ) -> None:
        if self.mode == "offline":
            self._start(trial_id, config, resumed=False)
            for metrics in evaluations:
                self._log(trial_id, metrics)
            if status is not None:
                self._end(trial_id, status, summary)

    def _log(self, trial_id: str, metrics: Metrics) -> None:
        if metrics.evaluation > self._logged.get(trial_id, 0):
            self._run(trial_id).log(_finite(asdict(metrics)))
            self._logged[trial_id] = metrics.evaluation

    def _end(self, trial_id: str, status: str, summary: dict[str, Any]) -> None:
        run = self._run(trial_id)
        del self._runs[trial_id]
        _mark(run, status, summary)
        try:
            run.finish(exit_code=0 if status in ("completed", "stopped") else 1)
        except TimeoutError as error:
            self._go_offline(error)

    def _finish(self) -> None:
        """Interrupt the open runs, all at once: each may wait for a dead server."""
        with ThreadPoolExecutor(max_workers=len(self._runs) or 1) as pool:
            endings = [pool.submit(_interrupt, run) for run in self._runs.values()]
        for ending in endings:
            self._attempt(ending.result)
        self._wandb.teardown()

    def _settings(self, **more: Any) -> Any:
        return self._wandb.Settings(
            silent=True,
            console="off",
            x_disable_stats=True,  # they would be of the driver's machine, not of the one that trains
            x_transaction_log_flush_interval=1.0,  # a killed driver loses this much; 15 s unless set
            init_timeout=_INIT_TIMEOUT,
            finish_timeout=_FINISH_TIMEOUT,
            finish_timeout_raises=True,
            stop_fn=lambda: logger.warning("Stop in W&B is not followed; press Ctrl-C at the sweep"),
            **more,
        )

    def _init(self, trial_id: str, config: dict[str, Any], resumed: bool) -> Any:
        run = self._wandb.init(
            project=self._project,
            dir=self._folder,
            id=self.run_id(trial_id),
            name=f"{self._sweep}-{trial_id}",
            group=self._sweep,
            job_type="trial",
            tags=["running"],
            config=config,
            mode=self.mode,
            resume="allow" if resumed else None,
            reinit="create_new",
            settings=self._settings(),
        )
        run.define_metric("tokens", hidden=True)
        run.define_metric("*", step_metric="tokens")
        if self.mode == "online":
            self.url = run.project_url
        else:
            self._offer_sync()
        return run

    def _run(self, trial_id: str) -> Any:
        if trial_id not in self._runs:
            raise LookupError(f"trial {trial_id} has no open run")
        return self._runs[trial_id]

    def _go_offline(self, reason: object) -> None:
        self.mode = "offline"
        self._offer_sync()
        self._report(f"W&B is out of reach, runs are kept on disk: {_one_line(reason)}")

    def _offer_sync(self) -> None:
        online = "--include-online " if self.url else ""  # runs that began online may have rows to send, too
        self.sync_command = f"wandb sync {online}{shlex.quote(str(self._folder / 'wandb'))}"


def _mark(run: Any, status: str, summary: Mapping[str, Any]) -> None:
    run.tags = (status,)
    run.summary.update({**_finite(summary), "trial/status": status})


def _interrupt(run: Any) -> None:
    run.mark_preempting()
    _mark(run, "interrupted", {})
    run.finish(exit_code=1)


def _chosen_mode(mode: str) -> Mode:
    if mode == "auto" and (variable := os.environ.get("WANDB_MODE")):
        if variable not in _WANDB_MODES:
            raise ValueError(f"WANDB_MODE {variable!r} is not one of {', '.join(_WANDB_MODES)}")
        mode = _WANDB_MODES[variable]
    if mode not in get_args(Mode):
        raise ValueError(f"wandb {mode!r} is not one of {', '.join(get_args(Mode))}")
    return cast(Mode, mode)


def _run_id(text: str) -> str:
    r"""An id that W&B takes: its addresses allow no /, \, #, ?, % or :, and it must be short."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[-_LONGEST_ID:]


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without NaN and infinity, which W&B stores as text."""
    return {name: value for name, value in values.items() if not isinstance(value, float) or math.isfinite(value)}


def _one_line(problem: object) -> str:
    text = " ".join(str(problem).split())[:300]
    return f"{type(problem).__name__}: {text}" if isinstance(problem, Exception) else text
