"""The sweep commands as processes: other packages of their name, locales, the home folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps import export, run

from .processes import write_spec

REPOSITORY = Path(run.__file__).parents[1]
RUN, EXPORT = [str(run.__file__)], [str(export.__file__)]


def command(arguments: list[str], folder: Path, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, **environment}, capture_output=True, check=False
    )


@pytest.mark.parametrize("start", [RUN, EXPORT, ["-m", "sweeps.run"], ["-m", "sweeps.export"]])
def test_another_package_named_sweeps_is_noticed(start: list[str], tmp_path: Path) -> None:
    """W&B has one."""
    other = tmp_path / "sweeps" / "__init__.py"
    other.parent.mkdir()
    other.write_text("", encoding="utf-8")
    done = command([*start, "--help"], REPOSITORY, PYTHONPATH=str(tmp_path))

    assert done.returncode == 2
    assert done.stderr.decode() == f"error: {other} is another package named sweeps, found before this one\n"
    assert done.stdout == b""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_locale_can_print_every_message(encoding: str, tmp_path: Path) -> None:
    name = "é—日 ± …"
    done = command([*RUN, f"{name}.yaml"], tmp_path, PYTHONIOENCODING=encoding, LC_ALL="C", PYTHONUTF8="0")

    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"Traceback" not in done.stderr
    assert b".yaml" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_every_locale_can_print_a_preview(encoding: str, tmp_path: Path) -> None:
    file = write_spec(tmp_path, "plain", data={"stories": 100, "tokenizer": "bpe:400"})
    done = command([*RUN, str(file), "--dry-run"], tmp_path, PYTHONIOENCODING=encoding)

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"plain: 4 trials" in done.stdout


@pytest.mark.parametrize(
    "arguments", [[*RUN, "~/nothing.yaml"], [*RUN, "--replay", "~/nothing.csv"], [*EXPORT, "~/nothing", "--out", "~/x"]]
)
def test_a_tilde_is_the_home_folder(arguments: list[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    done = command(arguments, tmp_path, HOME=str(home))

    assert done.returncode == 2
    assert str(home / "nothing") in done.stderr.decode()


def test_a_reader_that_goes_changes_no_status(tmp_path: Path) -> None:
    file = write_spec(tmp_path, "plain", data={"stories": 100, "tokenizer": "bpe:400"})
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, *RUN, str(file), "--dry-run"], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE
    )
    os.close(reader)
    os.close(writer)
    _, error = process.communicate(timeout=60)

    assert (process.returncode, error) == (0, b"")
