import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode, addmm_flop

from tinystories.config import AXES, Axis, ModelConfig, TrialConfig
from tinystories.models.dropout import noise
from tinystories.models.model import GPTNeo
from tinystories.models.size import (
    CORE_FLOPS_PER_SECOND,
    FEWEST,
    evaluation_tokens,
    flops_per_step,
    flops_per_token,
    non_embedding_parameters,
    parameters,
    steps,
    training_bytes,
)

IN_PLACE = {torch.ops.aten.addmm_: addmm_flop.__wrapped__}
"""PyTorch's counter knows the product that adds to another tensor, but not the one that adds to itself."""
SHAPES = st.builds(
    lambda depth, heads, head_dim, **others: ModelConfig(depth=depth, width=heads * head_dim, heads=heads, **others),
    depth=st.integers(1, 5),
    heads=st.integers(1, 4),
    head_dim=st.integers(1, 16),
    vocab_size=st.integers(1, 300),
    context=st.integers(1, 64),
    window=st.integers(1, 80),
    mlp_ratio=st.integers(1, 6),
)


@given(config=SHAPES)
@settings(max_examples=25, deadline=None)
def test_parameters_are_those_of_the_model(config: ModelConfig) -> None:
    model = GPTNeo(config)
    embeddings = model.wte.weight.numel() + model.wpe.weight.numel()

    assert parameters(config) == sum(parameter.numel() for parameter in model.parameters())
    assert non_embedding_parameters(config) == parameters(config) - embeddings


def test_parameters_are_those_of_the_papers_33m_model() -> None:
    config = ModelConfig(depth=4, width=768, heads=16, vocab_size=50257, context=2048)

    # "68.5M params": model page of roneneldan/TinyStories-33M
    assert parameters(config) == pytest.approx(68.5e6, abs=0.05e6)


@pytest.mark.parametrize(
    ("depth", "width", "heads", "context", "window", "mlp_ratio"),
    [
        (1, 32, 2, 64, 256, 4),
        (2, 64, 4, 128, 256, 1),
        (3, 48, 3, 48, 16, 3),
        (4, 128, 8, 32, 32, 8),
        (2, 16, 1, 256, 64, 4),
    ],
)
def test_flops_are_those_a_profiler_counts(
    depth: int, width: int, heads: int, context: int, window: int, mlp_ratio: int
) -> None:
    shape = ModelConfig(depth=depth, width=width, heads=heads, vocab_size=100, context=context, window=window)
    config = replace(shape, mlp_ratio=mlp_ratio)
    model = GPTNeo(config)
    tokens_BL = torch.zeros(2, context, dtype=torch.long)

    # Other kernels compute the attention matrix again in the backward pass, which the closed form leaves out.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping=IN_PLACE) as counter:
        model.loss(tokens_BL, tokens_BL).backward()

    assert counter.get_total_flops() == pytest.approx(flops_per_token(config) * tokens_BL.numel(), rel=0.02)


def trial(**changes: object) -> TrialConfig:
    shape = {"depth": 1, "width": 8, "heads": 1, "context": 16, "batch_size": 2, "evaluations": 3, "budget": 1000}
    return TrialConfig(**shape | changes)  # type: ignore[arg-type]


def test_steps_spend_the_budget_and_less_than_one_step_more() -> None:
    assert steps(trial(budget=1000), 50) == 32  # of 2 * 16 tokens
    assert steps(trial(budget=32 * 32), 50) == 32
    assert steps(trial(budget=32 * 32 + 1), 50) == 33


def test_steps_on_flops_follow_the_cost_of_the_shape() -> None:
    small, large = (trial(axis="flops", budget=1e9, width=width) for width in (8, 16))

    assert steps(small, 50) == -(-(10**9) // flops_per_step(small, 50))
    assert steps(large, 50) < steps(small, 50) / 2


def test_steps_are_unknown_when_the_clock_decides() -> None:
    assert steps(trial(axis="seconds", budget=0.001), 50) is None


@pytest.mark.parametrize(("axis", "per_step"), [("tokens", 32), ("flops", 1)])
def test_budget_shorter_than_its_evaluations_is_refused(axis: str, per_step: int) -> None:
    with pytest.raises(ValueError, match=r"allowed: at least one for each of the 3 evaluations"):
        steps(trial(axis=axis, budget=2 * per_step), 50)


def test_evaluations_take_a_tenth_of_training() -> None:
    """An evaluation costs a third of a training step per token."""
    one = trial(budget=9e5, evaluations=9)

    assert evaluation_tokens(one, 50) * one.evaluations / 3 == pytest.approx(0.1 * one.budget, rel=1e-3)


def test_a_budget_of_flops_is_evaluated_on_fewer_tokens_the_more_a_token_costs() -> None:
    narrow, wide = (trial(axis="flops", budget=1e12, width=width) for width in (8, 64))
    ratio = flops_per_token(wide.model(50)) / flops_per_token(narrow.model(50))

    assert evaluation_tokens(narrow, 50) / evaluation_tokens(wide, 50) == pytest.approx(ratio, rel=1e-3)


def test_a_budget_of_seconds_is_evaluated_on_what_a_core_can_afford_and_enough_to_tell_trials_apart() -> None:
    long, short = (trial(axis="seconds", budget=budget) for budget in (3600, 0.01))
    trained = 3600 * CORE_FLOPS_PER_SECOND / flops_per_token(long.model(50))

    assert evaluation_tokens(long, 50) * long.evaluations / 3 == pytest.approx(0.1 * trained, rel=1e-3)
    assert evaluation_tokens(short, 50) == FEWEST


@pytest.mark.parametrize("axis", AXES)
def test_a_sample_that_a_trial_asks_for_comes_first(axis: Axis) -> None:
    assert evaluation_tokens(trial(axis=axis, evaluation_tokens=77), 50) == 77


def measured_peak(config: ModelConfig, sequences: int, dtype: torch.dtype) -> int:
    """Most memory that PyTorch had allocated at a time in a forward and a backward pass. [byte]"""
    model = GPTNeo(config, dtype=dtype)
    tokens_BL = torch.zeros(sequences, config.context, dtype=torch.long)
    drawn = noise(0, 0, 0, torch.device("cpu")) if config.dropout else None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        model.loss(tokens_BL, tokens_BL, drawn).backward()
    assert profiler.profiler is not None
    changes = [event.nbytes() for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(itertools.accumulate(changes))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("others", [{}, {"mlp_ratio": 1}, {"mlp_ratio": 8}, {"dropout": 0.1}])
@pytest.mark.parametrize(
    ("depth", "width", "heads", "vocab_size", "window"),
    [(1, 128, 4, 500, 256), (8, 64, 4, 500, 256), (4, 128, 16, 500, 64), (2, 128, 4, 8000, 256)],
)
def test_memory_estimate_is_what_pytorch_allocates(
    depth: int, width: int, heads: int, vocab_size: int, window: int, others: dict[str, Any], dtype: torch.dtype
) -> None:
    """Weights and moments of the optimiser, which stand there before, are left out on both sides."""
    shape = ModelConfig(depth=depth, width=width, heads=heads, vocab_size=vocab_size, context=256, window=window)
    config = replace(shape, **others)
    peak = measured_peak(config, 8, dtype)

    estimate = training_bytes(config, 8, bytes_per_number=dtype.itemsize, device="cpu") - 12 * parameters(config)

    assert 0.95 < estimate / peak < 1.25
