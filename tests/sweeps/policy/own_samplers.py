"""Samplers as people write them, imported by their names."""

from collections.abc import Sequence

from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

Heard = tuple[str, list[float] | None, dict[int, float]]


class Picky(RandomSampler):
    """Has an argument of its own, and takes no seed."""

    def __init__(self, *, courage: float) -> None:
        if not 0 <= courage <= 1:
            raise ValueError(f"courage {courage} is too much")
        super().__init__(seed=round(courage * 100))


class Listener(RandomSampler):
    """Takes down what the study is told of trials."""

    heard: list[Heard]

    def __init__(self) -> None:
        super().__init__(seed=0)
        Listener.heard = []

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        Listener.heard.append((state.name, None if values is None else list(values), dict(trial.intermediate_values)))
