"""Where stories come from: files, or the built-in stories; data sets of the hub are in hub.py."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from tinystories.config import require_seed
from tinystories.data.dataset import file_hash
from tinystories.data.readers import is_plain, read
from tinystories.data.text import DEFAULT_LAYOUT, Advance, Layout


class Source(Protocol):
    """Something that stories can be read from, more than once."""

    @property
    def size(self) -> int:
        """Length of the source, for a progress bar. [byte or story]"""

    @property
    def plain(self) -> bool:
        """Whether it is plain text, whose stories are told apart by a separator."""

    def stories(self, advance: Advance) -> Iterator[str]:
        """The stories as found, in order."""

    def record(self) -> dict[str, Any]:
        """What identifies the content, for dataset.json."""

    def unchanged(self, record: dict[str, Any]) -> bool:
        """Whether the content is what a record says; cheap where nothing was touched."""


@dataclass(frozen=True)
class File:
    """A file of stories; its suffix tells the format.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an empty file.
    """

    path: Path
    layout: Layout = DEFAULT_LAYOUT

    def __str__(self) -> str:
        return str(self.path)

    def __post_init__(self) -> None:
        if self.path.is_dir():
            raise FileNotFoundError(f"{self.path} is a folder, not a file; a folder of files is read with --hub")
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path} is not a file")
        if not self.size:
            raise ValueError(f"{self.path} is empty")

    @property
    def size(self) -> int:
        """Length of the file. [byte]"""
        return self.path.stat().st_size

    @property
    def plain(self) -> bool:
        """Whether it is plain text."""
        return is_plain(self.path)

    def stories(self, advance: Advance) -> Iterator[str]:
        """The stories as found, in order.

        Raises:
            ValueError: an unknown suffix, or content that is not of the format; names the line where it can.
        """
        return read(self.path, self.layout, advance)

    def record(self) -> dict[str, Any]:
        """Name, length, time of change and hash of the file, and how it is read."""
        return {**self._stamp(), "sha256": file_hash(self.path), **self.layout.record()}

    def unchanged(self, record: dict[str, Any]) -> bool:
        """Whether name and content are those of the record; a file not touched since is not read."""
        kept = {"sha256": record.get("sha256"), **self.layout.record()}
        if {**self._stamp(), **kept} == record:
            return True
        same = {**kept, "name": self.path.name, "bytes": self.size}
        return {**same, "mtime_ns": record.get("mtime_ns")} == record and file_hash(self.path) == kept["sha256"]

    def _stamp(self) -> dict[str, Any]:
        return {"name": self.path.name, "bytes": self.size, "mtime_ns": self.path.stat().st_mtime_ns}


@dataclass(frozen=True)
class BuiltIn:
    """A stretch of the built-in stories; nothing to download."""

    seed: int
    start: int
    size: int
    plain = False

    def __str__(self) -> str:
        return "the built-in stories"

    def __post_init__(self) -> None:
        require_seed(self.seed)
        if self.size < 1:
            raise ValueError(f"{self.size} stories asked for; allowed: 1 and more")

    def stories(self, advance: Advance) -> Iterator[str]:
        """The stories, in order."""
        from tinystories.data.stories import generate_stories

        for story in islice(generate_stories(self.seed), self.start, self.start + self.size):
            yield story
            advance(1)

    def record(self) -> dict[str, Any]:
        """Which stretch, and a hash of the first stories: another release may tell others."""
        from tinystories.data.stories import generate_stories

        sample = "".join(generate_stories(self.seed, 100))
        return {
            "name": "built-in stories",
            "seed": self.seed,
            "start": self.start,
            "stories": self.size,
            "sha256_of_first_100": hashlib.sha256(sample.encode()).hexdigest(),
        }

    def unchanged(self, record: dict[str, Any]) -> bool:
        """Whether the same stories would be told again."""
        return record == self.record()
