"""Whether a run has diverged, by losses that the device is not made to wait for."""

import math
from collections import deque

import torch
from torch import Tensor

LOOK_EVERY = 20
"""Updates between two looks at the training loss, each of which makes the host wait for a GPU. [update]"""
DIVERGED = 1.5
"""A loss above this many times the first one ends the run: half as bad again as random weights is confidently
wrong, far outside what batches differ by, and no use to wait for."""


class LossWatch:
    """The training losses that the host looks at, some of them still on their way from the device.

    Args:
        first: the loss of the run's first update; infinite before it. [nat/token]
    """

    def __init__(self, first: float = math.inf) -> None:
        self.first = first
        self.seen = math.inf
        """The last loss that has arrived; infinite before the first. [nat/token]"""
        self._looks: deque[_Look] = deque()

    def add(self, step: int, loss: Tensor) -> None:
        """Send the loss of an update on its way to the host."""
        self._looks.append(_Look(step, loss))

    def is_divergence(self, loss: float) -> bool:
        """Whether a loss is so high, or no number at all, that the run has diverged."""
        return not loss <= DIVERGED * self.first or not math.isfinite(loss)

    def has_diverged(self, *, most_left: int) -> bool:
        """Take note of the losses that have arrived, until one shows a divergence; whether one does.

        Args:
            most_left: number of losses that may still be on their way; the others are waited for.
        """
        diverged = False
        while self._looks and not diverged and (len(self._looks) > most_left or self._looks[0].arrived):
            look = self._looks.popleft()
            self.seen = look.loss
            if look.step == 1:
                self.first = self.seen
            diverged = self.is_divergence(self.seen)
        return diverged


class _Look:
    """A training loss on its way to the host, while the device goes on."""

    def __init__(self, step: int, loss: Tensor) -> None:
        self.step = step
        self._loss = loss.to("cpu", non_blocking=True)
        self._copied = torch.cuda.current_stream().record_event() if loss.is_cuda else None

    @property
    def arrived(self) -> bool:
        """Whether `loss` is there without waiting."""
        return self._copied is None or self._copied.query()

    @property
    def loss(self) -> float:
        """The loss. [nat/token]"""
        if self._copied:
            self._copied.synchronize()
        return self._loss.item()
