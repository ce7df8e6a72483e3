"""What confirming trials say: means over new seeds with intervals, and which configurations cannot be told apart."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from sweeps.record.tables import Result, confirming_groups, mean_loss

CONFIDENCE = 0.95
"""Of the interval around a mean."""


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """One configuration, trained with several seeds."""

    results: tuple[Result, ...]
    """Its confirming trials."""

    @property
    def losses(self) -> list[float]:
        """Final loss of each seed that ran to its end. [nat/token]"""
        return [result.best_val_loss for result in self.results if result.status == "completed"]

    @property
    def mean(self) -> float:
        """Of the losses; infinite if a seed diverged or failed. [nat/token]"""
        return mean_loss(self.results)

    @property
    def half_width(self) -> float:
        """Of the mean's interval by Student's t: infinite with a single seed. [nat/token]"""
        losses = self.losses
        if len(losses) < 2:
            return math.inf
        quantile = float(stdtrit(len(losses) - 1, (1 + CONFIDENCE) / 2))
        return quantile * float(np.std(losses, ddof=1)) / math.sqrt(len(losses))

    @property
    def shape(self) -> str:
        """The shape as people say it."""
        return self.results[0].shape

    def overlaps(self, other: "Confirmed") -> bool:
        """Whether the intervals of both means have a loss in common; never where a seed diverged or failed."""
        if math.isinf(self.mean) or math.isinf(other.mean):
            return False
        return abs(self.mean - other.mean) <= self.half_width + other.half_width


def confirmed(results: Iterable[Result]) -> list[Confirmed]:
    """What the confirming trials say of each configuration, best mean first."""
    groups = (Confirmed(results=tuple(group)) for group in confirming_groups(results).values())
    return sorted(groups, key=lambda group: group.mean)


def verdict(groups: Sequence[Confirmed], seeds: int) -> str:
    """Which configuration is best, or which cannot be told apart, in one sentence.

    Args:
        seeds: that each configuration is to have; there is no verdict before.
    """
    if any(len(group.results) < seeds for group in groups):
        ended = sum(len(group.results) for group in groups)
        return f"No verdict yet: {ended} confirming trials have ended, and not all configurations have {seeds}."
    best, *others = groups
    if math.isinf(best.mean):
        return "Not confirmed: of every configuration a seed diverged or failed."
    told = f"{len(best.losses)} new seeds"
    tied = [group for group in others if group.overlaps(best)]
    if not tied:
        return f"Confirmed with {told}: {best.shape}, {best.mean:.4f} ± {best.half_width:.4f} nat/token."
    names = " and ".join(f"{group.shape} ({group.mean:.4f} ± {group.half_width:.4f})" for group in (best, *tied))
    return f"A tie after {told} each: {names}: their intervals overlap, so these trials do not tell which is best."
