"""The surrogate of learning curves, fitted to what was reported whenever it is asked."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from sweeps.policy.curves import Curves, Reported, Standard
from sweeps.policy.surrogate import Array, Curve, CurveModel


class FittedCurves:
    """A model of curves that follows them: `expire` says that they have changed, and the next answer counts it in.

    Args:
        curves: what is known of the trials.
        evaluations: of a full trial.
        cooldown: share of its budget in which the learning rate falls.
    """

    def __init__(self, curves: Curves, evaluations: int, cooldown: float) -> None:
        self._curves = curves
        self._evaluations = evaluations
        self._cooldown = cooldown
        self._fitted: tuple[object, Array] | None = None
        """Hyperparameters, behind the curves that they were fitted to."""
        self._standard: Standard | None = None
        self._model: CurveModel | None = None
        self._index: dict[str, int] = {}
        """Places of trials among the curves in the model."""
        self._current = False

    def expire(self) -> None:
        """Note that the losses of the curves have changed."""
        self._current = False

    def trial_ids(self) -> list[str]:
        """The trials whose curves are in the model.

        Raises:
            ValueError: no loss has been reported yet.
        """
        self._update()
        return list(self._index)

    def values(self, trial_ids: Sequence[str]) -> Array:
        """The final values of trials that the model expects.

        Raises:
            ValueError: no loss has been reported yet.
        """
        mean, _ = self.finals(trial_ids)
        assert self._standard
        return self._standard.center + self._standard.scale * mean

    def finals(self, trial_ids: Sequence[str], candidates: Iterable[Array] = ()) -> tuple[Array, Array]:
        """Mean and covariance of standardised final values: of trials, then of candidates.

        Raises:
            ValueError: no loss has been reported yet.
        """
        self._update()
        assert self._model
        known = [self._curves.trials[trial_id].features for trial_id in trial_ids]
        features = [*known, *candidates]
        index = [self._index.get(trial_id, -1) for trial_id in trial_ids] + [-1] * (len(features) - len(known))
        with one_thread():
            return self._model.finals(np.stack(features), np.array(index))

    def _update(self) -> None:
        """Bring the model up to the reported losses."""
        if not self._curves.finite:
            raise ValueError("no loss has been reported yet")
        if self._current:
            return
        kept = self._curves.kept()
        self._standard = Standard.of(kept.values())
        with one_thread():
            self._model = CurveModel(self._seen(kept.values(), self._standard), start=self._fit(), fit=False)
        self._index = {trial_id: index for index, trial_id in enumerate(kept)}
        self._current = True

    def _fit(self) -> Array:
        """Hyperparameters of the curves that were noted last."""
        noted = self._curves.noted
        if self._fitted is None or self._fitted[0] is not noted:
            trials = list(noted.values())
            self._fitted = noted, CurveModel(self._seen(trials, Standard.of(trials))).hyperparameters
        return self._fitted[1]

    def _seen(self, trials: Iterable[Reported], standard: Standard) -> list[Curve]:
        return [standard.curve(trial, self._evaluations, self._cooldown) for trial in trials]


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Let no other core compute: the matrices are small, and the cores belong to the trials."""
    limit: Callable[..., AbstractContextManager[Any]] = _controller().limit
    return limit(limits=1, user_api="blas")
