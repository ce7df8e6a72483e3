"""The loop of a slot's Train worker, in a process of its own that a real Ray starts, with a real mailbox."""

import os
import resource
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from sweeps.machines.worker import GO, QUIT, STOP, Job, Mailbox, Ready, Report, SlotConfig, serve, train
from tinystories.config import TrialConfig
from tinystories.data.dataset import Dataset
from tinystories.models.size import parameters

SMALL = TrialConfig(depth=1, width=16, heads=2, budget=256, context=32, batch_size=4, evaluations=2)
LARGE = replace(SMALL, depth=2, width=384)
"""3.7M parameters, so that what they take stands out from what a process needs anyway."""

pytestmark = pytest.mark.usefixtures("ray_with_a_gpu")


def slot(dataset: Dataset, *, gpus: float) -> SlotConfig:
    return SlotConfig(
        cpus=1,
        gpus=gpus,
        patience=60,
        storage="",
        data=str(dataset.folder),
        stories=None,
        fingerprint=dataset.fingerprint,
        shared_code=None,
        train=train,
    )


def job(config: TrialConfig, folder: Path) -> Job:
    return Job(trial_id=folder.name, config=config, checkpoints=str(folder))


def filled(messages: Sequence[Any]) -> Any:
    """A mailbox with all that a slot would send."""
    mailbox = ray.remote(num_cpus=0)(Mailbox).remote()
    for message in messages:  # one after the other, or they may arrive in any order
        ray.get(mailbox.put.remote("to_worker", message))
    return mailbox


def answers(mailbox: Any) -> list[Any]:
    received = []
    while (answer := ray.get(mailbox.get.remote("to_slot", 0.1))) is not None:
        received.append(answer)
    return received


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here, so no resident memory to read")
def test_between_trials_a_slot_gives_its_memory_back(dataset: Dataset, tmp_path: Path) -> None:
    """Whether a trial ran to its end or was stopped; neighbours on the machine need what it no longer does."""

    @ray.remote(num_cpus=1, max_calls=1)
    def memory_after_each(settings: dict[str, Any], rounds: int) -> tuple[list[int], int]:
        page = os.sysconf("SC_PAGE_SIZE")
        resident = []
        for _ in range(rounds):
            serve(settings)
            resident.append(page * int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]))
        return resident, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    rounds = [
        [job(SMALL, tmp_path / "first"), GO, QUIT],  # loads what every trial needs and the process keeps
        [job(replace(LARGE, evaluations=1), tmp_path / "complete"), QUIT],
        [job(LARGE, tmp_path / "stopped"), STOP, QUIT],
    ]
    mailbox = filled([message for messages in rounds for message in messages])
    settings = {"mailbox": mailbox, "config": slot(dataset, gpus=0)}
    (before, complete, stopped), peak = ray.get(memory_after_each.remote(settings, len(rounds)))
    reports = [answer for answer in answers(mailbox) if isinstance(answer, Report)]
    taken = peak - before

    assert [report.metrics.evaluation for report in reports if report.metrics] == [1, 2, 1, 1]
    assert taken > 16 * parameters(LARGE.model(dataset.vocab_size))  # weights, gradients and two moments, 4 bytes each
    assert complete - before < 0.2 * taken
    assert stopped - before < 0.2 * taken


def test_a_share_of_a_gpu_that_only_ray_sees_trains_on_the_cpu(dataset: Dataset, tmp_path: Path) -> None:
    serving = ray.remote(num_cpus=1, num_gpus=0.5)(serve)
    mailbox = filled([job(SMALL, tmp_path / "trial"), GO, QUIT])
    ray.get(serving.remote({"mailbox": mailbox, "config": slot(dataset, gpus=0.5)}))
    ready, *reports = answers(mailbox)

    assert isinstance(ready, Ready)
    assert [report.error for report in reports] == ["", ""]


def test_a_slot_without_a_gpu_leaves_the_nodes_alone(dataset: Dataset, tmp_path: Path) -> None:
    """Ray hides a node's GPUs from nobody, so the worker must not take the first one it sees."""

    @ray.remote(num_cpus=1, max_calls=1)
    def uses_a_gpu(settings: dict[str, Any]) -> bool:
        torch.cuda.is_available = lambda: True  # as on a node that has one
        serve(settings)
        return torch.cuda.is_initialized()

    mailbox = filled([job(SMALL, tmp_path / "trial"), GO, QUIT])

    assert not ray.get(uses_a_gpu.remote({"mailbox": mailbox, "config": slot(dataset, gpus=0)}))
    assert [answer.error for answer in answers(mailbox)[1:]] == ["", ""]
