"""The loss on the whole validation file.

Shapes: B sequences in a batch, L tokens in a sequence.
"""

import math

import numpy as np
import torch
from torch import Tensor

from tinystories.data.dataset import Dataset
from tinystories.models.model import GPTNeo


@torch.no_grad()
def evaluate(model: GPTNeo, dataset: Dataset, *, batch_size: int) -> tuple[float, float]:
    """Mean loss over every validation token but the first [nat/token], and the same per byte of text [bit/byte].

    Deterministic, and in the precision of the caller's autocast: a noisy rung promotes noise.
    Bits per byte divide by the text's length rather than the tokens', so tokenizers can be compared.
    """
    device = model.wte.weight.device
    total = torch.zeros((), dtype=torch.float64, device=device)
    count = 0
    for batch in dataset.validation_batches(batch_size=batch_size, context=model.config.context):
        inputs_BL, targets_BL = to_device(batch, device)
        total += model.loss(inputs_BL, targets_BL).double() * targets_BL.numel()
        count += targets_BL.numel()
    nats = total.item()
    return nats / count, nats / math.log(2) / dataset.valid_bytes


def to_device(batch: tuple[np.ndarray, np.ndarray], device: torch.device) -> tuple[Tensor, Tensor]:
    """A batch as tensors on the device; from pinned memory, so that a GPU need not wait for the copy."""
    inputs_BL, targets_BL = (torch.from_numpy(array) for array in batch)
    if device.type == "cuda":
        inputs_BL, targets_BL = inputs_BL.pin_memory(), targets_BL.pin_memory()
    return inputs_BL.to(device, non_blocking=True), targets_BL.to(device, non_blocking=True)
