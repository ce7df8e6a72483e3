"""What a sweep's trials train on: a data folder, a URI, or built-in stories made on the spot."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from sweeps.spec.schema import StoriesData
from tinystories import storage
from tinystories.data.dataset import describe, open_dataset
from tinystories.data.make_dataset import make_stories
from tinystories.data.tokenizer import parse_spec

PROCESSED = Path("data/processed")
"""Where make_dataset writes unless told otherwise."""
TOKENS_PER_STORY = 290
"""Of a built-in story with bpe:1024, measured. [token]"""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Data that exist."""

    location: str
    """Absolute folder, or URI."""
    stories: StoriesData | None
    """Settings of the built-in stories, if that is what the data are."""
    vocab_size: int
    """Number of tokens. [token]"""
    tokenizer: str
    """Such as bpe:4096."""
    fingerprint: str
    """Hash of the tokens and the tokenizer."""

    def check_context(self, context: int) -> None:
        """See that a training sequence fits into the text.

        Raises:
            ValueError: it does not.
        """
        open_dataset(self.location).batch(seed=0, step=0, batch_size=1, context=context)


def prepare(wanted: str | StoriesData | None) -> Data:
    """Find the data, or make them if they are built-in stories.

    Args:
        wanted: a folder, a URI or stories; None: `data/processed` if it is there, else stories.

    Raises:
        FileNotFoundError: the folder or one of its files is missing.
        ValueError: the files are damaged.
    """
    wanted = _chosen(wanted)
    if isinstance(wanted, StoriesData):
        location, stories = os.path.abspath(wanted.folder), wanted
        make_stories(location, **asdict(stories))
    else:
        location, stories = wanted if storage.is_uri(wanted) else os.path.abspath(wanted), None
    dataset = open_dataset(location, verify=True)
    return Data(
        location=location,
        stories=stories,
        vocab_size=dataset.vocab_size,
        tokenizer=dataset.tokenizer,
        fingerprint=dataset.fingerprint,
    )


def vocab_size(wanted: str | StoriesData | None) -> int:
    """Number of tokens of data that need not exist yet; arguments and errors as those of `prepare`. [token]"""
    wanted = _chosen(wanted)
    if isinstance(wanted, StoriesData):
        return parse_spec(wanted.tokenizer).size
    size: int = describe(wanted)["vocab_size"]
    return size


def valid_tokens(wanted: str | StoriesData | None) -> int:
    """Size of the validation text, a guess where built-in stories are still to be made. [token]"""
    wanted = _chosen(wanted)
    if isinstance(wanted, StoriesData):
        if not os.path.exists(wanted.folder):
            return wanted.valid_stories * TOKENS_PER_STORY
        wanted = wanted.folder
    tokens: int = describe(wanted)["valid"]["tokens"]
    return tokens


def _chosen(wanted: str | StoriesData | None) -> str | StoriesData:
    if wanted is None:
        return str(PROCESSED) if PROCESSED.exists() else StoriesData()
    return wanted
