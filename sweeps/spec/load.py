"""A sweep's YAML, read and checked: W&B's sweep vocabulary, plus `trial` for what is fixed. README lists the keys."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from sweeps.spec.schema import METRICS, Confirm, Spec, Stopping, StoriesData
from sweeps.spec.space import SEARCHABLE, SHAPE, Assignment, Choice, Limits, Range, Space, kind
from tinystories.config import AXES, TrialConfig, parse_number

MOST_PER_GPU = 100
"""Trials on one GPU: Ray counts shares of it in ten-thousandths."""


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
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such sweep file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise ValueError(f"{path}: a sweep is a mapping with the keys {', '.join(KEYS)}")
    for override in overrides:
        _override(raw, override)
    raw |= {key: value for key, value in (("name", name), ("run_cap", trials)) if value is not None}
    return parse(raw), raw


def _override(raw: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ValueError(f"--set {override!r}: write key=value, such as trial.tokens=1M")
    target: dict[str, Any] = raw
    *parents, last = key.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise ValueError(f"--set {override!r}: {parent} is not a mapping")
    try:
        target[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ValueError(f"--set {override!r}: {value!r} is not YAML") from None


OPTIONAL = tuple(entry for entry in fields(Spec) if entry.default is not MISSING)
KEYS = (
    *("name", "metric", "parameters", "limits", "points", "run_cap", "early_terminate", "confirm", "trial", "data"),
    *("trials_per_gpu", "replay"),
    *(entry.name for entry in OPTIONAL),
)


def parse(raw: Mapping[str, Any]) -> Spec:
    """Check a sweep's mapping.

    Raises:
        ValueError: an unknown key, a wrong type or a value out of range.
    """
    _known(raw, KEYS, "the sweep")
    for required in ("name", "parameters", "run_cap", "trial"):
        if required not in raw:
            raise ValueError(f"the sweep has no {required!r}; it must have name, parameters, run_cap, trial")
    trial = _trial(_mapping(raw["trial"], "trial"))
    space = _space(_mapping(raw["parameters"], "parameters"), trial, _limits(raw.get("limits", {}), trial))
    settings = {entry.name: _typed(raw[entry.name], entry.type, entry.name) for entry in OPTIONAL if entry.name in raw}
    if settings.get("pareto"):
        settings.setdefault("method", "tpe")
    spec = Spec(
        name=_name(raw["name"]),
        metric=_metric(_mapping(raw.get("metric", {"name": "val_loss"}), "metric")),
        space=space,
        points=_points(raw.get("points", []), space),
        run_cap=_positive(raw["run_cap"], "run_cap"),
        early_terminate=_stopping(raw.get("early_terminate"), pareto=bool(settings.get("pareto"))),
        confirm=_confirm(raw.get("confirm")),
        trial=trial,
        data=_data(raw.get("data")),
        trials_per_gpu=_trials_per_gpu(raw.get("trials_per_gpu", "auto")),
        replay=_replay(raw.get("replay", {})),
        **settings,
    )
    _check_settings(spec)
    return spec


def _check_settings(spec: Spec) -> None:
    for name in ("cpus_per_trial", "keep_checkpoints", "patience"):
        if not getattr(spec, name) > 0:
            raise ValueError(f"{name} {getattr(spec, name)} must be above 0")
    for name in ("max_failures", "seed"):
        if getattr(spec, name) < 0:
            raise ValueError(f"{name} {getattr(spec, name)} must be at least 0")
    if spec.early_terminate and not spec.rungs:
        raise ValueError(
            f"early_terminate.min_iter {spec.early_terminate.min_iter or 1} must be below "
            f"trial.evaluations {spec.evaluations}, or no trial is ever stopped"
        )
    if spec.pareto == "flops" and spec.axis != "tokens":
        raise ValueError(f"pareto flops: trials have a budget of {spec.trial['axis']}; it goes with trial.tokens")
    if spec.pareto and spec.method == "bayes":
        raise ValueError(f"method bayes knows one objective; with pareto {spec.pareto}, allowed: tpe, random")
    if spec.pareto and spec.confirm:
        raise ValueError(f"pareto {spec.pareto}: there is no single best to confirm; leave confirm out")
    if spec.confirm and "seed" in spec.space.parameters:
        raise ValueError("confirm: the seed is searched; fix it under trial, or leave confirm out")
    if spec.repeats == "new_seed" and "seed" in spec.space.parameters:
        raise ValueError("repeats new_seed: the seed is searched; allowed then: answer")
    spec.largest_trial(vocab_size=1)  # makes all shapes' configurations, and so checks what trials share


def _name(raw: Any) -> str:
    if not isinstance(raw, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", raw):
        raise ValueError(f"name {raw!r}: letters, digits, '.', '_' and '-' only, as it names a folder")
    return raw


def _metric(raw: Mapping[str, Any]) -> str:
    _known(raw, ("name", "goal"), "metric")
    if raw.get("name", "val_loss") not in METRICS:
        raise ValueError(f"metric.name {raw['name']!r} is not one of {', '.join(METRICS)}")
    if raw.get("goal", "minimize") != "minimize":
        raise ValueError(f"metric.goal {raw['goal']!r}: losses are minimised; write minimize")
    return raw.get("name", "val_loss")


def _stopping(raw: Any, *, pareto: bool) -> Stopping | None:
    """Two objectives have no best few to screen for."""
    if raw is None:
        return None
    entries = {"type": "asha" if pareto else "screen", **_mapping(raw, "early_terminate")}
    types = get_type_hints(Stopping)
    stopping = {
        key: _typed(value, types[key], f"early_terminate.{key}") for key, value in entries.items() if key in types
    }
    own = ("finalists", "looks") if stopping["type"] == "screen" else ("variant",)
    _known(entries, ("type", *own, "eta", "min_iter"), f"early_terminate of type {stopping['type']}")
    if pareto and stopping["type"] != "asha":
        raise ValueError(f"early_terminate.type {stopping['type']}: with pareto, allowed: asha")
    return Stopping(**stopping)


def _confirm(raw: Any) -> Confirm | None:
    if raw is None:
        return None
    entries = _mapping(raw, "confirm")
    _known(entries, ("top", "seeds"), "confirm")
    return Confirm(**{key: _typed(value, int, f"confirm.{key}") for key, value in entries.items()})


def _data(raw: Any) -> str | StoriesData | None:
    if raw is None or (isinstance(raw, str) and raw):
        return raw
    if not isinstance(raw, Mapping):
        raise ValueError(f"data {raw!r}: a folder, a URI, or the mapping of the built-in stories")
    types = get_type_hints(StoriesData)
    _known(raw, tuple(types), "data")
    data = StoriesData(**{key: _typed(value, types[key], f"data.{key}") for key, value in raw.items()})
    _positive(data.stories, "data.stories")
    _positive(data.valid_stories, "data.valid_stories")
    return data


def _trials_per_gpu(raw: Any) -> int | None:
    if raw == "auto":
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= MOST_PER_GPU:
        raise ValueError(f"trials_per_gpu {raw!r}: auto, a whole number up to {MOST_PER_GPU}, or 0 for CPUs alone")
    return raw


def _replay(raw: Any) -> dict[str, str]:
    entries = _mapping(raw, "replay")
    _known(entries, ("columns",), "replay")
    columns = _mapping(entries.get("columns", {}), "replay.columns")
    _known(columns, ("config", *SEARCHABLE, *AXES, *METRICS), "replay.columns")
    return {name: _typed(column, str, f"replay.columns.{name}") for name, column in columns.items()}


def _trial(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of TrialConfig; the budget is the one key among tokens, flops, seconds, and names the axis."""
    types = get_type_hints(TrialConfig)
    del types["axis"], types["budget"]
    _known(raw, AXES + tuple(types), "trial")
    budgets = [axis for axis in AXES if axis in raw]
    if len(budgets) != 1:
        raise ValueError(
            f"trial needs exactly one budget among {', '.join(AXES)}; given: {', '.join(budgets) or 'none'}"
        )
    trial = {key: _typed(value, types[key], f"trial.{key}") for key, value in raw.items() if key not in AXES}
    if trial.get("seed", 0) < 0:
        raise ValueError(f"trial.seed {trial['seed']} must be at least 0")
    axis = budgets[0]
    return {**trial, "axis": axis, "budget": _typed(raw[axis], float, f"trial.{axis}")}


