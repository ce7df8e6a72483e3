"""Folders that appear whole or not at all: filled aside under a lock, then renamed."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Keep other processes out of this block for the same target; they wait. Leaves no lock file behind."""
    path = _sibling(target, "lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(path, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _names(path, lock.fileno()):
                continue
            try:
                yield
            finally:
                path.unlink()
            return


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """An empty folder beside `target` that takes its place when the block ends without an error.

    Call it under `locked(target)`: what an interrupted run left behind is put right first.

    Raises:
        OSError: what was left behind cannot be removed.
    """
    aside, old = _sibling(target, "partial"), _sibling(target, "old")
    if old.exists() and not target.exists():
        os.replace(old, target)
    for leftover in filter(Path.exists, (aside, old)):
        shutil.rmtree(leftover)
    aside.mkdir(parents=True)
    try:
        yield aside
        if target.exists():
            os.replace(target, old)
        os.replace(aside, target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _names(path: Path, descriptor: int) -> bool:
    """Whether a path still leads to an open file: whoever held a lock before us has removed its file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sibling(target: Path, suffix: str) -> Path:
    return target.with_name(f".{target.name}.{suffix}")
