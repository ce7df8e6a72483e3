"""Size and cost of a model in closed form, without building it."""

import math

from tinystories.config import ModelConfig, TrialConfig

CHUNK_BYTES = {"cpu": 16 * 2**20, "cuda": 512 * 2**20}
"""Float32 logits that the head makes at a time: few enough to stay in a CPU's cache, enough to fill a GPU. [byte]"""
PROCESS_BYTES = 700 * 2**20
"""What CUDA and its libraries take of a GPU for each process. Expected, not measured yet. [byte]"""
MEMORY_SHARE = 0.8
"""Share of a device's memory to plan with; the rest is for fragments, libraries and other processes."""

EVALUATION_COST = 1 / 3
"""Cost of evaluating a token over that of training on it: the forward pass alone, of three as long as that."""
EVALUATION_SHARE = 0.1
"""Most that the evaluations at the sample's stories cost, as a share of the training between them."""
CORE_FLOPS_PER_SECOND = 2e10
"""Training speed assumed of one CPU core: half of what `compiling.PRICES` says, as others are slower. [FLOP/s]"""
FEWEST = 16_384
"""Validation tokens that a budget in seconds reads at least: some 80 stories, on which the difference of two trials has
a standard error of 0.007 to 0.02 nat/token (measured on TinyStories, four shapes and rates). [token]"""


def parameters(config: ModelConfig) -> int:
    """Numbers the model learns; the head is the token embedding and counts once."""
    embeddings = (config.vocab_size + config.context) * config.width
    return non_embedding_parameters(config) + embeddings


def non_embedding_parameters(config: ModelConfig) -> int:
    """Numbers the model learns outside its token and position embeddings.

    Small models are mostly embedding, so laws of size are fitted to this count.

    Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1.
    """
    vectors = (6 + config.mlp_ratio) * config.width  # two layer norms (4), out_proj (1), c_fc (ratio) and c_proj (1)
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


def training_bytes(config: ModelConfig, sequences: int, *, bytes_per_number: int, device: str) -> int:
    """Memory at the peak of a training step, which is where the backward pass begins. [byte]

    16 for every parameter: itself, its gradient and two moments of AdamW, all float32. Every layer keeps 16 vectors
    of its width for each token (residual stream, norm, query, key, value and attention's output 8, and 2 for each of
    the MLP's ratio), of which the inputs of both norms are float32, and its matrices in lower precision; dropout keeps
    two masks of a byte. The backward pass of one layer takes 10.5 float32 vectors at its peak, whatever the ratio,
    unless the chunks of the head take more before it. It is the peak that PyTorch counts, less a twentieth to a quarter
    more: tests/models/test_size.py.

    Args:
        sequences: full contexts in a micro-batch.
        bytes_per_number: 4 in float32, 2 in bfloat16.
        device: cpu or cuda.
    """
    vectors = sequences * config.context * config.width
    kept = vectors * ((6 + 2 * config.mlp_ratio) * bytes_per_number + 2 * 4 + (2 if config.dropout else 0))
    copies = _matrices(config) * bytes_per_number if bytes_per_number < 4 else 0
    logits = 4 * sequences * config.context * config.vocab_size
    passing = max(42 * vectors, 2 * min(logits, CHUNK_BYTES[device]))
    return 16 * parameters(config) + config.depth * (kept + copies) + passing


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


def training_tokens(trial: TrialConfig, vocab_size: int, flops_per_second: float) -> float:
    """Tokens that a budget is expected to train on. [token]

    Args:
        flops_per_second: training speed, which counts on the axis `seconds` alone. [FLOP/s]
    """
    if trial.axis == "tokens":
        return trial.budget
    flops = trial.budget if trial.axis == "flops" else trial.budget * flops_per_second
    return flops / flops_per_token(trial.model(vocab_size))


def evaluation_tokens(trial: TrialConfig, vocab_size: int) -> int:
    """Validation tokens that every evaluation of a trial reads, so that all together take a tenth of training. [token]

    What the trial says itself comes first. Trials that see different numbers of tokens get different answers, so a
    sweep asks for the one that sees the fewest and gives all of them that. The last evaluation, which also reads all
    other stories, comes on top: only trials that are trained to their end pay for it.

    How many tokens a budget in seconds buys is not known before a trial has run, and whatever is measured then differs
    between machines, while the sample must not. So the speed of a single CPU core is assumed: a tenth there, and far
    less on a GPU, which is why such a trial reads no fewer than `FEWEST` tokens.
    """
    if trial.evaluation_tokens is not None:
        return trial.evaluation_tokens
    tokens = training_tokens(trial, vocab_size, CORE_FLOPS_PER_SECOND)
    affordable = int(EVALUATION_SHARE / EVALUATION_COST * tokens / trial.evaluations)
    return max(affordable, FEWEST if trial.axis == "seconds" else 1)


def _matrices(config: ModelConfig) -> int:
    """Weights of one layer's linear maps: query, key, value, output (4) and the MLP (2 for each of its ratio)."""
    return (4 + 2 * config.mlp_ratio) * config.width**2
