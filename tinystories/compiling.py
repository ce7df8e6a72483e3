"""When compiled code pays, and where it is kept: on disk for all trials of a shape, beside a sweep for all nodes."""

import hashlib
import io
import logging
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import torch

from tinystories import storage
from tinystories.config import ModelConfig, TrialConfig
from tinystories.device import signature
from tinystories.models.size import flops_per_step, steps
from tinystories.staging import locked, staged

logger = logging.getLogger(__name__)
DONE = ".done"
"""File that marks a folder of compiled code as whole."""
PAYBACK = 2
"""Compiled code must save this many times what making it costs over a whole budget, for a trial that is stopped early
earns less, and the code may be on disk already."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """What compiling costs and saves on one kind of device."""

    seconds: float
    """To make the code of one shape that is not on disk; it hardly depends on depth, as layers share their code. [s]"""
    saved: float
    """Share of an uncompiled step's time that compiled code saves."""
    flops_per_second: float
    """Training speed without it, on one CPU thread or one GPU. [FLOP/s]"""
    seconds_per_layer: float
    """Least time of one layer in an update, however narrow: starting its kernels. [s]"""


PRICES = {
    ("cpu", torch.float32): Price(seconds=23, saved=0.03, flops_per_second=4e10, seconds_per_layer=0),
    ("cpu", torch.bfloat16): Price(seconds=23, saved=0.45, flops_per_second=6e10, seconds_per_layer=0),
    ("cuda", torch.float32): Price(seconds=40, saved=0.3, flops_per_second=3e13, seconds_per_layer=1e-3),
    ("cuda", torch.bfloat16): Price(seconds=40, saved=0.4, flops_per_second=1.5e14, seconds_per_layer=1e-3),
}
"""CPU: docs/throughput.md, "When compiling pays". CUDA: expected, not measured yet."""


def pays(trial: TrialConfig, vocab_size: int, *, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a trial of this budget gets its compiling back `PAYBACK` times.

    A rule of closed forms alone, not of measured times: the same trial is computed the same way every time.
    """
    price = PRICES[device.type, dtype]
    return uncompiled_seconds(trial, vocab_size, price, device) * price.saved >= PAYBACK * price.seconds


def uncompiled_seconds(trial: TrialConfig, vocab_size: int, price: Price, device: torch.device) -> float:
    """Expected training time of the whole budget without compiled code. [s]"""
    updates = steps(trial, vocab_size)
    if updates is None:
        return trial.budget
    speed = price.flops_per_second * (torch.get_num_threads() if device.type == "cpu" else 1)
    return updates * max(flops_per_step(trial, vocab_size) / speed, trial.depth * price.seconds_per_layer)


@contextmanager
def kept(code: str, *, device: torch.device, shared: str | None) -> Iterator[None]:
    """Compile in this block, and what is compiled is found on disk the next time.

    Processes of a machine that want the same code wait until the first of them has made it. It lies in a folder of its
    own below $TORCHINDUCTOR_CACHE_DIR, $TINYSTORIES_CACHE or ~/.cache/tinystories.

    Args:
        code: names the code, see `name`.
        shared: folder or URI through which machines of a kind share it; trusted, as the code is run.
    """
    # Imported here: it takes seconds, and most trials do not compile.
    from torch._inductor.runtime.cache_dir_utils import temporary_cache_dir

    machine = signature(device)
    folder = _root() / machine / code
    if (folder / DONE).exists():
        with temporary_cache_dir(str(folder)):
            yield
        return
    with locked(folder):
        new = not (folder / DONE).exists() and not (shared and _fetch(f"{shared}/{machine}-{code}.zip", folder))
        if new:  # what a killed process has left may be half a file
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        with temporary_cache_dir(str(folder)):
            yield
        (folder / DONE).touch()
        if new and shared:
            _publish(folder, f"{shared}/{machine}-{code}.zip")


def name(config: ModelConfig, micro_batch: int, dtype: torch.dtype) -> str:
    """Names the compiled code of a shape; models that differ in depth alone share theirs."""
    kinds = min(config.depth, 2)  # of layers: global, and local
    sizes = (*astuple(replace(config, depth=kinds)), micro_batch, dtype)
    return hashlib.sha256(repr(sizes).encode()).hexdigest()[:16]


def _root() -> Path:
    if chosen := os.environ.get("TORCHINDUCTOR_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("TINYSTORIES_CACHE") or "~/.cache/tinystories").expanduser() / "compiled"


def _publish(folder: Path, archive: str) -> None:
    """Let other machines have the code; that this fails costs them time, and no trial."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            packed.write(path, path.relative_to(folder))
    try:
        storage.write(archive, buffer.getvalue())
    except OSError:
        logger.warning("compiled code is not shared", exc_info=True)


def _fetch(archive: str, folder: Path) -> bool:
    """Take over another machine's code; whether there is any. Called under the folder's lock."""
    try:
        with zipfile.ZipFile(io.BytesIO(storage.read(archive))) as packed, staged(folder) as aside:
            packed.extractall(aside)
    except FileNotFoundError:
        return False
    except (OSError, zipfile.BadZipFile):
        logger.warning("shared compiled code cannot be read", exc_info=True)
        return False
    return True
