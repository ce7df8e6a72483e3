"""Byte-level BPE tokenizers: trained on the stories, or GPT-Neo's own cut to its most frequent tokens.

Both are lossless: `decode(encode(text)) == text` for every text that UTF-8 can write. V: vocabulary.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal

import numpy as np
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from tinystories import storage
from tinystories.data.dataset import TOKENIZER

END_OF_TEXT = "<|endoftext|>"
SMALLEST = 257
"""The 256 bytes, without which no tokenizer is lossless, and the end-of-text token. [token]"""
LARGEST = {"bpe": 65_536, "gpt-neo": 50_257}
"""What 16 bits hold, and GPT-Neo's whole vocabulary. [token]"""
BATCH = 1024
"""Stories that are encoded at once, on all cores; a few MB of text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerSpec:
    """Which tokenizer to make, as people write it: bpe:4096 or gpt-neo:10000."""

    kind: Literal["bpe", "gpt-neo"]
    """Trained on the stories, or cut from GPT-Neo's."""
    size: int
    """Number of tokens asked for; a short text may yield fewer. [token]"""

    def __str__(self) -> str:
        return f"{self.kind}:{self.size}"


class Tokenizer:
    """Text to token ids and back."""

    def __init__(self, backend: Backend):
        self._backend = backend
        # A story that quotes "<|endoftext|>" is text like any other; only make_dataset ends stories.
        backend.encode_special_tokens = True
        self.vocab_size: int = backend.get_vocab_size()
        if END_OF_TEXT not in backend.get_vocab():
            raise ValueError(f"the tokenizer has no {END_OF_TEXT} token")
        self.end_of_text: int = backend.get_vocab()[END_OF_TEXT]

    def encode(self, text: str) -> list[int]:
        """The ids of a text; never the end-of-text token."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """The ids of many texts, on all cores."""
        return [encoding.ids for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; the end-of-text token reads <|endoftext|>."""
        text: str = self._backend.decode(list(ids), skip_special_tokens=False)
        return text

    def to_json(self) -> str:
        """The content of tokenizer.json, which `transformers.PreTrainedTokenizerFast` reads too."""
        content: str = self._backend.to_str()
        return content


def parse_spec(text: str) -> TokenizerSpec:
    """Read a tokenizer's name.

    Raises:
        ValueError: an unknown kind, or a size that it does not allow.
    """
    match = re.fullmatch(r"(bpe|gpt-neo):([0-9]+)", text)
    if match is None:
        raise ValueError(f"tokenizer {text!r} is unknown; allowed: bpe:N and gpt-neo:N, such as bpe:4096")
    kind, size = match[1], int(match[2])
    if not SMALLEST <= size <= LARGEST[kind]:
        raise ValueError(f"tokenizer {text!r}: allowed sizes are {SMALLEST} to {LARGEST[kind]}")
    return TokenizerSpec(kind="bpe" if kind == "bpe" else "gpt-neo", size=size)


def train_bpe(stories: Iterable[str], size: int) -> Tokenizer:
    """A byte-level BPE of at most `size` tokens, learned from stories; the same stories give the same one."""
    backend = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[END_OF_TEXT],
        show_progress=False,
    )
    backend.train_from_iterator(stories, trainer)
    return Tokenizer(backend)


def cut_gpt_neo(stories: Iterable[str], size: int, *, vocab_json: Path, merges_txt: Path) -> Tokenizer:
    """GPT-Neo's BPE with only its `size` most frequent tokens; a token that was cut falls back to its parts.

    A token counts as often as it occurs while the stories are merged, as a result or on the way to a longer
    token. So no token is more frequent than its parts, and what is kept with its merges is a BPE again.

    Raises:
        FileNotFoundError: vocab.json or merges.txt is missing.
        ValueError: they are not those of a byte-level BPE.

    Source: Eldan & Li 2023, arXiv:2305.07759: "We use GPT-Neo tokenizer but only keep the top 10K most common
    tokens." What becomes of a token that was cut is not published; decided here.
    """
    vocab, merges = _read_gpt_neo(vocab_json, merges_txt)
    whole = Tokenizer(_byte_level(models.BPE(vocab=vocab, merges=merges)))
    counts_V = np.zeros(len(vocab), dtype=np.int64)
    for batch in batched(stories):
        ids = np.fromiter(chain.from_iterable(whole.encode_batch(batch)), dtype=np.int64)
        counts_V += np.bincount(ids, minlength=len(vocab))
    for left, right in reversed(merges):
        count = counts_V[vocab[left + right]]
        counts_V[vocab[left]] += count
        counts_V[vocab[right]] += count
    merged_counts = np.array([counts_V[vocab[left + right]] for left, right in merges])
    kept = np.sort(np.argsort(-merged_counts, kind="stable")[: size - SMALLEST])
    return _with_merges(sorted(_bytes_of(vocab), key=vocab.__getitem__), [merges[rank] for rank in kept])


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer of a data folder, or of any folder or URI with a tokenizer.json that was made here.

    Raises:
        FileNotFoundError: no tokenizer.json.
        ValueError: it is damaged.
    """
    path = storage.join(folder, TOKENIZER)
    try:
        content = storage.read(path)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path} is missing") from None
    try:
        return Tokenizer(Backend.from_str(content.decode("utf-8")))
    except Exception as error:  # the tokenizers library raises plain Exception
        raise ValueError(f"{path} is damaged: {error}") from None


def batched(stories: Iterable[str]) -> Iterator[list[str]]:
    """Stories in lists of a size that keeps all cores busy and memory small."""
    source = iter(stories)
    while batch := list(islice(source, BATCH)):
        yield batch


def _byte_level(model: models.BPE) -> Backend:
    backend = Backend(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([END_OF_TEXT])
    return backend


def _read_gpt_neo(vocab_json: Path, merges_txt: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    for path in (vocab_json, merges_txt):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing")
    try:
        vocab, merges = models.BPE.read_file(str(vocab_json), str(merges_txt))
    except Exception as error:  # the tokenizers library raises plain Exception
        raise ValueError(f"{vocab_json} and {merges_txt} are no BPE: {error}") from None
    merged = {left + right for left, right in merges}
    if len(merged) != len(merges) or {*_bytes_of(vocab), *merged, END_OF_TEXT} != vocab.keys():
        raise ValueError(f"{vocab_json} and {merges_txt} are no byte-level BPE that ends in {END_OF_TEXT}")
    return vocab, merges


def _bytes_of(vocab: dict[str, int]) -> list[str]:
    return [character for character in pre_tokenizers.ByteLevel.alphabet() if character in vocab]


def _with_merges(alphabet: list[str], merges: list[tuple[str, str]]) -> Tokenizer:
    tokens = [*alphabet, *(left + right for left, right in merges), END_OF_TEXT]
    vocab = {token: number for number, token in enumerate(tokens)}
    return Tokenizer(_byte_level(models.BPE(vocab=vocab, merges=merges)))
