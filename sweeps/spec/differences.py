"""What two sweeps ask for differently, in the words of their files."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from sweeps.spec.recipe import EVALUATION, SEARCHABLE
from sweeps.spec.schema import Settings, Spec


def canonical(spec: Spec) -> dict[str, str]:
    """Everything that a sweep asks for, defaults included, by its key in the file; equal sweeps have equal ones."""
    shared = {name: getattr(spec, name) for name in ("name", "metric", "run_cap", "method")}
    settings = {entry.name: getattr(spec, entry.name) for entry in fields(Settings)}
    fixed = {name: getattr(spec.trial, name) for name in _fixed(spec)}
    given: dict[str, Any] = {
        **shared,
        **settings,
        "parameters": dict(spec.space.parameters),
        "limits": spec.space.limits.given,
        "trial": {spec.axis: spec.budget, **fixed},
        "points": [", ".join(f"{name} {value}" for name, value in point.items()) for point in spec.points],
        "replay.columns": spec.replay,
    }
    return dict(entry for key, value in given.items() for entry in _flat(key, value))


def _fixed(spec: Spec) -> list[str]:
    """What of a trial is not searched, besides its budget."""
    return [name for name in (*EVALUATION, *SEARCHABLE) if name not in spec.space.parameters]


def _flat(key: str, value: Any) -> list[tuple[str, str]]:
    if is_dataclass(value) and key in ("early_terminate", "confirm", "data"):
        assert not isinstance(value, type)
        value = asdict(value)
    if isinstance(value, Mapping):
        return [entry for name, inner in value.items() for entry in _flat(f"{key}.{name}", inner)]
    return [(key, _said(value))]


def _said(value: Any) -> str:
    """A value as people write it."""
    if value is None or value in ([], ()):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{int(value):,}" if value == int(value) and abs(value) < 1e15 else str(value)
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return str(value)


def differences(there: Spec, here: Spec, *, free: Collection[str] = ()) -> list[str]:
    """What an earlier sweep asks for differently than this one, a clause each; none if they ask for the same.

    Args:
        free: keys of the file that may differ.
    """
    before, now = canonical(there), canonical(here)
    keys = [key for key in (*before, *(key for key in now if key not in before)) if key.partition(".")[0] not in free]
    return [
        f"{key} is {before.get(key, 'not given')} there and {now.get(key, 'not given')} here"
        for key in keys
        if before.get(key) != now.get(key)
    ]
