"""Copies of remote data folders on this machine: fetched once, shared by every trial that runs here."""

import hashlib
import os
from pathlib import Path

from tinystories.data.staging import locked, staged


def is_uri(location: str | Path) -> bool:
    """Whether a location is a URI such as s3://bucket/data, rather than a local path."""
    return "://" in str(location)


def read_remote(uri: str, name: str) -> bytes:
    """The content of one file of a remote folder.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a URI that pyarrow reads.
    """
    from pyarrow import fs

    filesystem, path = fs.FileSystem.from_uri(uri)
    with filesystem.open_input_stream(f"{path}/{name}") as stream:
        content: bytes = stream.read()
        return content


def fetch(uri: str, version: bytes) -> Path:
    """The local copy of a remote folder; a folder that changed (another `version`) gets another copy.

    The copy appears whole, and processes that ask at once wait for one download. Copies lie in
    $TINYSTORIES_CACHE, or ~/.cache/tinystories.
    """
    from pyarrow import fs

    cache = Path(os.environ.get("TINYSTORIES_CACHE") or Path.home() / ".cache" / "tinystories")
    target = cache / hashlib.sha256(uri.encode() + b"\n" + version).hexdigest()[:16]
    with locked(target):
        if not target.exists():
            with staged(target) as aside:
                fs.copy_files(uri, str(aside))
    return target
