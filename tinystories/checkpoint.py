"""Checkpoints: the whole state of a trial at an evaluation, in a folder or an object store.

A folder holds at most two after a save, the latest and the best. File names carry the number of the evaluation and
its loss (`evaluation-0003-loss-1.834215.pt`), so that finding them reads no file.
"""

import io
import re
import zipfile
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch

from tinystories import storage
from tinystories.config import ModelConfig, TrialConfig
from tinystories.metrics import Metrics

VERSION = 2
NAME = re.compile(r"evaluation-(\d+)-loss-(\d+\.\d+)\.pt")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trial as it stood when it yielded `metrics`; all that it takes to go on as if nothing had happened."""

    config: TrialConfig
    """What the trial is."""
    model_config: ModelConfig
    """The model's shape, with the vocabulary that the data gave it."""
    data_fingerprint: str
    """Identifies the data, see `Dataset.fingerprint`."""
    tokenizer: str
    """What made the data's ids, such as bpe:4096."""
    metrics: Metrics
    """Record of the evaluation."""
    model: dict[str, Any]
    """State of the model."""
    optimizer: dict[str, Any]
    """State of the optimiser."""
    first_loss: float
    """Loss of the first batch, against which divergence is measured. [nat/token]"""


class _Entry(NamedTuple):
    evaluation: int
    loss: float
    name: str


def save(checkpoint: Checkpoint, folder: str) -> str:
    """Write a checkpoint, then delete those that are neither the latest nor the best.

    The file appears whole, and nothing is deleted before it has: whenever the process dies, one is left.

    Returns:
        The location of the new file.

    Raises:
        OSError: the folder cannot be written.
    """
    metrics = checkpoint.metrics
    assert metrics.usable, "a diverged trial has nothing to go on from"
    name = f"evaluation-{metrics.evaluation:04d}-loss-{metrics.val_loss:.6f}.pt"
    buffer = io.BytesIO()
    torch.save({"version": VERSION, **_plain(checkpoint)}, buffer)
    storage.write(storage.join(folder, name), buffer.getvalue())
    kept = {name, _best(folder).name}
    for entry in _entries(folder):
        if entry.name not in kept:
            storage.delete(storage.join(folder, entry.name))
    return storage.join(folder, name)


def load(location: str) -> Checkpoint:
    """Read a checkpoint; tensors come to the CPU.

    Raises:
        OSError: there is no such file, or the storage does not answer.
        ValueError: the file is damaged, or of another version.
    """
    content = io.BytesIO(storage.read(location))
    try:
        if zipfile.ZipFile(content).testzip():  # torch writes checksums, but does not compare them
            raise ValueError
        content.seek(0)
        plain = torch.load(content, map_location="cpu", weights_only=True)
        if plain.pop("version") != VERSION:
            raise ValueError
        plain["config"] = TrialConfig(**plain["config"])
        plain["model_config"] = ModelConfig(**plain["model_config"])
        plain["metrics"] = Metrics(**plain["metrics"])
        return Checkpoint(**plain)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # of zipfile, pickle or torch: damaged bytes can provoke nearly every other kind
        raise ValueError(
            f"{location} is damaged or not a checkpoint of version {VERSION}; delete it to go on without it"
        ) from error


def latest(folder: str) -> str | None:
    """Location of the checkpoint to go on from; None when there is none."""
    entries = _entries(folder)
    return storage.join(folder, max(entries).name) if entries else None


def best(folder: str) -> str | None:
    """Location of the checkpoint with the lowest validation loss; None when there is none."""
    return storage.join(folder, _best(folder).name) if _entries(folder) else None


def _plain(checkpoint: Checkpoint) -> dict[str, Any]:
    """The record as dictionaries, numbers and tensors, which load without running code."""
    records = {name: asdict(getattr(checkpoint, name)) for name in ("config", "model_config", "metrics")}
    return {**vars(checkpoint), **records}


def _entries(folder: str) -> list[_Entry]:
    matches = [NAME.fullmatch(name) for name in storage.names(folder)]
    return [_Entry(int(match[1]), float(match[2]), match[0]) for match in matches if match]


def _best(folder: str) -> _Entry:
    return min(_entries(folder), key=lambda entry: (entry.loss, -entry.evaluation))
