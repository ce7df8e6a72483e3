"""Our GPT-Neo as one of `transformers`, and back: parameters have the same names, so conversion is renaming."""

from typing import TYPE_CHECKING

from tinystories.config import ModelConfig
from tinystories.models.model import GPTNeo

if TYPE_CHECKING:
    from transformers import GPTNeoConfig, GPTNeoForCausalLM


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
            intermediate_size=config.mlp_ratio * config.width,
            embed_dropout=config.dropout,
            resid_dropout=config.dropout,
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
        mlp_ratio=(theirs.intermediate_size or 4 * theirs.hidden_size) // theirs.hidden_size,
        dropout=float(theirs.resid_dropout),
    )
    model = GPTNeo(config)
    weights = converted.transformer.state_dict()
    weights["wpe.weight"] = weights["wpe.weight"][:context]
    model.load_state_dict({name: weights[_transformers_name(name)] for name in model.state_dict()})
    return model


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
    if (theirs.intermediate_size or 0) % theirs.hidden_size:
        raise ValueError(
            f"intermediate_size {theirs.intermediate_size} is not supported; allowed: multiples of {theirs.hidden_size}"
        )
    if context > theirs.max_position_embeddings:
        raise ValueError(f"context {context} is longer than the model's {theirs.max_position_embeddings}")
