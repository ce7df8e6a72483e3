"""A trial on a storage that fails, with real files: a link that leads to itself is a folder that cannot be used."""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from sweeps.machines import storing
from sweeps.machines.storing import patiently, waiting_time
from sweeps.machines.worker import QUIT, Job, Report, SlotConfig, serve, train
from tinystories.config import TrialConfig
from tinystories.data.dataset import Dataset

from .test_worker import answers, filled

TRIAL = TrialConfig(depth=1, width=16, heads=2, budget=1024, context=32, batch_size=4, evaluations=4)


def slot(dataset: Dataset, *, patience: float = 60) -> SlotConfig:
    return SlotConfig(
        cpus=1,
        gpus=0,
        patience=patience,
        storage="",
        data=str(dataset.folder),
        stories=None,
        fingerprint=dataset.fingerprint,
        shared_code=None,
        train=train,
    )


def job(folder: Path, **changes: int) -> Job:
    return Job(trial_id=folder.name, config=replace(TRIAL, **changes), checkpoints=str(folder))  # type: ignore[arg-type]


def run(dataset: Dataset, folder: Path, *, evaluations: int = 4) -> list[Report]:
    """So many evaluations of the trial in this folder, those of an earlier run not counted."""
    reports = []
    for report in train(job(folder), dataset, slot(dataset)):
        reports.append(report)
        if report.metrics and report.metrics.evaluation == evaluations:
            break
    return reports


def losses(reports: Sequence[Report]) -> dict[int, float]:
    return {report.metrics.evaluation: report.metrics.val_loss for report in reports if report.metrics}


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 500] = b"x" * 500
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_short, empty, overwrite])
def test_a_trial_whose_checkpoint_is_damaged_ends_as_if_nothing_had_happened(
    dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    whole = run(dataset, tmp_path / "whole")
    run(dataset, tmp_path / "trial", evaluations=2)
    for path in (tmp_path / "trial").iterdir():
        damage(path)

    resumed = run(dataset, tmp_path / "trial")

    assert "is damaged: deleted" in caplog.text
    assert losses(resumed) == losses(whole)
    assert [Path(report.checkpoint).exists() for report in resumed] == [False, False, False, True]
    assert resumed[-1].checkpoint.endswith(Path(whole[-1].checkpoint).name)


def test_the_checkpoint_before_a_damaged_one_is_resumed(dataset: Dataset, tmp_path: Path) -> None:
    whole = run(dataset, tmp_path / "whole")
    run(dataset, tmp_path / "trial", evaluations=2)
    kept = {path: path.read_bytes() for path in (tmp_path / "trial").iterdir()}
    run(dataset, tmp_path / "trial", evaluations=3)
    for path, content in kept.items():
        path.write_bytes(content)
    (latest,) = (tmp_path / "trial").glob("evaluation-0003-*")
    cut_short(latest)

    resumed = run(dataset, tmp_path / "trial")

    assert list(losses(resumed)) == [2, 3, 4]
    assert losses(resumed).items() <= losses(whole).items()


def block(folder: Path) -> None:
    folder.symlink_to(folder)


def test_a_storage_that_comes_back_costs_nothing_but_time(
    dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "trial"
    whole = run(dataset, tmp_path / "whole")
    reports = train(job(folder), dataset, slot(dataset))
    found = [next(reports), next(reports)]
    folder.rename(tmp_path / "away")
    block(folder)

    def mend() -> None:
        time.sleep(0.8)
        os.replace(folder, tmp_path / "gone")
        (tmp_path / "away").rename(folder)

    mending = threading.Thread(target=mend)
    mending.start()
    with caplog.at_level(logging.WARNING):
        found += list(reports)
    mending.join()

    assert losses(found) == losses(whole)
    assert "the storage does not serve" in caplog.text


def test_pauses_grow_until_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only pauses move."""
    now, pauses = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        pauses.append(seconds)

    def fail() -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(storing.time, "monotonic", lambda: now)
    monkeypatch.setattr(storing.time, "sleep", sleep)
    with pytest.raises(OSError, match=r"Read-only file system \(waited 600 s for it to pass\)"):
        patiently(fail, seconds=waiting_time(1800))

    assert pauses[:4] == [0.5, 1, 2, 4]
    assert max(pauses) == 60
    assert 540 <= now <= 600


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_an_error_that_lasts_is_not_waited_for(number: int) -> None:
    attempts = []

    def fail() -> None:
        attempts.append(1)
        raise OSError(number, os.strerror(number))

    with pytest.raises(OSError, match=os.strerror(number)):
        patiently(fail, seconds=600)
    assert len(attempts) == 1


def test_a_wait_ends_before_the_worker_is_taken_for_hung() -> None:
    assert [waiting_time(patience) for patience in (30, 1800, 1e6)] == [10, 600, 600]


def other_version(folder: Path) -> None:
    folder.mkdir()
    import torch

    torch.save({"version": 2}, folder / "evaluation-0001-loss-3.000000.pt")


def file_in_its_place(folder: Path) -> None:
    folder.write_text("mine", encoding="utf-8")


@pytest.mark.usefixtures("ray_with_a_gpu")
@pytest.mark.parametrize("spoil", [block, other_version, file_in_its_place])
def test_what_no_configuration_does_ends_the_sweep_and_fails_no_trial(
    dataset: Dataset, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(tmp_path / "trial")
    mailbox = filled([job(tmp_path / "trial"), QUIT])

    ray.get(ray.remote(num_cpus=1)(serve).remote({"mailbox": mailbox, "config": slot(dataset, patience=3)}))
    _, report = answers(mailbox)

    assert (report.fatal, report.metrics) == (True, None)
    assert str(tmp_path / "trial") in report.error


@pytest.mark.usefixtures("ray_with_a_gpu")
def test_what_a_configuration_does_wrong_fails_its_trial_alone(dataset: Dataset, tmp_path: Path) -> None:
    mailbox = filled([job(tmp_path / "trial", budget=1), QUIT])

    ray.get(ray.remote(num_cpus=1)(serve).remote({"mailbox": mailbox, "config": slot(dataset)}))
    _, report = answers(mailbox)

    assert (report.fatal, report.metrics) == (False, None)
    assert "allowed: at least one for each of the 4 evaluations" in report.error
