"""Fills a data folder: collect and clean stories, make a tokenizer, write tokens. Memory does not grow with the text.

Cleaned stories lie in the folder as JSON lines meanwhile; 64 bits a story decide what is kept of them.

Shapes: S stories.
"""

import json
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, compress
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from tinystories.config import require_seed
from tinystories.data.clean import DEFECTS, Keys, Mask, defect, first_occurrences, held_out, repair, story_key
from tinystories.data.dataset import DESCRIPTION, TOKENIZER, TRAIN, VALID, VERSION, file_hash, fingerprint
from tinystories.data.published import Card
from tinystories.data.sources import File, Source
from tinystories.data.tokenizer import END_OF_TEXT, Tokenizer, TokenizerSpec, batched, cut_gpt_neo, train_bpe

REASONS = (*DEFECTS, "duplicate", "in validation")
"""Why a story is left out of a split: one of its own defects, or an equal story before it."""
MOST_DROPPED = 0.2
"""Share of a split's stories that may be left out before making a dataset ends with an error; empty ones not counted.

0.3 % of 20,642 stories from the published TinyStories files are (measured on parts of V1 and V2), so that many more are
a sign that the text is not what it is taken for."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a dataset is made from.

    Raises:
        ValueError: a seed or a share out of range.
    """

    train: tuple[Source, ...]
    """Sources of training stories."""
    valid: tuple[Source, ...] = ()
    """Sources of validation stories; without any, some training stories are held out."""
    tokenizer: TokenizerSpec
    """The tokenizer to make."""
    gpt_neo: tuple[File, ...] = ()
    """GPT-Neo's vocab.json and merges.txt, for a tokenizer that is cut from it."""
    seed: int = 0
    """Decides which stories are held out."""
    card: Card = field(default_factory=Card)
    """Licence and citation of the text."""
    most_dropped: float = MOST_DROPPED
    """Share of a split's stories that may be left out, from 0 to 1."""

    def __post_init__(self) -> None:
        require_seed(self.seed)
        if not 0 <= self.most_dropped <= 1:
            raise ValueError(f"max-dropped {self.most_dropped} must be a share from 0 to 1")

    def sources(self) -> dict[str, list[Source]]:
        """All sources by what they are used for."""
        return {"train": [*self.train], "valid": [*self.valid], "tokenizer": [*self.gpt_neo]}


@dataclass(frozen=True, kw_only=True)
class Stories:
    """Cleaned stories on disk, and which of them are meant."""

    path: Path
    """JSON lines, one story each."""
    keys: Keys
    """Key of every story of the file. (uint64)"""
    kept: Mask
    """Which stories of the file belong to this split."""
    removed: Counter[str]
    """How many stories were left out, by reason."""
    found: tuple[int, ...]
    """How many stories every source had, sound or not."""
    repaired: int
    """How many stories of the file had wrongly decoded characters or other line ends."""

    def __len__(self) -> int:
        return int(self.kept.sum())

    def __iter__(self) -> Iterator[str]:
        with open(self.path, encoding="utf-8") as file:
            for line in compress(file, self.kept):
                yield json.loads(line)


