"""A slot as Tune drives it: an actor of a real Ray with a real Train worker, and trainings that cost nothing."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.util import placement_group_table

from sweeps.machines import cluster
from sweeps.machines.slot import Slot
from sweeps.machines.worker import Job, Report, SlotConfig
from tinystories.config import TrialConfig
from tinystories.data.dataset import Dataset

from ..examples import METRICS

CONFIG = TrialConfig(depth=1, width=16, heads=2, budget=256, context=32, batch_size=4, evaluations=2)
HANGS = 600.0
"""Longer than any test takes. [s]"""

pytestmark = pytest.mark.slow


def act(job: Job, dataset: Dataset, config: SlotConfig) -> Iterator[Report]:
    """What a trial is to do is its name; the checkpoint that it reports names the worker's process."""
    if job.trial_id == "bad":
        raise ValueError("heads 3 do not divide width 16")
    for evaluation in range(1, job.config.evaluations + 1):
        yield Report(metrics=replace(METRICS, evaluation=evaluation), checkpoint=str(os.getpid()))
        if job.trial_id == "dies":
            os._exit(1)
        if job.trial_id == "hangs":
            time.sleep(HANGS)


@pytest.fixture(scope="module")
def as_in_a_sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The settings that a sweep gives Ray, for all of its processes; Tune's own files go where the test's do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name, value in cluster.SETTINGS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def a_ray(as_in_a_sweep: None, ray_with_a_gpu: None) -> None:
    """A local Ray with the settings of a sweep."""


class Tune:
    """Does with a slot what Tune does: step by step, trial after trial."""

    def __init__(self, config: SlotConfig, job: Job) -> None:
        self._config = config
        self._actor = ray.remote(num_cpus=0)(Slot).remote({"slot": config, "job": job})

    def next(self, job: Job) -> bool:
        """Give the actor another trial; whether it takes it."""
        return ray.get(self._actor.reset.remote({"slot": self._config, "job": job}))

    def step(self) -> Report:
        return ray.get(self._actor.step.remote())["report"]

    def end(self) -> None:
        ray.get(self._actor.stop.remote())
        ray.kill(self._actor)


@pytest.fixture
def slot_config(a_ray: None, dataset: Dataset, tmp_path: Path) -> SlotConfig:
    return SlotConfig(
        cpus=1,
        gpus=0,
        patience=60,
        storage=str(tmp_path),
        data=str(dataset.folder),
        stories=None,
        fingerprint=dataset.fingerprint,
        shared_code=None,
        train=act,
    )


def job(name: str) -> Job:
    return Job(trial_id=name, config=CONFIG, checkpoints="")


def evaluation(report: Report) -> int:
    assert report.metrics, report.trace
    return report.metrics.evaluation


def runs(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def reserved() -> list[dict[str, Any]]:
    """What Ray holds for workers."""
    return [group for group in placement_group_table().values() if group["state"] != "REMOVED"]


def within(seconds: float, *, holds: Any) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return bool(holds())


def test_a_slot_that_is_not_needed_reserves_nothing(slot_config: SlotConfig) -> None:
    Tune(slot_config, job("whole")).end()

    assert not reserved()


def test_one_worker_serves_whole_stopped_and_bad_trials_and_nothing_of_it_is_left(slot_config: SlotConfig) -> None:
    tune = Tune(slot_config, job("whole"))
    whole = [tune.step(), tune.step()]
    assert tune.next(job("stopped"))
    stopped = tune.step()  # its second evaluation is never asked for
    assert tune.next(job("bad"))
    bad = tune.step()
    assert tune.next(job("after"))
    after = [tune.step(), tune.step()]
    trained = [*whole, stopped, *after]

    assert [evaluation(report) for report in trained] == [1, 2, 1, 1, 2]
    assert (bad.metrics, bad.error, bad.fatal) == (None, "ValueError: heads 3 do not divide width 16", False)
    assert "test_slot.py" in bad.trace
    (worker,) = {int(report.checkpoint) for report in trained}
    assert runs(worker)
    assert len(reserved()) == 1

    tune.end()
    assert within(10, holds=lambda: not runs(worker))
    assert within(10, holds=lambda: not reserved())


@pytest.mark.parametrize(
    ("trial", "patience", "message"),
    [
        ("dies", 60.0, "the Train worker died"),
        ("hangs", 2.0, "no evaluation within 2 s; the Train worker is taken for hung"),
    ],
)
def test_a_worker_that_is_lost_fails_its_slot_and_leaves_room_for_another(
    trial: str, patience: float, message: str, slot_config: SlotConfig
) -> None:
    tune = Tune(replace(slot_config, patience=patience), job(trial))
    worker = int(tune.step().checkpoint)

    with pytest.raises(RuntimeError, match=message):
        tune.step()
    assert within(10, holds=lambda: not runs(worker))
    assert within(10, holds=lambda: not reserved())
    tune.end()
