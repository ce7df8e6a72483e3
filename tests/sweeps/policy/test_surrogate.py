"""The surrogate of learning curves, against closed forms and finite differences."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from sweeps.policy.surrogate import TREND, Array, Curve, CurveModel, prior, terms

EVALUATIONS = 27


def curve(feature: float, losses: dict[int, float], cooldown: float = 0.0) -> Curve:
    at = terms(np.array(list(losses), dtype=float), EVALUATIONS, cooldown)
    return Curve(features=np.array([feature, feature**2]), basis=at, values=np.array(list(losses.values())))


def noisy_curves(count: int, length: int) -> list[Curve]:
    rng = np.random.default_rng(0)
    return [
        curve(float(x), {e: float(x + rng.normal()) for e in range(1, length + 1)}) for x in rng.uniform(0, 1, count)
    ]


def test_the_gradient_is_that_of_finite_differences() -> None:
    model = CurveModel(noisy_curves(5, 4), fit=False)
    rng = np.random.default_rng(1)
    for _ in range(3):
        at = prior(2, 3)[0] + rng.normal(size=len(prior(2, 3)[0]))
        error = check_grad(lambda x: model.objective(x)[0], lambda x: model.objective(x)[1], at)
        assert error < 1e-4 * np.linalg.norm(model.objective(at)[1])


def dense_final(curves: list[Curve], theta: Array) -> tuple[float, float]:
    """Forecast of the first trial from all its evaluations, by the textbook's formula on the whole covariance."""
    values = np.exp(theta)
    scales, smooth, own, noise = values[:2], values[2:5], values[5:8], values[8]

    def covariance(first: list[tuple[int, float]], second: list[tuple[int, float]]) -> Array:
        away = [
            [np.sqrt(5 * (((curves[i].features - curves[j].features) / scales) ** 2).sum()) for j, _ in second]
            for i, _ in first
        ]
        matern = (1 + np.array(away) + np.array(away) ** 2 / 3) * np.exp(-np.array(away))
        same = np.array([[i == j for j, _ in second] for i, _ in first])
        return sum(
            np.array([[(v * w) ** p for _, w in second] for _, v in first])
            * (TREND + smooth[p] * matern + own[p] * same)
            for p in range(3)
        )

    rows = [(i, float(v)) for i, c in enumerate(curves) for v in c.basis[:, 1]]
    data = np.concatenate([c.values for c in curves])
    known = covariance(rows, rows) + noise * np.eye(len(rows))
    cross = covariance([(0, 0.0)], rows)
    variance = covariance([(0, 0.0)], [(0, 0.0)]) - cross @ np.linalg.solve(known, cross.T)
    return float((cross @ np.linalg.solve(known, data))[0]), float(variance[0, 0])


def test_compressing_curves_loses_nothing() -> None:
    curves = noisy_curves(4, 9)
    model = CurveModel(curves, fit=False)

    mean, variance = model.finals(curves[0].features[None], np.array([0]))
    assert model.rows == 3 * 4
    assert (mean[0], variance[0, 0]) == pytest.approx(dense_final(curves, prior(2, 3)[0]), rel=1e-6)


def test_curves_that_cross_are_ranked_by_their_ends() -> None:
    """Large models start worse and end better: three finished trials show it, three others have only begun."""

    sizes = (0.0, 0.4, 0.8, 0.2, 0.6, 1.0)
    steep = {size: range(1, EVALUATIONS + 1) if size in sizes[:3] else range(1, 4) for size in sizes}
    curves = [curve(size, {e: 3 * size - 4 * size * np.log(e) / 3 - np.log(e) for e in steep[size]}) for size in sizes]
    early = [c.values[0] for c in curves]
    mean, _ = CurveModel(curves).finals(np.stack([c.features for c in curves]), np.arange(6))

    assert np.argsort(early).tolist() == np.argsort(sizes).tolist()
    assert np.argsort(mean).tolist() == np.argsort(sizes).tolist()[::-1]


def test_an_untried_configuration_is_forecast_from_its_neighbours() -> None:
    curves = [curve(x, {e: x - np.log(e) / 3 for e in (1, 3, 9, 27)}) for x in (0.0, 0.3, 0.7, 1.0)]
    mean, covariance = CurveModel(curves).finals(np.array([[0.5, 0.25], [4.0, 16.0]]), np.array([-1, -1]))

    assert mean[0] == pytest.approx(0.5 - np.log(27) / 3, abs=0.1)
    assert covariance[1, 1] > 2 * covariance[0, 0]


def test_the_drop_in_the_cool_down_is_expected_of_those_that_have_not_come_to_it() -> None:
    def losses(x: float, until: int) -> dict[int, float]:
        return {e: x - np.log(e) / 3 - 2 * max(0, e / 27 - 0.8) / 0.2 for e in range(1, until + 1)}

    ended = [curve(x, losses(x, 27), cooldown=0.2) for x in (0.0, 0.3, 0.7, 1.0)]
    begun = curve(0.5, losses(0.5, 9), cooldown=0.2)
    mean, _ = CurveModel([*ended, begun]).finals(begun.features[None], np.array([4]))

    assert mean[0] == pytest.approx(losses(0.5, 27)[27], abs=0.1)
