"""What repositories of the Hugging Face hub publish: files as they are, and cards that name licence and citation."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from yaml import YAMLError

VERSIONS = {
    "V1": ("TinyStories-train.txt", "TinyStories-valid.txt"),
    "V2": ("TinyStoriesV2-GPT4-train.txt", "TinyStoriesV2-GPT4-valid.txt"),
}
"""Training and validation file of each published version; the paper's models saw V1.

Source: dataset card of huggingface.co/datasets/roneneldan/TinyStories."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a data set's card says of rights and origin."""

    license: str | None = None
    """Short name of the licence, such as cdla-sharing-1.0."""
    citation: str | None = None
    """BibTeX, or the number of the paper on arXiv."""


def download(repository: str, names: tuple[str, ...], folder: Path, *, kind: str = "dataset") -> list[Path]:
    """Files of a Hugging Face repository, in `folder`; what is there already and did not change stays.

    Raises:
        OSError: the folder cannot be written.
        ValueError: the download failed.
    """
    from huggingface_hub import hf_hub_download

    quiet()
    with named(f"{', '.join(names)} of {repository}"):
        return [Path(hf_hub_download(repository, name, repo_type=kind, local_dir=folder)) for name in names]


def published_card(repository: str, *, revision: str | None = None) -> Card:
    """What the card of a repository on the hub says; nothing when there is none, or the hub does not answer."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        path = hf_hub_download(repository, "README.md", repo_type="dataset", revision=revision)
    except (EntryNotFoundError, HfHubHTTPError, OSError):
        return Card()
    return read_card(Path(path))


def read_card(path: Path) -> Card:
    """What a card, the README.md of a data set, says; nothing when it is missing or not readable."""
    from huggingface_hub import DatasetCard

    try:
        card = DatasetCard.load(path)
    except (OSError, ValueError, YAMLError):
        return Card()
    licenses = card.data.license
    entries = re.findall(r"^@\w+\{.*?\}(?=\s*(?:\n\n|\n```|\Z))", card.text, re.MULTILINE | re.DOTALL)
    papers = dict.fromkeys(re.findall(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})", card.text))
    return Card(
        license=", ".join(licenses) if isinstance(licenses, list) else licenses,
        citation="\n\n".join(entries) or ", ".join(f"arXiv:{paper}" for paper in papers) or None,
    )


def quiet() -> None:
    """No line of the hub's client for each of its retries."""
    from huggingface_hub import logging

    logging.set_verbosity_error()


@contextmanager
def named(name: str) -> Iterator[None]:
    """What libraries raise inside becomes a ValueError of one line that names the data set."""
    try:
        yield
    except Exception as error:  # the library, the hub's client and pyarrow each raise their own
        disk = isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError | TimeoutError)
        if disk or isinstance(error, MemoryError):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ValueError(f"cannot read {name}: {' '.join(lines[:2]) or type(error).__name__}") from error
