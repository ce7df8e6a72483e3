"""The output head and its loss in one, without the logits of a whole batch.

Shapes: N tokens, D width, V vocabulary.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tinystories.models.size import CHUNK_BYTES


def losses(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """Cross-entropy of each token, float32: losses_N. [nat]"""
    logits_NV = F.linear(hidden_ND, weight_VD).float()
    return F.cross_entropy(logits_NV, targets_N, reduction="none")


def losses_and_slopes(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """The same, and the gradient of their sum by the logits, in the precision of the input: losses_N, slopes_NV."""
    slopes_NV = F.log_softmax(F.linear(hidden_ND, weight_VD).float(), dim=-1)
    losses_N = -slopes_NV.gather(1, targets_N[:, None])[:, 0]
    slopes_NV = slopes_NV.exp_().scatter_add_(1, targets_N[:, None], -torch.ones_like(losses_N)[:, None])
    return losses_N, slopes_NV.to(hidden_ND.dtype)


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """The two functions above, or compiled ones that do the same for whole chunks."""

    losses: Callable[[Tensor, Tensor, Tensor], Tensor] = losses
    losses_and_slopes: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] = losses_and_slopes


EAGER = Kernels()


def linear_cross_entropy(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, kernels: Kernels = EAGER) -> Tensor:
    """Mean cross-entropy of the logits hidden @ weight.T, float32. [nat/token]

    The logits are made a chunk of tokens at a time, and so is their gradient, while they are at hand: nothing of
    size N x V is kept for the backward pass, and nothing is computed twice.

    Args:
        weight_VD: float32, and so is its gradient; the products are in the precision of `hidden_ND`.
        kernels: for whole chunks; the last, shorter one takes the functions of this module.
    """
    if torch.is_grad_enabled():
        loss: Tensor = _LinearCrossEntropy.apply(hidden_ND, weight_VD, targets_N, kernels)
        return loss
    return token_losses(hidden_ND, weight_VD, targets_N, kernels).mean()


def token_losses(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, kernels: Kernels = EAGER) -> Tensor:
    """The same of each token, without a gradient: losses_N. [nat]"""
    weights = weight_VD.to(hidden_ND.dtype)
    losses_N = torch.empty(targets_N.shape, device=hidden_ND.device)
    for chunk, chosen in _chunks(hidden_ND, len(weight_VD), kernels):
        losses_N[chunk] = chosen.losses(hidden_ND[chunk], weights, targets_N[chunk])
    return losses_N


class _LinearCrossEntropy(torch.autograd.Function):
    """Makes both gradients in the forward pass, for a loss whose own gradient is 1; the backward pass scales them."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, kernels: Kernels) -> Tensor:
        weights = weight_VD.to(hidden_ND.dtype)
        total = torch.zeros((), device=hidden_ND.device)
        hidden_gradient_ND, weight_gradient_VD = torch.empty_like(hidden_ND), torch.zeros_like(weight_VD)
        for chunk, chosen in _chunks(hidden_ND, len(weight_VD), kernels):
            losses_N, slopes_NV = chosen.losses_and_slopes(hidden_ND[chunk], weights, targets_N[chunk])
            total += losses_N.sum()
            torch.mm(slopes_NV, weights, out=hidden_gradient_ND[chunk])
            if weights is weight_VD:
                weight_gradient_VD.addmm_(slopes_NV.t(), hidden_ND[chunk])
            else:  # products of lower precision are added up in float32
                weight_gradient_VD += slopes_NV.t() @ hidden_ND[chunk]
            del slopes_NV  # before the next ones are made
        ctx.save_for_backward(hidden_gradient_ND, weight_gradient_VD)
        return total / len(hidden_ND)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden_gradient_ND, weight_gradient_VD = ctx.saved_tensors
        slope = slope / len(hidden_gradient_ND)
        # In place, as a second V x D would be the peak of small models; autograd refuses a second backward pass.
        return hidden_gradient_ND * slope.to(hidden_gradient_ND.dtype), weight_gradient_VD.mul_(slope), None, None


def _chunks(hidden_ND: Tensor, vocab_size: int, kernels: Kernels) -> list[tuple[slice, Kernels]]:
    """Where each chunk of tokens lies, and by what it is computed; as even as can be, the last may be shorter."""
    size, most = len(hidden_ND), max(1, CHUNK_BYTES[hidden_ND.device.type] // (4 * vocab_size))
    rows = math.ceil(size / math.ceil(size / most))
    return [(slice(start, start + rows), kernels if start + rows <= size else EAGER) for start in range(0, size, rows)]
