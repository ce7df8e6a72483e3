"""Where stories come from: text, JSON lines and parquet files, the Hugging Face hub, or the built-in stories."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from tinystories.config import require_seed
from tinystories.data.dataset import file_hash
from tinystories.data.tokenizer import BATCH, END_OF_TEXT

Advance = Callable[[int], object]
"""Told how much of a source has been read, in the unit of its `size`."""

VERSIONS = {
    "V1": ("TinyStories-train.txt", "TinyStories-valid.txt"),
    "V2": ("TinyStoriesV2-GPT4-train.txt", "TinyStoriesV2-GPT4-valid.txt"),
}
"""Training and validation file of each published version; the paper's models saw V1.

Source: dataset card of huggingface.co/datasets/roneneldan/TinyStories."""
COLUMNS = ("text", "story")
"""Where JSON lines and parquet files keep a story."""
ADVANCE_EVERY = 1 << 20
"""How often reading is reported. [byte]"""
LONGEST_STORY = 1_000_000
"""More characters than this without an end-of-text line, and the file is not a file of stories."""


class Source(Protocol):
    """Something that stories can be read from, more than once."""

    @property
    def size(self) -> int:
        """Length of the source, for a progress bar. [byte or story]"""

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

    def __str__(self) -> str:
        return str(self.path)

    def __post_init__(self) -> None:
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path} is not a file")
        if not self.size:
            raise ValueError(f"{self.path} is empty")

    @property
    def size(self) -> int:
        """Length of the file. [byte]"""
        return self.path.stat().st_size

    def stories(self, advance: Advance) -> Iterator[str]:
        """The stories as found, in order.

        Raises:
            ValueError: an unknown suffix, or content that is not of the format; names the line where it can.
        """
        if self.path.suffix not in READERS:
            raise ValueError(f"{self.path}: suffix {self.path.suffix!r} is not one of {', '.join(READERS)}")
        yield from READERS[self.path.suffix](self.path, advance)

    def record(self) -> dict[str, Any]:
        """Name, length, time of change and hash of the file."""
        return {**self._stamp(), "sha256": file_hash(self.path)}

    def unchanged(self, record: dict[str, Any]) -> bool:
        """Whether name and content are those of the record; a file not touched since is not read."""
        if {**record, **self._stamp()} == record:
            return True
        return (self.path.name, self.size) == (record.get("name"), record.get("bytes")) and (
            file_hash(self.path) == record.get("sha256")
        )

    def _stamp(self) -> dict[str, Any]:
        return {"name": self.path.name, "bytes": self.size, "mtime_ns": self.path.stat().st_mtime_ns}


@dataclass(frozen=True)
class BuiltIn:
    """A stretch of the built-in stories; nothing to download."""

    seed: int
    start: int
    size: int

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


def download(repository: str, names: tuple[str, ...], folder: Path, *, kind: str = "dataset") -> list[Path]:
    """Files of a Hugging Face repository, in `folder`; what is there already and did not change stays.

    Raises:
        OSError: the folder cannot be written.
        ValueError: the download failed.
    """
    from huggingface_hub import hf_hub_download, logging

    logging.set_verbosity_error()  # it retries for half a minute, and says so in a line each time
    try:
        return [Path(hf_hub_download(repository, name, repo_type=kind, local_dir=folder)) for name in names]
    except Exception as error:  # hub and HTTP client each raise their own, some of them an OSError without errno
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"cannot download {', '.join(names)} from {repository}: {reason}") from None


def _lines(path: Path, advance: Advance) -> Iterator[tuple[int, str]]:
    """The numbered lines of a UTF-8 file."""
    offset = told = 0
    with open(path, "rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                place = f"line {number}, byte {offset + error.start}"
                raise ValueError(f"{path}, {place}: not UTF-8 text") from None
            offset += len(raw)
            if offset - told >= ADVANCE_EVERY:
                advance(offset - told)
                told = offset


def _read_text(path: Path, advance: Advance) -> Iterator[str]:
    """Plain text with the end-of-text token between stories, usually on a line of its own."""
    lines: list[str] = []
    characters = 0
    for number, line in _lines(path, advance):
        lines.append(line)
        characters += len(line)
        if END_OF_TEXT in line:
            *done, rest = "".join(lines).split(END_OF_TEXT)
            yield from done
            lines, characters = [rest], len(rest)
        elif characters > LONGEST_STORY:
            raise ValueError(f"{path}, line {number}: no {END_OF_TEXT} in {LONGEST_STORY} characters")
    if rest := "".join(lines).strip():
        yield rest


def _read_json_lines(path: Path, advance: Advance) -> Iterator[str]:
    """One JSON object a line, the story under `text` or `story`."""
    for number, line in _lines(path, advance):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            stories = _parts(next(record[name] for name in COLUMNS if name in record))
        except (ValueError, TypeError, AttributeError, StopIteration):
            raise ValueError(f'{path}, line {number}: not {{"text": "..."}} or {{"story": "..."}}') from None
        yield from stories


def _read_parquet(path: Path, advance: Advance) -> Iterator[str]:
    """A parquet file with a column `text` or `story`."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            column = next((name for name in COLUMNS if name in file.schema_arrow.names), None)
            if column is None:
                raise ValueError(f"{path}: no column {' or '.join(COLUMNS)}")
            for batch in file.iter_batches(batch_size=BATCH, columns=[column]):
                for story in batch.column(0).to_pylist():
                    yield from _parts(story or "")
                advance(path.stat().st_size * len(batch) // file.metadata.num_rows)
    except (pa.ArrowException, OSError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: no readable parquet file of stories: {error}") from None


def _parts(text: str) -> list[str]:
    """A record's stories; nearly always one, but an end-of-text token inside ends a story wherever it comes."""
    *stories, rest = text.split(END_OF_TEXT)
    return [*stories, rest] if rest.strip() or not stories else stories


READERS = {".txt": _read_text, ".jsonl": _read_json_lines, ".parquet": _read_parquet}
