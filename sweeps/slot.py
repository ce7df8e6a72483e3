"""A slot: one long-lived Ray Train worker that serves trial after trial.

Starting a `TorchTrainer` costs 12 to 15 seconds, so each slot does it once. The slot is a Tune Trainable with
reused actors; its Train worker pulls jobs from a mailbox and answers with one report an evaluation. ASHA's stop
frees the worker at the next message. A bad configuration is an answer, not an exception, and costs nothing; a
dead or hung worker fails the slot, and Tune starts the trial in a new one, where it goes on from its checkpoint.
"""

import asyncio
import errno
import gc
import threading
import time
import traceback
from dataclasses import asdict, dataclass
from typing import Any

import ray
from ray import train, tune
from ray.train.torch import TorchTrainer

from sweeps.spec import StoriesData
from tinystories.config import TrialConfig
from tinystories.metrics import Metrics

POLL_SECONDS = 1.0
"""How often a waiting slot looks whether its Train worker is still alive."""


@dataclass(frozen=True, kw_only=True)
class SlotConfig:
    """What all trials of a slot share."""

    cpus: int
    """CPU cores, and torch threads."""
    gpus: int
    """GPUs."""
    patience: float
    """Time without a report after which the worker is taken for hung. [s]"""
    storage: str
    """Folder or URI for Ray Train's own files."""
    data: str
    """Data folder, absolute, or URI."""
    stories: StoriesData | None
    """Built-in stories to generate into that folder on a node that does not have it."""
    fingerprint: str
    """What the data must be, wherever the worker finds or makes it."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One trial, as the worker needs it."""

    trial_id: str
    config: TrialConfig
    checkpoints: str
    """The trial's folder or URI; a checkpoint found there is gone on from."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One evaluation, or the end of a trial that could not go on."""

    metrics: Metrics | None = None
    """The evaluation; None: the trial failed."""
    checkpoint: str = ""
    """The trial's best checkpoint so far."""
    error: str = ""
    """Why the trial failed, in one line."""
    disk_full: bool = False
    """It failed because no checkpoint can be written, so every trial would."""

    def ends(self, job: Job) -> bool:
        """Whether the trial has nothing more to report."""
        if self.metrics is None:
            return True
        return self.metrics.diverged or self.metrics.evaluation == job.config.evaluations


class Mailbox:
    """Two queues between a slot and its worker; an actor of its own, since both ends wait."""

    def __init__(self) -> None:
        self._queues: dict[str, asyncio.Queue[Any]] = {
            "to_worker": asyncio.Queue(),
            "to_slot": asyncio.Queue(),
        }

    async def put(self, queue: str, message: Any) -> None:
        """Send."""
        await self._queues[queue].put(message)

    async def get(self, queue: str, timeout: float | None = None) -> Any:
        """Receive; None when nothing came within the timeout [s]."""
        try:
            return await asyncio.wait_for(self._queues[queue].get(), timeout)
        except TimeoutError:
            return None


READY, GO, STOP, QUIT = "ready", "go", "stop", "quit"


def serve(settings: dict[str, Any]) -> None:
    """The Train worker's loop: job in, reports out, until told to quit."""
    import torch

    mailbox, config = settings["mailbox"], settings["config"]
    torch.set_num_threads(config.cpus)
    dataset = _open_data(config)
    _send(mailbox, READY)
    while (job := ray.get(mailbox.get.remote("to_worker"))) != QUIT:
        if isinstance(job, Job):
            _run(job, dataset, mailbox)
            gc.collect()
            torch.cuda.empty_cache()


def _open_data(config: SlotConfig) -> Any:
    """The data on this node: opened, or generated if they are built-in stories that it does not have yet."""
    from tinystories.data.make_dataset import make_stories

    from tinystories.data.dataset import open_dataset

    if config.stories:
        make_stories(config.data, **asdict(config.stories))
    dataset = open_dataset(config.data)
    if dataset.fingerprint != config.fingerprint:
        raise RuntimeError(f"the data on this node are not the sweep's: {dataset.folder}")
    return dataset


