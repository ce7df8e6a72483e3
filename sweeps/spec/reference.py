"""The JSON Schema of a sweep's file, for editors, and its reference page, `docs/sweep-file.md`; both from one model."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from sweeps.spec.recipe import EVALUATION
from sweeps.spec.stopping import OWN
from sweeps.spec.sweep_file import Settings, SweepFile
from sweeps.spec.wandb_form import MEANINGLESS, MEANINGLESS_OF_METRIC

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OF_WANDB = {"description": "A key of `wandb sweep`, which means nothing here."}
HEADER = """# The file of a sweep

A sweep is one YAML file in the vocabulary of [W&B's sweeps](https://docs.wandb.ai/guides/sweeps/sweep-config-keys),
plus `trial` for what all trials share. A file that `wandb sweep` takes is taken here; what of it means nothing here is
said in one line. This page is written by `python -m sweeps.spec --markdown`, from the model that checks the file.
`python -m sweeps.spec` prints the same as a JSON Schema, which editors find by the file's first line:

```yaml
# yaml-language-server: $schema=../docs/sweep-file.schema.json
name: demo
method: bayes
metric: {name: val_loss, goal: minimize}
parameters:
  depth: {values: [1, 2, 4]}
  width: {min: 32, max: 128, q: 32}
  heads: {values: [1, 2, 4, 8]}
  learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1e-2}
run_cap: 20
early_terminate: {type: screen}
data: {stories: 16000}
trial: {tokens: 700k, context: 128, batch_size: 8}
```

Numbers may be written 20k, 1.5M, 2B or 3e13. A key that is given twice, a number that YAML would read as octal (0100)
or to the base of 60 (1:30), and an unknown key are refused; on, off, yes and no are texts. `--set key.key=value`
replaces an entry for one run, such as `--set trial.tokens=2M` or `--set early_terminate=null`.
"""
COMPARED = " and ".join(f"`{name}`" for name in EVALUATION)
PARAMETERS_NOTE = f"""Every key of `trial` can be searched but the budget and {COMPARED}. Heads that do not divide a
width are not drawn with it. Parameters may stand in groups, each of them a mapping `{{parameters: ...}}`, whose names
mean nothing here. A parameter with a single `value` is fixed, as under `trial`. Normal and beta distributions are what
`method: random` draws by; methods that follow results search all between three standard deviations to both sides.
"""
SECTIONS = {
    "parameters": ("A searched parameter", "Parameter", PARAMETERS_NOTE),
    "trial": ("trial", "Trial", "Of tokens, flops and seconds one is given; without any, tokens is 1M.\n"),
    "early_terminate": ("early_terminate", "Stopping", ""),
    "limits": ("limits", "Limits", ""),
    "confirm": ("confirm", "Confirm", ""),
    "data": ("data, if it is no folder or URI", "StoriesData", ""),
    "metric": ("metric", "Metric", ""),
    "replay": ("replay", "Replay", ""),
}
"""Heading, model and a note for each key that holds a mapping."""


def json_schema() -> dict[str, Any]:
    """What a sweep's file may hold."""
    schema = TypeAdapter(SweepFile).json_schema()
    properties = schema["properties"]
    for model in (Settings, SweepFile):  # an inherited field has lost its docstring
        for name, field in getattr(model, "__pydantic_fields__").items():  # noqa: B009
            if field.description:
                properties[name]["description"] = field.description
    order = list(SweepFile.__annotations__)
    ordered = sorted(properties, key=lambda name: order.index(name) if name in order else len(order))
    schema["properties"] = {name: properties[name] for name in ordered} | dict.fromkeys(MEANINGLESS, OF_WANDB)
    definitions = schema["$defs"]
    definitions["Metric"]["properties"] |= dict.fromkeys(MEANINGLESS_OF_METRIC, OF_WANDB)
    definitions["Parameters"]["additionalProperties"] = {"type": "object", "required": ["parameters"]}
    plain: dict[str, Any] = _plain(schema)
    return {"$schema": DIALECT, "title": "A sweep", **plain}


def _plain(schema: Any, *, names: bool = False) -> Any:
    """Without the titles that only repeat names, and with descriptions in one line.

    Args:
        names: whether the keys are names of the file's, of which one might be `title`.
    """
    if isinstance(schema, list):
        return [_plain(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if names or key != "title"}
    return {
        key: " ".join(value.split())
        if key == "description" and isinstance(value, str)
        else _plain(value, names=key in ("properties", "$defs"))
        for key, value in kept.items()
    }


def markdown() -> str:
    """The reference page."""
    schema = json_schema()
    parts = [HEADER, "## Keys\n", _table(schema)]
    for title, model, note in SECTIONS.values():
        section = schema["$defs"][model]
        parts += [f"## {title}\n", f"{section['description']}\n", *([note] if note else []), _table(section)]
    wandb = ", ".join(f"`{key}`" for key in (*MEANINGLESS, *(f"metric.{key}" for key in MEANINGLESS_OF_METRIC)))
    parts += ["## Keys of `wandb sweep` that mean nothing here\n", f"{wandb}\n"]
    rules = [f"- `{kind}`: {', '.join(f'`{key}`' for key in keys[1:])}" for kind, keys in OWN.items()]
    parts += ["## The keys of each stopping rule\n", "\n".join(rules) + "\n"]
    return "\n".join(parts)


def _table(schema: Mapping[str, Any]) -> str:
    rows = ["| key | holds | default | meaning |", "|---|---|---|---|"]
    required = schema.get("required", ())
    known = {name: entry for name, entry in schema["properties"].items() if entry != OF_WANDB}
    for name, entry in known.items():
        default = "must be given" if name in required else _default(entry)
        cells = (f"`{name}`", ", ".join(dict.fromkeys(_kinds(entry))), default, entry.get("description", ""))
        rows.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _default(entry: Mapping[str, Any]) -> str:
    default = entry.get("default")
    if default is None or isinstance(default, dict | list):
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


def _kinds(entry: Mapping[str, Any]) -> Iterator[str]:
    """What a key holds, in words."""
    words = {"integer": "whole number", "number": "number", "boolean": "true or false", "array": "list"}
    for option in entry.get("anyOf", entry.get("oneOf", [entry])):
        kind = option.get("type")
        if "enum" in option:
            yield "one of " + ", ".join(map(str, option["enum"]))
        elif "const" in option:
            yield str(option["const"])
        elif "$ref" in option or kind == "object":
            yield "mapping"
        elif "anyOf" in option or "oneOf" in option:
            yield from _kinds(option)
        elif isinstance(kind, list):  # a number that may be written as a text, such as 20k
            yield words[kind[0]]
        elif kind in words or kind == "string":
            yield words.get(kind, "text")
