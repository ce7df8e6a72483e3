"""GPT-2 as a good training script of our time writes it, nanoGPT among them: what ours is compared with.

Shapes: B sequences in a batch, L tokens in a sequence, D width, H heads, K head size, V vocabulary.
Source: https://github.com/karpathy/nanoGPT, model.py.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GPT2(nn.Module):
    """A causal language model whose head is its token embedding."""

    def __init__(self, *, depth: int, width: int, heads: int, vocab_size: int, context: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocab_size, width)
        self.wpe = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.ln_f = nn.LayerNorm(width)
        for embedding in (self.wte, self.wpe):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens_BL: Tensor) -> Tensor:
        """Logits of the token that follows each: logits_BLV."""
        places_L = torch.arange(tokens_BL.shape[1], device=tokens_BL.device)
        hidden_BLD = self.wte(tokens_BL) + self.wpe(places_L)
        for block in self.blocks:
            hidden_BLD = block(hidden_BLD)
        return F.linear(self.ln_f(hidden_BLD), self.wte.weight)


class Block(nn.Module):
    """One layer: attention and MLP, each behind a layer norm and added to the residual stream."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """The residual stream after this layer."""
        hidden_BLD = hidden_BLD + self._attend(self.ln_1(hidden_BLD))
        return hidden_BLD + self.mlp(self.ln_2(hidden_BLD))

    def _attend(self, hidden_BLD: Tensor) -> Tensor:
        q_BHLK, k_BHLK, v_BHLK = (
            part_BLD.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part_BLD in self.qkv(hidden_BLD).chunk(3, -1)
        )
        attended_BHLK = F.scaled_dot_product_attention(q_BHLK, k_BHLK, v_BHLK, is_causal=True)
        return self.out(attended_BHLK.transpose(1, 2).flatten(2))
