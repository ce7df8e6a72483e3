"""What many tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Tiny models lose more by waiting for threads than they gain; read by torch when it is imported.
os.environ["OMP_NUM_THREADS"] = "1"

import torch
from hypothesis import settings

from tinystories.data.dataset import Dataset, open_dataset
from tinystories.data.make_dataset import make_stories

settings.register_profile("no deadline", deadline=None)  # a machine that has other work to do is slow at times
settings.load_profile("no deadline")


@pytest.fixture(scope="session", autouse=True)
def compiled_code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests compile is kept for the length of a run, and not among the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture(autouse=True)
def on_cpu_unless_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU runs the same tests as one without, and those marked `gpu` besides."""
    if "gpu" not in request.keywords:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 300 built-in stories; not to be written to."""
    return make_stories(tmp_path_factory.mktemp("data") / "stories", stories=300, tokenizer="bpe:300", valid_stories=12)


@pytest.fixture(scope="session")
def dataset(data_folder: Path) -> Dataset:
    """The same, opened."""
    return open_dataset(data_folder)
