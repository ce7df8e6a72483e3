"""Size and cost of a model in closed form, without building it."""

import math

from tinystories.config import ModelConfig, TrialConfig


def parameters(config: ModelConfig) -> int:
    """Numbers the model learns; the head is the token embedding and counts once."""
    embeddings = (config.vocab_size + config.context) * config.width
    return non_embedding_parameters(config) + embeddings


def non_embedding_parameters(config: ModelConfig) -> int:
    """Numbers the model learns outside its token and position embeddings.

    Small models are mostly embedding, so laws of size are fitted to this count.

    Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1.
    """
    vectors = 10 * config.width  # two layer norms (4), out_proj (1), c_fc (4) and c_proj (1)
    final_norm = 2 * config.width
    return config.depth * (_matrices(config) + vectors) + final_norm


def flops_per_token(config: ModelConfig) -> int:
    """Training FLOPs to process one token of a full context, forward and backward. [FLOP/token]

    Matrix products only: 6 for every weight, the head included, and 12 * depth * width * context for attention.
    Attention counts the whole context, as profilers do, although causality and the window mask some of it;
    what a kernel computes again in the backward pass does not count.

    Source: Kaplan et al. 2020, arXiv:2001.08361, table 1; attention as in appendix B of PaLM, arXiv:2204.02311.
    """
    weights = config.depth * _matrices(config) + config.vocab_size * config.width
    return 6 * weights + 12 * config.depth * config.width * config.context


def training_bytes(config: ModelConfig, sequences: int, *, bytes_per_number: int) -> int:
    """Memory at the peak of a training step. [byte]

    Args:
        sequences: full contexts in a micro-batch.
        bytes_per_number: 4 in float32, 2 in bfloat16.
    """
    tokens = sequences * config.context
    return 16 * parameters(config) + config.depth * 17 * config.width * bytes_per_number * tokens


def flops_per_step(trial: TrialConfig, vocab_size: int) -> int:
    """Training FLOPs of one update. [FLOP]"""
    return trial.tokens_per_step * flops_per_token(trial.model(vocab_size))


def steps(trial: TrialConfig, vocab_size: int) -> int | None:
    """Updates in the full budget; None on the axis `seconds`, where only the clock can tell.

    Raises:
        ValueError: the budget has fewer updates than evaluations.
    """
    if trial.axis == "seconds":
        return None
    per_step = trial.tokens_per_step if trial.axis == "tokens" else flops_per_step(trial, vocab_size)
    count = math.ceil(trial.budget / per_step)
    if count < trial.evaluations:
        raise ValueError(
            f"budget {trial.budget:g} {trial.axis} is {count} updates of {per_step:,} {trial.axis}; "
            f"allowed: at least one for each of the {trial.evaluations} evaluations"
        )
    return count


def _matrices(config: ModelConfig) -> int:
    """Weights of one layer's linear maps: query, key, value, output (4) and the MLP (8)."""
    return 12 * config.width**2
