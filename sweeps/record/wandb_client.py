"""The client of Weights & Biases: set-up, login, runs online or on disk. The only module that imports wandb."""

import logging
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

Mode = Literal["auto", "online", "offline", "disabled"]

logger = logging.getLogger(__name__)

# Left behind by a W&B agent or a parent process. A sweep id makes wandb.init ignore project and id;
# WANDB_SERVICE joins our runs to a process that ends with somebody else's.
_FOREIGN_VARIABLES = ("WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_RUN_ID", "WANDB_LAUNCH", "WANDB_SERVICE")
_INIT_TIMEOUT = 20.0
_FINISH_TIMEOUT = 10.0


class Client:
    """Opens runs, online while W&B can be reached and offline from then on.

    `set_up` comes first, in the process's main thread, then `log_in`; both are left out where the mode is disabled.

    Args:
        mode: how runs are to be written; auto: `log_in` finds out.
        sweep: the group of the runs.
        folder: runs are written to `folder/wandb`.
        project: the W&B project.
    """

    problem: str | None = None
    """The first thing that went wrong, in one line."""
    url: str | None = None
    """The project's page, once a run is online."""
    sync_command: str | None = None
    """What uploads the runs that are only on this disk; None if there are none."""

    def __init__(self, mode: Mode, *, sweep: str, folder: Path, project: str) -> None:
        self.mode = mode
        """How runs are written now; auto until the key has been looked up."""
        self._sweep = sweep
        self._folder = folder
        self._project = project
        self._wandb: ModuleType

    @property
    def runs_folder(self) -> Path:
        """Where W&B writes the runs."""
        return self._folder / "wandb"

    def attempt(self, job: Callable[[], None]) -> bool:
        """Do a job and report what it raises: no error of W&B may end a sweep. Returns whether all went well."""
        try:
            job()
        except Exception as error:
            self.report(f"W&B: {_one_line(error)}")
            return False
        return True

    def report(self, problem: str) -> None:
        """Log a problem, and keep the first."""
        self.problem = self.problem or problem
        logger.warning(problem)

    def set_up(self) -> None:
        """Import wandb and start its process; needs no network."""
        for variable in _FOREIGN_VARIABLES:
            os.environ.pop(variable, None)
        import wandb

        self._wandb = wandb
        wandb.setup(self._settings() if self.mode == "auto" else self._settings(mode=self.mode))
        os.environ.pop("WANDB_SERVICE", None)  # setup leaves it for child processes, which must not join our runs

    def log_in(self) -> None:
        """Settle on online or offline."""
        if self.mode == "offline":
            return
        try:
            logged_in = self._wandb.login(prompt=False)
        except Exception as error:
            self.go_offline(error)
            return
        if self.mode == "online" and not logged_in:
            self.go_offline("no key found; set WANDB_API_KEY or run `wandb login`")
        else:
            self.mode = "online" if logged_in else "offline"

    def open_run(self, run_id: str, trial_id: str, config: dict[str, Any], resumed: bool) -> Any:
        """A new run, or a resumed one; on this disk if it cannot be had online.

        On this disk a resumed run is written anew from its first row, as nobody knows which rows are whole there or
        have been uploaded since. `wandb sync` writes them over earlier ones, where it would add a resumed run's.
        """
        try:
            return self._init(run_id, trial_id, config, resumed)
        except Exception as error:
            if self.mode == "offline":
                raise
            self.go_offline(error)
            return self._init(run_id, trial_id, config, resumed)

    def go_offline(self, reason: object) -> None:
        """Keep all later runs on this disk."""
        self.mode = "offline"
        self._offer_sync()
        self.report(f"W&B is out of reach, runs are kept on disk: {_one_line(reason)}")

    def tear_down(self) -> None:
        """End W&B's process."""
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

    def _init(self, run_id: str, trial_id: str, config: dict[str, Any], resumed: bool) -> Any:
        run = self._wandb.init(
            project=self._project,
            dir=self._folder,
            id=run_id,
            name=f"{self._sweep}-{trial_id}",
            group=self._sweep,
            job_type="trial",
            tags=["running"],
            config=config,
            mode=self.mode,
            resume="allow" if resumed and self.mode == "online" else None,
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

    def _offer_sync(self) -> None:
        online = "--include-online " if self.url else ""  # runs that began online may have rows to send, too
        self.sync_command = f"wandb sync {online}{shlex.quote(str(self.runs_folder))}"


def _one_line(problem: object) -> str:
    text = " ".join(str(problem).split())[:300]
    return f"{type(problem).__name__}: {text}" if isinstance(problem, Exception) else text
