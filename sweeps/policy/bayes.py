"""Where to look next, and how trials will end: decisions from the surrogate of learning curves."""

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import norm

from sweeps.policy.surrogate import Array, Curve, CurveModel, terms

START = 8
"""Trials spread evenly before the first that follows results; the same for any number of workers."""
SPREAD = 3
"""Candidates among which each of them is the one farthest from all others: more would draw corners only."""
RANDOM = 3
"""Every so many trials one is drawn evenly after all, since a surrogate can be wrong for long.

Source: `random_fraction` of BOHB, Falkner et al. 2018, arXiv:1807.01774, a third in its authors' HpBandSter.
"""
ROWS = 300
"""Numbers that the surrogate is fitted to; beyond them trials are left out, those that stopped earliest first."""
GROWTH = 1.15
"""Hyperparameters are fitted anew when there are so many times as many rows as at the last fit."""
OUTLIER = 3.0
"""How far above the median of its evaluation a loss may lie, in deviations; worse or diverged ones are drawn in."""
ENOUGH = 8
"""Losses of an evaluation whose own deviation counts; of fewer, that of the evaluation where most trials were."""
UNKNOWN_SCALE = 0.1
"""Deviation of log losses as long as all are equal."""


@dataclass
class _Trial:
    features: Array
    losses: dict[int, float] = field(default_factory=dict)
    """By evaluation; infinite where it diverged."""


