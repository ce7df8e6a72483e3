"""Checkpoints: the whole state of a trial at an evaluation, in a folder or an object store.

A folder holds at most two after a save, the latest and the best. File names carry the number of the evaluation, its
loss on the sample of validation stories (`evaluation-0003-loss-1.834215.pt`) and whether it is the trial's last
(`evaluation-0009-loss-1.834215-last.pt`), so that finding them reads no file.

The best is the one of the lowest loss, until the trial has spent its budget: then it is the last, whose loss over all
stories is what the trial is ranked by (`Metrics.best_val_loss`).
"""

import io
import logging
import re
import zipfile
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch

from tinystories import storage
from tinystories.config import ModelConfig, TrialConfig
from tinystories.metrics import Metrics

logger = logging.getLogger(__name__)
VERSION = 4
NAME = re.compile(r"evaluation-(\d+)-loss-(\d+\.\d+)(-last)?\.pt")


class DamagedError(ValueError):
    """A file that is no whole checkpoint: cut short, changed, or something else."""


class ForeignCheckpointError(ValueError):
    """A whole checkpoint of another version, another trial or other data."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trial as it stood when it yielded `metrics`; all that it takes to go on as if nothing had happened."""

    config: TrialConfig
    """What the trial is."""
    model_config: ModelConfig
    """The model's shape, with the vocabulary that the data gave it."""
    precision: str
    """Precision of the matrix products on the machine that trained it: float32 or bfloat16."""
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

    @property
    def is_last(self) -> bool:
        """Whether the trial has spent its budget, and `metrics` are over all validation stories."""
        return self.metrics.evaluation == self.config.evaluations


class _Entry(NamedTuple):
    evaluation: int
    loss: float
    is_last: bool
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
    ending = "-last.pt" if checkpoint.is_last else ".pt"
    name = f"evaluation-{metrics.evaluation:04d}-loss-{metrics.sample_loss:.6f}{ending}"
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
        DamagedError: the file is damaged.
        ForeignCheckpointError: the checkpoint is of another version.
    """
    content = storage.read(location)
    try:
        plain = _read(content)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # of zipfile, pickle or torch: damaged bytes can provoke nearly every other kind
        raise DamagedError(f"{location} is damaged or not a checkpoint; delete it to go on without it") from error
    try:
        return _record(plain)
    except (TypeError, LookupError, ValueError) as error:
        raise ForeignCheckpointError(
            f"{location} is not a checkpoint of version {VERSION}, which this program reads: finish with the program "
            "that wrote it, or delete it to train from the start"
        ) from error


def resume(folder: str) -> Checkpoint | None:
    """The latest checkpoint that is whole; None when there is none.

    Later ones that are damaged are deleted, or they would be taken for the latest again, and for the best.

    Raises:
        OSError: the storage does not answer.
        ForeignCheckpointError: the checkpoint is of another version.
    """
    while location := latest(folder):
        try:
            return load(location)
        except DamagedError:
            logger.warning("%s is damaged: deleted, and the checkpoint before it is taken", location, exc_info=True)
            storage.delete(location)
    return None


def latest(folder: str) -> str | None:
    """Location of the checkpoint to go on from; None when there is none."""
    entries = _entries(folder)
    return storage.join(folder, max(entries).name) if entries else None


def best(folder: str) -> str | None:
    """Location of the best checkpoint, see above; None when there is none."""
    return storage.join(folder, _best(folder).name) if _entries(folder) else None


def _read(content: bytes) -> dict[str, Any]:
    """What `save` has written, if it is whole.

    Raises:
        Exception: of many kinds, for as many kinds of damage.
    """
    file = io.BytesIO(content)
    if broken := zipfile.ZipFile(file).testzip():  # torch writes checksums, but does not compare them
        raise ValueError(f"{broken} has another checksum")
    file.seek(0)
    plain: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return plain


def _record(plain: dict[str, Any]) -> Checkpoint:
    """The inverse of `_plain`, of this version alone."""
    if plain.pop("version") != VERSION:
        raise ValueError
    records = {"config": TrialConfig, "model_config": ModelConfig, "metrics": Metrics}
    return Checkpoint(**plain | {name: record(**plain[name]) for name, record in records.items()})


def _plain(checkpoint: Checkpoint) -> dict[str, Any]:
    """The record as dictionaries, numbers and tensors, which load without running code."""
    records = {name: asdict(getattr(checkpoint, name)) for name in ("config", "model_config", "metrics")}
    return {**vars(checkpoint), **records}


def _entries(folder: str) -> list[_Entry]:
    matches = [NAME.fullmatch(name) for name in storage.names(folder)]
    return [_Entry(int(match[1]), float(match[2]), bool(match[3]), match[0]) for match in matches if match]


def _best(folder: str) -> _Entry:
    return min(_entries(folder), key=lambda entry: (not entry.is_last, entry.loss, -entry.evaluation))
