"""A sweep's YAML, read and checked: W&B's sweep vocabulary, plus `trial` for what is fixed (docs/sweep-file.md)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sweeps.spec import checks, document, wandb_form
from sweeps.spec.distributions import searched
from sweeps.spec.fields import mapping, one_line, unknown_key
from sweeps.spec.parameters import Choice, Range
from sweeps.spec.recipe import SEARCHABLE, SHAPE, Assignment, Value, kind, typed
from sweeps.spec.schema import Spec
from sweeps.spec.space import Limits, Space
from sweeps.spec.stopping import Stopping
from sweeps.spec.sweep_file import METRICS, NAME, Settings, SweepFile
from tinystories.config import AXES, TrialConfig

DEFAULT_TRIALS = 20
"""Trials of a sweep whose file gives no run_cap."""
FILE: TypeAdapter[SweepFile] = TypeAdapter(SweepFile)
REQUIRED = "the sweep has no {!r}; it must have name and parameters"


def load(
    path: Path, overrides: Sequence[str] = (), *, name: str | None = None, trials: str | None = None
) -> tuple[Spec, dict[str, Any]]:
    """Read and check a sweep's YAML.

    Args:
        path: the YAML file.
        overrides: `key=value` pairs that replace entries, `trial.tokens=1M` for nested ones.
        name: replaces the sweep's name.
        trials: replaces `run_cap`.

    Returns:
        The checked spec, and the plain mapping that it was made from, for the run folder.

    Raises:
        ValueError: the file or an override does not hold; one line with the value and what is allowed.
    """
    raw = document.read(path)
    for text in overrides:
        document.override(raw, text)
    raw |= {key: value for key, value in (("name", name), ("run_cap", trials)) if value is not None}
    if raw.get("name") is None:
        raw = {"name": _stem(path), **{key: value for key, value in raw.items() if key != "name"}}
    return parse(raw), raw


def _stem(path: Path) -> str:
    """A file's name as the name of a folder."""
    name = "".join(letter if NAME.fullmatch(f"a{letter}") else "-" for letter in path.stem).lstrip("._-")
    if not name:
        raise ValueError(f"{path}: the sweep has no name, and its file's name makes none; add name: ...")
    return name


def parse(raw: Mapping[str, Any]) -> Spec:
    """Check a sweep's mapping.

    Raises:
        ValueError: an unknown key, a wrong type or a value out of range.
    """
    for key in ("name", "parameters"):
        if raw.get(key) is None:
            raise ValueError(REQUIRED.format(key))
    known, notes = wandb_form.translate(raw)
    try:
        file = FILE.validate_python(known)
    except ValidationError as error:
        raise ValueError(one_line(error, _keys_at)) from None
    spec = _spec(file, notes)
    checks.check(spec)
    return spec


