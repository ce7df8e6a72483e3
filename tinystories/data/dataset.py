"""The data folder: memory-mapped tokens, and the batches drawn from them. Owns the folder's file names.

Shapes: B sequences in a batch, L tokens in a sequence.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tinystories import storage
from tinystories.staging import locked, staged

TRAIN = "train.bin"
VALID = "valid.bin"
TOKENIZER = "tokenizer.json"
DESCRIPTION = "dataset.json"
VERSION = 1
HINT = "make a dataset with: python -m tinystories.data.make_dataset"

Tokens = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Both splits of one dataset, as token ids that are read from disk when they are asked for."""

    folder: Path
    """Local folder that holds the files."""
    vocab_size: int
    """Ids are below this number. [token]"""
    tokenizer: str
    """What made the ids, such as bpe:4096 or gpt-neo:10000."""
    fingerprint: str
    """Identifies tokens and tokenizer: equal fingerprints, equal files."""
    train: np.memmap
    """Training stories, each followed by the end-of-text token. uint16 [token]"""
    valid: np.memmap
    """Validation stories, likewise. uint16 [token]"""
    valid_bytes: int
    """UTF-8 length of the validation stories, end-of-text tokens not counted. [byte]"""

    def batch(self, *, seed: int, step: int, batch_size: int, context: int) -> tuple[Tokens, Tokens]:
        """Inputs and targets of one update: inputs_BL, targets_BL, the targets one token ahead.

        A pure function of its arguments, so a resumed trial and trials of any shape see the same tokens.
        An epoch cuts the text at a random offset into windows and deals them in random order, each once.

        Raises:
            ValueError: the training text is not longer than `context`.
        """
        count = _window_count(len(self.train), context)
        draws_B = np.arange(step * batch_size, (step + 1) * batch_size)
        epochs_B, places_B = np.divmod(draws_B, count)
        starts_B = np.empty(batch_size, dtype=np.int64)
        for epoch in np.unique(epochs_B):
            chosen_B = epochs_B == epoch
            windows, offset = _epoch(seed, int(epoch), len(self.train), context)
            starts_B[chosen_B] = offset + windows[places_B[chosen_B]] * context
        tokens_BL = np.asarray(self.train)[starts_B[:, None] + np.arange(context + 1)].astype(np.int64)
        return tokens_BL[:, :-1], tokens_BL[:, 1:]


def open_dataset(location: str | Path, *, verify: bool = False) -> Dataset:
    """Open a data folder, or a copy of it when `location` is a URI such as s3://bucket/data.

    Args:
        location: folder, or a URI that pyarrow reads; a URI is copied once to this machine's cache.
        verify: also read every file and compare its hash; opening alone compares sizes.

    Raises:
        FileNotFoundError: the folder or one of its files is missing.
        OSError: the store does not answer.
        ValueError: the files do not fit dataset.json, or a URI leads to no store.
    """
    folder = _fetch(str(location), _read_description(location)) if storage.is_uri(location) else Path(location)
    description = describe(folder)
    for name, expected in description["files"].items():
        _check_file(folder / name, expected, verify=verify)
    dataset = Dataset(
        folder=folder,
        vocab_size=description["vocab_size"],
        tokenizer=description["tokenizer"],
        fingerprint=description["fingerprint"],
        train=np.memmap(folder / TRAIN, dtype=np.uint16, mode="r"),
        valid=np.memmap(folder / VALID, dtype=np.uint16, mode="r"),
        valid_bytes=description["valid"]["bytes"],
    )
    if verify:
        _check_ids(dataset)
    return dataset


def describe(location: str | Path) -> dict[str, Any]:
    """The content of dataset.json: sources, tokenizer, vocab_size, what each split holds, fingerprint.

    Raises:
        FileNotFoundError: no dataset there.
        OSError: the store does not answer.
        ValueError: the file is damaged, or a URI leads to no store.
    """
    content = _read_description(location)
    try:
        description: dict[str, Any] = json.loads(content)
        whole = {"vocab_size", "tokenizer", "train", "valid"} <= description.keys()
        if not whole or description["version"] != VERSION or "bytes" not in description["valid"]:
            raise ValueError
        if description["fingerprint"] != fingerprint(description["files"]):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{location}/{DESCRIPTION} is damaged or of another version; {HINT}") from None
    return description


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(files: dict[str, dict[str, Any]]) -> str:
    """One short hash for a data folder, from the hashes of its token files and its tokenizer."""
    together = "".join(files[name]["sha256"] for name in (TRAIN, VALID, TOKENIZER))
    return hashlib.sha256(together.encode()).hexdigest()[:16]


def _fetch(uri: str, version: bytes) -> Path:
    """The local copy of a remote folder; a folder that changed (another `version`) gets another copy.

    The copy appears whole, and processes that ask at once wait for one download. Copies lie in
    $TINYSTORIES_CACHE, or ~/.cache/tinystories.
    """
    cache = Path(os.environ.get("TINYSTORIES_CACHE") or "~/.cache/tinystories").expanduser()
    target = cache / hashlib.sha256(uri.encode() + b"\n" + version).hexdigest()[:16]
    with locked(target):
        if not target.exists():
            with staged(target) as aside:
                storage.copy(uri, aside)
    return target


def _read_description(location: str | Path) -> bytes:
    try:
        return storage.read(storage.join(location, DESCRIPTION))
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"no dataset in {location} ({DESCRIPTION} is missing); {HINT}") from None


def _check_file(path: Path, expected: dict[str, Any], *, verify: bool) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {HINT}")
    if (size := path.stat().st_size) != expected["bytes"]:
        raise ValueError(f"{path} has {size} bytes, {DESCRIPTION} says {expected['bytes']}; {HINT}")
    if verify and file_hash(path) != expected["sha256"]:
        raise ValueError(f"{path} is damaged: its hash is not the one in {DESCRIPTION}; {HINT}")


def _check_ids(dataset: Dataset) -> None:
    largest = max(int(dataset.train.max()), int(dataset.valid.max()))
    if largest >= dataset.vocab_size:
        raise ValueError(f"{dataset.folder} holds token {largest}; allowed: below {dataset.vocab_size}")


def _window_count(tokens: int, context: int) -> int:
    """Windows of one epoch: as many as fit behind every offset below `context`, and at least one."""
    if tokens <= context:
        raise ValueError(f"context {context} is too long: the training text has {tokens} tokens")
    return max(1, tokens // context - 1)


@lru_cache(maxsize=4)
def _epoch(seed: int, epoch: int, tokens: int, context: int) -> tuple[Tokens, int]:
    """The order in which an epoch deals its windows, and the offset at which the first window starts."""
    count = _window_count(tokens, context)
    random = np.random.default_rng((seed, epoch))
    offset = int(random.integers(min(context, tokens - count * context)))
    return random.permutation(count), offset
