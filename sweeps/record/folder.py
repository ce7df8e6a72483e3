"""The run folder of a sweep, `runs/NAME/`: the names of its files, and the lock that one process holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout


@dataclass(frozen=True)
class RunFolder:
    """Owner of the names in `runs/NAME/`."""

    root: Path

    @property
    def spec(self) -> Path:
        """The spec as run."""
        return self.root / "spec.yaml"

    @property
    def journal(self) -> Path:
        """Everything that happened, one line an event: the truth, of which the files below are views."""
        return self.root / "journal.jsonl"

    @property
    def results(self) -> Path:
        """One row a trial."""
        return self.root / "results.csv"

    @property
    def curves(self) -> Path:
        """One row an evaluation."""
        return self.root / "curves.csv"

    @property
    def facts(self) -> Path:
        """What readers of the tables need to know of the sweep: axis, budget, rungs (JSON)."""
        return self.root / "sweep.json"

    @property
    def origin(self) -> Path:
        """What the trials train on, and where their checkpoints are (JSON)."""
        return self.root / "origin.json"

    @property
    def spent(self) -> Path:
        """What the sweep has taken, over all its runs: `seconds` and `gpu_seconds` (JSON)."""
        return self.root / "spent.json"

    @property
    def study(self) -> Path:
        """The trials as an Optuna study (sqlite)."""
        return self.root / "optuna.db"

    @property
    def log(self) -> Path:
        """What Ray, Optuna and W&B have to say."""
        return self.root / "sweep.log"

    @property
    def ray(self) -> Path:
        """Ray's own files."""
        return self.root / "ray"

    @property
    def checkpoints(self) -> Path:
        """One folder a trial, unless the sweep has a `--storage` URI."""
        return self.root / "checkpoints"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process.

        Raises:
            ValueError: another process runs this sweep.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / ".lock", timeout=0):
                yield
        except Timeout:
            raise ValueError(f"{self.root}: another process is running this sweep; wait for it") from None
