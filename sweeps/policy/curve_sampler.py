"""The surrogate of learning curves as a sampler of Optuna, for any study whose trials report intermediate values."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import intersection_search_space
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.policy.candidates import DRAWN, NEAR, Near
from sweeps.policy.curve_surrogate import CurveSurrogate
from sweeps.policy.parameters import ordered
from sweeps.policy.surrogate import Array
from sweeps.spec.space import Even, Suggester

Parameters = dict[str, Any]
Searched = dict[str, BaseDistribution]


class CurveSampler(BaseSampler):
    """Bayesian optimisation on learning curves: it learns from every value that any trial has reported.

    Trials that run or were pruned count as far as they went, and their ends are forecast; a failed trial counts as one
    that ended badly. Proposals follow expected improvement on the best forecast. The first eight trials spread evenly,
    as does every third one later. Parameters that not all trials have are drawn evenly.

        study = optuna.create_study(sampler=CurveSampler(evaluations=27), pruner=SuccessiveHalvingPruner())

    A study is minimised or maximised. Positive values that are minimised, losses, are modelled by their logarithms.

    Args:
        evaluations: steps that a full trial reports; a trial's value is taken for that of the last.
        first_step: the step of a trial's first report; the others follow one by one.
        cooldown: share of a full trial, at its end, in which the learning rate falls, if values drop there; else 0.
        seed: of all draws; None: another one each time.

    Raises:
        ValueError: fewer than one evaluation, a cool-down outside 0 to 1, or, when it is asked, a study of several
            objectives or a step beyond the last.
    """

    def __init__(
        self, *, evaluations: int, first_step: int = 0, cooldown: float = 0.0, seed: int | None = None
    ) -> None:
        if evaluations < 1:
            raise ValueError(f"evaluations {evaluations} must be at least 1")
        if not 0 <= cooldown <= 1:
            raise ValueError(f"cooldown {cooldown} must be between 0 and 1")
        self._evaluations = evaluations
        self._first_step = first_step
        self._cooldown = cooldown
        self._random = random.Random(seed)

    def reseed_rng(self) -> None:
        """Draw otherwise from now on, as Optuna asks of copies in parallel threads."""
        self._random.seed()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Searched:
        """The parameters that all trials have had so far, and that have more than one value."""
        common = intersection_search_space(study.get_trials(deepcopy=False), include_pruned=True)
        return {name: distribution for name, distribution in common.items() if not distribution.single()}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Searched) -> Parameters:
        """The most promising of some hundred configurations, drawn evenly and near the best trial's."""
        if len(study.directions) > 1:
            raise ValueError(f"CurveSampler follows one objective; the study has {len(study.directions)}")
        if not search_space:
            return {}
        known = {
            str(other.number): other
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number and search_space.keys() <= other.params.keys()
        }
        surrogate = self._surrogate(list(known.values()), study.direction, search_space)
        best = surrogate.best()
        offered = self._offer(
            search_space, [other.params for other in known.values()], known[best].params if best else None
        )
        return offered[surrogate.choose(_features(offered, search_space))]

    def _offer(self, search_space: Searched, tried: Sequence[Parameters], best: Parameters | None) -> list[Parameters]:
        """Configurations that were not tried, if there are any, evenly drawn ones first."""
        offered = [_draw(Even(self._random), search_space) for _ in range(DRAWN)]
        if best:
            offered += [_draw(Near(self._random, best), search_space) for _ in range(NEAR)]
        known = {tuple(parameters[name] for name in search_space) for parameters in tried}
        return [drawn for drawn in offered if tuple(drawn.values()) not in known] or offered

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw evenly what the surrogate knows nothing of."""
        return _draw(Even(self._random), {param_name: param_distribution})[param_name]

    def _surrogate(
        self, trials: Sequence[FrozenTrial], direction: StudyDirection, search_space: Searched
    ) -> CurveSurrogate:
        """A surrogate that was told of all trials, oldest first."""
        sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
        curves = [{at: sign * value for at, value in self._curve(trial)} for trial in trials]
        numbers = [value for curve in curves for value in curve.values() if math.isfinite(value)]
        logarithmic = sign > 0 and min(numbers, default=1.0) > 0
        surrogate = CurveSurrogate(self._evaluations, self._cooldown, logarithmic=logarithmic)
        places = _features([trial.params for trial in trials], search_space)
        for trial, curve, place in zip(trials, curves, places, strict=True):
            name = str(trial.number)
            surrogate.add(name, place)
            for evaluation, value in curve.items():
                surrogate.report(name, evaluation, value if math.isfinite(value) else math.inf)
            if trial.state == TrialState.FAIL:
                surrogate.report(name, self._evaluations, math.inf)
            if trial.state.is_finished():
                surrogate.end(name)
        return surrogate

    def _curve(self, trial: FrozenTrial) -> Iterator[tuple[int, float]]:
        """A trial's values by evaluation, counted from 1."""
        for step, value in sorted(trial.intermediate_values.items()):
            evaluation = step - self._first_step + 1
            if not 1 <= evaluation <= self._evaluations:
                last = self._first_step + self._evaluations - 1
                raise ValueError(
                    f"trial {trial.number} reported at step {step}; CurveSampler takes {self._first_step} to {last}"
                )
            yield evaluation, value
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            yield self._evaluations, trial.value


def _draw(source: Suggester, search_space: Mapping[str, BaseDistribution]) -> Parameters:
    return {name: _one(source, name, distribution) for name, distribution in search_space.items()}


def _one(source: Suggester, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return source.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        whole = distribution
        return source.suggest_int(name, whole.low, whole.high, step=whole.step, log=whole.log)
    assert isinstance(distribution, FloatDistribution)
    low, high = distribution.low, distribution.high
    if distribution.step is None:
        return source.suggest_float(name, low, high, log=distribution.log)
    half = distribution.step / 2
    steps = round((source.suggest_float(name, low - half, high + half) - low) / distribution.step)
    return min(max(low + steps * distribution.step, low), high)


def _features(configurations: Sequence[Mapping[str, Any]], search_space: Searched) -> Array:
    """One row each: numbers from 0 to 1, on their own scale, and a column for each of other choices."""
    rows = [
        [column for name in search_space for column in _columns(configuration[name], search_space[name])]
        for configuration in configurations
    ]
    return np.array(rows, dtype=float)


def _columns(value: Any, distribution: BaseDistribution) -> list[float]:
    if isinstance(distribution, CategoricalDistribution):
        choices = distribution.choices
        if not all(isinstance(choice, int | float) for choice in choices):
            return [float(value == choice) for choice in choices]
        return [ordered(choices).index(value) / (len(choices) - 1)]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if distribution.log:
        return [math.log(value / distribution.low) / math.log(distribution.high / distribution.low)]
    return [(value - distribution.low) / (distribution.high - distribution.low)]
