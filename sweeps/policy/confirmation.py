"""Confirmation: the best configurations again, with new seeds, so that the winner of many trials is not a lucky one."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
from scipy.special import stdtrit

from sweeps.record.tables import Configuration, Result, confirming_groups, mean_loss, ranked
from sweeps.spec.schema import Spec

CONFIDENCE = 0.95
"""Of the interval around a mean."""


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """One configuration, trained with several seeds."""

    results: tuple[Result, ...]
    """Its confirming trials."""

    @property
    def losses(self) -> list[float]:
        """Best loss of each seed that ran to its end. [nat/token]"""
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


def wanted(
    spec: Spec, results: Sequence[Result], *, running: Iterable[tuple[Configuration, int]] = ()
) -> list[tuple[Result, int]]:
    """The confirming trials that a finished search still asks for: a trial to repeat, and a seed for it.

    Args:
        results: all trials that have ended.
        running: configurations and seeds of confirming trials that have not.
    """
    if spec.confirm is None:
        return []
    search = [result for result in results if result.stage == "search"]
    best: dict[Configuration, Result] = {}
    for result in ranked(search):
        if len(best) < spec.confirm.top:
            best.setdefault(result.configuration, result)
    used = {(result.configuration, result.seed) for result in search}
    begun = {(result.configuration, result.seed) for result in results if result.stage == "confirm"} | set(running)
    trials = []
    for configuration, result in best.items():
        first = spec.trial.seed
        new = (seed for seed in count(first + 1) if (configuration, seed) not in used)
        seeds = islice(new, spec.confirm.seeds)
        trials += [(result, seed) for seed in seeds if (configuration, seed) not in begun]
    return trials


def left(spec: Spec, results: Sequence[Result]) -> int:
    """Trials that have not ended yet; as long as the search goes on, all that may confirm it count."""
    searching = spec.trials - sum(result.stage == "search" for result in results)
    return searching + spec.trials_in_all - spec.trials if searching > 0 else len(wanted(spec, results))


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
