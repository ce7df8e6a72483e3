"""When compiled code pays, and where it is kept: on disk for all trials of a shape, beside a sweep for all nodes."""

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from tinystories import storage
from tinystories.config import ModelConfig, TrialConfig
from tinystories.device import signature
from tinystories.models.size import flops_per_step, steps
from tinystories.staging import locked, staged

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
    ("cpu", torch.float32): Price(seconds=23, saved=0.06, flops_per_second=4e10, seconds_per_layer=0),
    ("cpu", torch.bfloat16): Price(seconds=23, saved=0.45, flops_per_second=6e10, seconds_per_layer=0),
    ("cuda", torch.float32): Price(seconds=40, saved=0.3, flops_per_second=3e13, seconds_per_layer=1e-3),
    ("cuda", torch.bfloat16): Price(seconds=40, saved=0.4, flops_per_second=1.5e14, seconds_per_layer=1e-3),
}
"""CPU: docs/throughput.md. CUDA: expected, not measured yet."""


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

    Processes of a machine that want the same code wait for the first of them. It lies in $TORCHINDUCTOR_CACHE_DIR, or
    below $TINYSTORIES_CACHE, or ~/.cache/tinystories.

    Args:
        code: names the code, see `name`.
        shared: folder or URI through which machines of a kind share it; trusted, as the code is run.

    Raises:
        OSError: `shared` does not answer.
    """
    machine = signature(device)
    root = Path(os.environ.get("TINYSTORIES_CACHE") or Path.home() / ".cache" / "tinystories")
    cache = Path(os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(root / "compiled" / machine)))
    archive = f"{shared}/{machine}-{code}.zip" if shared else ""
    done = cache / f"{code}.done"
    with locked(done):
        if done.exists():
            yield
            return
        fetched = archive != "" and _fetch(archive, cache)
        before = _files(cache)
        yield
        if archive and not fetched:
            storage.write(archive, _pack(cache, _files(cache) - before))
        done.touch()


def name(config: ModelConfig, micro_batch: int, dtype: torch.dtype) -> str:
    """Names the compiled code of a shape; models that differ in depth alone share theirs."""
    kinds = min(config.depth, 2)  # of layers: global, and local
    sizes = (kinds, config.width, config.heads, config.vocab_size, config.context, config.window, micro_batch, dtype)
    return hashlib.sha256(repr(sizes).encode()).hexdigest()[:16]


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def _pack(folder: Path, files: set[Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            archive.write(folder / path, path)
    return buffer.getvalue()


def _fetch(archive: str, cache: Path) -> bool:
    """Unpack another machine's code into the cache, each file whole; whether there is any."""
    try:
        content = storage.read(archive)
    except FileNotFoundError:
        return False
    with staged(cache / "fetched") as aside:
        zipfile.ZipFile(io.BytesIO(content)).extractall(aside)
        for path in _files(aside):
            (cache / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(aside / path, cache / path)
    return True
