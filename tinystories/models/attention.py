"""Causal attention as GPT-Neo has it, by the fastest kernel that the device offers.

Shapes: B sequences, H heads, L tokens in a sequence, K head size.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

FLEX_HEAD_DIMS = range(16, 129)
"""Head sizes that the generated kernels of flex attention take: from the side of a tensor core's tile to what fits into
the shared memory of most GPUs."""

Mask = Tensor | BlockMask | None


def attend(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor, mask: Mask) -> Tensor:
    """Attend to the tokens before and to oneself: attended_BHLK.

    GPT-Neo does not divide the logits by sqrt(K), hence scale=1. Without a mask this is plain causal attention, for
    which PyTorch has fast kernels everywhere, flash attention among them.

    Args:
        mask: of `window_mask`, for a layer that sees less.
    """
    if isinstance(mask, BlockMask):
        attended_BHLK = flex_attention(q_BHLK, k_BHLK, v_BHLK, block_mask=mask, scale=1.0)
        assert isinstance(attended_BHLK, Tensor)
        return attended_BHLK
    return F.scaled_dot_product_attention(q_BHLK, k_BHLK, v_BHLK, attn_mask=mask, is_causal=mask is None, scale=1.0)


@lru_cache(maxsize=8)
def window_mask(length: int, window: int, *, device: torch.device, flex: bool) -> Mask:
    """What lets each of `length` tokens see the last `window` ones, itself included; None when those are all.

    Args:
        flex: name the tiles that hold anything instead of making a mask_LL, for kernels that skip the others.
    """
    if window >= length:
        return None
    if flex:
        return create_block_mask(_sees(window), B=None, H=None, Q_LEN=length, KV_LEN=length, device=device)
    causal_LL = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    return causal_LL & ~causal_LL.tril(-window)


def _sees(window: int):  # type: ignore[no-untyped-def]  # a function of torch's own protocol for masks
    return lambda batch, head, query, key: (key <= query) & (query - key < window)
