"""Syne Tune's asynchronous schedulers as contenders of search.py, where `pip install syne-tune` has been done.

Their spaces have no conditions, so heads are drawn without regard to the width; the nearest recorded run answers.
Syne Tune's ASHA is of the stopping kind too; ASHACQR adds a surrogate of conformalised quantiles
(Salinas et al. 2023, arXiv:2305.03623).
"""

import logging
from datetime import datetime
from typing import Any

from curve_tables import CurveTable
from search_contenders import ASHA
from simulation import Contender, End

from sweeps.spec.space import Assignment, Choice, Range
from sweeps.trials import DIVERGED_LOSS


class SyneTune(Contender):
    """A scheduler of Syne Tune, with the first rung and the reduction factor that all have here."""

    scheduler = "ASHA"
    """Its name among Syne Tune's baselines."""

    def __init__(self, table: CurveTable, *, seed: int, budget: float) -> None:
        from syne_tune.backend.trial_status import Trial
        from syne_tune.optimizer import baselines

        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        space = {name: _domain(parameter) for name, parameter in table.spec.space.parameters.items()}
        self._scheduler = getattr(baselines, self.scheduler)(
            space,
            metric="loss",
            time_attr="evaluation",
            max_t=table.spec.evaluations,
            grace_period=ASHA.rungs(table.spec.evaluations)[0],
            reduction_factor=ASHA.eta,
            random_seed=seed,
        )
        self._trial = Trial
        self._trials: list[Any] = []

    def ask(self) -> tuple[str, Assignment] | None:
        """What the scheduler suggests, while its space has more."""
        if (suggestion := self._scheduler.suggest()) is None:
            return None
        trial = self._trial(trial_id=len(self._trials), config=suggestion.config, creation_time=datetime.min)
        self._trials.append(trial)
        self._scheduler.on_trial_add(trial)
        return str(trial.trial_id), dict(suggestion.config)

    def report(self, trial: str, evaluation: int, loss: float) -> bool:
        """What the scheduler decides."""
        finite = loss if loss == loss else DIVERGED_LOSS
        result = {"evaluation": evaluation, "loss": finite}
        goes_on: bool = self._scheduler.on_trial_result(self._trials[int(trial)], result) == "CONTINUE"
        return goes_on

    def end(self, trial: str, status: End, loss: float) -> None:
        """Tell that it has ended; all losses were reported before."""
        self._scheduler.on_trial_remove(self._trials[int(trial)])


class SyneTuneCqr(SyneTune):
    """ASHA with a surrogate of conformalised quantiles, which takes about a second for every proposal."""

    most_seeds = 5
    scheduler = "ASHACQR"


def _domain(parameter: Choice | Range) -> Any:
    from syne_tune import config_space

    if isinstance(parameter, Choice):
        return config_space.ordinal(list(parameter.values))
    if parameter.integer:
        return (config_space.lograndint if parameter.log else config_space.randint)(parameter.low, parameter.high)
    return (config_space.loguniform if parameter.log else config_space.uniform)(parameter.low, parameter.high)
