"""Two objectives at once, loss and size or compute: which trials no other beats in both, and ASHA's rule for them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np

from sweeps.policy.halving import DIVERGED_LOSS, RECENT
from sweeps.record.tables import Result
from sweeps.spec.schema import Objective


def second_objective(result: Result, objective: Objective) -> float:
    """What a trial is judged by besides its loss. [parameter or FLOP]"""
    return result.parameters if objective == "parameters" else result.flops


def front(results: Iterable[Result], objective: Objective) -> list[Result]:
    """The full trials that none beats in both objectives, smallest first."""
    full = (result for result in results if result.status == "completed" and result.usable)
    found: list[Result] = []
    for result in sorted(full, key=lambda r: (second_objective(r, objective), r.best_val_loss)):
        if not found or result.best_val_loss < found[-1].best_val_loss:
            found.append(result)
    return found


class ParetoHalving:
    """ASHA for two objectives: at each rung, trials are ranked by how many others beat them in both.

    A trial is compared with the latest `RECENT` that reached the rung. It goes on if fewer than max(1, n // eta) of
    these n are ranked before it, so those that no other beats always do, however small or large they are.

    Source: the rank is that of Fonseca & Fleming 1993 (MOGA); ASHA on such ranks, Schmucker et al. 2021,
    arXiv:2106.12639, who sort by fronts instead.

    Args:
        eta: reduction factor.
        rungs: evaluations at which trials are compared.
        second: each trial's second objective, known before it reports.
    """

    def __init__(self, *, eta: int, rungs: Sequence[int], second: Mapping[str, float]) -> None:
        self.eta = eta
        self._second = second
        self._losses: dict[int, dict[str, float]] = {rung: {} for rung in rungs}

    def record(self, trial_id: str, evaluation: int, loss: float) -> None:
        """Take in a loss without a decision; arguments as those of `SuccessiveHalving`."""
        if evaluation in self._losses:
            self._losses[evaluation][trial_id] = loss

    def report(self, trial_id: str, evaluation: int, loss: float) -> bool:
        """Record a loss and say whether the trial may go on, a diverged one never."""
        self.record(trial_id, evaluation, loss)
        if loss >= DIVERGED_LOSS:
            return False
        if evaluation not in self._losses:
            return True
        reached = self._losses[evaluation]
        latest = [other for other in islice(reversed(reached), RECENT) if other != trial_id]
        losses = {other: reached[other] for other in (*latest, trial_id)}
        beaten = beaten_by(np.array(list(losses.values())), np.array([self._second[trial_id] for trial_id in losses]))
        own = beaten[-1]
        return bool((beaten < own).sum() < max(1, len(losses) // self.eta))


def beaten_by(losses_N: np.ndarray, seconds_N: np.ndarray) -> np.ndarray:
    """How many trials beat each of N: better in one objective, and no worse in the other."""
    no_worse_NN = (losses_N[:, None] <= losses_N) & (seconds_N[:, None] <= seconds_N)
    better_NN = (losses_N[:, None] < losses_N) | (seconds_N[:, None] < seconds_N)
    return np.asarray((no_worse_NN & better_NN).sum(axis=0))
