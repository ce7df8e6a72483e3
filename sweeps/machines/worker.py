"""What runs in a slot's Ray Train worker: a loop that pulls jobs from a mailbox and answers with reports.

Imports nothing heavy at its top, as the mailbox is a process too; torch is imported by the worker alone.
"""

import asyncio
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import ray

from sweeps.machines.storing import patiently, waiting_time
from sweeps.spec.schema import StoriesData
from tinystories.config import TrialConfig
from tinystories.metrics import Metrics

if TYPE_CHECKING:
    from tinystories.data.dataset import Dataset

Training = Callable[["Job", "Dataset", "SlotConfig"], Iterator["Report"]]


@dataclass(frozen=True, kw_only=True)
class SlotConfig:
    """What all trials of a slot share."""

    cpus: int
    """CPU cores, and torch threads."""
    gpus: float
    """Share of a GPU, and of its memory; 0: none."""
    patience: float
    """Time without a report after which the worker counts as hung. [s]"""
    storage: str
    """Folder or URI for Ray Train's own files."""
    data: str
    """Data folder, absolute, or URI."""
    stories: StoriesData | None
    """Built-in stories to generate into that folder on a node that does not have it."""
    fingerprint: str
    """What the data must be, wherever the worker finds or makes it."""
    shared_code: str | None
    """Folder or URI through which machines share compiled code."""
    train: Training
    """What runs a trial, evaluation by evaluation; see `train`."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One trial, as the worker needs it."""

    trial_id: str
    config: TrialConfig
    checkpoints: str
    """The trial's folder or URI; a trial resumes from a checkpoint found there."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One evaluation, or the end of a trial that failed."""

    metrics: Metrics | None = None
    """The evaluation; None: the trial failed."""
    checkpoint: str = ""
    """The trial's best checkpoint so far."""
    error: str = ""
    """Why the trial failed."""
    trace: str = ""
    """Where in the code."""
    fatal: bool = False
    """Every trial would fail like this one, so the sweep ends here and can be resumed once the cause is removed."""

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


@dataclass(frozen=True)
class Ready:
    """The worker can take trials."""

    placement_group: Any
    """What Ray has reserved for it; the slot gives it back."""


GO, STOP, QUIT = "go", "stop", "quit"


def serve(settings: dict[str, Any]) -> None:
    """The Train worker's loop: job in, reports out, until told to quit."""
    import torch

    from tinystories.device import give_memory_back

    mailbox, config = settings["mailbox"], settings["config"]
    torch.set_num_threads(config.cpus)
    if config.gpus and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(config.gpus)
    try:
        dataset = _open_data(config)
    except (OSError, ValueError) as error:
        _send(mailbox, _failure(error, fatal=True))
        return
    _send(mailbox, Ready(ray.util.get_current_placement_group()))
    while (job := ray.get(mailbox.get.remote("to_worker"))) != QUIT:
        if isinstance(job, Job):
            _run(job, dataset, mailbox, config)
            give_memory_back()


def _open_data(config: SlotConfig) -> "Dataset":
    """The data on this node: opened, or generated if they are built-in stories that it does not have yet."""
    from tinystories.data.dataset import open_dataset
    from tinystories.data.make_dataset import make_stories

    if config.stories:
        make_stories(config.data, **asdict(config.stories))
    dataset = open_dataset(config.data, verify=True)
    if dataset.fingerprint != config.fingerprint:
        raise ValueError(f"{dataset.folder} on node {ray.util.get_node_ip_address()} is not the sweep's data")
    return dataset


def _run(job: Job, dataset: "Dataset", mailbox: Any, config: SlotConfig) -> None:
    """Train one trial; whatever goes wrong becomes an answer.

    A trial fails by what its configuration does. What the storage does, or whatever else lies in the trial's folder,
    ends the sweep instead: the trial has no fault, and is resumed with the sweep once that is mended.

    Raises:
        AcceleratorError: after it the process cannot be trusted, so it ends and the slot with it.
    """
    import torch

    from tinystories.checkpoint import ForeignCheckpointError

    try:
        for report in config.train(job, dataset, config):
            _send(mailbox, report)
            if report.ends(job) or ray.get(mailbox.get.remote("to_worker")) == STOP:
                return
    except torch.AcceleratorError:
        raise
    except (OSError, ForeignCheckpointError) as error:
        _send(mailbox, _failure(error, fatal=True))
    except Exception as error:
        _send(mailbox, _failure(error))


def train(job: Job, dataset: "Dataset", config: SlotConfig) -> Iterator[Report]:
    """Evaluations of one trial, from its last whole checkpoint on, which is reported again.

    Raises:
        ForeignCheckpointError: the checkpoint is of another version, trial or data.
        OSError: the storage does not serve, and has been waited for.
    """
    from tinystories import checkpoint
    from tinystories.trainer import Trainer

    seconds = waiting_time(config.patience)

    def best() -> str:
        return patiently(lambda: checkpoint.best(job.checkpoints), seconds=seconds) or ""

    resume = patiently(lambda: checkpoint.resume(job.checkpoints), seconds=seconds)
    if resume:
        yield Report(metrics=resume.metrics, checkpoint=best())
    device = "auto" if config.gpus else "cpu"  # Ray hides no GPU from a worker that has none
    trainer = Trainer(job.config, dataset, resume=resume, device=device, shared_code=config.shared_code)
    for metrics in trainer.run():
        if not metrics.diverged:
            patiently(lambda: checkpoint.save(trainer.checkpoint(), job.checkpoints), seconds=seconds)
        yield Report(metrics=metrics, checkpoint=best())


def _failure(error: Exception, *, fatal: bool = False) -> Report:
    return Report(error=f"{type(error).__name__}: {error}", trace=traceback.format_exc(), fatal=fatal)


def _send(mailbox: Any, message: Any) -> None:
    ray.get(mailbox.put.remote("to_slot", message))
