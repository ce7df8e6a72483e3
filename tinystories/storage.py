"""Files on local disks and in object stores alike: a location is a path or a URI (s3://, gs://, file:///)."""

import errno
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyarrow import ArrowException, fs

from tinystories.terminal import one_line

SCHEMES = ("file", "s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
"""Stores that pyarrow reaches by itself."""
GS_PATIENCE = 5
"""How long Google's client repeats a request before it gives up; its own default is 15 minutes. [s]

Measured without a network: an error after 11 s, with the time that it takes to look for credentials."""
_URI = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def is_uri(location: str | Path) -> bool:
    """Whether a location is a URI rather than a path."""
    return _URI.match(str(location)) is not None


def join(location: str | Path, *names: str) -> str:
    """The location of something in a folder; a URI's query (s3://bucket/data?region=...) stays at its end."""
    folder, mark, query = str(location).partition("?") if is_uri(location) else (str(location), "", "")
    return "/".join([folder.removesuffix("/"), *names]) + mark + query


def write(location: str, content: bytes) -> None:
    """Write a whole file, or none: object stores do so by nature, local disks by writing aside and renaming.

    Once it has returned, the file survives a power cut.

    Raises:
        OSError: the disk is full, or the store does not answer.
        ValueError: a URI that leads to no store.
    """
    with _opened(location) as (system, path):
        if isinstance(system, fs.LocalFileSystem):
            _write_here(Path(path), content)
            return
        with system.open_output_stream(path) as stream:
            stream.write(content)


def read(location: str) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: there is none.
        OSError: the store does not answer.
        ValueError: a URI that leads to no store.
    """
    with _opened(location) as (system, path), system.open_input_stream(path, compression=None) as stream:
        content: bytes = stream.read()
        return content


def exists(location: str) -> bool:
    """Whether there is such a file or folder."""
    with _opened(location) as (system, path):
        return bool(system.get_file_info(path).type != fs.FileType.NotFound)


def names(folder: str) -> list[str]:
    """Names of the files in a folder, sorted; unfinished ones left out; a missing folder has none."""
    return [name for name in _names(folder, fs.FileType.File) if not name.endswith(".tmp")]


def folders(folder: str) -> list[str]:
    """Names of the folders in a folder, sorted; a missing folder has none."""
    return _names(folder, fs.FileType.Directory)


def copy(source: str | Path, target: Path) -> None:
    """Copy all files of a folder into a local one."""
    with _opened(source) as (system, path):
        fs.copy_files(path, str(target), source_filesystem=system, destination_filesystem=fs.LocalFileSystem())


def delete(location: str) -> None:
    """Delete a file, or a folder with all it holds; nothing to delete is fine."""
    with _opened(location) as (system, path):
        kind = system.get_file_info(path).type
        if kind == fs.FileType.Directory:
            system.delete_dir(path)
        elif kind == fs.FileType.File:
            system.delete_file(path)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Errors of local disks that do not know what was written (a full disk) get a name to tell."""
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def sync(path: Path) -> None:
    """Wait until a local file, or a folder's list of names, is on the disk.

    Raises:
        OSError: the disk is full or broken.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot do so for folders
            raise
    finally:
        os.close(descriptor)


def _write_here(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with named(target), open(aside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    sync(target.parent)


def _names(folder: str, kind: fs.FileType) -> list[str]:
    with _opened(folder) as (system, path):
        entries = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
        return sorted(entry.base_name for entry in entries if entry.type == kind)


@contextmanager
def _opened(location: str | Path) -> Iterator[tuple[fs.FileSystem, str]]:
    """The store of a location and its path there; what goes wrong inside is an OSError or ValueError that names it."""
    try:
        if is_uri(location):
            yield fs.FileSystem.from_uri(_patient(str(location)))
        else:
            yield fs.LocalFileSystem(), os.path.abspath(location)
    except OSError as error:
        if error.errno:  # of a local disk: it names the file
            raise
        raise type(error)(f"{location}: {one_line(error)}") from error
    except MemoryError:
        raise
    except ArrowException as error:  # its kinds are ValueError, KeyError, NotImplementedError and none of them
        raise ValueError(f"{location}: {one_line(error)}") from error


def _patient(uri: str) -> str:
    """A URI that pyarrow can open, and that gives up in time where the store does not answer.

    Raises:
        ValueError: there is no such kind of store.
    """
    match = _URI.match(uri)
    scheme = match[1].lower() if match else ""
    if scheme not in SCHEMES:
        allowed = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ValueError(f"{uri}: {scheme}:// is no storage; allowed: a path, {allowed}")
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in uri:
        return f"{uri}{'&' if '?' in uri else '?'}retry_limit_seconds={GS_PATIENCE}"
    return uri
