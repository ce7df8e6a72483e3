"""The journal of a sweep: an append-only file, one line of JSON an event, from which everything else follows.

The first line names the version and the sweep's own random word. A line that a crash tore off at the end is dropped on
opening; any other damage is refused with file and line, since nothing after it could be trusted.
"""

import itertools
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sweeps.events import Event, from_line, to_line
from tinystories import storage

VERSION = 1


@dataclass(frozen=True)
class Line:
    """An event and the number of its line."""

    number: int
    """Its number in the file, counted from 1."""
    event: Event


class Journal:
    """Appends events to a file; without one, forgets them.

    Args:
        path: the file; None: there is none, as in a simulation.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.token = ""
        """A random word, so that sweeps of one name by two people stay different in W&B."""

    def open(self) -> Iterator[Line]:
        """Read all events, or begin a new journal.

        Raises:
            ValueError: a line is damaged, or the journal is of another version.
        """
        if self.path is None:
            return
        if not self.path.exists() or not _drop_torn_line(self.path):
            self.token = secrets.token_hex(3)
            head = {"event": "journal", "version": VERSION, "token": self.token}
            storage.write(str(self.path), (json.dumps(head) + "\n").encode())
            return
        with open(self.path, "rb") as file:
            yield from self.lines(file)

    def lines(self, file: Iterable[bytes]) -> Iterator[Line]:
        """The events of lines that are whole, the journal's first one before them.

        Raises:
            ValueError: a line is damaged, or the journal is of another version.
        """
        for number, text in enumerate(file, start=1):
            try:
                if number == 1:
                    self.token = _token(text.decode())
                    continue
                line = Line(number, from_line(text.decode()))
            except ValueError as error:
                raise self.damaged(number, error) from None
            yield line

    def damaged(self, number: int, error: Exception) -> ValueError:
        """The error that names a damaged line."""
        reason = " ".join(str(error).split())
        return ValueError(f"{self.path}, line {number}: {reason}; restore the file, or give another --name")

    def append(self, *events: Event) -> None:
        """Add events; they are on the disk when this returns.

        Raises:
            OSError: the disk is full. Nothing is added, so that what follows stands on a line of its own.
        """
        if self.path is None:
            return
        rest = "".join(to_line(event) + "\n" for event in events).encode()
        with open(self.path, "ab", buffering=0) as file:
            end = file.tell()
            try:
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise


def read(path: Path) -> Iterator[Line]:
    """The events of a journal that another process may be writing to; a torn last line is left out.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a line is damaged, or the journal is of another version.
    """
    with open(path, "rb") as file:
        yield from Journal(path).lines(itertools.takewhile(lambda text: text.endswith(b"\n"), file))


def _token(text: str) -> str:
    head = json.loads(text)
    if not isinstance(head, dict) or head.get("event") != "journal":
        raise ValueError("a journal begins with its version")
    if head.get("version") != VERSION:
        raise ValueError(f"version {head.get('version')}, but this program reads version {VERSION}")
    token = head.get("token")
    if not isinstance(token, str):
        raise ValueError(f"token {token!r} is no text")
    return token


def _drop_torn_line(path: Path) -> int:
    """Cut off an end without a line's end; the bytes that are left."""
    with open(path, "rb+") as file:
        content = file.read()
        kept = content.rfind(b"\n") + 1
        if kept < len(content):
            file.truncate(kept)
            os.fsync(file.fileno())
    return kept
