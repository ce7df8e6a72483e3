"""A file as people write it for `wandb sweep`, brought to the form that is checked here, and what that takes to say."""

from collections.abc import Mapping
from typing import Any

from sweeps.spec.fields import mapping, unknown_key
from sweeps.spec.recipe import EVALUATION, SEARCHABLE, SYNONYMS
from sweeps.spec.sweep_file import METRICS, Parameter
from tinystories.config import AXES

MEANINGLESS = (
    *("program", "command", "entity", "description", "controller", "apiVersion", "kind", "job", "image_uri"),
    "scheduler",
)
"""Keys of a W&B sweep file that say how W&B would run it."""
MEANINGLESS_OF_METRIC = ("target", "impute", "impute_while_running")
DEFAULT_BUDGET = {"tokens": 1_000_000}
"""Budget of a full trial if the file gives none: a minute or less of two cores for the models of the demo. [token]"""


def translate(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The same sweep without what means nothing here, groups and constants resolved; and a note for each change.

    Raises:
        ValueError: a part of it is of a wrong type, names no parameter of ours, or says something twice.
    """
    known = {key: value for key, value in raw.items() if key not in MEANINGLESS}
    left_out = [key for key in raw if key in MEANINGLESS]
    notes: list[str] = []
    if "parameters" in known:
        known["parameters"], constants = _parameters(mapping(known["parameters"], "parameters"))
        known["trial"] = _trial(known.get("trial"), constants)
    if isinstance(metric := known.get("metric"), Mapping):
        known["metric"] = _metric(metric, left_out, notes)
    trial = known.setdefault("trial", {})
    if isinstance(trial, Mapping) and not any(axis in trial for axis in AXES):
        known["trial"] = {**DEFAULT_BUDGET, **trial}
        notes.append("trial gives no budget, so it is tokens: 1M")
    if isinstance(stopping := known.get("early_terminate"), Mapping):
        if known.get("pareto") and "type" not in stopping:
            known["early_terminate"] = {"type": "asha", **stopping}
        if stopping.get("strict") is False:
            notes.append("early_terminate.strict is taken as true, as trials are compared at every rung")
    if left_out:
        plural = "mean" if len(left_out) > 1 else "means"
        notes.insert(0, f"{', '.join(left_out)} {plural} nothing here")
    return known, notes


def _metric(raw: Mapping[str, Any], left_out: list[str], notes: list[str]) -> dict[str, Any]:
    if raw.get("goal", "minimize") != "minimize":
        raise ValueError(f"metric.goal {raw['goal']!r}: losses are minimised; write minimize")
    left_out += [f"metric.{key}" for key in MEANINGLESS_OF_METRIC if key in raw]
    metric = {key: value for key, value in raw.items() if key not in MEANINGLESS_OF_METRIC}
    if isinstance(name := metric.get("name"), str) and name not in METRICS:
        metric["name"] = METRICS[0]
        notes.append(f"metric {name} is taken for {METRICS[0]}")
    return metric


def _parameters(raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is searched, and what has one value; that is fixed, unless nothing else is searched."""
    leaves = _leaves(raw, "parameters")
    trial_keys = (*SEARCHABLE, *AXES, *EVALUATION)
    if unknown := [name for name in leaves if name not in trial_keys]:
        raise ValueError(_unknown(unknown))
    if not leaves:
        raise ValueError(f"parameters is empty; search at least one of {', '.join(SEARCHABLE)}")
    constants = {name: entry["value"] for name, entry in leaves.items() if _is_constant(entry)}
    if all(name in constants for name in leaves if name in SEARCHABLE):
        constants = {name: value for name, value in constants.items() if name not in SEARCHABLE}
    return {name: entry for name, entry in leaves.items() if name not in constants}, constants


def _is_constant(entry: Any) -> bool:
    return isinstance(entry, Mapping) and "value" in entry and set(entry) <= {"value", "distribution"}


def _leaves(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Parameters by their own names, out of the groups that they may be written in."""
    found: dict[str, Any] = {}
    for name, entry in raw.items():
        if isinstance(entry, Mapping) and "parameters" in entry and not set(entry) & set(Parameter.model_fields):
            leaves = _leaves(mapping(entry["parameters"], f"{where}.{name}.parameters"), f"{where}.{name}")
        else:
            leaves = {str(name): entry}
        if twice := sorted(found.keys() & leaves.keys()):
            raise ValueError(f"{twice[0]} stands twice under parameters; keep one")
        found |= leaves
    return found


def _unknown(names: list[str]) -> str:
    if foreign := [name for name in names if name in SYNONYMS]:
        ours = ", ".join(SYNONYMS[name] for name in foreign)
        return f"parameters: {', '.join(foreign)} {'are' if len(foreign) > 1 else 'is'} called {ours} here; rename"
    return unknown_key(names[0], "parameters", SEARCHABLE)


def _trial(raw: Any, constants: Mapping[str, Any]) -> Any:
    if not constants:
        return {} if raw is None else raw
    fixed = mapping(raw or {}, "trial")
    if both := [name for name in constants if name in fixed]:
        raise ValueError(f"{both[0]} stands under both parameters and trial; keep one")
    return {**constants, **fixed}
