"""The loss on validation text: a sample of its stories, or all of it.

Shapes: B sequences in a batch, L tokens in a sequence, N tokens of text, S stories.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tinystories.data.dataset import Dataset, Tokens
from tinystories.data.loader import ahead
from tinystories.models.model import GPTNeo

SAMPLE_SEED = 0
"""Seeds the order in which stories are sampled. One for all: trials of every seed read the same stories."""
Text = np.ndarray[Any, np.dtype[np.uint16]]
"""Token ids: stories, each followed by the end-of-text token."""
Losses = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model makes of some text."""

    loss: float
    """Mean loss. [nat/token]"""
    se: float
    """Standard error of the loss over stories; infinite if there is but one. [nat/token]"""
    bpb: float
    """The loss per byte of text, at the tokens per byte of the whole validation file. [bit/byte]"""


def sample(dataset: Dataset, tokens: int) -> Text:
    """Whole validation stories of so many tokens at most, and at least two stories; all of them if they are no more.

    They are the first of one fixed random order, so a smaller sample is the beginning of a larger one. An end-of-text
    token stands before them, as before every story that is trained on.
    """
    if tokens >= len(dataset.valid):
        return dataset.valid
    ends_S = np.flatnonzero(dataset.valid == _end_of_text(dataset)) + 1
    starts_S = np.concatenate(([0], ends_S[:-1]))
    order_S = np.random.default_rng(SAMPLE_SEED).permutation(len(ends_S))
    count = int(np.searchsorted(np.cumsum((ends_S - starts_S)[order_S]), tokens, side="right"))
    chosen_S = order_S[: max(2, count)]
    stories = [dataset.valid[starts_S[story] : ends_S[story]] for story in chosen_S]
    return np.concatenate([dataset.valid[-1:], *stories])


def evaluate(model: GPTNeo, dataset: Dataset, *, batch_size: int, text_N: Text | None = None) -> Evaluation:
    """Loss over every token of the text but the first.

    Deterministic: a noisy rung promotes noise.
    Bits per byte divide by the text's length rather than the tokens', so tokenizers can be compared.

    Args:
        text_N: what `sample` gave; None: the whole validation text.
    """
    text_N = dataset.valid if text_N is None else text_N
    losses_N = _losses(model, text_N, batch_size)
    loss = float(losses_N.mean())
    bytes_per_token = dataset.valid_bytes / (len(dataset.valid) - 1)
    return Evaluation(
        loss=loss,
        se=_standard_error(losses_N, text_N[1:] == _end_of_text(dataset)),
        bpb=loss / math.log(2) / bytes_per_token,
    )


def _losses(model: GPTNeo, text_N: Text, batch_size: int) -> Losses:
    """Loss of every token but the first. [nat]"""
    device = model.wte.weight.device
    # In one piece from the start: small tensors that stay between the large ones of every batch leave holes in memory.
    losses_N, done = torch.empty(len(text_N) - 1, device=device), 0
    batches = windows(text_N, batch_size=batch_size, context=model.config.context)
    for inputs_BL, targets_BL in ahead(batches, device):
        losses_N[done : done + targets_BL.numel()] = model.losses(inputs_BL, targets_BL).flatten()
        done += targets_BL.numel()
    return losses_N.cpu().numpy().astype(np.float64)


def windows(text_N: Text, *, batch_size: int, context: int) -> Iterator[tuple[Tokens, Tokens]]:
    """A text in order: inputs_BL, targets_BL; every token but the first is a target once.

    Windows do not overlap. The last, shorter window comes alone, so nothing is padded or dropped.
    """
    whole = (len(text_N) - 1) // context * context
    for start in range(0, whole, batch_size * context):
        stop = min(start + batch_size * context, whole)
        yield _pair(text_N[start : stop + 1], context)
    if rest := len(text_N) - 1 - whole:
        yield _pair(text_N[whole:], rest)


def _pair(text_N: Text, length: int) -> tuple[Tokens, Tokens]:
    tokens_N = np.asarray(text_N).astype(np.int64)
    return tokens_N[:-1].reshape(-1, length), tokens_N[1:].reshape(-1, length)


def _end_of_text(dataset: Dataset) -> int:
    return int(dataset.valid[-1])  # every story ends with it


def _standard_error(losses_N: Losses, ends_N: np.ndarray[Any, Any]) -> float:
    """Of the mean loss, if the stories are drawn from all that could have been told. [nat/token]

    The mean is a ratio of two sums over stories, nats and tokens; tokens of one story are not independent.

    Args:
        losses_N: of each token. [nat]
        ends_N: whether a story ends with the token.

    Source: Cochran 1977, Sampling Techniques, 3rd edition, section 2.11, without its correction for a finite
    population, as the file is a sample itself: s(R)^2 = sum((y - R x)^2) / (S - 1) / S / mean(x)^2.
    """
    starts_S = np.concatenate(([0], np.flatnonzero(ends_N)[:-1] + 1))
    if (stories := len(starts_S)) < 2:
        return math.inf
    tokens_S = np.diff(starts_S, append=len(losses_N))
    residuals_S = np.add.reduceat(losses_N, starts_S) - losses_N.mean() * tokens_S
    return math.sqrt(stories / (stories - 1) * float(residuals_S @ residuals_S)) / len(losses_N)
