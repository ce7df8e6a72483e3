"""What a model is and what a trial is: two frozen records, checked when made."""

import math
import re
import sys
from dataclasses import dataclass, fields
from types import NoneType
from typing import Any, Literal, get_args

Axis = Literal["tokens", "flops", "seconds"]
AXES: tuple[Axis, ...] = get_args(Axis)
SEEDS = 2**63
"""Seeds are below this number, which every generator of random numbers here takes."""
KINDS: dict[Any, str] = {int: "a whole number", float: "a finite number", bool: "true or false"}
THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+(?![\d,])")
"""A number whose commas part its digits by three, at the beginning of a text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The shape of one GPT-Neo.

    Raises:
        ValueError: a size that is no whole number above 0, or a width that the heads do not divide.
    """

    depth: int
    """Number of layers; layers 0, 2, 4, ... attend globally, layers 1, 3, 5, ... to the window."""
    width: int
    """Size of the residual stream."""
    heads: int
    """Number of attention heads; must divide the width."""
    vocab_size: int
    """Number of tokens the model knows. [token]"""
    context: int = 256
    """Longest sequence, and number of learned positions. [token]"""
    window: int = 256
    """How far back a local layer sees, the token itself included. [token]"""
    mlp_ratio: int = 4
    """Width of an MLP's hidden layer over that of the model; whole, so that every ratio goes with every width."""
    dropout: float = 0.0
    """Share of the embeddings, and of what each layer adds to the residual stream, that a training step drops; the
    attention's probabilities are not dropped, as its fast kernels cannot. [0, 1)"""

    def __post_init__(self) -> None:
        _require_kinds(self)
        _require_positive(self, "depth", "width", "heads", "vocab_size", "context", "window", "mlp_ratio")
        _require_shares(self, "dropout")
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not divisible by heads {self.heads}; "
                f"allowed heads: {', '.join(map(str, divisors(self.width)))}"
            )

    @property
    def head_dim(self) -> int:
        """Size of one attention head."""
        return self.width // self.heads


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialConfig:
    """One training run: shape, budget and recipe. Everything that the result depends on but the data.

    Raises:
        ValueError: a field out of its range; the message names field, value and range.
    """

    depth: int
    """Number of layers."""
    width: int
    """Size of the residual stream."""
    heads: int
    """Number of attention heads; must divide the width."""
    axis: Axis = "tokens"
    """What the budget is counted in; evaluations are evenly spaced on it, so trials are compared at equal cost."""
    budget: float
    """Length of the full training run. [token, FLOP, or second as `Metrics.seconds` counts, as `axis` says]"""
    evaluations: int = 9
    """Evaluations over the full budget, evenly spaced; the last is at its end and reads the whole validation file."""
    evaluation_tokens: int | None = None
    """Validation text that every evaluation but the last reads, in whole stories; None: so much that evaluating takes a
    tenth of training, see `size.evaluation_tokens`. Trials are comparable if they read the same. [token]"""
    context: int = 256
    """Length of a training sequence. [token]"""
    window: int = 256
    """How far back a local layer sees. [token]"""
    mlp_ratio: int = 4
    """Width of an MLP's hidden layer over that of the model. Source: GPTNeoConfig.intermediate_size."""
    dropout: float = 0.0
    """Share of the embeddings, and of what each layer adds to the residual stream, that a training step drops. The
    paper's model has none. [0, 1)"""
    batch_size: int = 16
    """Sequences per update."""
    learning_rate: float = 5e-4
    """Peak rate of biases and norms, and of the hidden matrices at width 256; for all else see the next field."""
    scale_learning_rate: bool = True
    """Whether rates follow the width: the rate times 256 / width for hidden matrices, and times 256 / sqrt(width)
    for embeddings. If not: times 1 and times 16, which is the same at width 256."""
    weight_decay: float = 0.1
    """Decoupled weight decay of the hidden matrices at width 256, and by the same share an update at every other;
    embeddings and vectors have none."""
    beta1: float = 0.9
    """Decay of AdamW's mean of gradients. Source: model card of roneneldan/TinyStories-33M. [0, 1)"""
    beta2: float = 0.95
    """Decay of AdamW's mean of squared gradients. Source: the same. [0, 1)"""
    epsilon: float = 1e-8
    """What AdamW adds to the root of that mean before it divides by it. Source: Kingma and Ba 2015, arXiv:1412.6980."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    warmup: float = 0.05
    """Share of the budget in which the rate rises from 0. [0, 1)"""
    cooldown: float = 0.2
    """Share of the budget at its end in which the rate falls to 0. [0, 1)"""
    seed: int = 0
    """Seeds the weights and the order of the data. [0, 2^63)"""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the matrix products; auto: bfloat16 on GPUs and CPUs that have instructions for it."""

    def __post_init__(self) -> None:
        _require_kinds(self)
        require_seed(self.seed)
        _require_positive(self, "budget", "evaluations", "batch_size", "learning_rate", "gradient_clip", "epsilon")
        if self.evaluation_tokens is not None:
            _require_positive(self, "evaluation_tokens")
        _require_shares(self, "beta1", "beta2")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay {self.weight_decay} is below 0")
        if not (min(self.warmup, self.cooldown) >= 0 and self.warmup + self.cooldown < 1):
            raise ValueError(
                f"warmup {self.warmup} and cooldown {self.cooldown}: shares of the budget, together below 1"
            )
        self.model(vocab_size=1)

    def model(self, vocab_size: int) -> ModelConfig:
        """The model that this trial trains on data of `vocab_size` tokens."""
        return ModelConfig(
            depth=self.depth,
            width=self.width,
            heads=self.heads,
            vocab_size=vocab_size,
            context=self.context,
            window=self.window,
            mlp_ratio=self.mlp_ratio,
            dropout=self.dropout,
        )

    @property
    def tokens_per_step(self) -> int:
        """Tokens in one update. [token]"""
        return self.batch_size * self.context


