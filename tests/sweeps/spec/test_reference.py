"""What the docs and editors say of a sweep's file is what is checked."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeps.spec import load, reference
from sweeps.spec.recipe import SEARCHABLE
from sweeps.spec.sweep_file import Settings, SweepFile

ROOT = Path(__file__).parents[3]
SCHEMA = reference.json_schema()


@pytest.mark.parametrize(
    ("options", "name"), [((), "sweep-file.schema.json"), (("--markdown",), "sweep-file.md")], ids=["schema", "page"]
)
def test_the_generated_files_are_current(options: tuple[str, ...], name: str) -> None:
    command = [sys.executable, "-m", "sweeps.spec", *options]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == printed, f"python -m sweeps.spec {' '.join(options)}"


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_that_comes_along_names_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")

    assert json.loads((path.parent / named).read_text(encoding="utf-8"))["title"] == "A sweep"
    load.load(path)


def test_every_key_is_described() -> None:
    described: dict[str, Any] = {"the sweep": SCHEMA, **SCHEMA["$defs"]}
    missing = [
        f"{model}.{name}"
        for model, schema in described.items()
        for name, entry in schema["properties"].items()
        if not entry.get("description")
    ]

    assert missing == []


def test_the_schema_knows_every_parameter_and_setting() -> None:
    definitions = SCHEMA["$defs"]

    assert set(definitions["Parameters"]["properties"]) == set(SEARCHABLE)
    assert set(definitions["Trial"]["properties"]) >= {*SEARCHABLE, "tokens", "flops", "seconds", "evaluations"}
    assert set(SCHEMA["properties"]) >= {*SweepFile.__annotations__, *Settings.__annotations__}
    assert SCHEMA["additionalProperties"] is False


def test_the_page_has_a_row_for_every_key() -> None:
    page = reference.markdown()

    for name in (*SEARCHABLE, *SweepFile.__annotations__, *Settings.__annotations__, "finalists", "distribution"):
        assert f"| `{name}` |" in page
    assert "program" in page
