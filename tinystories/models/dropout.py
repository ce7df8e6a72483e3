"""Dropout whose masks are a pure function of seed, update and place.

PyTorch's own draws from a generator, so that its masks depend on what was drawn before, on the size of the
micro-batch, and on whether the code is compiled. Here every number is dropped or kept by a hash of its place: a resumed
run, smaller micro-batches, compiled code and other devices drop the same numbers.

Shapes: B sequences in a batch, L tokens in a sequence, D width.
"""

import hashlib

import torch
from torch import Tensor

LOW = 2**32 - 1
"""Mask of the lower 32 bits."""
Noise = tuple[Tensor, Tensor]
"""What masks are made of: the number of the micro-batch's first sequence in its batch, and a key. Both are tensors on
the device, as compiled code and captured graphs keep everything else."""


def noise(seed: int, step: int, first: int, device: torch.device) -> Noise:
    """The noise of one micro-batch.

    Args:
        seed: of the trial.
        step: number of the update.
        first: number of the first sequence in the batch of that update.
    """
    digest = hashlib.blake2b(f"{seed} {step}".encode(), digest_size=7).digest()  # 56 bits leave room for `at`
    key = int.from_bytes(digest, "big")
    return tuple(torch.full((), value, dtype=torch.int64, device=device) for value in (first, key))  # type: ignore[return-value]


def at(noise: Noise, site: int) -> Noise:
    """The noise of one place in the model, independent of the noise of every other."""
    first, key = noise
    return first, key + (site << 32)


def drop(x_BLD: Tensor, share: float, noise: Noise) -> Tensor:
    """Set a share of the numbers to 0, and divide the others by what is left of 1, so that the mean stays.

    Source: Srivastava et al. 2014, JMLR 15; masks from a counter as in Salmon et al. 2011, "Parallel random numbers: as
    easy as 1, 2, 3".
    """
    first, key = noise
    places_BLD = torch.arange(x_BLD.numel(), device=x_BLD.device).view(x_BLD.shape) + first * x_BLD[0].numel()
    drawn_BLD = _mixed(_mixed((places_BLD ^ key) & LOW) ^ (key >> 32 & LOW))
    return torch.where(drawn_BLD >= round(share * 2**32), x_BLD * (1 / (1 - share)), 0.0)


def _mixed(x: Tensor) -> Tensor:
    """A hash of 32 bits to 32 bits, in int64; its factors are below 2^31, so that no product overflows.

    Source: the best known function of three shifts and two products, github.com/skeeto/hash-prospector.
    """
    x = (x ^ x >> 16) * 0x21F0AAAD & LOW
    x = (x ^ x >> 15) * 0x735A2D97 & LOW
    return x ^ x >> 15
