"""Data sets of the Hugging Face hub, and local folders like them, read through the `datasets` library.

Nothing is downloaded first: stories are streamed.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinystories.data.dataset import file_hash
from tinystories.data.published import Card, named, published_card, quiet, read_card
from tinystories.data.text import DEFAULT_LAYOUT, Advance, Layout, parts, split
from tinystories.data.tokenizer import BATCH

TRAINING = "train"
"""The split that is trained on, unless another is named."""
VALIDATION = ("validation", "valid", "val", "dev")
"""What data sets call the split that training must not see, the usual name first."""
RETRIES = 3
"""How often a stream that broke off is taken up again, 5 seconds apart; the library's default is 20 times."""


@dataclass(frozen=True, kw_only=True)
class HubSplit:
    """One split of a data set, as a source of stories."""

    name: str
    """Name of the data set, config included, or its folder."""
    split: str
    """Name of the split."""
    origin: Mapping[str, Any]
    """What identifies the content: a revision of the hub, or the files of a folder."""
    rows: Any
    """The split as a `datasets.IterableDataset`."""
    size: int
    """Number of rows; 0 when the data set does not say. [story]"""
    plain: bool
    """Whether a row is a line of plain text rather than a record."""
    layout: Layout = DEFAULT_LAYOUT
    """How stories lie in rows."""

    def __str__(self) -> str:
        return f"{self.name}, split {self.split}"

    def stories(self, advance: Advance) -> Iterator[str]:
        """The stories as found, in order.

        Raises:
            OSError: the disk is full, or the hub does not answer any more.
            ValueError: there is no such column, it holds no text, or a file is damaged.
        """
        with named(self.name):
            if self.plain:
                yield from split(
                    (line + "\n" for line in self._texts("text", advance)), self.layout.separator, self.name
                )
                return
            for story in self._texts(self.layout.column_of(self._columns()), advance):
                yield from parts(story)

    def record(self) -> dict[str, Any]:
        """Data set, split, and what identifies the content."""
        return {"name": self.name, "split": self.split, **self.layout.record(), **self.origin}

    def unchanged(self, record: dict[str, Any]) -> bool:
        """Whether data set, split and content are those of the record."""
        return record == self.record()

    def _columns(self) -> list[str]:
        """Names of the columns; a stream that does not know them shows them in its first row."""
        return list(self.rows.column_names or next(iter(self.rows), {}))

    def _texts(self, column: str, advance: Advance) -> Iterator[str]:
        for table in self.rows.select_columns([column]).with_format("arrow").iter(BATCH):
            for text in table[column].to_pylist():
                if not isinstance(text, str | None):
                    raise ValueError(f"column {column} holds {type(text).__name__}, not text")
                yield text or ""
            advance(len(table))


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set of the hub, or a local folder, opened."""

    name: str
    """Name of the data set, config included, or its folder."""
    splits: Mapping[str, Any]
    """A stream of rows for every split."""
    sizes: Mapping[str, int]
    """Number of rows of the splits that say it. [story]"""
    origin: Mapping[str, Any]
    """What identifies the content."""
    card: Card
    """Its rights and origin."""
    plain: bool
    """Whether a row is a line of plain text."""

    def source(self, name: str | None, layout: Layout) -> HubSplit:
        """The split of a name; without one, the training split, or the only one.

        Raises:
            ValueError: there is no such split.
        """
        default = next(iter(self.splits)) if len(self.splits) == 1 else TRAINING
        name = name or default
        if name not in self.splits:
            raise ValueError(f"{self.name} has no split {name!r}; allowed: {', '.join(self.splits)}")
        return HubSplit(
            name=self.name,
            split=name,
            origin=self.origin,
            rows=self.splits[name],
            size=self.sizes.get(name, 0),
            plain=self.plain,
            layout=layout,
        )

    def validation(self, train: HubSplit) -> HubSplit | None:
        """The validation split, if there is one beside the split that is trained on."""
        names = [name for name in VALIDATION if name in self.splits and name != train.split]
        return self.source(names[0], train.layout) if names else None


@contextmanager
def opened(wanted: str) -> Iterator[DataSet]:
    """A data set by its name on the hub (owner/name, owner/name:config) or by its folder (folder, folder:config).

    Streams of its splits can be read until the block ends.

    Raises:
        OSError: the disk does not serve.
        ValueError: there is no such data set, or the hub does not answer.
    """
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    quiet()
    datasets.config.STREAMING_READ_MAX_RETRIES = datasets.config.STREAMING_OPEN_MAX_RETRIES = RETRIES
    name, config = _parse(wanted)
    with tempfile.TemporaryDirectory() as scratch:
        with named(wanted):
            if not os.path.isdir(name):
                data_set = _from_hub(name, config, Path(scratch))
            elif _is_saved(Path(name)):
                data_set = _from_saved(Path(name))
            else:
                data_set = _from_folder(Path(name), config, Path(scratch))
        yield data_set


def _parse(wanted: str) -> tuple[str, str | None]:
    """Name or folder, and configuration."""
    name, colon, config = wanted.rpartition(":")
    return (wanted, None) if not colon or "/" in config or os.path.isdir(wanted) else (name, config)


def _from_hub(name: str, config: str | None, scratch: Path) -> DataSet:
    from datasets import load_dataset_builder

    builder = load_dataset_builder(name, config, cache_dir=str(scratch))
    revision = builder.base_path.partition("@")[2]
    origin = {"revision": revision}
    return _built(builder, f"{name}:{config}" if config else name, origin, published_card(name, revision=revision))


def _from_folder(folder: Path, config: str | None, scratch: Path) -> DataSet:
    from datasets import load_dataset_builder

    view = scratch / "view"
    _mirror(folder, view)
    builder = load_dataset_builder(str(view), config, cache_dir=str(scratch / "cache"))
    name = f"{folder}:{config}" if config else str(folder)
    return _built(builder, name, _content(folder), read_card(folder / "README.md"))


def _built(builder: Any, name: str, origin: Mapping[str, Any], card: Card) -> DataSet:
    info = builder.info
    splits = {str(split): builder.as_streaming_dataset(split=split) for split in builder.config.data_files}
    return DataSet(
        name=name,
        splits=splits,
        sizes={split: info.splits[split].num_examples or 0 for split in splits if split in (info.splits or ())},
        origin=origin,
        card=Card(license=info.license or card.license, citation=info.citation or card.citation),
        plain=builder.name == "text",
    )


def _is_saved(folder: Path) -> bool:
    """Whether a folder is what `save_to_disk` of the library wrote."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def _from_saved(folder: Path) -> DataSet:
    from datasets import Dataset, load_from_disk

    loaded = load_from_disk(str(folder))
    splits = {TRAINING: loaded} if isinstance(loaded, Dataset) else dict(loaded)
    return DataSet(
        name=str(folder),
        splits={split: rows.to_iterable_dataset() for split, rows in splits.items()},
        sizes={split: len(rows) for split, rows in splits.items()},
        origin=_content(folder),
        card=read_card(folder / "README.md"),
        plain=False,
    )


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, hidden ones left out, in the order of their names."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _content(folder: Path) -> dict[str, str]:
    """What identifies the files of a folder."""
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder)}\0{file_hash(path)}\0".encode("utf-8", "surrogateescape"))
    return {"sha256": digest.hexdigest()}


def _mirror(folder: Path, view: Path) -> None:
    """Link all files of a folder into another; the library takes a `*` or `[` in a folder's name for a pattern."""
    view.mkdir()
    for path in _files(folder):
        link = view / path.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.absolute())
