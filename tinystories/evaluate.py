"""The loss on the whole validation file.

Shapes: B sequences in a batch, L tokens in a sequence.
"""

import math

import torch

from tinystories.data.dataset import Dataset
from tinystories.data.loader import ahead
from tinystories.models.model import GPTNeo


@torch.no_grad()
def evaluate(model: GPTNeo, dataset: Dataset, *, batch_size: int) -> tuple[float, float]:
    """Mean loss over every validation token but the first [nat/token], and the same per byte of text [bit/byte].

    Deterministic: a noisy rung promotes noise.
    Bits per byte divide by the text's length rather than the tokens', so tokenizers can be compared.
    """
    device = model.wte.weight.device
    total = torch.zeros((), dtype=torch.float64, device=device)
    count = 0
    batches = dataset.validation_batches(batch_size=batch_size, context=model.config.context)
    for inputs_BL, targets_BL in ahead(batches, device):
        total += model.loss(inputs_BL, targets_BL).double() * targets_BL.numel()
        count += targets_BL.numel()
    nats = total.item()
    return nats / count, nats / math.log(2) / dataset.valid_bytes