def _keys_at(place: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that a mapping of the file may have."""
    model: Any = SweepFile
    for part in place:
        annotation = _fields(model)[part]
        model = next((kind for kind in _models(annotation) if _fields(kind)), None)
        if model is None:
            return ()
    own = {entry.name for entry in fields(Settings)} if model is SweepFile else set()
    return tuple(sorted(_fields(model), key=lambda name: name in own))


def _fields(model: Any) -> dict[str, Any]:
    """The annotations of a checked record."""
    known = getattr(model, "__pydantic_fields__", {})
    return {name: field.annotation for name, field in known.items()}


def _models(annotation: Any) -> list[Any]:
    inner = [kind for part in getattr(annotation, "__args__", ()) for kind in _models(part)]
    return [annotation, *inner]


def _spec(file: SweepFile, notes: list[str]) -> Spec:
    axis, budget = _budget(file.trial)
    fixed = {name: value for name, value in _given(file.trial).items() if name not in AXES}
    entries = _given(file.parameters)
    if both := [name for name in entries if name in fixed]:
        raise ValueError(f"{both[0]} stands under both parameters and trial; keep one")
    if missing := [name for name in SHAPE if name not in entries and name not in fixed]:
        raise ValueError(f"{missing[0]} stands under neither parameters nor trial")
    recipe = {"seed": file.seed, **{name: value for name, value in fixed.items() if name not in SHAPE}}
    stand_in = _checked_trial({**recipe, "depth": 1, "width": 1, "heads": 1, "axis": axis, "budget": budget})
    order = [name for name in SEARCHABLE if name in entries]
    method = file.method or ("tpe" if file.pareto else "bayes")
    parameters = {name: searched(name, entries[name], _acceptor(name, stand_in)) for name in order}
    if method != "grid":  # which alone walks lists in their order: elsewhere equal lists give equal draws
        parameters = {name: _ascending(parameter) for name, parameter in parameters.items()}
    shape = {name: _shape_value(name, fixed[name]) for name in SHAPE if name in fixed}
    space = Space(parameters=parameters, fixed=shape, limits=_limits(file.limits, axis))
    settings = {entry.name: getattr(file, entry.name) for entry in fields(Settings)}
    settings["early_terminate"] = _stopping(file.early_terminate)
    assert file.name is not None
    return Spec(
        **settings,
        name=file.name,
        metric=file.metric.name,
        space=space,
        run_cap=file.run_cap or _default_trials(method, space, notes),
        trial=_smallest(stand_in, space),
        method=method,
        points=tuple(_point(entry, space) for entry in file.points),
        replay=_columns(file.replay.columns),
        notes=tuple(notes),
    )


def _ascending(parameter: Choice | Range) -> Choice | Range:
    return parameter.ascending if isinstance(parameter, Choice) else parameter


def _given(model: Any) -> dict[str, Any]:
    """What a model was given, by name."""
    values = {name: getattr(model, name) for name in type(model).model_fields}
    return {name: value for name, value in values.items() if value is not None}


def _budget(trial: Any) -> tuple[str, float]:
    """The budget is the one key among tokens, flops and seconds, and names the axis."""
    budgets = [axis for axis in AXES if getattr(trial, axis) is not None]
    if len(budgets) != 1:
        raise ValueError(
            f"trial needs exactly one budget among {', '.join(AXES)}; given: {', '.join(budgets) or 'none'}"
        )
    return budgets[0], float(getattr(trial, budgets[0]))


def _checked_trial(values: Mapping[str, Any]) -> TrialConfig:
    try:
        return TrialConfig(**values)
    except ValueError as error:
        raise ValueError(f"trial.{error}") from None


def _acceptor(name: str, stand_in: TrialConfig) -> Any:
    """Tries a parameter's value in a trial of one layer; heads and width are for the space to check."""

    def accepts(value: Value) -> None:
        if name not in SHAPE:
            replace(stand_in, **{name: value})  # type: ignore[arg-type]

    return accepts


def _shape_value(name: str, value: Any) -> int:
    if value < 1:
        raise ValueError(f"trial.{name} {value} must be above 0")
    return int(value)


def _smallest(stand_in: TrialConfig, space: Space) -> TrialConfig:
    """The trial with the smallest value of everything searched; sees that trials of the largest values can be, too."""
    others = {name: parameter for name, parameter in space.parameters.items() if name not in SHAPE}
    for end in ("highest", "lowest"):
        try:
            values: dict[str, Any] = {**space.shapes[0], **{name: getattr(others[name], end) for name in others}}
            trial = replace(stand_in, **values)
        except ValueError as error:
            raise ValueError(f"parameters: {error}; these are the {end} values of what is searched") from None
    return trial


def _limits(limits: Limits, axis: str) -> Limits:
    if limits.max_flops is not None and axis != "tokens":
        raise ValueError(f"limits.max_flops: trials have a budget of {axis}; it goes with trial.tokens")
    return limits


def _stopping(stopping: Stopping | None) -> Stopping | None:
    """W&B's hyperband by our name for it."""
    return replace(stopping, type="asha", strict=True) if stopping and stopping.type == "hyperband" else stopping


def _default_trials(method: str, space: Space, notes: list[str]) -> int:
    if method == "grid" and math.isfinite(space.size):
        return int(space.size)
    notes.append(f"run_cap is not given, so there are {DEFAULT_TRIALS} trials")
    return DEFAULT_TRIALS


def _point(raw: Mapping[str, Any], space: Space) -> Assignment:
    entries = mapping(raw, "points")
    if set(entries) != set(space.parameters):
        raise ValueError(f"points: {dict(entries)} must give a value for each of {', '.join(space.parameters)}")
    try:
        point = {name: typed(entries[name], kind(name)) for name in space.parameters}
    except ValueError as error:
        raise ValueError(f"points: {error}") from None
    if not space.contains(point):
        raise ValueError(f"points: {point} lies outside the searched parameters, or its heads do not divide its width")
    return point


def _columns(columns: dict[str, str]) -> dict[str, str]:
    known = ("config", *SEARCHABLE, *AXES, *METRICS)
    for key in columns:
        if key not in known:
            raise ValueError(unknown_key(key, "replay.columns", known))
    return columns
