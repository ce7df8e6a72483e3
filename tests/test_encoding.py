"""Files of ours are UTF-8 whatever the locale is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for folder in ("tinystories", "sweeps", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]


def calls(path: Path) -> Iterator[ast.Call]:
    """Calls of methods that read or write a whole text file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(attr="read_text" | "write_text")):
                yield node


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_text_file_is_read_and_written_with_a_named_encoding(path: Path) -> None:
    """ruff's PLW1514 sees `open`, but not these methods of a path that it does not know to be one."""
    unnamed = [call.lineno for call in calls(path) if "encoding" not in {keyword.arg for keyword in call.keywords}]

    assert unnamed == []
