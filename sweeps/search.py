"""Which trials run, and which stop: Optuna proposes, ASHA stops. Knows nothing of Ray; the only optuna module."""

import itertools
import logging
import math
import random
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from sweeps.results import Stage, Status
from sweeps.space import Assignment, Method
from sweeps.spec import Spec

DIVERGED_LOSS = 100.0
"""What Optuna and ASHA are told of a trial that diverged. [nat/token]

Finite, because a NaN leaves an Optuna trial RUNNING for ever; far above ln(65,536) = 11.1, the loss of guessing
evenly among as many tokens as a uint16 file can hold, so that no honest trial ranks behind it.
"""

REPEATS = 4
"""How many configurations the sampler may propose again before one of the untried is drawn at random."""


class SuccessiveHalving:
    """ASHA, the stopping variant: at each rung a trial goes on if it is among the best 1/eta that reached it.

    Decisions are taken at once from what has been reported so far, so nobody waits for slower trials; the first
    to reach a rung always goes on.

    Source: Li et al. 2020, arXiv:1810.05934, section 3.2; stopping instead of pausing as in its appendix.
    """

    def __init__(self, *, eta: int, rungs: Sequence[int]) -> None:
        self.eta = eta
        self._losses: dict[int, dict[str, float]] = {rung: {} for rung in rungs}
        self._rankings: dict[int, list[tuple[float, str]]] = {rung: [] for rung in rungs}

    def report(self, trial_id: str, evaluation: int, loss: float) -> bool:
        """Record a loss and say whether the trial may go on.

        Args:
            loss: finite; a diverged trial is told as `DIVERGED_LOSS`.
        """
        assert math.isfinite(loss)
        if evaluation not in self._losses:
            return True
        losses, ranking, entry = self._losses[evaluation], self._rankings[evaluation], (loss, trial_id)
        if trial_id in losses:
            del ranking[bisect_left(ranking, (losses[trial_id], trial_id))]
        losses[trial_id] = loss
        insort(ranking, entry)
        return bisect_left(ranking, entry) < max(1, len(ranking) // self.eta)


@dataclass(frozen=True)
class Proposal:
    """A configuration to train, under the name that the trial keeps for ever."""

    trial_id: str
    assignment: Assignment
    stage: Stage = "search"
    resumed: bool = False


@contextmanager
def _storage_errors() -> Iterator[None]:
    """Say what ails the study's file, in the terms of files."""
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error
        raise OSError(f"optuna.db cannot be used: {cause}") from error


@_storage_errors()
def _open_study(storage: Path | None, objectives: int) -> optuna.Study:
    url = f"sqlite:///{storage}" if storage else None
    directions = [StudyDirection.MINIMIZE] * objectives
    return optuna.create_study(study_name="sweep", storage=url, load_if_exists=True, directions=directions)


class Search:
    """The Optuna study behind a sweep: asks for new configurations, tells what became of them.

    Every trial that was asked for ends as COMPLETE, PRUNED (with its intermediate values) or FAIL. The study is
    on disk after every call, so a driver that is killed leaves its unfinished trials RUNNING there, and
    `unfinished` hands them to the next one.
    """

    def __init__(self, spec: Spec, *, storage: Path | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        self._space = spec.space
        self._spec = spec
        self._study = _open_study(storage, objectives=2 if spec.pareto else 1)
        trials = self._study.get_trials(deepcopy=False)
        # A fresh draw after a restart: the seed alone would propose the first trials again.
        self._study.sampler = _sampler(spec.method, spec.seed + len(trials))
        self._random = random.Random(spec.seed + len(trials))
        self._numbers: dict[str, int] = {}
        self._seen: dict[tuple[int | float, ...], FrozenTrial | None] = {}
        self._times: Counter[tuple[int | float, ...]] = Counter()
        for trial in trials:
            self._remember(trial)
            if "trial_id" in trial.user_attrs:
                self._times[self._key(trial.user_attrs["assignment"])] += 1
            if trial.state == TrialState.RUNNING and "trial_id" not in trial.user_attrs:
                self._study.tell(trial.number, state=TrialState.FAIL)  # a kill came before it was proposed

    def _remember(self, trial: FrozenTrial) -> None:
        attributes = trial.user_attrs
        if "trial_id" in attributes:
            self._numbers[attributes["trial_id"]] = trial.number
            self._seen[self._key(attributes["assignment"])] = trial

    def unfinished(self) -> list[Proposal]:
        """Trials that an earlier driver left without an end, oldest first."""
        return [
            Proposal(
                trial.user_attrs["trial_id"], trial.user_attrs["assignment"], trial.user_attrs["stage"], resumed=True
            )
            for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if "trial_id" in trial.user_attrs
        ]

    @_storage_errors()
    def ask(self) -> Proposal:
        """A configuration that was never proposed before; the caller stops at the size of the space."""
        for point in self._spec.points:
            if self._key(point) not in self._seen:
                return self._propose_exactly(point)
        for _ in range(REPEATS):
            trial = self._study.ask()
            assignment = self._space.draw(trial)
            if assignment is not None and self._key(assignment) not in self._seen:
                return self._propose(trial, assignment)
            if assignment is not None and self._spec.repeats == "new_seed":
                return self._propose(trial, self._with_new_seed(assignment))
            self._answer(trial, self._seen[self._key(assignment)] if assignment else None)
        return self._propose_exactly(self._untried())

    @_storage_errors()
    def ask_again(self, assignment: Assignment, *, seed: int) -> Proposal:
        """A known configuration with another seed, to confirm it.

        Args:
            assignment: the searched parameters.
        """
        self._study.enqueue_trial(self._space.sampler_parameters(assignment))
        trial = self._study.ask()
        drawn = self._space.draw(trial)
        assert drawn == assignment
        return self._propose(trial, {**assignment, "seed": seed}, stage="confirm")

    def _propose(self, trial: Trial, assignment: Assignment, *, stage: Stage = "search") -> Proposal:
        trial_id = f"{len(self._numbers):04d}"
        trial.set_user_attr("assignment", assignment)
        trial.set_user_attr("stage", stage)
        trial.set_user_attr("trial_id", trial_id)
        self._numbers[trial_id] = trial.number
        self._seen.setdefault(self._key(assignment), None)
        self._times[self._key(assignment)] += 1
        return Proposal(trial_id, assignment, stage)

    def _answer(self, repeat: Trial, known: FrozenTrial | None) -> None:
        """Tell the sampler of a configuration that is not trained what its first trial gave; None: there is none."""
        if known is not None and known.state == TrialState.COMPLETE:
            self._study.tell(repeat, known.values)
        else:
            self._study.tell(repeat, state=TrialState.FAIL)

    def _with_new_seed(self, assignment: Assignment) -> Assignment:
        """A repeated configuration with a seed that none of its trials has had."""
        earlier = self._times[self._key(assignment)]
        return {**assignment, "seed": self._spec.trial_config(assignment).seed + earlier}

    def _untried(self) -> Assignment:
        """A valid configuration that was never proposed, drawn at random."""
        if math.isinf(self._space.size):
            draws = (self._space.sample(self._random) for _ in itertools.count())
            return next(assignment for assignment in draws if self._key(assignment) not in self._seen)
        return self._random.choice([a for a in self._space.configurations() if self._key(a) not in self._seen])

    def _propose_exactly(self, assignment: Assignment) -> Proposal:
        self._study.enqueue_trial(self._space.sampler_parameters(assignment))
        trial = self._study.ask()
        drawn = self._space.draw(trial)
        assert drawn == assignment
        return self._propose(trial, drawn)

    @_storage_errors()
    def report(self, trial_id: str, evaluation: int, loss: float) -> None:
        """Store an intermediate value; a second report of the same evaluation changes nothing.

        Optuna has no intermediate values where there are two objectives.
        """
        if self._spec.pareto:
            return
        trial = self._trial(trial_id)
        if evaluation not in self._frozen(trial_id).intermediate_values:
            trial.report(loss, evaluation)

    @_storage_errors()
    def tell(self, trial_id: str, status: Status, loss: float, second: float | None = None) -> None:
        """End a trial.

        Args:
            loss: final loss of a completed trial; not looked at otherwise.
            second: second objective, where there is one.
        """
        number = self._numbers[trial_id]
        if status in ("completed", "diverged"):
            value = loss if status == "completed" else DIVERGED_LOSS
            self._study.tell(number, value if second is None else [value, second])
        else:
            state = TrialState.PRUNED if status == "stopped" else TrialState.FAIL
            self._study.tell(number, state=state)
        self._remember(self._frozen(trial_id))

    def _key(self, assignment: Assignment) -> tuple[int | float, ...]:
        """What tells a configuration from others; a seed that is not searched does not."""
        return tuple(assignment[name] for name in self._space.parameters)

    def _frozen(self, trial_id: str) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[self._numbers[trial_id]]

    def _trial(self, trial_id: str) -> Trial:
        return Trial(self._study, self._frozen(trial_id)._trial_id)


def _sampler(method: Method, seed: int) -> BaseSampler:
    return RandomSampler(seed) if method == "random" else TPESampler(seed=seed, constant_liar=True)


def preview(spec: Spec) -> Iterable[Proposal]:
    """The configurations that a sweep would begin with; without results, later ones are drawn at random too."""
    search = Search(spec)
    for _ in range(spec.trials):
        yield search.ask()
