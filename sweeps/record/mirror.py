"""A copy of the run folder's small files in the sweep's storage: losing the driver's machine then loses nothing."""

import io
import logging
import os
import tarfile
import time
from pathlib import Path

from sweeps.record.folder import RunFolder
from tinystories import storage

logger = logging.getLogger(__name__)
INTERVAL = 30.0
"""Shortest time between two copies. [s]"""
BUNDLE = "sweep.tar"
"""The copy; one object, so that its files always belong together."""


class Mirror:
    """Copies a run folder to a storage and back; does nothing without one.

    Args:
        folder: the run folder.
        location: folder or URI of this sweep in the storage; None: there is no storage.
    """

    def __init__(self, folder: RunFolder, location: str | None) -> None:
        self._folder = folder
        self._location = location
        self._copied = time.monotonic()

    @property
    def _files(self) -> list[Path]:
        folder = self._folder
        return [folder.journal, folder.origin, folder.spec]

    @property
    def active(self) -> bool:
        """Whether there is a storage."""
        return self._location is not None

    @property
    def checkpoints(self) -> str:
        """Where the trials' checkpoints go: the storage, or the run folder itself."""
        return f"{self._location}/checkpoints" if self._location else str(self._folder.checkpoints)

    @property
    def ray(self) -> str:
        """Where Ray's own files go."""
        return f"{self._location}/ray" if self._location else str(self._folder.ray)

    @property
    def compiled(self) -> str | None:
        """Where machines share compiled code; None: there is no other machine."""
        return f"{self._location}/compiled" if self._location else None

    def fetch(self) -> None:
        """Bring back the copy, if this machine has no run folder of that name; the spec comes last, as its mark.

        Raises:
            ValueError: it is of version 0.1.
        """
        if self._location is None or self._folder.spec.exists() or BUNDLE not in storage.names(self._location):
            return
        bundle = io.BytesIO(storage.read(f"{self._location}/{BUNDLE}"))
        with tarfile.open(fileobj=bundle) as tar:
            found = {member.name: tar.extractfile(member) for member in tar.getmembers()}
            if self._folder.journal.name not in found:
                raise ValueError(
                    f"{self._location}/{BUNDLE} has no {self._folder.journal.name}, so it is of version 0.1; finish "
                    "that sweep with that version, or give another --name"
                )
            for file in self._files:
                if content := found.get(file.name):
                    storage.write(str(file), content.read())

    def update(self) -> None:
        """Copy the files, unless that was done a moment ago; what goes wrong is logged and tried again."""
        if time.monotonic() - self._copied >= INTERVAL:
            self._copied = time.monotonic()
            try:
                self.copy()
            except OSError as error:
                logger.warning("no copy of the run folder: %s", error)

    def copy(self) -> None:
        """Copy the files.

        Raises:
            OSError: the storage cannot be written.
        """
        if self._location is None:
            return
        bundle = io.BytesIO()
        with tarfile.open(fileobj=bundle, mode="w") as tar:
            for file in self._files:
                if os.path.exists(file):
                    tar.add(file, arcname=file.name)
        storage.write(f"{self._location}/{BUNDLE}", bundle.getvalue())
