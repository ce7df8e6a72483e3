"""Batches that are on the device before they are needed.

Shapes: B sequences in a batch, L tokens in a sequence.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from tinystories.data.dataset import Tokens


def ahead(batches: Iterable[tuple[Tokens, Tokens]], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """The same batches as tensors on the device: inputs_BL, targets_BL.

    While one is worked on, a thread prepares the next, in pinned memory from where a GPU fetches it by itself.
    """
    source = iter(batches)

    def prepare() -> tuple[Tensor, Tensor] | None:
        batch = next(source, None)
        return None if batch is None else _pinned(batch, device)

    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        upcoming = thread.submit(prepare)
        while (batch := upcoming.result()) is not None:
            upcoming = thread.submit(prepare)
            inputs_BL, targets_BL = batch
            yield inputs_BL.to(device, non_blocking=True), targets_BL.to(device, non_blocking=True)


def _pinned(batch: tuple[Tokens, Tokens], device: torch.device) -> tuple[Tensor, Tensor]:
    # Contiguous: a GPU fetches other tensors by way of a copy that the host waits for.
    inputs_BL, targets_BL = (torch.from_numpy(array).contiguous() for array in batch)
    if device.type == "cuda":
        return inputs_BL.pin_memory(), targets_BL.pin_memory()
    return inputs_BL, targets_BL
