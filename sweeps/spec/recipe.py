"""The values that make a trial: their names, kinds and descriptions, all taken from `TrialConfig`."""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

from tinystories.config import TrialConfig, field_names, parse_number

Value = int | float | str | bool
Assignment = dict[str, Value]
"""One configuration: a value for every searched parameter."""

SHAPE = ("depth", "width", "heads")
"""The parameters that make a shape."""
BUDGET = ("axis", "budget")
"""What the one key among tokens, flops and seconds says."""
EVALUATION = tuple(name for name in field_names(TrialConfig) if name.startswith("evaluation"))
"""What all trials of a sweep share, because they are compared at their evaluations."""
SEARCHABLE = tuple(name for name in field_names(TrialConfig) if name not in (*BUDGET, *EVALUATION))
"""The parameters that a sweep can search, or fix under `trial`."""

SYNONYMS = {
    **dict.fromkeys(("n_layer", "n_layers", "num_layers", "layers", "num_hidden_layers", "blocks"), "depth"),
    **dict.fromkeys(("n_embd", "d_model", "hidden_size", "embed_dim", "emb_dim", "dim", "n_embed"), "width"),
    **dict.fromkeys(("n_head", "n_heads", "num_heads", "num_attention_heads", "nhead"), "heads"),
    **dict.fromkeys(("lr", "max_lr", "peak_lr", "learning-rate"), "learning_rate"),
    **dict.fromkeys(("bs", "batch", "batchsize", "train_batch_size"), "batch_size"),
    **dict.fromkeys(("wd", "decay"), "weight_decay"),
    **dict.fromkeys(("block_size", "seq_len", "max_seq_len", "context_length", "n_ctx"), "context"),
    **dict.fromkeys(("grad_clip", "clip", "max_grad_norm"), "gradient_clip"),
    **dict.fromkeys(("random_seed", "manual_seed"), "seed"),
}
"""What other programs call our parameters, so that a refusal can name ours."""


@cache
def kinds() -> Mapping[str, Any]:
    """The type of every field of `TrialConfig`."""
    return get_type_hints(TrialConfig)


def kind(name: str) -> Any:
    """The type of a parameter's values: int, float, bool, or a Literal of its allowed texts."""
    annotation = kinds()[name]
    options = [option for option in get_args(annotation) if option is not NoneType]
    return options[0] if NoneType in get_args(annotation) else annotation


def typed(raw: Any, kind: Any) -> Value:
    """A value of the file as its declared kind; numbers may be written 2M or 3e13.

    Raises:
        ValueError: it is of another kind; the message begins with the value.
    """
    if choices := get_args(kind):
        if raw not in choices:
            raise ValueError(f"{raw!r} is not one of {', '.join(map(str, choices))}")
        return str(raw)
    if kind is bool:
        if not isinstance(raw, bool):
            raise ValueError(f"{raw!r} must be true or false")
        return raw
    value = number(raw)
    if kind is int and value != int(value):
        raise ValueError(f"{raw!r} must be a whole number")
    return int(value) if kind is int else float(value)


def number(raw: Any) -> int | float:
    """A number as people write it: 1, 0.5, 2M, 3e13.

    Raises:
        ValueError: it is none; the message begins with the value.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError(f"{raw!r} must be a number")
    return raw if isinstance(raw, int) else parse_number(raw)


def read_cell(name: str, cell: str) -> Value:
    """A parameter's value from a cell of a table.

    Raises:
        ValueError: no trial can have it; the message names the parameter and the value.
    """
    words = {"true": True, "false": False}
    try:
        value = typed(words.get(cell.lower(), cell) if kind(name) is bool else cell, kind(name))
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    if name in SHAPE and int(value) < 1:
        raise ValueError(f"{name} {value} must be above 0")
    if name not in SHAPE:
        TrialConfig(depth=1, width=1, heads=1, budget=1.0, **{name: value})  # type: ignore[arg-type]
    return value


def nearest(name: str, known: tuple[str, ...]) -> str | None:
    """The known name that an unknown one may mean."""
    if name in SYNONYMS and SYNONYMS[name] in known:
        return SYNONYMS[name]
    return next(iter(get_close_matches(name, known, n=1)), None)


@cache
def descriptions() -> Mapping[str, str]:
    """The docstring under every field of `TrialConfig`."""
    (record,) = ast.parse(textwrap.dedent(inspect.getsource(TrialConfig))).body
    assert isinstance(record, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(record.body, record.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found
