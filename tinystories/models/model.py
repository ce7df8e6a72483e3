"""GPT-Neo as the TinyStories paper trains it; `conversion` knows what it is in `transformers`.

Shapes: B sequences in a batch, L tokens in a sequence, D width, H heads, K head size, V vocabulary.
Parameters are named as in `transformers`, so that conversion is renaming.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinystories.config import ModelConfig
from tinystories.models import dropout
from tinystories.models.attention import FLEX_HEAD_DIMS, Mask, attend, window_mask
from tinystories.models.dropout import Noise
from tinystories.models.head import EAGER, Kernels, linear_cross_entropy, losses, losses_and_slopes, token_losses

INITIAL_STD = 0.02
"""Spread of the initial weights; biases start at 0. Source: GPTNeoConfig.initializer_range of the released models."""


@dataclass(frozen=True, kw_only=True)
class Regions:
    """The compiled parts of a model, for batches of one shape: what a layer is, and what the head does to a chunk."""

    shape: tuple[int, int]
    """B, L of the batches that they serve; others are computed without them."""
    block: Callable[["Block", Tensor, Mask, Noise | None], Tensor]
    """`Block.forward`, compiled once for all layers of a kind."""
    head: Kernels
    """The head's functions, compiled."""


class GPTNeo(nn.Module):
    """A causal language model; its head is its token embedding.

    Args:
        config: its shape.
        dtype: precision of the matrix products and of what flows between them. Weights, gradients, norms and losses
            are float32 in any case.

    Source: architecture of roneneldan/TinyStories-33M, footnote of arXiv:2305.07759.
    """

    def __init__(self, config: ModelConfig, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = config
        self.dtype = dtype
        self.wte = nn.Embedding(config.vocab_size, config.width)
        self.wpe = nn.Embedding(config.context, config.width)
        self.h = nn.ModuleList(Block(config, local=layer % 2 == 1) for layer in range(config.depth))
        self.ln_f = LayerNorm(config.width)
        self.apply(_initialise)
        self._regions: Regions | None = None

    def forward(self, tokens_BL: Tensor) -> Tensor:
        """Logits of the token that follows each: logits_BLV.

        Raises:
            ValueError: the sequence is longer than the context.
        """
        return F.linear(self._hidden(tokens_BL, None, None), self.wte.weight.to(self.dtype))

    def loss(self, inputs_BL: Tensor, targets_BL: Tensor, noise: Noise | None = None) -> Tensor:
        """Mean cross-entropy of the targets, float32. [nat/token]

        Args:
            noise: what dropout is drawn from; None: nothing is dropped.
        """
        hidden_ND, kernels = self._before_head(inputs_BL, noise)
        return linear_cross_entropy(hidden_ND, self.wte.weight, targets_BL.flatten(), kernels)

    @torch.no_grad()
    def losses(self, inputs_BL: Tensor, targets_BL: Tensor) -> Tensor:
        """Cross-entropy of each target, float32, without a gradient: losses_BL. [nat]"""
        hidden_ND, kernels = self._before_head(inputs_BL, None)
        return token_losses(hidden_ND, self.wte.weight, targets_BL.flatten(), kernels).view(targets_BL.shape)

    def compile_regions(self, shape: tuple[int, int]) -> None:
        """Compute losses of batches of this shape by compiled code; it is made at the first one.

        One layer is compiled rather than the whole model: that takes as long for twelve layers as for one.

        Args:
            shape: B, L of the batches.
        """

        def compiled(function: Any) -> Any:
            return torch.compile(function, dynamic=False, fullgraph=True)

        head = Kernels(losses=compiled(losses), losses_and_slopes=compiled(losses_and_slopes))
        self._regions = Regions(shape=shape, block=compiled(Block.forward), head=head)

    def drop_regions(self) -> None:
        """Compute without compiled code again."""
        self._regions = None

    def _before_head(self, tokens_BL: Tensor, noise: Noise | None) -> tuple[Tensor, Kernels]:
        """What the head reads, hidden_ND, and the kernels that the head takes: compiled ones where these fit."""
        regions = self._regions if self._regions and tokens_BL.shape == self._regions.shape else None
        return self._hidden(tokens_BL, regions, noise).flatten(0, 1), regions.head if regions else EAGER

    def _hidden(self, tokens_BL: Tensor, regions: Regions | None, noise: Noise | None) -> Tensor:
        """The last layer's output, normed: hidden_BLD."""
        length = tokens_BL.shape[1]
        if length > self.config.context:
            raise ValueError(f"{length} tokens are more than the model's context of {self.config.context}")
        flex = bool(regions) and tokens_BL.is_cuda and self.config.head_dim in FLEX_HEAD_DIMS
        local_mask = window_mask(length, self.config.window, device=tokens_BL.device, flex=flex)
        run: Callable[..., Tensor] = regions.block if regions else Block.__call__
        hidden_BLD = (self.wte(tokens_BL) + self.wpe.weight[:length]).to(self.dtype)
        if noise:
            hidden_BLD = dropout.drop(hidden_BLD, self.config.dropout, noise)
        for layer, block in enumerate(self.h, start=1):
            mask = local_mask if block.local else None
            hidden_BLD = run(block, hidden_BLD, mask, dropout.at(noise, 2 * layer) if noise else None)
        return self.ln_f(hidden_BLD)


class Linear(nn.Linear):
    """A linear map in the precision of its input, of float32 weights."""

    def forward(self, input: Tensor) -> Tensor:
        """The map of the input."""
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return F.linear(input, self.weight.to(input.dtype), bias)


class LayerNorm(nn.LayerNorm):
    """A layer norm that computes in float32 and answers in the precision of its input."""

    def forward(self, input: Tensor) -> Tensor:
        """The norm of the input."""
        return super().forward(input.float()).to(input.dtype)


class Block(nn.Module):
    """One layer: attention and MLP, each behind a layer norm and added to the residual stream."""

    def __init__(self, config: ModelConfig, *, local: bool) -> None:
        super().__init__()
        self.local = local
        self.dropout = config.dropout
        self.ln_1 = LayerNorm(config.width)
        self.attn = Attention(config)
        self.ln_2 = LayerNorm(config.width)
        self.mlp = MLP(config)

    def forward(self, hidden_BLD: Tensor, mask: Mask, noise: Noise | None = None) -> Tensor:
        """The residual stream after this layer; without noise, nothing is dropped."""
        attended_BLD = self.attn(self.ln_1(hidden_BLD), mask)
        if noise:
            attended_BLD = dropout.drop(attended_BLD, self.dropout, noise)
        hidden_BLD = hidden_BLD + attended_BLD
        added_BLD = self.mlp(self.ln_2(hidden_BLD))
        if noise:
            added_BLD = dropout.drop(added_BLD, self.dropout, dropout.at(noise, 1))
        return hidden_BLD + added_BLD


class Attention(nn.Module):
    """Causal self-attention; in a local layer the mask narrows what a token sees."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.k_proj = Linear(config.width, config.width, bias=False)
        self.v_proj = Linear(config.width, config.width, bias=False)
        self.q_proj = Linear(config.width, config.width, bias=False)
        self.out_proj = Linear(config.width, config.width)

    def forward(self, hidden_BLD: Tensor, mask: Mask) -> Tensor:
        """Attend."""
        q_BHLK, k_BHLK, v_BHLK = (
            projection(hidden_BLD).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended_BHLK = attend(q_BHLK, k_BHLK, v_BHLK, mask)
        return self.out_proj(attended_BHLK.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two linear layers, `mlp_ratio` times as wide as the model between them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.c_fc = Linear(config.width, config.mlp_ratio * config.width)
        self.c_proj = Linear(config.mlp_ratio * config.width, config.width)

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """What this layer adds to the residual stream."""
        return self.c_proj(gelu_new(self.c_fc(hidden_BLD)))


def gelu_new(x: Tensor) -> Tensor:
    """The tanh approximation of GELU.

    Compiled code takes it as x * sigmoid(2u), which is x * (1 + tanh(u)) / 2: one exp instead of a tanh.
    Measured: docs/throughput.md, "Where the time goes".
    """
    if not torch.compiler.is_compiling():
        return F.gelu(x, approximate="tanh")
    return x * torch.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))  # 2 * sqrt(2 / pi)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=INITIAL_STD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
