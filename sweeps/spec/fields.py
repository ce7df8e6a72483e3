"""Kinds of values that a sweep's file holds, and how what is wrong with one is said in one line."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from sweeps.spec.recipe import nearest, number, typed

CHECKED = ConfigDict(extra="forbid", use_attribute_docstrings=True, arbitrary_types_allowed=True)
"""Unknown keys are refused, nothing is converted unasked, and the docstring under a field describes it."""

Whole = Annotated[int, BeforeValidator(partial(typed, kind=int)), WithJsonSchema({"type": ["integer", "string"]})]
"""A whole number, also written 20k."""
Number = Annotated[float, BeforeValidator(partial(typed, kind=float)), WithJsonSchema({"type": ["number", "string"]})]
"""A number, also written 3e13 or 1.5B."""
Plain = Annotated[int | float, BeforeValidator(number), WithJsonSchema({"type": ["number", "string"]})]
"""A number as it is written: whole, or not."""

BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
KINDS = {
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "dataclass_type": "a mapping",
}
QUOTED = re.compile("'([^']*)'")
WHOLE_MESSAGE = "whole_message"


def sentence(text: str) -> PydanticCustomError:
    """An error whose text already names the key."""
    return PydanticCustomError(WHOLE_MESSAGE, "{text}", {"text": text})


def unknown_key(key: Any, where: str, known: tuple[str, ...]) -> str:
    """Says that a key is unknown, the nearest known one, and which there are."""
    guess = nearest(str(key), known)
    return f"unknown key {key!r} in {where};{f' did you mean {guess}?' if guess else ''} known: {', '.join(known)}"


def one_line(error: ValidationError, known: Callable[[tuple[str, ...]], tuple[str, ...]]) -> str:
    """The first thing that is wrong with a file.

    Args:
        known: the keys of the mapping at a place.
    """
    details = error.errors()
    first = next((detail for detail in details if _is_unknown(detail)), details[0])
    place = tuple(str(part) for part in first["loc"] if not str(part).startswith("<"))
    where, value = ".".join(place), first["input"]
    if _is_unknown(first):
        return unknown_key(place[-1], ".".join(place[:-1]) or "the sweep", known(place[:-1]))
    return " ".join(_said(first, where, value).split())


def _is_unknown(detail: ErrorDetails) -> bool:
    return detail["type"] in ("unexpected_keyword_argument", "extra_forbidden")


def _said(detail: ErrorDetails, where: str, value: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == WHOLE_MESSAGE:
        return str(context["text"])
    if kind == "missing":
        place, _, key = where.rpartition(".")
        return f"{place or 'the sweep'} has no {key!r}"
    if kind == "value_error":
        return f"{where} {context['error']}"
    if kind in BOUNDS:
        name, word = BOUNDS[kind]
        return f"{where} {value!r} must be {word} {context[name]}"
    if kind == "literal_error":
        return f"{where} {value!r} is not one of {', '.join(QUOTED.findall(context['expected']))}"
    if kind in KINDS:
        return f"{where} {value!r} must be {KINDS[kind]}"
    return f"{where} {value!r}: {detail['msg']}"


def mapping(raw: Any, where: str) -> Mapping[str, Any]:
    """A mapping of the file.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f"{where} {raw!r} must be a mapping")
    return raw
