"""Nothing in a sweep's YAML is lost or changed in silence."""

from pathlib import Path
from typing import Any

import pytest

from sweeps.spec import document


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run_cap: 3\nname: x\nrun_cap: 4\n", "line 3: 'run_cap' is given twice; keep one"),
        ("trial:\n  seed: 1\n  seed: 2\n", "line 3: 'seed' is given twice"),
        ("a: {b: 1, b: 1}", "line 1: 'b' is given twice"),
        ("run_cap: 0100", "line 1: 0100 would be read as an octal number; write 100, or quote it"),
        ("a: [1,\n -007]", "line 2: -007 would be read as an octal number; write 7"),
        ("hours: 1:30", "line 1: 1:30 would be read as a number to the base of 60; quote it, or write it out"),
        ("hours: 1:30.5", "line 1: 1:30.5 would be read as a number to the base of 60"),
        ("? [a, b]\n: 1", "line 1: a key must be text"),
        ("a:\n- !!bool on", "line 2: on is neither true nor false"),
        ("a: [", "not YAML"),
        ("a: &x [*x]", "not YAML|unknown"),
    ],
)
def test_what_yaml_would_change_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        document.parse(text)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("'0100'", "0100"),
        ("0", 0),
        ("-1", -1),
        ("0.05", 0.05),
        ("0x10", 16),
        ("1_000", 1000),
        ("!!float 1e-4", 1e-4),
        ("1e-4", "1e-4"),
        ("700k", "700k"),
        ("'1:30'", "1:30"),
    ],
)
def test_all_else_is_read_as_written(text: str, value: Any) -> None:
    read = document.parse(f"a: {text}")["a"]

    assert (read, type(read)) == (value, type(value))


def test_an_alias_and_a_merge_are_read() -> None:
    text = "base: &base {min: 1, max: 4}\ndepth: {<<: *base, max: 8}"

    assert document.parse(text)["depth"] == {"min": 1, "max": 8}


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_bytes(b"\xef\xbb\xbfname: x\n")

    assert document.read(tmp_path / "sweep.yaml") == {"name": "x"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run_cap=0100", "--set 'run_cap=0100': '0100' is 0100 would be read as an octal number"),
        ("trial={seed: 1, seed: 2}", "'seed' is given twice"),
        ("name.x=1", "name is not a mapping"),
        ("run_cap", "write key=value"),
    ],
)
def test_overrides_are_read_as_strictly(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        document.override({"name": "x"}, text)