class Bayes:
    """Bayesian optimisation on learning curves: every evaluation counts, of stopped and of running trials too.

    Args:
        evaluations: of a full trial.
        cooldown: share of its budget in which the learning rate falls; losses drop there.
    """

    def __init__(self, evaluations: int, cooldown: float) -> None:
        self._evaluations = evaluations
        self._cooldown = cooldown
        self._terms = terms(np.ones(1), evaluations, cooldown).shape[1]
        self._trials: dict[str, _Trial] = {}
        self._running: dict[str, _Trial] = {}
        """In the order of their last reports."""
        self._ended: list[tuple[bool, int, str]] = []
        """What ended trials with losses are worth, and their names, ascending: as many as the surrogate may see."""
        self._model: CurveModel | None = None
        self._curve: dict[str, int] = {}
        self._fitted_rows = 0
        self._center, self._scale = 0.0, 1.0
        self._stale = False

    def add(self, trial_id: str, features: Array) -> None:
        """A trial begins."""
        self._trials[trial_id] = self._running[trial_id] = _Trial(features)

    def report(self, trial_id: str, evaluation: int, loss: float) -> None:
        """Take in an evaluation; an infinite loss says that the trial diverged."""
        self._trials[trial_id].losses[evaluation] = loss
        self._running[trial_id] = self._running.pop(trial_id)
        self._stale = True

    def reported(self, trial_id: str) -> dict[int, float]:
        """Losses of a trial by evaluation."""
        return self._trials[trial_id].losses

    def end(self, trial_id: str) -> None:
        """A trial has ended."""
        losses = self._running.pop(trial_id).losses
        if losses:
            insort(self._ended, (any(map(math.isfinite, losses.values())), len(losses), trial_id))
            del self._ended[:-ROWS]

    def resume(self, trial_id: str) -> None:
        """A trial that had ended runs again."""
        self._running[trial_id] = self._trials[trial_id]
        self._ended = [worth for worth in self._ended if worth[-1] != trial_id]

    def forecast(self, trial_ids: Sequence[str]) -> Array:
        """The losses that trials will end with, or would have ended with. [nat/token]

        Raises:
            ValueError: no loss has been reported yet.
        """
        mean, _ = self._finals(trial_ids, None)
        return np.exp(self._center + self._scale * mean)

    def chance_of_best(self, trial_id: str) -> float:
        """Probability that a trial ends below the best forecast of all others; 1 if there are none."""
        self._update()
        others = [other for other in self._curve if other != trial_id]
        if not others:
            return 1.0
        mean, covariance = self._finals([trial_id, *others], None)
        best = int(mean[1:].argmin()) + 1
        variance = covariance[0, 0] + covariance[best, best] - 2 * covariance[0, best]
        return float(norm.cdf((mean[best] - mean[0]) / math.sqrt(max(variance, 1e-9))))

    def best(self) -> str | None:
        """The trial of the lowest forecast."""
        if not self._informed:
            return None
        self._update()
        return min(self._curve, key=dict(zip(self._curve, self.forecast(list(self._curve)), strict=True)).__getitem__)

    def choose(self, candidates: Array) -> int:
        """Index of the candidate to train next, by expected improvement on the best forecast.

        Running trials are believed to end as forecast, so that parallel proposals spread.

        Args:
            candidates: features, one row each, evenly drawn ones first.

        Source: expected improvement, Jones et al. 1998; kriging believer, Ginsbourger et al. 2010.
        """
        if len(self._trials) < START or not self._informed:
            return self._farthest(candidates[:SPREAD])
        if len(self._trials) % RANDOM == 0:
            return 0
        self._update()
        running = list(self._running)
        known = [*self._curve, *(trial_id for trial_id in running if trial_id not in self._curve)]
        mean, covariance = self._finals(known, candidates)
        count = len(known)
        believed = [known.index(trial_id) for trial_id in running]
        inner = covariance[np.ix_(believed, believed)] + 1e-3 * np.eye(len(believed))
        outer = covariance[believed, count:]
        variance = np.diag(covariance)[count:] - (outer * np.linalg.solve(inner, outer)).sum(axis=0)
        deviation = np.sqrt(np.maximum(variance, 1e-9))
        gain = (mean[:count].min() - mean[count:]) / deviation
        return int(np.argmax(deviation * (gain * norm.cdf(gain) + norm.pdf(gain))))

    @property
    def _informed(self) -> bool:
        return any(math.isfinite(loss) for trial in self._trials.values() for loss in trial.losses.values())

    def _farthest(self, candidates: Array) -> int:
        if not self._trials:
            return 0
        tried = np.stack([trial.features for trial in self._trials.values()])
        return int(((candidates[:, None] - tried) ** 2).sum(axis=2).min(axis=1).argmax())

    def _finals(self, trial_ids: Sequence[str], candidates: Array | None) -> tuple[Array, Array]:
        """Mean and covariance of standardised final log losses: of trials, then of candidates."""
        self._update()
        assert self._model
        features = [self._trials[trial_id].features for trial_id in trial_ids]
        curves = [self._curve.get(trial_id, -1) for trial_id in trial_ids]
        if candidates is not None:
            features.extend(candidates)
            curves.extend([-1] * len(candidates))
        return self._model.finals(np.stack(features), np.array(curves))

    def _update(self) -> None:
        """Bring the model up to the reported losses."""
        if not self._stale:
            return
        if not self._informed:
            raise ValueError("no loss has been reported yet")
        kept = self._kept()
        curves = self._curves(kept)
        rows = sum(min(curve.basis.shape) for curve in curves)
        fit = rows >= GROWTH * self._fitted_rows
        self._model = CurveModel(curves, start=self._model.hyperparameters if self._model else None, fit=fit)
        self._fitted_rows = rows if fit else self._fitted_rows
        self._curve = {trial_id: index for index, trial_id in enumerate(kept)}
        self._stale = False

    def _kept(self) -> list[str]:
        """The trials that the surrogate sees: all, or those that went farthest, and running ones that just reported.

        Ended and running ones have half of the rows each, and what the others leave.
        """
        ended = [trial_id for _, _, trial_id in reversed(self._ended)]
        reported = [trial_id for trial_id, trial in reversed(self._running.items()) if trial.losses]
        kept: dict[str, None] = {}
        left = ROWS
        for names, most in ((ended, ROWS // 2), (reported, ROWS), (ended, ROWS)):
            for name in names:
                if name in kept:
                    continue
                rows = min(self._terms, len(self._trials[name].losses))
                if rows > left or ROWS - left >= most:
                    break
                kept[name] = None
                left -= rows
        return list(kept)

    def _curves(self, kept: Sequence[str]) -> list[Curve]:
        """Log losses, standardised by median and deviation where most trials were, outliers drawn in."""
        logs = {
            trial_id: {at: math.log(max(loss, 1e-12)) for at, loss in self._trials[trial_id].losses.items()}
            for trial_id in kept
        }
        columns: dict[int, list[float]] = {}
        for curve in logs.values():
            for at, value in curve.items():
                if math.isfinite(value):
                    columns.setdefault(at, []).append(value)
        most = max(columns, key=lambda at: len(columns[at]))
        self._center = float(np.median(columns[most]))
        self._scale = _deviation(columns[most]) or UNKNOWN_SCALE
        known = sorted(columns)
        highest = [self._highest(columns[at]) for at in known]
        return [
            Curve(
                features=self._trials[trial_id].features,
                basis=terms(np.array(list(curve), dtype=float), self._evaluations, self._cooldown),
                values=(np.minimum(list(curve.values()), np.interp(list(curve), known, highest)) - self._center)
                / self._scale,
            )
            for trial_id, curve in logs.items()
        ]

    def _highest(self, column: list[float]) -> float:
        """What worse log losses of an evaluation are taken for; trials differ more at some than at others."""
        own = _deviation(column) if len(column) >= ENOUGH else 0.0
        return float(np.median(column)) + OUTLIER * (own or self._scale)


def _deviation(values: list[float]) -> float:
    """Standard deviation of a normal distribution with the same median distance to the median."""
    return 1.4826 * float(np.median(np.abs(np.array(values) - np.median(values))))
