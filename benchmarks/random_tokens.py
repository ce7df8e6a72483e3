"""Random tokens to measure speed on, which does not depend on what they say."""

from pathlib import Path

import numpy as np

from tinystories.data.dataset import Dataset


def write(path: Path, vocab_size: int, count: int) -> None:
    """Write a file of so many random ids, uint16."""
    np.random.default_rng(0).integers(vocab_size, size=count, dtype=np.uint16).tofile(path)


def read(path: Path, vocab_size: int) -> Dataset:
    """The file as a dataset."""
    tokens = np.memmap(path, dtype=np.uint16, mode="r")
    return Dataset(
        folder=path.parent,
        vocab_size=vocab_size,
        tokenizer="random",
        fingerprint="random",
        train=tokens,
        valid=tokens,
        valid_bytes=len(tokens),
    )
