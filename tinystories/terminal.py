"""What every command has in common: output that outlives its reader and its locale, and errors of one line."""

import errno
import io
import os
import re
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

WRONG_INPUT = 2
"""Exit status when the user's input is wrong, or the disk full."""
_READER_IS_GONE = (errno.EPIPE, errno.EIO)
"""What writing ends with when a pipe has lost its reader, and when a terminal has been closed."""


def run(main: Callable[[], int], *, needs_reader: bool = False) -> int:
    """Run a command whose output any reader and locale can take; returns the exit status.

    Characters that the locale lacks are printed as question marks. When the reader has gone (`| head -1`), the
    command works on unread.

    Args:
        main: the command; returns its exit status.
        needs_reader: the command only prints, so it ends, with status 0, when its reader has gone.
    """
    if sys.stdout is not None:
        sys.stdout = open_stream(1, sys.stdout, needs_reader=needs_reader)
    if sys.stderr is not None:
        sys.stderr = open_stream(2, sys.stderr)
    try:
        status = main()
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:  # the output goes into a file, and the disk is full
        _discard(1)
        return refuse(error)
    return status


def open_stream(descriptor: int, like: TextIO, *, needs_reader: bool = False) -> TextIO:
    """A stream on a descriptor that does not fail when its reader goes away or its locale lacks a character.

    Args:
        descriptor: stays open when the stream is closed.
        like: a stream whose encoding and buffering the new one has.
        needs_reader: raise SystemExit when the reader has gone, instead of writing on unread.
    """
    errors = "backslashreplace" if like.errors == "backslashreplace" else "replace"
    outlet = io.BufferedWriter(_Outlet(descriptor, needs_reader))
    return io.TextIOWrapper(outlet, like.encoding, errors, line_buffering=bool(like.line_buffering))


def refuse(error: Exception) -> int:
    """Print an error as one line; returns the exit status that goes with it."""
    print(f"error: {one_line(error)}", file=sys.stderr)
    return WRONG_INPUT


def require_own_package(folder: Path) -> None:
    """End a command, whose file is in a package, where Python's path leads to another package of that name first.

    Raises:
        SystemExit: it does; printed as one line.
    """
    found = PathFinder.find_spec(folder.name, sys.path[1:])
    if found and found.origin and not Path(found.origin).parent.samefile(folder):
        raise SystemExit(
            refuse(ValueError(f"{found.origin} is another package named {folder.name}, found before this one"))
        )


def one_line(text: object) -> str:
    """A text with its line ends, and the white space around them, as single spaces."""
    return re.sub(r"\s*[\n\r\v\f\x85\u2028\u2029]\s*", " ", str(text)).strip()


def console(*, stderr: bool = False) -> Console:
    """A console that prints paths and values as they are, brackets and colons included."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


class _Outlet(io.FileIO):
    """A descriptor to write to. When its reader has gone, all that is written to it vanishes."""

    def __init__(self, descriptor: int, needs_reader: bool):
        super().__init__(descriptor, "wb", closefd=False)
        self._needs_reader = needs_reader

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            if error.errno not in _READER_IS_GONE:
                raise
        _discard(self.fileno())
        if self._needs_reader:
            raise SystemExit(0)
        return memoryview(content).nbytes


def _discard(descriptor: int) -> None:
    """Let a descriptor lead nowhere, for this process and its children."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
