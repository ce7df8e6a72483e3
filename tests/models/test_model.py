import math
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from tinystories.config import ModelConfig
from tinystories.models.attention import window_mask
from tinystories.models.conversion import from_transformers, to_transformers
from tinystories.models.model import Attention, GPTNeo


def make_config(**changes: Any) -> ModelConfig:
    return ModelConfig(**{"depth": 2, "width": 16, "heads": 2, "vocab_size": 50, "context": 48, "window": 16} | changes)


def make_model(config: ModelConfig) -> GPTNeo:
    """A model whose weights are large enough for attention to matter, and whose biases and norms are not trivial."""
    torch.manual_seed(0)
    model = GPTNeo(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    return model.eval()


def make_tokens(config: ModelConfig, batch_size: int = 2) -> Tensor:
    return torch.randint(config.vocab_size, (batch_size, config.context), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(
    "others", [{}, {"window": 48}, {"context": 16, "window": 256}, {"mlp_ratio": 1}, {"mlp_ratio": 6}]
)
def test_converted_model_gives_the_same_logits(depth: int, others: dict[str, int]) -> None:
    model = make_model(make_config(depth=depth, **others))
    tokens_BL = make_tokens(model.config)

    converted = to_transformers(model)

    with torch.no_grad():
        torch.testing.assert_close(converted(tokens_BL).logits, model(tokens_BL), atol=1e-4, rtol=0)


def test_conversion_there_and_back_changes_nothing() -> None:
    model = make_model(make_config(depth=3, mlp_ratio=2, dropout=0.1))

    back = from_transformers(to_transformers(model))

    assert back.config == model.config
    torch.testing.assert_close(back.state_dict(), model.state_dict(), atol=0, rtol=0)


def test_saved_model_loads_in_transformers(tmp_path) -> None:
    model = make_model(make_config())
    tokens_BL = make_tokens(model.config)

    to_transformers(model, end_of_text=7).save_pretrained(tmp_path)
    loaded = GPTNeoForCausalLM.from_pretrained(tmp_path).eval()

    assert loaded.config.eos_token_id == 7
    with torch.no_grad():
        torch.testing.assert_close(loaded(tokens_BL).logits, model(tokens_BL), atol=1e-4, rtol=0)


def test_converted_model_drops_where_ours_does() -> None:
    config = to_transformers(make_model(make_config(dropout=0.1, mlp_ratio=3))).config

    assert (config.embed_dropout, config.resid_dropout, config.attention_dropout) == (0.1, 0.1, 0.0)
    assert config.intermediate_size == 48


def test_context_may_be_cut_to_what_the_model_was_trained_on() -> None:
    model = make_model(make_config())
    tokens_BL = make_tokens(model.config)[:, :20]

    cut = from_transformers(to_transformers(model), context=20)

    assert cut.config.context == 20
    torch.testing.assert_close(cut(tokens_BL), model(tokens_BL), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("activation_function", "relu"),
        ("attention_types", [[["global"], 2]]),
        ("intermediate_size", 24),
        ("max_position_embeddings", 20),
    ],
)
def test_foreign_options_are_refused_by_value(option: str, value: object) -> None:
    alternating = [[["global", "local"], 1]]
    options = {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "vocab_size": 50, "attention_types": alternating}
    ends = {"bos_token_id": None, "eos_token_id": None}
    foreign = GPTNeoForCausalLM(GPTNeoConfig(**options | ends | {option: value}))

    with pytest.raises(ValueError, match=str(24 if option == "intermediate_size" else "relu|global|20")):
        from_transformers(foreign, context=48)


@pytest.mark.parametrize(("window", "sees"), [(16, 16), (256, 48)])
def test_attention_sees_its_window_and_nothing_ahead(window: int, sees: int) -> None:
    config = make_config()
    torch.manual_seed(0)
    attention = Attention(config)
    hidden_BLD = torch.randn(1, config.context, config.width, requires_grad=True)
    mask = window_mask(config.context, window, device=hidden_BLD.device, flex=False)

    attention(hidden_BLD, mask)[0, -1].sum().backward()

    assert hidden_BLD.grad is not None
    seen_L = hidden_BLD.grad[0].abs().sum(-1) > 0
    assert seen_L.tolist() == [False] * (config.context - sees) + [True] * sees


def test_logits_do_not_depend_on_later_tokens() -> None:
    model = make_model(make_config(depth=3))
    tokens_BL = make_tokens(model.config)
    changed_BL = tokens_BL.clone()
    changed_BL[:, 30:] = 0

    torch.testing.assert_close(model(changed_BL)[:, :30], model(tokens_BL)[:, :30], atol=1e-5, rtol=0)


def test_layers_alternate_between_global_and_local() -> None:
    model = GPTNeo(make_config(depth=5))

    assert [block.local for block in model.h] == [False, True, False, True, False]


def test_untrained_model_guesses_uniformly() -> None:
    config = make_config(vocab_size=512)
    torch.manual_seed(0)
    tokens_BL = make_tokens(config, batch_size=8)

    assert GPTNeo(config).loss(tokens_BL, tokens_BL.roll(1, 1)).item() == pytest.approx(math.log(512), abs=0.05)


def test_model_memorises_one_batch() -> None:
    config = make_config(width=32)
    torch.manual_seed(0)
    model = GPTNeo(config)
    tokens_BL = make_tokens(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    for _ in range(100):
        loss = model.loss(tokens_BL[:, :-1], tokens_BL[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert loss.item() < 0.1


def test_sequence_beyond_the_context_is_refused() -> None:
    model = GPTNeo(make_config(context=8))

    with pytest.raises(ValueError, match="9 tokens are more than the model's context of 8"):
        model(torch.zeros(1, 9, dtype=torch.long))
