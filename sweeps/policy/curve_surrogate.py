"""Which configuration to try next, and how trials will end: decisions from the surrogate of learning curves."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from sweeps.policy.curves import Curves
from sweeps.policy.fitted import FittedCurves, one_thread
from sweeps.policy.surrogate import Array, terms

START = 8
"""Trials spread evenly before the first that follows results; the same for any number of workers."""
SPREAD = 3
"""Candidates among which each of them is the one farthest from all others: more would draw corners only."""
RANDOM = 3
"""Every so many trials one is drawn evenly after all, since a surrogate can be wrong for long.

Source: `random_fraction` of BOHB, Falkner et al. 2018, arXiv:1807.01774, a third in its authors' HpBandSter.
"""


class CurveSurrogate:
    """Bayesian optimisation on learning curves: every evaluation counts, of stopped and of running trials too.

    All answers follow from what it was told, and in which order, not from how often or when it was asked: a fit starts
    from the prior, and from losses that were noted as they grew more.

    Args:
        evaluations: of a full trial.
        cooldown: share of its budget in which the learning rate falls; losses drop there.
        logarithmic: whether losses are modelled by their logarithms; otherwise as they are, of any sign.
    """

    def __init__(self, evaluations: int, cooldown: float, *, logarithmic: bool = True) -> None:
        self._logarithmic = logarithmic
        self._curves = Curves(terms(np.ones(1), evaluations, cooldown).shape[1])
        self._fitted = FittedCurves(self._curves, evaluations, cooldown)

    def add(self, trial_id: str, features: Array) -> None:
        """A trial begins."""
        self._curves.add(trial_id, features)

    def report(self, trial_id: str, evaluation: int, loss: float) -> None:
        """Take in an evaluation; an infinite loss says that the trial diverged."""
        value = math.log(max(loss, 1e-12)) if self._logarithmic else loss
        self._curves.report(trial_id, evaluation, value)
        self._fitted.expire()

    def has_reported(self, trial_id: str, evaluation: int) -> bool:
        """Whether an evaluation of a trial is known."""
        return evaluation in self._curves.trials[trial_id].losses

    def end(self, trial_id: str) -> None:
        """A trial has ended or paused; one that had paused may yet end otherwise."""
        self._curves.end(trial_id)

    def resume(self, trial_id: str) -> None:
        """A trial that had ended or paused runs again."""
        self._curves.resume(trial_id)

    def remove(self, trial_id: str) -> None:
        """Forget a trial, as if it had never begun."""
        self._curves.remove(trial_id)
        self._fitted.expire()

    def forecast(self, trial_ids: Sequence[str]) -> Array:
        """The losses that trials will end with, or would have ended with. [nat/token]

        Raises:
            ValueError: no loss has been reported yet.
        """
        finals = self._fitted.values(trial_ids)
        return np.exp(finals) if self._logarithmic else finals

    def chance_of_best(self, trial_id: str) -> float:
        """Probability that a trial ends below the best forecast of all others; 1 if there are none."""
        others = [other for other in self._fitted.trial_ids() if other != trial_id]
        if not others:
            return 1.0
        mean, covariance = self._fitted.finals([trial_id, *others])
        best = int(mean[1:].argmin()) + 1
        variance = covariance[0, 0] + covariance[best, best] - 2 * covariance[0, best]
        return float(ndtr((mean[best] - mean[0]) / math.sqrt(max(variance, 1e-9))))

    def best(self) -> str | None:
        """The trial of the lowest forecast; None as long as no finite loss is known."""
        if not self._curves.finite:
            return None
        trial_ids = self._fitted.trial_ids()
        return min(trial_ids, key=dict(zip(trial_ids, self.forecast(trial_ids), strict=True)).__getitem__)

    def choose(self, candidates: Array) -> int:
        """Index of the candidate to train next, by expected improvement on the best forecast.

        Running trials are believed to end as forecast, so that parallel proposals spread.

        Args:
            candidates: features, one row each, evenly drawn ones first.

        Source: expected improvement, Jones et al. 1998; kriging believer, Ginsbourger et al. 2010.
        """
        if len(self._curves.trials) < START or not self._curves.finite:
            return self._farthest(candidates[:SPREAD])
        if len(self._curves.trials) % RANDOM == 0:
            return 0
        running = list(self._curves.running)
        known = list(dict.fromkeys([*self._fitted.trial_ids(), *running]))
        mean, covariance = self._fitted.finals(known, candidates)
        count = len(known)
        place = {trial_id: index for index, trial_id in enumerate(known)}
        believed = [place[trial_id] for trial_id in running]
        inner = covariance[np.ix_(believed, believed)] + 1e-3 * np.eye(len(believed))
        outer = covariance[believed, count:]
        with one_thread():
            variance = np.diag(covariance)[count:] - (outer * np.linalg.solve(inner, outer)).sum(axis=0)
        deviation = np.sqrt(np.maximum(variance, 1e-9))
        gain = (mean[:count].min() - mean[count:]) / deviation
        return int(np.argmax(deviation * (gain * ndtr(gain) + np.exp(-(gain**2) / 2) / math.sqrt(2 * math.pi))))

    def _farthest(self, candidates: Array) -> int:
        if not self._curves.trials:
            return 0
        tried = np.stack([trial.features for trial in self._curves.trials.values()])
        return int(((candidates[:, None] - tried) ** 2).sum(axis=2).min(axis=1).argmax())
