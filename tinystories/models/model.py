"""GPT-Neo as the TinyStories paper trains it, and its conversion from and to `transformers`.

Shapes: B sequences in a batch, L tokens in a sequence, D width, H heads, K head size, V vocabulary.
Parameters are named as in `transformers`, so that conversion is renaming.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinystories.config import ModelConfig

if TYPE_CHECKING:
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

INITIAL_STD = 0.02
"""Spread of the initial weights; biases start at 0. Source: GPTNeoConfig.initializer_range of the released models."""


class GPTNeo(nn.Module):
    """A causal language model; its head is its token embedding.

    Source: architecture of roneneldan/TinyStories-33M, footnote of arXiv:2305.07759.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.width)
        self.wpe = nn.Embedding(config.context, config.width)
        self.h = nn.ModuleList(Block(config, local=layer % 2 == 1) for layer in range(config.depth))
        self.ln_f = nn.LayerNorm(config.width)
        self.apply(_initialise)

    def forward(self, tokens_BL: Tensor) -> Tensor:
        """Logits of the token that follows each: logits_BLV.

        Raises:
            ValueError: the sequence is longer than the context.
        """
        length = tokens_BL.shape[1]
        if length > self.config.context:
            raise ValueError(f"{length} tokens are more than the model's context of {self.config.context}")
        hidden_BLD = self.wte(tokens_BL) + self.wpe.weight[:length]
        for block in self.h:
            hidden_BLD = block(hidden_BLD)
        return F.linear(self.ln_f(hidden_BLD), self.wte.weight)

    def loss(self, inputs_BL: Tensor, targets_BL: Tensor) -> Tensor:
        """Mean cross-entropy of the targets. [nat/token]"""
        logits_BLV = self(inputs_BL)
        return F.cross_entropy(logits_BLV.flatten(0, 1).float(), targets_BL.flatten())


class Block(nn.Module):
    """One layer: attention and MLP, each behind a layer norm and added to the residual stream."""

    def __init__(self, config: ModelConfig, *, local: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.width)
        self.attn = Attention(config, local=local)
        self.ln_2 = nn.LayerNorm(config.width)
        self.mlp = MLP(config)

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """The residual stream after this layer."""
        hidden_BLD = hidden_BLD + self.attn(self.ln_1(hidden_BLD))
        return hidden_BLD + self.mlp(self.ln_2(hidden_BLD))


class Attention(nn.Module):
    """Causal self-attention; a local one sees the last `window` tokens only, itself included."""

    mask_LL: Tensor

    def __init__(self, config: ModelConfig, *, local: bool) -> None:
        super().__init__()
        self.heads = config.heads
        self.k_proj = nn.Linear(config.width, config.width, bias=False)
        self.v_proj = nn.Linear(config.width, config.width, bias=False)
        self.q_proj = nn.Linear(config.width, config.width, bias=False)
        self.out_proj = nn.Linear(config.width, config.width)
        self.window = config.window if local else config.context
        # A window that holds the whole context needs no mask of its own, and so gets the faster causal kernel.
        banded = _banded_mask(config.context, self.window) if self.window < config.context else None
        self.register_buffer("mask_LL", banded, persistent=False)

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """Attend; GPT-Neo does not divide the logits by sqrt(K), hence scale=1."""
        q_BHLK, k_BHLK, v_BHLK = (
            projection(hidden_BLD).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        length = hidden_BLD.shape[1]
        mask_LL = self.mask_LL[:length, :length] if length > self.window else None
        attended_BHLK = F.scaled_dot_product_attention(
            q_BHLK, k_BHLK, v_BHLK, attn_mask=mask_LL, is_causal=mask_LL is None, scale=1.0
        )
        return self.out_proj(attended_BHLK.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two linear layers, four times as wide as the model between them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.width, 4 * config.width)
        self.c_proj = nn.Linear(4 * config.width, config.width)

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """What this layer adds to the residual stream; `gelu_new` is the tanh approximation."""
        return self.c_proj(F.gelu(self.c_fc(hidden_BLD), approximate="tanh"))


def to_transformers(model: GPTNeo, *, end_of_text: int | None = None) -> "GPTNeoForCausalLM":
    """The same model in `transformers`, float32 on the CPU; its logits are the same.

    Args:
        model: what to convert.
        end_of_text: id of the token that stands before and after every story, where `generate` there stops.
    """
    # Imported here: it takes seconds, and training does not need it.
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    config = model.config
    converted = GPTNeoForCausalLM(
        GPTNeoConfig(
            vocab_size=config.vocab_size,
            max_position_embeddings=config.context,
            hidden_size=config.width,
            num_layers=config.depth,
            attention_types=_attention_types(config.depth),
            num_heads=config.heads,
            window_size=config.window,
            bos_token_id=end_of_text,
            eos_token_id=end_of_text,
        )
    )
    weights = {_transformers_name(name): tensor for name, tensor in model.state_dict().items()}
    converted.transformer.load_state_dict(weights)
    return converted.eval()


def from_transformers(converted: "GPTNeoForCausalLM", *, context: int | None = None) -> GPTNeo:
    """The same model as ours.

    Args:
        converted: a GPT-Neo with alternating attention and gelu_new, as this project and the paper make them.
        context: positions to keep, when the model was trained on fewer than it has room for. [token]

    Raises:
        ValueError: the model has other options than ours, or fewer positions than `context`.
    """
    theirs = converted.config
    context = context or theirs.max_position_embeddings
    _require_same_options(theirs, context)
    config = ModelConfig(
        depth=theirs.num_layers,
        width=theirs.hidden_size,
        heads=theirs.num_heads,
        vocab_size=theirs.vocab_size,
        context=context,
        window=theirs.window_size,
    )
    model = GPTNeo(config)
    weights = converted.transformer.state_dict()
    weights["wpe.weight"] = weights["wpe.weight"][:context]
    model.load_state_dict({name: weights[_transformers_name(name)] for name in model.state_dict()})
    return model


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=INITIAL_STD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def _banded_mask(length: int, window: int) -> Tensor:
    causal_LL = torch.ones(length, length, dtype=torch.bool).tril()
    return causal_LL & ~causal_LL.tril(-window)


def _transformers_name(name: str) -> str:
    return name.replace(".attn.", ".attn.attention.")


def _attention_types(depth: int) -> list[list[object]]:
    """Alternating layers in the notation of GPTNeoConfig, which spells out pairs and an odd last layer."""
    pairs, odd = divmod(depth, 2)
    types: list[list[object]] = [[["global", "local"], pairs], [["global"], odd]]
    return [entry for entry in types if entry[1]]


def _require_same_options(theirs: "GPTNeoConfig", context: int) -> None:
    expected = {
        "attention_layers": ["global" if layer % 2 == 0 else "local" for layer in range(theirs.num_layers)],
        "activation_function": "gelu_new",
        "tie_word_embeddings": True,
        "layer_norm_epsilon": 1e-5,
    }
    for option, value in expected.items():
        if getattr(theirs, option) != value:
            raise ValueError(f"{option} {getattr(theirs, option)!r} is not supported; allowed: {value!r}")
    if theirs.intermediate_size not in (None, 4 * theirs.hidden_size):
        raise ValueError(
            f"intermediate_size {theirs.intermediate_size} is not supported; allowed: {4 * theirs.hidden_size}"
        )
    if context > theirs.max_position_embeddings:
        raise ValueError(f"context {context} is longer than the model's {theirs.max_position_embeddings}")
