"""A Gaussian process of learning curves: what unfinished and untried trials will end with. Only numpy and scipy.

A loss is modelled by its logarithm z over v = log(evaluation / evaluations) / log(evaluations), from -1 at the first
evaluation to 0 at the end, as a parabola in v, and a fourth term w for the drop in the cool-down: -1 before it, 0 at
the end. The coefficients are the sum of a part that all trials share, a smooth function of the configuration, and a
part of the trial's own: with the terms u = 1, v, v^2, w

    cov(z, z') = sum_p u_p u'_p (TREND + a_p k(x, x') + b_p [same trial]) + noise [same evaluation]

Such a curve is known from as many numbers as it has terms, so one of any length enters as at most four rows, by a QR
decomposition that loses nothing. Curves that cross have configurations or trials of different slope a_1, b_1.

Source: Swersky et al. 2014, arXiv:1406.3896 (freeze-thaw); Rasmussen & Williams 2006, sections 2.7 and 5.4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]

TREND = 300.0
"""Prior variance of each coefficient that all trials share: wide, in units of the spread between trials."""
PRIOR = {"scales": (0.0, 1.0), "smooth": (0.0, 1.5), "own": (-2.5, 1.5), "noise": (-6.0, 1.5)}
"""Mean and deviation of the logarithms of length scales, a_p, b_p and noise."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What is known of one trial."""

    features: Array
    """Its configuration; each feature spans about 0 to 1 over the space."""
    basis: Array
    """The terms at its evaluations; one row each, from `terms`."""
    values: Array
    """z there, standardised."""


class CurveModel:
    """A Gaussian process fitted to curves.

    Args:
        curves: at least one, each with at least one evaluation.
        start: hyperparameters to start the fit from, `hyperparameters` of an earlier model; None: the prior's.
        fit: whether to fit them; otherwise they are used as they are.
    """

    def __init__(self, curves: Sequence[Curve], *, start: Array | None = None, fit: bool = True) -> None:
        self._features = np.stack([curve.features for curve in curves])
        compressed = [_compress(curve) for curve in curves]
        self._trial = np.repeat(np.arange(len(curves)), [len(values) for _, values in compressed])
        self._basis = np.concatenate([basis for basis, _ in compressed])
        self._values = np.concatenate([values for _, values in compressed])
        self._away = (self._features[:, None] - self._features[None]) ** 2
        self._mean, self._spread = prior(self._features.shape[1], self._basis.shape[1])
        self.hyperparameters = self._mean.copy() if start is None else start
        if fit:
            bounds = list(zip(self._mean - 3 * self._spread, self._mean + 3 * self._spread, strict=True))
            found = minimize(
                self.objective,
                self.hyperparameters,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"maxiter": 30, "ftol": 1e-6},
            )
            self.hyperparameters = found.x
        self._condition()

    @property
    def rows(self) -> int:
        """Numbers that the curves were compressed to."""
        return len(self._values)

    def _covariance(self, theta: Array) -> tuple[Array, Array, Array]:
        scales, smooth, own, noise = _split(theta, self._basis.shape[1])
        matern, slope = _matern(self._away, scales)
        weights = smooth[:, None, None] * matern + TREND
        weights[:, np.arange(len(matern)), np.arange(len(matern))] += own[:, None]
        index = np.ix_(self._trial, self._trial)
        covariance = noise * np.eye(self.rows)
        for term in range(self._basis.shape[1]):
            column = self._basis[:, term]
            covariance += column[:, None] * column * weights[term][index]
        return covariance, matern, slope

    def objective(self, theta: Array) -> tuple[float, Array]:
        """Minus the logarithm of the posterior density of hyperparameters, up to a constant, and its gradient."""
        scales, smooth, own, noise = _split(theta, self._basis.shape[1])
        covariance, matern, slope = self._covariance(theta)
        root = cholesky(covariance, lower=True, check_finite=False)
        alpha = cho_solve((root, True), self._values, check_finite=False)
        inner = cho_solve((root, True), np.eye(self.rows), check_finite=False) - np.outer(alpha, alpha)
        member = np.equal.outer(np.arange(len(matern)), self._trial).astype(float)
        by_trial = np.stack([(member * column) @ inner @ (member * column).T for column in self._basis.T])
        total = np.tensordot(smooth, by_trial, axes=1) * slope
        gradient = 0.5 * np.concatenate(
            [
                np.tensordot(self._away, total, axes=((0, 1), (0, 1))) / scales**2,
                smooth * (by_trial * matern).sum(axis=(1, 2)),
                own * np.trace(by_trial, axis1=1, axis2=2),
                [noise * np.trace(inner)],
            ]
        )
        away = (theta - self._mean) / self._spread
        loss = 0.5 * self._values @ alpha + np.log(np.diag(root)).sum() + 0.5 * away @ away
        return float(loss), gradient + away / self._spread

    def _condition(self) -> None:
        covariance, _, _ = self._covariance(self.hyperparameters)
        self._root = cholesky(covariance, lower=True, check_finite=False)
        self._alpha = cho_solve((self._root, True), self._values, check_finite=False)

    def finals(self, features: Array, trial: NDArray[np.int64]) -> tuple[Array, Array]:
        """Mean and covariance of the values at the end.

        Args:
            features: of the configurations asked for; one row each.
            trial: index of its curve, or -1 for a configuration that has none.
        """
        scales, smooth, own, _ = _split(self.hyperparameters, self._basis.shape[1])
        cross, _ = _matern((features[:, None] - self._features[None]) ** 2, scales)
        same = (trial[:, None] == self._trial) * own[0]
        cross = (smooth[0] * cross[:, self._trial] + TREND + same) * self._basis[:, 0]
        between, _ = _matern((features[:, None] - features[None]) ** 2, scales)
        known = solve_triangular(self._root, cross.T, lower=True, check_finite=False)
        covariance = smooth[0] * between + TREND + own[0] * np.eye(len(features)) - known.T @ known
        return cross @ self._alpha, covariance


