"""Stories as files hold them: plain text, JSON, JSON lines, CSV (all of them gzipped too), and parquet."""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from tinystories.data.text import LONGEST_RECORD, Advance, Layout, decoded, numbered_lines, parts, split, unpacked
from tinystories.data.tokenizer import BATCH

_BETWEEN = re.compile(r"[\s,]*")


def read(path: Path, layout: Layout, advance: Advance) -> Iterator[str]:
    """The stories of a file as found, in order; its suffix tells the format.

    Raises:
        OSError: the file cannot be read.
        ValueError: an unknown suffix, or content that is not of the format; names the line where it can.
    """
    suffix, packed = _format(path)
    if suffix in TEXT_FORMATS:
        return TEXT_FORMATS[suffix](path, layout, decoded(path, unpacked(path, packed, advance)))
    if suffix == ".parquet" and not packed:
        return _read_parquet(path, layout, advance)
    allowed = ", ".join((*TEXT_FORMATS, ".parquet"))
    raise ValueError(f"{path}: suffix {path.suffix!r} is not one of {allowed}; all but the last with .gz too")


def is_plain(path: Path) -> bool:
    """Whether a file is plain text, whose stories are told apart by a separator."""
    return _format(path)[0] == ".txt"


def _format(path: Path) -> tuple[str, bool]:
    """The suffix that tells the format, and whether the file is gzipped."""
    suffix = path.suffix.lower()
    return (Path(path.stem).suffix.lower() or ".txt", True) if suffix == ".gz" else (suffix, False)


def _read_text(path: Path, layout: Layout, text: Iterable[str]) -> Iterator[str]:
    """Plain text with a separator between stories, usually on a line of its own."""
    return split(text, layout.separator, str(path))


def _read_json_lines(path: Path, layout: Layout, text: Iterable[str]) -> Iterator[str]:
    """One JSON object a line."""
    for number, line in numbered_lines(path, text):
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
    lines = (line + "\n" for _, line in numbered_lines(path, text))
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
