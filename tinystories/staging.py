"""Folders that appear whole or not at all: filled aside under a lock, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from tinystories.storage import sync


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Keep other processes out of this block for the same target; they wait. Leaves no lock file behind."""
    path = _sibling(target, "lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        try:
            yield
        finally:
            # Whoever waits for this very file notices that it has no name any more, and makes a new one.
            path.unlink(missing_ok=True)


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """An empty folder beside `target` that takes its place when the block ends without an error.

    By then its files are on the disk, and may be read by whom the umask says, whatever a library gave them.
    Call it under `locked(target)`: what an interrupted run left behind is put right first.

    Raises:
        OSError: what was left behind cannot be removed, or the disk is full.
    """
    aside, old = _sibling(target, "partial"), _sibling(target, "old")
    if old.exists() and not target.exists():
        os.replace(old, target)
    for leftover in filter(Path.exists, (aside, old)):
        shutil.rmtree(leftover)
    aside.mkdir(parents=True)
    try:
        yield aside
        _finish(aside)
        if target.exists():
            os.replace(target, old)
        os.replace(aside, target)
        sync(target.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _finish(folder: Path) -> None:
    """Give all that a folder holds the permissions of a new file, and wait until it is on the disk."""
    readable = folder.stat().st_mode & 0o666  # the folder is new, so the umask has made them
    for path in (*folder.rglob("*"), folder):
        if path.is_file():
            path.chmod(readable | path.stat().st_mode & 0o111)
        sync(path)


def _sibling(target: Path, suffix: str) -> Path:
    return target.with_name(f".{target.name}.{suffix}")