def divisors(number: int) -> list[int]:
    """All divisors of a positive number, ascending."""
    return [candidate for candidate in range(1, number + 1) if number % candidate == 0]


def field_names(record: type[Any]) -> tuple[str, ...]:
    """Names of a record's fields, in order."""
    return tuple(field.name for field in fields(record))


def require_seed(seed: int) -> None:
    """Refuse a seed below 0, or beyond what generators of random numbers take.

    Raises:
        ValueError: such a seed.
    """
    if not 0 <= seed < SEEDS:
        raise ValueError(f"seed {seed} is not among 0 to 2^63 - 1")


def parse_number(text: str | int | float) -> float:
    """A number as people write it: 2M, 500k, 1.5B, 3e13, 1,500,000; a comma is no decimal point.

    Raises:
        ValueError: not a number; the message shows what is allowed.
    """
    scale = {"k": 1e3, "m": 1e6, "b": 1e9}
    raw = str(text).strip().replace("_", "")
    if THOUSANDS.match(raw):
        raw = raw.replace(",", "")
    suffix = raw[-1:].lower()
    try:
        number = float(raw[:-1]) * scale[suffix] if suffix in scale else float(raw)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a number; write 2000000, 2M, 500k, 1.5B or 3e13")
    return number


def value_type(annotation: Any) -> Any:
    """The type of a field's value where it is not None: int of `int | None`, everything else as it is."""
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    return kinds[0] if NoneType in get_args(annotation) else annotation


def _require_kinds(record: Any) -> None:
    """Refuse values that are not of the type their fields name; a float must be finite, and may be given as int."""
    for field in fields(record):
        value, kind = getattr(record, field.name), value_type(field.type)
        if value is None and kind is not field.type:
            continue
        choices = get_args(kind)
        if choices and value not in choices:
            raise ValueError(f"{field.name} {value!r} is not one of {', '.join(choices)}")
        if not choices and not _is(value, kind):
            raise ValueError(f"{field.name} {value!r} is not {KINDS[kind]}")


def _is(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max
    return type(value) is kind


def _require_shares(record: object, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if not 0 <= value < 1:
            raise ValueError(f"{name} {value} is not at least 0 and below 1")


def _require_positive(record: object, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if not value > 0:
            raise ValueError(f"{name} {value} must be above 0")
