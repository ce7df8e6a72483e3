"""A sweep's YAML as a plain mapping, read so that nothing in it is lost or changed in silence.

PyYAML follows YAML 1.1, in which a key that is given twice has its last value, 0100 is 64, 1:30 is 90, and on, off, yes
and no are true and false. Here the first three are refused, and the last are texts, as in YAML 1.2.
"""

import re
from pathlib import Path
from typing import Any

import yaml

OCTAL = re.compile(r"[-+]?0[0-9_]+")
SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
BOOLEAN = re.compile("true|True|TRUE|false|False|FALSE")
TEXT_OR_MAPPING = ("data",)
"""Keys that hold a text or a mapping, so that an entry set below them replaces a text."""


class _Loader(yaml.SafeLoader):
    """Safe, and strict about what YAML 1.1 would change."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key, _ in node.value:
        if key.tag != "tag:yaml.org,2002:merge":
            name = loader.construct_object(key, deep=True)
            if not isinstance(name, str | int | float | bool | None):
                raise ValueError(f"line {key.start_mark.line + 1}: a key must be text")
            if name in seen:
                raise ValueError(f"line {key.start_mark.line + 1}: {name!r} is given twice; keep one")
            seen.add(name)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _number(loader: _Loader, node: yaml.ScalarNode) -> Any:
    text = node.value
    where = f"line {node.start_mark.line + 1}: {text}"
    if SEXAGESIMAL.fullmatch(text):
        raise ValueError(f"{where} would be read as a number to the base of 60; quote it, or write it out")
    if node.tag.endswith("int"):
        if OCTAL.fullmatch(text):
            raise ValueError(f"{where} would be read as an octal number; write {text.lstrip('+-0') or 0}, or quote it")
        return loader.construct_yaml_int(node)
    return loader.construct_yaml_float(node)


def _truth(loader: _Loader, node: yaml.ScalarNode) -> bool:
    if not BOOLEAN.fullmatch(node.value):  # only a tag leads here then
        raise ValueError(f"line {node.start_mark.line + 1}: {node.value} is neither true nor false")
    return loader.construct_yaml_bool(node)


def _loader() -> type[_Loader]:
    """Resolves true and false alone as booleans."""
    boolean = "tag:yaml.org,2002:bool"
    resolvers = _Loader.yaml_implicit_resolvers.items()
    _Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag != boolean] for first, known in resolvers
    }
    _Loader.add_implicit_resolver(boolean, re.compile(f"^(?:{BOOLEAN.pattern})$"), list("tTfF"))
    _Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
    _Loader.add_constructor(boolean, _truth)
    for kind in ("int", "float"):
        _Loader.add_constructor(f"tag:yaml.org,2002:{kind}", _number)
    return _Loader


LOADER = _loader()


def parse(text: str) -> Any:
    """What a YAML text holds.

    Raises:
        ValueError: it is no YAML, or something in it would be lost or changed; one line, with the line's number.
    """
    try:
        return yaml.load(text, LOADER)
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ValueError("not YAML: it contains itself") from None


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ValueError: there is no such file, or it holds no mapping.
    """
    try:
        raw = parse(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such sweep file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(raw, dict):
        raise ValueError(f"{path}: a sweep is a mapping, such as {{parameters: {{depth: {{values: [1, 2]}}}}}}")
    return raw


def override(raw: dict[str, Any], text: str) -> None:
    """Replace one entry of a mapping, as `--set key.key=value` says.

    Raises:
        ValueError: the text does not say that, or a key on the way is no mapping.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ValueError(f"--set {text!r}: write key=value, such as trial.tokens=1M")
    target: dict[str, Any] = raw
    *parents, last = key.split(".")
    for parent in parents:
        known = target.get(parent)
        if known is None or (parent in TEXT_OR_MAPPING and isinstance(known, str)):
            target[parent] = {}
        target = target[parent]
        if not isinstance(target, dict):
            raise ValueError(f"--set {text!r}: {parent} is not a mapping")
    try:
        target[last] = parse(value)
    except ValueError as error:
        raise ValueError(f"--set {text!r}: {value!r} is {str(error).removeprefix('line 1: ')}") from None