def prior(features: int, count: int) -> tuple[Array, Array]:
    """Means and deviations of the hyperparameters' logarithms, in the order of `CurveModel.hyperparameters`."""
    lengths = {"scales": features, "smooth": count, "own": count, "noise": 1}
    rows = [PRIOR[name] for name, length in lengths.items() for _ in range(length)]
    mean, spread = np.array(rows).T
    return mean.copy(), spread.copy()


def _split(theta: Array, count: int) -> tuple[Array, Array, Array, float]:
    values = np.exp(theta)
    return values[: -2 * count - 1], values[-2 * count - 1 : -count - 1], values[-count - 1 : -1], float(values[-1])


def _matern(away: Array, scales: Array) -> tuple[Array, Array]:
    """Matern 5/2 correlations for squared distances along each feature, and minus twice their slope in the square."""
    distance = np.sqrt(5 * (away @ (1 / scales**2)))
    decay = np.exp(-distance)
    return (1 + distance + distance**2 / 3) * decay, 5 / 3 * (1 + distance) * decay


def _compress(curve: Curve) -> tuple[Array, Array]:
    """Rows that say of a curve's coefficients all that its evaluations do."""
    if curve.basis.shape[0] <= curve.basis.shape[1]:
        return curve.basis, curve.values
    rotation, triangle = np.linalg.qr(curve.basis)
    return triangle, rotation.T @ curve.values


def terms(evaluation: Array, evaluations: int, cooldown: float) -> Array:
    """1, v, v^2 and, if there is a cool-down, w: one row an evaluation.

    Args:
        evaluation: counted from 1.
        evaluations: of a full trial.
        cooldown: share of the budget at its end in which the learning rate falls.
    """
    # A trial with a single evaluation is at its end.
    v = np.log(evaluation / evaluations) / math.log(evaluations) if evaluations > 1 else np.zeros(len(evaluation))
    if not cooldown:
        return np.stack([np.ones_like(v), v, v**2], axis=1)
    w = np.maximum((evaluation / evaluations - 1) / cooldown, -1)
    return np.stack([np.ones_like(v), v, v**2, w], axis=1)
