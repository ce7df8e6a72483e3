"""Copies of remote data folders on this machine: fetched once, shared by every trial that runs here."""

import hashlib
import os
from pathlib import Path

from tinystories import storage
from tinystories.staging import locked, staged


def fetch(uri: str, version: bytes) -> Path:
    """The local copy of a remote folder; a folder that changed (another `version`) gets another copy.

    The copy appears whole, and processes that ask at once wait for one download. Copies lie in
    $TINYSTORIES_CACHE, or ~/.cache/tinystories.
    """
    cache = Path(os.environ.get("TINYSTORIES_CACHE") or Path.home() / ".cache" / "tinystories")
    target = cache / hashlib.sha256(uri.encode() + b"\n" + version).hexdigest()[:16]
    with locked(target):
        if not target.exists():
            with staged(target) as aside:
                storage.copy(uri, aside)
    return target