def build(recipe: Recipe, folder: Path, progress: Progress) -> dict[str, Any]:
    """Write all files of a dataset into an empty folder; returns what dataset.json says.

    Raises:
        ValueError: a source is not what it should be, no story is left for a split, or too many were dropped.
    """
    stories = _collect_splits(recipe, folder, progress)
    tokenizer = _make_tokenizer(recipe, stories["train"], progress)
    (folder / TOKENIZER).write_text(tokenizer.to_json(), encoding="utf-8")
    splits = {
        split: _write_tokens(stories[split], tokenizer, folder / name, progress)
        for split, name in (("train", TRAIN), ("valid", VALID))
    }
    for path in {split.path for split in stories.values()}:
        path.unlink()
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": file_hash(folder / name)}
        for name in (TRAIN, VALID, TOKENIZER)
    }
    description = {
        "version": VERSION,
        "fingerprint": fingerprint(files),
        "tokenizer": str(recipe.tokenizer),
        "vocab_size": tokenizer.vocab_size,
        **splits,
        "seed": recipe.seed,
        "held_out": not recipe.valid,
        "license": recipe.card.license,
        "citation": recipe.card.citation,
        "sources": {use: [source.record() for source in group] for use, group in recipe.sources().items()},
        "files": files,
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return description


def _collect_splits(recipe: Recipe, folder: Path, progress: Progress) -> dict[str, Stories]:
    train = _collect(recipe.train, folder / "train.jsonl", recipe.seed, progress)
    if recipe.valid:
        valid = _collect(recipe.valid, folder / "valid.jsonl", recipe.seed, progress)
        leaked = train.kept & np.isin(train.keys, valid.keys[valid.kept])
        train.removed["in validation"] = int(leaked.sum())
        train = replace(train, kept=train.kept & ~leaked)
    else:
        chosen = np.zeros_like(train.kept)
        chosen[train.kept] = held_out(train.keys[train.kept], _held_out_count(len(train)))
        valid = replace(train, kept=chosen, removed=Counter(), repaired=0, found=(int(chosen.sum()),))
        train = replace(train, kept=train.kept & ~chosen)
    _require_stories("training", train, recipe.train, recipe.most_dropped)
    _require_stories("validation", valid, recipe.valid or recipe.train, recipe.most_dropped)
    return {"train": train, "valid": valid}


def _require_stories(split: str, stories: Stories, sources: tuple[Source, ...], most_dropped: float) -> None:
    """Refuse a split that has no story, or has lost more than a share of them."""
    found = sum(stories.found)
    removed = {reason: count for reason, count in stories.removed.items() if count}
    origin = ", ".join(map(str, sources))
    if not len(stories):
        reasons = ", ".join(f"{count} {reason}" for reason, count in removed.items())
        raise ValueError(
            f"no {split} story is left: {found} found in {origin} (removed: {reasons or 'none'}); "
            f"{END_OF_TEXT} separates stories in a .txt file, unless you name another --separator"
        )
    empty = removed.pop("empty", 0)
    if (dropped := sum(removed.values())) > most_dropped * (found - empty):
        reasons = ", ".join(
            f"{count} {reason}{f' ({DEFECTS[reason]})' if reason in DEFECTS else ''}"
            for reason, count in removed.items()
        )
        raise ValueError(
            f"{dropped} of {found - empty} {split} stories in {origin} would be dropped: {reasons}; "
            f"allowed: a share of {most_dropped:g}, or what --max-dropped says"
        )


def _collect(sources: tuple[Source, ...], path: Path, seed: int, progress: Progress) -> Stories:
    """Repair every story, write the sound ones to `path`, and mark the first of those that are equal."""
    keys, removed, repaired = array("Q"), Counter[str](), 0
    counts = [0] * len(sources)
    task = progress.add_task("Cleaning", total=sum(source.size for source in sources) or None)
    with open(path, "w", encoding="utf-8") as file:
        for place, source in enumerate(sources):
            for found in source.stories(lambda amount: progress.advance(task, amount)):
                counts[place] += 1
                story = repair(found)
                if reason := defect(story):
                    removed[reason] += 1
                    continue
                repaired += story != found.strip()
                keys.append(story_key(story, seed))
                file.write(json.dumps(story, ensure_ascii=False) + "\n")
    progress.update(task, total=1, completed=1)
    keys_S = np.frombuffer(keys, dtype=np.uint64)
    kept_S = first_occurrences(keys_S)
    removed["duplicate"] = int((~kept_S).sum())
    found_here = tuple(counts)
    return Stories(path=path, keys=keys_S, kept=kept_S, removed=removed, repaired=repaired, found=found_here)


def _held_out_count(stories: int) -> int:
    """1 % of the stories, but 100 where that is no more than a tenth."""
    return max(1, stories // 100, min(100, stories // 10))


def _make_tokenizer(recipe: Recipe, train: Stories, progress: Progress) -> Tokenizer:
    stories = progress.track(train, total=len(train), description="Making the tokenizer")
    if recipe.tokenizer.kind == "bpe":
        return train_bpe(stories, recipe.tokenizer.size)
    vocab_json, merges_txt = (file.path for file in recipe.gpt_neo)
    return cut_gpt_neo(stories, recipe.tokenizer.size, vocab_json=vocab_json, merges_txt=merges_txt)


def _write_tokens(stories: Stories, tokenizer: Tokenizer, path: Path, progress: Progress) -> dict[str, Any]:
    """Every story's ids and an end-of-text token, as uint16; returns what dataset.json says of the split."""
    tokens = length = 0
    tracked = progress.track(stories, total=len(stories), description="Encoding")
    with open(path, "wb") as file:
        for batch in batched(tracked):
            length += sum(len(story.encode()) for story in batch)
            ended = ((*ids, tokenizer.end_of_text) for ids in tokenizer.encode_batch(batch))
            ids = np.fromiter(chain.from_iterable(ended), dtype=np.uint16)
            tokens += file.write(ids.tobytes()) // ids.itemsize
    return {
        "stories": len(stories),
        "tokens": tokens,
        "bytes": length,
        "bytes_per_token": round(length / tokens, 4),
        "found": stories.found,
        "repaired": stories.repaired,
        "removed": {reason: stories.removed[reason] for reason in REASONS},
    }
