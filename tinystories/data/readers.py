"""Stories as files hold them: plain text, JSON, JSON lines, CSV (all of them gzipped too), and parquet.

Text is UTF-8. Line ends of Windows and of old Macs are read as line feeds, and so are those of files that were
converted once too often. Memory does not grow with the file.
"""

import codecs
import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from tinystories.data.tokenizer import BATCH, END_OF_TEXT

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
_BETWEEN = re.compile(r"[\s,]*")


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


def read(path: Path, layout: Layout, advance: Advance) -> Iterator[str]:
    """The stories of a file as found, in order; its suffix tells the format.

    Raises:
        OSError: the file cannot be read.
        ValueError: an unknown suffix, or content that is not of the format; names the line where it can.
    """
    suffix, packed = _format(path)
    if suffix in TEXT_FORMATS:
        return TEXT_FORMATS[suffix](path, layout, _decoded(path, _content(path, packed, advance)))
    if suffix == ".parquet" and not packed:
        return _read_parquet(path, layout, advance)
    allowed = ", ".join((*TEXT_FORMATS, ".parquet"))
    raise ValueError(f"{path}: suffix {path.suffix!r} is not one of {allowed}; all but the last with .gz too")


def is_plain(path: Path) -> bool:
    """Whether a file is plain text, whose stories are told apart by a separator."""
    return _format(path)[0] == ".txt"


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


def _format(path: Path) -> tuple[str, bool]:
    """The suffix that tells the format, and whether the file is gzipped."""
    suffix = path.suffix.lower()
    return (Path(path.stem).suffix.lower() or ".txt", True) if suffix == ".gz" else (suffix, False)


def _content(path: Path, packed: bool, advance: Advance) -> Iterator[bytes]:
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


def _decoded(path: Path, content: Iterable[bytes]) -> Iterator[str]:
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


def _lines(path: Path, text: Iterable[str]) -> Iterator[tuple[int, str]]:
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


def _read_text(path: Path, layout: Layout, text: Iterable[str]) -> Iterator[str]:
    """Plain text with a separator between stories, usually on a line of its own."""
    return split(text, layout.separator, str(path))


def _read_json_lines(path: Path, layout: Layout, text: Iterable[str]) -> Iterator[str]:
    """One JSON object a line."""
    for number, line in _lines(path, text):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        yield from _stories_of(record, layout, f"{path}, line {number}")


def _read_json(path: Path, layout: Layout, text: Iterable[str]) -> Iterator[str]:
    """One JSON array of objects or of stories; or JSON lines, which often have this suffix too."""
    pieces = iter(text)
    head = next((piece for piece in pieces if piece.strip()), "")
    if not head.lstrip().startswith("["):
        yield from _read_json_lines(path, layout, chain([head], pieces))
        return
    elements = _array(path, chain([head.lstrip().removeprefix("[")], pieces))
    for number, element in enumerate(elements, start=1):
        if isinstance(element, str):
            yield from parts(element)
        else:
            yield from _stories_of(element, layout, f"{path}, record {number}")


def _array(path: Path, text: Iterable[str]) -> Iterator[Any]:
    """The elements of a JSON array that comes in pieces, without its opening bracket."""
    decode = json.JSONDecoder().raw_decode
    buffer, count = "", 0
    for piece in text:
        buffer, position = buffer + piece, 0
        with suppress(json.JSONDecodeError):  # the rest of an element may be in the next piece
            while True:
                between = _BETWEEN.match(buffer, position)
                position = between.end() if between else position
                if buffer[position : position + 1] == "]":
                    return
                element, position = decode(buffer, position)
                count += 1
                yield element
        buffer = buffer[position:]
        if len(buffer) > LONGEST_RECORD:
            break
    raise ValueError(f"{path}, record {count + 1}: not JSON")


def _stories_of(record: Any, layout: Layout, place: str) -> list[str]:
    """The stories of a JSON object."""
    story = None
    if isinstance(record, dict):
        try:
            story = record[layout.column_of(record)]
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
    if not isinstance(story, str):
        raise ValueError(f'{place}: not {{"text": "..."}} or {{"story": "..."}}')
    return parts(story)


def _read_csv(path: Path, layout: Layout, text: Iterable[str]) -> Iterator[str]:
    """Rows under a line of column names; commas, semicolons or tabs between the columns, as spreadsheets write them."""
    lines = (line + "\n" for _, line in _lines(path, text))
    head = next(lines, "")
    csv.field_size_limit(LONGEST_RECORD)
    rows = csv.reader(chain([head], lines), delimiter=max(",;\t", key=head.count), strict=True)
    try:
        names = next(rows, [])
        column = names.index(layout.column_of(names))
        for row in filter(None, rows):
            if len(row) != len(names):
                raise ValueError(f"{len(row)} columns, but {len(names)} names of columns")
            yield from parts(row[column])
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{path}, line {rows.line_num}: {error}") from None


def _read_parquet(path: Path, layout: Layout, advance: Advance) -> Iterator[str]:
    """A parquet file with a column of stories."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            column = layout.column_of(file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=BATCH, columns=[column]):
                for story in batch.column(0).to_pylist():
                    yield from parts(story or "")
                advance(path.stat().st_size * len(batch) // file.metadata.num_rows)
    except (pa.ArrowException, OSError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: no readable parquet file of stories: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


TEXT_FORMATS = {".txt": _read_text, ".json": _read_json, ".jsonl": _read_json_lines, ".csv": _read_csv}
"""Reader of each format of text, by suffix."""
