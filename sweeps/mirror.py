"""A copy of the run folder's small files in the sweep's storage, so that losing the driver's machine loses nothing."""

import time
from pathlib import Path

from sweeps.results import RunFolder
from tinystories import storage

INTERVAL = 30.0
"""Shortest time between two copies. [s]"""


class Mirror:
    """Copies a run folder to `uri` and back; does nothing without one."""

    def __init__(self, folder: RunFolder, uri: str | None) -> None:
        self._folder = folder
        self._uri = uri
        self._copied = time.monotonic()

    @property
    def _files(self) -> list[Path]:
        folder = self._folder
        return [folder.spec, folder.data, folder.study, folder.curves, folder.results, folder.seconds]

    @property
    def checkpoints(self) -> str:
        """Where the trials' checkpoints go: the storage, or the run folder itself."""
        return f"{self._uri}/checkpoints" if self._uri else str(self._folder.checkpoints)

    def fetch(self) -> None:
        """Bring back the copy, if this machine has no run folder of that name."""
        if self._uri is None or self._folder.spec.exists():
            return
        present = set(storage.names(self._uri))
        for file in self._files:
            if file.name in present:
                storage.write(str(file), storage.read(f"{self._uri}/{file.name}"))

    def update(self, *, force: bool = False) -> None:
        """Copy the files, unless that was done a moment ago."""
        if self._uri is None or (not force and time.monotonic() - self._copied < INTERVAL):
            return
        for file in self._files:
            if file.exists():
                storage.write(f"{self._uri}/{file.name}", file.read_bytes())
        self._copied = time.monotonic()
