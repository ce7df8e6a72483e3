"""Files on local disks and in object stores alike: a location is a path or a URI (s3://, gs://, file:///)."""

import os
import uuid
from pathlib import Path

from pyarrow import fs


def is_uri(location: str | Path) -> bool:
    """Whether a location is a URI rather than a path."""
    return "://" in str(location)


def write(location: str, content: bytes) -> None:
    """Write a whole file, or none: object stores do so by nature, local disks by writing aside and renaming.

    Raises:
        OSError: the disk is full, or the store does not answer.
    """
    system, path = _open(location)
    if not isinstance(system, fs.LocalFileSystem):
        with system.open_output_stream(path) as stream:
            stream.write(content)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(aside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def read(location: str) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: there is none.
    """
    system, path = _open(location)
    with system.open_input_stream(path, compression=None) as stream:
        content: bytes = stream.read()
        return content


def exists(location: str) -> bool:
    """Whether there is such a file or folder."""
    system, path = _open(location)
    return bool(system.get_file_info(path).type != fs.FileType.NotFound)


def names(folder: str) -> list[str]:
    """Names of the files in a folder, sorted; unfinished ones left out; a missing folder has none."""
    return [name for name in _names(folder, fs.FileType.File) if not name.endswith(".tmp")]


def folders(folder: str) -> list[str]:
    """Names of the folders in a folder, sorted; a missing folder has none."""
    return _names(folder, fs.FileType.Directory)


def _names(folder: str, kind: fs.FileType) -> list[str]:
    system, path = _open(folder)
    entries = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return sorted(entry.base_name for entry in entries if entry.type == kind)


def copy(source: str | Path, target: Path) -> None:
    """Copy all files of a folder into a local one."""
    system, path = _open(source)
    fs.copy_files(path, str(target), source_filesystem=system, destination_filesystem=fs.LocalFileSystem())


def delete(location: str) -> None:
    """Delete a file, or a folder with all it holds; nothing to delete is fine."""
    system, path = _open(location)
    kind = system.get_file_info(path).type
    if kind == fs.FileType.Directory:
        system.delete_dir(path)
    elif kind == fs.FileType.File:
        system.delete_file(path)


def _open(location: str | Path) -> tuple[fs.FileSystem, str]:
    if is_uri(location):
        return fs.FileSystem.from_uri(str(location))
    return fs.LocalFileSystem(), os.path.abspath(location)
