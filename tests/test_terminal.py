"""What commands print reaches its reader in any locale, and does not stop them when the reader has gone."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess, run
from sys import executable

import pytest

from tinystories import terminal

COMMAND = """
import sys
from pathlib import Path
from tinystories import terminal

def main():
    for number in range(20_000):
        print(f"line {number}: “ünï” \\N{SNOWMAN}")
    Path(sys.argv[1]).write_text("finished", encoding="utf-8")
    return 3

sys.exit(terminal.run(main, needs_reader=len(sys.argv) > 2))
"""


def shell(tail: str, *arguments: object, **environment: str) -> CompletedProcess[str]:
    """The command in a shell's line that ends in `tail`; the last line of its output is the command's status."""
    words = " ".join(map(str, arguments))
    script = f'{executable} -c "$COMMAND" {words} {tail}; echo status ${{PIPESTATUS[0]}}'
    settings = os.environ | {"COMMAND": COMMAND} | environment
    return run(["bash", "-c", script], env=settings, capture_output=True, encoding="latin-1")


def test_work_goes_on_without_a_reader(tmp_path: Path) -> None:
    done = shell("| head -1", tmp_path / "file")

    assert done.stdout.splitlines()[1:] == ["status 3"]
    assert done.stderr == ""
    assert (tmp_path / "file").read_text(encoding="utf-8") == "finished"


def test_command_that_only_prints_ends_quietly_without_a_reader(tmp_path: Path) -> None:
    done = shell("| head -1", tmp_path / "file", "prints")

    assert done.stdout.splitlines()[1:] == ["status 0"]
    assert done.stderr == ""
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("words", [[], ["prints"]])
def test_output_that_was_closed_is_not_missed(tmp_path: Path, words: list[str]) -> None:
    done = shell(">&- 2>&-", tmp_path / "file", *words)

    assert done.stdout == "status 3\n"
    assert (tmp_path / "file").read_text(encoding="utf-8") == "finished"


def test_characters_that_the_locale_lacks_are_question_marks(tmp_path: Path) -> None:
    done = shell("", tmp_path / "file", PYTHONIOENCODING="latin-1")

    lines = done.stdout.splitlines()
    assert (lines[0], lines[-2]) == ("line 0: ?ünï? ?", "line 19999: ?ünï? ?")
    assert lines[-1] == "status 3"


def test_full_disk_is_an_error_of_one_line(tmp_path: Path) -> None:
    done = shell("> /dev/full", tmp_path / "file")

    assert (done.stdout, done.stderr) == ("status 2\n", "error: [Errno 28] No space left on device\n")


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe that has lost its reader."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def test_stream_on_a_pipe_without_a_reader_takes_everything(unread: int) -> None:
    with terminal.open_stream(unread, io.TextIOWrapper(io.BytesIO(), "utf-8")) as stream:
        for _ in range(3):
            print("word " * 10_000, file=stream, flush=True)


def test_stream_that_needs_its_reader_ends_the_process(unread: int) -> None:
    stream = terminal.open_stream(unread, io.TextIOWrapper(io.BytesIO(), "utf-8"), needs_reader=True)
    with pytest.raises(SystemExit) as ended:
        print("word", file=stream, flush=True)

    assert ended.value.code == 0
    stream.close()


def test_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert terminal.refuse(ValueError("a\nb:\r\n  c  d\n")) == 2

    assert capsys.readouterr().err == "error: a b: c  d\n"


def test_console_prints_what_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.console().print("[red]a[/] :smile: [1, 2] [/nothing]", soft_wrap=True)

    assert capsys.readouterr().out == "[red]a[/] :smile: [1, 2] [/nothing]\n"
