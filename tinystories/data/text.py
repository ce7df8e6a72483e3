"""Plain text in pieces: unpacked, decoded, with the line ends of one system, and cut into stories.

Text is UTF-8. Line ends of Windows and of old Macs are read as line feeds, and so are those of files that were
converted once too often. Memory does not grow with the text.
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tinystories.data.tokenizer import END_OF_TEXT

Advance = Callable[[int], object]
"""Told how much of a source has been read, in the unit of its `size`."""

COLUMNS = ("text", "story")
"""Where records keep a story, unless a column is named."""
BLANK_LINE = "blank-line"
"""The separator of plain text whose stories are separated by one or more blank lines."""
CHUNK = 1 << 20
"""How much is read at once. [byte]"""
LONGEST_STORY = 1_000_000
"""More characters than this without a separator, and the file is not a file of stories. [character]"""
LONGEST_RECORD = 16 * LONGEST_STORY
"""Longest line, or object, of a file of records. [character]"""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How stories lie in a file.

    Raises:
        ValueError: an empty separator.
    """

    separator: str = END_OF_TEXT
    """What stands between stories of plain text, beside the end-of-text token: a text, or `BLANK_LINE`."""
    column: str | None = None
    """Which field of a record is the story; None: the first of `COLUMNS` that there is."""

    def __post_init__(self) -> None:
        if not self.separator:
            raise ValueError(f"separator '' is empty; allowed: {BLANK_LINE}, or a text such as \\n\\n")

    def record(self) -> dict[str, str]:
        """What differs from the default, for dataset.json."""
        settings = {"separator": self.separator, "column": self.column}
        return {name: value for name, value in settings.items() if value not in (END_OF_TEXT, None)}

    def column_of(self, names: Iterable[str]) -> str:
        """The story's column among all columns.

        Raises:
            ValueError: there is none of that name.
        """
        wanted = (self.column,) if self.column else COLUMNS
        names = list(names)
        for name in wanted:
            if name in names:
                return name
        there = ", ".join(map(str, names)) or "none"
        hint = "" if self.column else "; name one with --column"
        raise ValueError(f"no column {' or '.join(wanted)}; there are: {there}{hint}")


DEFAULT_LAYOUT = Layout()


def split(text: Iterable[str], separator: str, name: str) -> Iterator[str]:
    """Cut text that comes in pieces at every separator and every end-of-text token; spaces around stories stay.

    Args:
        name: what the text is called in an error.

    Raises:
        ValueError: `LONGEST_STORY` characters without any.
    """
    between = r"\n[^\S\n]*\n\s*" if separator == BLANK_LINE else re.escape(separator)
    pattern = re.compile(f"{re.escape(END_OF_TEXT)}|{between}")
    rest, lines = "", 0
    for piece in text:
        *done, rest = pattern.split(rest + piece)
        # Where blank lines separate stories, many of them are one separator.
        yield from filter(str.strip, done) if separator == BLANK_LINE else done
        lines += piece.count("\n")
        if len(rest) > LONGEST_STORY:
            raise ValueError(f"{name}, line {lines + 1}: no {separator} in {LONGEST_STORY} characters; see --separator")
    if rest.strip():
        yield rest


def parts(story: str) -> list[str]:
    """A record's stories; nearly always one, but an end-of-text token inside ends a story wherever it comes."""
    *stories, rest = story.split(END_OF_TEXT)
    return [*stories, rest] if rest.strip() or not stories else stories


def unix_line_ends(text: str) -> str:
    """The text with every line end as one line feed: \\r\\n of Windows, \\r of old Macs, and \\r\\r\\n of accidents."""
    if "\r" not in text:
        return text
    return re.sub(r"(\r+)(\n?)", lambda match: "\n" if match[2] else "\n" * len(match[1]), text)


def unpacked(path: Path, packed: bool, advance: Advance) -> Iterator[bytes]:
    """The file's bytes in chunks, unpacked."""
    told = 0
    with open(path, "rb") as file:
        stream = gzip.GzipFile(fileobj=file) if packed else file
        while True:
            try:
                chunk = stream.read(CHUNK)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise ValueError(f"{path}: no readable gzip file: {error}") from None
            advance(file.tell() - told)
            told = file.tell()
            if not chunk:
                return
            yield chunk


def decoded(path: Path, content: Iterable[bytes]) -> Iterator[str]:
    """Bytes as text with line feeds at the ends of lines, and without a byte-order mark."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    held, line, offset, begun = "", 1, 0, False
    for chunk in chain(content, [b""]):
        waiting = len(decoder.getstate()[0])
        try:
            text = held + decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line += unix_line_ends(held + error.object[: error.start].decode()).count("\n")
            place = f"line {line}, byte {offset - waiting + error.start}"
            raise ValueError(f"{path}, {place}: not UTF-8 text") from None
        text = text if begun else text.removeprefix("\ufeff")
        begun = begun or bool(text)
        whole = text.rstrip("\r") if chunk else text  # a line feed may follow
        held = text[len(whole) :]
        text = unix_line_ends(whole)
        line += text.count("\n")
        offset += len(chunk)
        yield text


def numbered_lines(path: Path, text: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text that comes in pieces."""
    number, rest = 0, ""
    for piece in text:
        *lines, rest = (rest + piece).split("\n")
        for line in lines:
            number += 1
            yield number, line
        if len(rest) > LONGEST_RECORD:
            raise ValueError(f"{path}, line {number + 1}: more than {LONGEST_RECORD} characters")
    if rest:
        yield number + 1, rest
