"""Two objectives at once, loss and size or compute: ASHA's stopping rule for them."""

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from sweeps.policy.verdicts import Verdict
from sweeps.trials import Trial

RECENT = 300
"""Trials of a rung that are compared, the latest: more would cost time and hardly change the rank."""


class ParetoHalving:
    """ASHA for two objectives: at each rung, trials are ranked by how many others beat them in both.

    A trial is compared with the latest `RECENT` that reached the rung. It continues if fewer than max(1, n // eta) of
    these n are ranked before it, so those that no other beats always do, however small or large they are.

    Source: the rank is that of Fonseca & Fleming 1993 (MOGA); ASHA on such ranks, Schmucker et al. 2021,
    arXiv:2106.12639, who sort by fronts instead.

    Args:
        eta: reduction factor.
        rungs: evaluations at which trials are compared.
        second: each trial's second objective, known before it reports.
    """

    def __init__(self, *, eta: int, rungs: Sequence[int], second: Mapping[str, float]) -> None:
        self._eta = eta
        self._second = second
        self._losses: dict[int, dict[str, float]] = {rung: {} for rung in rungs}

    def record(self, trial_id: str, evaluation: int, loss: float) -> None:
        """See `halving.Rule`."""
        if evaluation in self._losses:
            self._losses[evaluation][trial_id] = loss

    def drop(self, trial_id: str) -> None:
        """Nothing: this rule promotes nobody."""

    def forget(self, trial_id: str) -> None:
        """See `halving.Rule`."""
        for losses in self._losses.values():
            losses.pop(trial_id, None)

    def verdict(self, trial: Trial) -> Verdict:
        """See `halving.Rule`."""
        if trial.evaluation not in self._losses:
            return Verdict.CONTINUE
        reached = self._losses[trial.evaluation]
        latest = [other for other in islice(reversed(reached), RECENT) if other != trial.trial_id]
        losses = {other: reached[other] for other in (*latest, trial.trial_id)}
        beaten_N = beaten_by(np.array(list(losses.values())), np.array([self._second[trial_id] for trial_id in losses]))
        better = int((beaten_N < beaten_N[-1]).sum())
        return Verdict.CONTINUE if better < max(1, len(losses) // self._eta) else Verdict.STOP


def beaten_by(losses_N: NDArray[np.float64], seconds_N: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many trials beat each of N: better in one objective, and no worse in the other."""
    no_worse_NN = (losses_N[:, None] <= losses_N) & (seconds_N[:, None] <= seconds_N)
    better_NN = (losses_N[:, None] < losses_N) | (seconds_N[:, None] < seconds_N)
    return np.asarray((no_worse_NN & better_NN).sum(axis=0))