def _limits(raw: Any, trial: Mapping[str, Any]) -> Limits:
    entries = _mapping(raw, "limits")
    _known(entries, tuple(vars(Limits())), "limits")
    kinds = {"max_flops": float}
    limits: dict[str, Any] = {
        key: _positive_of(value, kinds.get(key, int), f"limits.{key}") for key, value in entries.items()
    }
    if "max_flops" in limits and trial["axis"] != "tokens":
        raise ValueError(f"limits.max_flops: trials have a budget of {trial['axis']}; it goes with trial.tokens")
    return Limits(**limits)


def _points(raw: Any, space: Space) -> tuple[Assignment, ...]:
    if not isinstance(raw, list):
        raise ValueError(f"points {raw!r}: a list of configurations, such as [{{depth: 2, width: 64, heads: 4}}]")
    return tuple(_point(entry, space) for entry in raw)


def _point(raw: Any, space: Space) -> Assignment:
    entries = _mapping(raw, "points")
    if set(entries) != set(space.parameters):
        raise ValueError(f"points: {dict(entries)} must give a value for each of {', '.join(space.parameters)}")
    point = {name: _positive_of(entries[name], kind(name), f"points.{name}") for name in space.parameters}
    if not space.contains(point):
        raise ValueError(f"points: {point} lies outside the searched parameters, or its heads do not divide its width")
    return point


