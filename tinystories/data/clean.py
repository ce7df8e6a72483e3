"""Which stories are kept, and their text repaired: the defects known of the published TinyStories files."""

import re
from hashlib import blake2b
from typing import Any

import ftfy
import numpy as np

Keys = np.ndarray[Any, np.dtype[np.uint64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

DEFECTS = {
    "empty": "no text",
    "damaged": "control, replacement or half characters",
    "truncated": "no sentence's end at the end",
}
"""Why a story is left out by itself, and what that means."""

_LINE_END = re.compile(r"\r+\n|[\r\v\f\u2028\u2029]")
_DAMAGED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
_CLOSED = re.compile(r"([.!?…]|\bthe end)[\s\"'”’»)\]*]*\Z", re.IGNORECASE)
# ” as Windows-1252 reads "â€\x9d", but 0x9D has no character there, and the published files have lost it.
_LOST_BYTE = re.compile(r"â€(?![\x80-\xbfŒœŠšŽžŸƒˆ˜–—‘’‚“”„†‡•…‰‹›€™])")
_NOT_LETTERS_OR_DIGITS = re.compile(r"[\W_]+")


def repair(story: str) -> str:
    """Undo wrongly decoded characters (â€œ for “), line ends other than \\n, and white space around the story.

    Correct text comes back as it is, typographic quotes included.
    """
    if not story.isascii():
        story = ftfy.fix_encoding(_LOST_BYTE.sub("â€\x9d", story))
    return _LINE_END.sub("\n", story).strip()


def defect(story: str) -> str | None:
    """Why a repaired story should be left out, one of `DEFECTS`, or None."""
    if not story:
        return "empty"
    if _DAMAGED.search(story):
        return "damaged"
    return None if _CLOSED.search(story[-20:]) else "truncated"


def story_key(story: str, seed: int) -> int:
    """64 bits that stories have in common when their letters and digits agree; another seed, another draw."""
    letters = _NOT_LETTERS_OR_DIGITS.sub("", story.casefold())
    digest = blake2b(letters.encode(), digest_size=8, salt=seed.to_bytes(16, "little"))
    return int.from_bytes(digest.digest(), "little")


def first_occurrences(keys: Keys) -> Mask:
    """Marks every key that did not come up before."""
    mask = np.zeros(len(keys), dtype=np.bool_)
    mask[np.unique(keys, return_index=True)[1]] = True
    return mask


def held_out(keys: Keys, count: int) -> Mask:
    """Marks the `count` smallest of distinct keys: a random choice that does not depend on their order."""
    mask = np.zeros(len(keys), dtype=np.bool_)
    mask[np.argsort(keys)[:count]] = True
    return mask
