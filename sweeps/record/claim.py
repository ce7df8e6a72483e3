"""A run folder and the sweep that it belongs to: refuses to mix two sweeps, or one sweep's data with another's."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from sweeps.record import software
from sweeps.record.folder import RunFolder
from sweeps.spec import document, load
from sweeps.spec.corpus import Data
from sweeps.spec.differences import differences
from sweeps.spec.schema import Spec
from tinystories import storage

FREE_TO_CHANGE = {
    *("run_cap", "cpus_per_trial", "trials_per_gpu", "keep_checkpoints", "max_failures", "patience"),
    *("wandb", "project", "data", "replay", "confirm"),
}
"""Keys that may differ when a sweep is resumed; data are compared by what they hold."""


def storage_location(folder: RunFolder, wanted: str | None) -> str | None:
    """Where the sweep's checkpoints go: as asked for, or where they went before; None: into the run folder.

    Raises:
        ValueError: the sweep was begun with another storage, or a URI names nothing but a scheme, or the record of
            it is damaged.
    """
    if wanted and storage.is_uri(wanted) and not wanted.partition("://")[2].strip("/"):
        raise ValueError(f"--storage {wanted} names no place; allowed: a folder, or a URI such as s3://bucket/folder")
    location = wanted and (wanted.rstrip("/") if storage.is_uri(wanted) else os.path.abspath(wanted))
    if not folder.origin.exists():
        return location
    before = _origin(folder)["storage"]
    if location and location != before:
        raise ValueError(f"--storage {wanted}: {folder.root} was begun with {before or 'no storage'}; leave it so")
    return before


def _origin(folder: RunFolder) -> dict[str, str | None]:
    """What the folder belongs to, as `claim` wrote it down.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        origin = json.loads(folder.origin.read_text(encoding="utf-8"))
        known = {key: origin[key] for key in ("location", "tokenizer", "fingerprint", "storage")}
        if not all(isinstance(value, str) or (key == "storage" and value is None) for key, value in known.items()):
            raise TypeError
    except (ValueError, LookupError, TypeError):
        raise ValueError(f"{folder.origin} is damaged; restore the file, or give another --name") from None
    return known


def check_spec(folder: RunFolder, spec: Spec) -> None:
    """Refuse a run folder that another sweep has been using.

    Raises:
        ValueError: names what differs.
    """
    if not folder.spec.exists():
        return
    if folder.results.exists() or folder.study.exists():
        require_journal(folder)
    written = document.read(folder.spec)
    try:
        earlier = load.parse(written)
    except ValueError as error:
        raise ValueError(f"{folder.root} holds a sweep of another version ({error}); give another --name") from None
    changeable = FREE_TO_CHANGE
    if spec.axis == "seconds":  # a faster machine would train its trials for longer
        changeable = changeable - {"cpus_per_trial", "trials_per_gpu"}
    if differing := differences(earlier, spec, free=changeable):
        raise ValueError(f"{folder.root} holds another sweep: {'; '.join(differing)}; give another --name")


def require_journal(folder: RunFolder) -> None:
    """Refuse a run folder of an older version, and one whose journal has lost all that it held.

    Raises:
        ValueError: it has no journal, or one without a whole line.
    """
    if not folder.journal.exists():
        raise ValueError(
            f"{folder.root} has no journal.jsonl: version 0.1 began it, whose folders have none (finish it with that "
            "version), or the file is lost (restore it); or give another --name"
        )
    with open(folder.journal, "rb") as file:
        if not file.readline().endswith(b"\n"):
            raise ValueError(f"{folder.journal} has no whole line; restore the file, or give another --name")


def require_whole(folder: RunFolder) -> None:
    """Refuse a run folder whose journal tells of a sweep, but which no longer says of which sweep and data.

    Raises:
        ValueError: names the file that is missing.
    """
    for file in (folder.spec, folder.origin):
        if folder.journal.exists() and not file.exists():
            raise ValueError(f"{file} is missing; restore the file, or give another --name")


def check_data(folder: RunFolder, data: Data) -> None:
    """Refuse other data than a sweep was begun with.

    Raises:
        ValueError: names both.
    """
    if not folder.origin.exists():
        return
    before = _origin(folder)
    if before["fingerprint"] != data.fingerprint:
        raise ValueError(
            f"{data.location} (tokenizer {data.tokenizer}) is not the data that {folder.root} was begun with: "
            f"{before['location']} (tokenizer {before['tokenizer']}); give another --name"
        )


def claim(folder: RunFolder, raw: Mapping[str, Any], data: Data, location: str | None) -> None:
    """Write down what the folder belongs to."""
    origin = {
        "location": data.location,
        "tokenizer": data.tokenizer,
        "fingerprint": data.fingerprint,
        "storage": location,
        "software": software.describe(),
    }
    storage.write(str(folder.origin), (json.dumps(origin, indent=1) + "\n").encode())
    storage.write(str(folder.spec), yaml.safe_dump(dict(raw), sort_keys=False).encode())


@contextmanager
def removed_on_error(root: Path) -> Iterator[None]:
    """Leave no folder behind that only a failed start has made."""
    is_new, parent_is_new = not root.exists(), not root.parent.exists()
    try:
        yield
    except BaseException:
        if is_new:
            shutil.rmtree(root, ignore_errors=True)
        if parent_is_new:
            with suppress(OSError):  # another sweep may have begun there meanwhile
                root.parent.rmdir()
        raise