def _space(raw: Mapping[str, Any], trial: Mapping[str, Any], limits: Limits) -> Space:
    _known(raw, SEARCHABLE, "parameters")
    if not raw:
        raise ValueError(f"parameters is empty; search at least one of {', '.join(SEARCHABLE)}")
    if both := [name for name in raw if name in trial]:
        raise ValueError(f"{both[0]} stands under both parameters and trial; keep one")
    if missing := [name for name in SHAPE if name not in raw and name not in trial]:
        raise ValueError(f"{missing[0]} stands under neither parameters nor trial")
    parameters = {name: _parameter(name, raw[name]) for name in SEARCHABLE if name in raw}
    return Space(parameters=parameters, fixed={name: trial[name] for name in SHAPE if name in trial}, limits=limits)


def _parameter(name: str, raw: Any) -> Choice | Range:
    where = f"parameters.{name}"
    entries = _mapping(raw, where)
    _known(entries, ("values", "value", "min", "max", "q", "distribution"), where)
    if len(given := [key for key in ("value", "values", "min") if key in entries]) != 1:
        raise ValueError(f"{where}: give either value, or values, or min and max; given: {', '.join(given) or 'none'}")
    if ranged := [key for key in ("q", "distribution") if key in entries and "min" not in entries]:
        raise ValueError(f"{where}: {ranged[0]} goes with min and max")
    if "value" in entries:
        return Choice(values=(_positive_of(entries["value"], kind(name), where),))
    if "values" in entries:
        return Choice(values=_values(entries["values"], kind(name), where))
    return _range(entries, kind(name), where)


def _values(raw: Any, kind: type, where: str) -> tuple[int | float, ...]:
    if not isinstance(raw, list) or not raw:
        raise ValueError(f"{where}.values {raw!r}: a list with at least one value")
    values = tuple(_positive_of(value, kind, where) for value in raw)
    if len(set(values)) < len(values):
        raise ValueError(f"{where}.values {raw!r} names a value twice")
    return values


def _range(entries: Mapping[str, Any], kind: type, where: str) -> Range:
    if "min" not in entries or "max" not in entries:
        raise ValueError(f"{where}: give values, or min and max")
    low, high = (_positive_of(entries[end], kind, f"{where}.{end}") for end in ("min", "max"))
    if low >= high:
        raise ValueError(f"{where}: min {low} must be below max {high}")
    step = _positive(entries.get("q", 1), f"{where}.q")
    plain = "q_uniform" if step > 1 else "int_uniform" if kind is int else "uniform"
    allowed = (plain,) if step > 1 else (plain, "log_uniform_values")
    distribution = entries.get("distribution", plain)
    if distribution not in allowed:
        raise ValueError(f"{where}.distribution {distribution!r}: allowed here: {', '.join(allowed)}")
    log = distribution == "log_uniform_values"
    if log and low == 0:
        raise ValueError(f"{where}.min 0 must be above 0 on a logarithmic scale")
    if step > 1 and (kind is float or (high - low) % step):
        raise ValueError(f"{where}.q {step}: a step between whole numbers that leads from min {low} to max {high}")
    return Range(low=low, high=high, log=log, step=step)


def _known(raw: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    for key in raw:
        if key not in allowed:
            raise ValueError(f"unknown key {key!r} in {where}; known: {', '.join(allowed)}")


def _mapping(raw: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{where} {raw!r} must be a mapping")
    return raw


def _positive(raw: Any, where: str) -> int:
    return int(_positive_of(raw, int, where))


def _positive_of(raw: Any, kind: type, where: str) -> int | float:
    value = _typed(raw, kind, where)
    if value < 0 or (value == 0 and not where.startswith(("parameters.seed", "points.seed"))):
        raise ValueError(f"{where} {raw!r} must be above 0")
    return value


def _typed(raw: Any, kind: Any, where: str) -> Any:
    """The value as its declared type; numbers may be written 2M or 3e13."""
    if NoneType in get_args(kind):
        return None if raw is None else _typed(raw, get_args(kind)[0], where)
    if get_origin(kind) is Literal:
        if raw not in get_args(kind):
            raise ValueError(f"{where} {raw!r} is not one of {', '.join(map(str, get_args(kind)))}")
        return raw
    if kind in (bool, str):
        if not isinstance(raw, kind):
            raise ValueError(f"{where} {raw!r} must be {'true or false' if kind is bool else 'text'}")
        return raw
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise ValueError(f"{where} {raw!r} must be a number")
    try:
        number = parse_number(raw)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if kind is int and number != int(number):
        raise ValueError(f"{where} {raw!r} must be a whole number")
    return kind(number)