def _run(job: Job, dataset: Any, mailbox: Any) -> None:
    """Train one trial; whatever its configuration does wrong becomes an answer.

    Raises:
        RuntimeError: of the accelerator; after it the process cannot be trusted, so it ends and the slot with it.
    """
    import torch

    try:
        for report in _train(job, dataset):
            _send(mailbox, report)
            if report.ends(job) or ray.get(mailbox.get.remote("to_worker")) == STOP:
                return
    except torch.AcceleratorError:
        raise
    except Exception as error:
        traceback.print_exc()
        disk_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        _send(mailbox, Report(error=f"{type(error).__name__}: {error}", disk_full=disk_full))


def _train(job: Job, dataset: Any) -> Any:
    """Evaluations of one trial, from its last checkpoint on, which is reported again."""
    from tinystories.trainer import Trainer

    from tinystories import checkpoint

    latest = checkpoint.latest(job.checkpoints)
    resume = checkpoint.load(latest) if latest else None
    if resume:
        yield Report(metrics=resume.metrics, checkpoint=checkpoint.best(job.checkpoints) or "")
    trainer = Trainer(job.config, dataset, resume=resume)
    for metrics in trainer.run():
        if not metrics.diverged:
            checkpoint.save(trainer.checkpoint(), job.checkpoints)
        yield Report(metrics=metrics, checkpoint=checkpoint.best(job.checkpoints) or "")


def _send(mailbox: Any, message: Any) -> None:
    ray.get(mailbox.put.remote("to_slot", message))


class Slot(tune.Trainable):
    """One place where trials run, one after the other. Config: `slot` (SlotConfig) and `job` (Job)."""

    def setup(self, config: dict[str, Any]) -> None:
        """Start the Train worker; it answers when it is ready."""
        self._slot: SlotConfig = config["slot"]
        self._job: Job = config["job"]
        self._idle = True
        self._ready = False
        self._mailbox = ray.remote(num_cpus=0)(Mailbox).remote()
        self._failure: BaseException | None = None
        self._fit = threading.Thread(target=self._run_trainer, args=(self._trainer(),), daemon=True)
        self._fit.start()

    def _trainer(self) -> TorchTrainer:
        resources = {"CPU": self._slot.cpus} | ({"GPU": self._slot.gpus} if self._slot.gpus else {})
        return TorchTrainer(
            serve,
            train_loop_config={"mailbox": self._mailbox, "config": self._slot},
            scaling_config=train.ScalingConfig(
                num_workers=1, use_gpu=self._slot.gpus > 0, resources_per_worker=resources
            ),
            run_config=train.RunConfig(
                name=f"slot-{ray.get_runtime_context().get_actor_id()}",
                storage_path=self._slot.storage,
                failure_config=train.FailureConfig(max_failures=0, controller_failure_limit=0),
            ),
        )

    def _run_trainer(self, trainer: TorchTrainer) -> None:
        try:
            trainer.fit()
        except BaseException as error:
            self._failure = error

    def step(self) -> dict[str, Any]:
        """Let the trial run to its next evaluation.

        Raises:
            RuntimeError: the Train worker died, or did not report in time.
        """
        if not self._ready:
            self._receive(patience=None)
            self._ready = True
        self._put(self._job if self._idle else GO)
        report: Report = self._receive(patience=self._slot.patience)
        self._idle = report.ends(self._job)
        return {"report": report, "done": self._idle}

    def _put(self, message: Any) -> None:
        ray.get(self._mailbox.put.remote("to_worker", message))

    def _receive(self, patience: float | None) -> Any:
        deadline = None if patience is None else time.monotonic() + patience
        while True:
            message = ray.get(self._mailbox.get.remote("to_slot", POLL_SECONDS))
            if message is not None:
                return message
            if not self._fit.is_alive():
                raise RuntimeError(f"the Train worker died: {self._failure}")
            if deadline is not None and time.monotonic() > deadline:
                raise RuntimeError(f"no evaluation within {patience:g} s; the Train worker is taken for hung")

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same worker."""
        if not self._idle:
            self._put(STOP)
            self._idle = True
        self._job = new_config["job"]
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a trial's checkpoints belong to its worker, and are found by the trial's name."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing; see `save_checkpoint`."""

    def cleanup(self) -> None:
        """Let the worker go."""
        if self._fit.is_alive():
            if not self._idle:
                self._put(STOP)
            self._put(QUIT)
            self._fit.join(timeout=10)
