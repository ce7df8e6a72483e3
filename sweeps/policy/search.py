"""Which trials run, with every trial on record in an Optuna study. Knows nothing of Ray; the only optuna module."""

import itertools
import logging
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import StorageInternalError
from optuna.samplers import TPESampler
from optuna.study import StudyDirection
from optuna.trial import FixedTrial, FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError
from threadpoolctl import threadpool_limits

from sweeps.policy.bayes import Bayes
from sweeps.policy.candidates import Candidates
from sweeps.policy.halving import DIVERGED_LOSS
from sweeps.policy.surrogate import Array
from sweeps.record.study_url import study_url
from sweeps.record.tables import Stage, Status
from sweeps.spec.schema import Spec
from sweeps.spec.space import Assignment

REPEATS = 4
"""How many configurations the sampler may propose again before one of the untried is drawn at random."""
REDRAWS = 8
"""Even draws of which the first new one is proposed; only if none is new are all configurations looked through."""
STARTUP = 10
"""Trials that TPE draws evenly before it follows results: Optuna's default, but for any number of workers."""
STATES: dict[Status, TrialState] = {
    "completed": TrialState.COMPLETE,
    "diverged": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
"""What Optuna calls the ends of trials."""
CLOSED_AT, ABANDONED = "closed_at", "abandoned"
"""Attributes of a study, and of a trial."""
Key = tuple[int | float, ...]
"""The searched values of a configuration: what tells it from others."""


@dataclass(frozen=True)
class Proposal:
    """A configuration to train, under the name that the trial keeps for ever."""

    trial_id: str
    assignment: Assignment
    stage: Stage = "search"
    resumed: bool = False
    """Whether it goes on where it was."""
    stopped_at: int = 0
    """The evaluation at which it had stopped; 0: nowhere."""


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
    url = study_url(storage) if storage else None
    directions = [StudyDirection.MINIMIZE] * objectives
    return optuna.create_study(study_name="sweep", storage=url, load_if_exists=True, directions=directions)


class Search:
    """The Optuna study behind a sweep: asks for new configurations, tells what became of them.

    Every trial that was asked for ends as COMPLETE, PRUNED (with its intermediate values; Optuna has none for two
    objectives) or FAIL. One that goes on after it stopped becomes another Optuna trial of the same name, as Optuna's
    do not come back. The study is on disk after every call, so a driver that is killed leaves its unfinished trials
    RUNNING there, and `unfinished` hands them to the next one.

    Args:
        spec: what is searched, and how.
        storage: the study's file; None: in memory.
    """

    def __init__(self, spec: Spec, *, storage: Path | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        threadpool_limits(1, user_api="blas")  # the surrogate's matrices are small, and the cores belong to the trials
        self._spec = spec
        self._space = spec.space
        self._study = _open_study(storage, objectives=2 if spec.pareto else 1)
        trials = self._study.get_trials(deepcopy=False)
        # A fresh draw after a restart: the seed alone would propose the first trials again.
        seed = spec.seed + len(trials)
        self._random = random.Random(seed)
        self._study.sampler = TPESampler(seed=seed, constant_liar=True, n_startup_trials=0)  # asked by method tpe alone
        self._candidates = Candidates(spec.space, self._random)
        self._bayes = Bayes(spec.evaluations, spec.cooldown)
        self._storage = self._study._storage
        self._ids: dict[str, int] = {}
        """Of trials in the storage, by the name that they have here."""
        self._assignments: dict[str, Assignment] = {}
        self._features: dict[str, Array] = {}
        self._outcomes: dict[Key, list[float] | None] = {}
        """Configurations that were proposed, with the final values of the first completed trial."""
        self._seeds: dict[Key, set[int]] = defaultdict(set)
        """The seeds that each of them has had."""
        self._ended: dict[str, bool] = {}
        """Ended trials, and whether they failed."""
        self._stopped_at: dict[str, int] = {}
        """Of trials that went on, the evaluation at which they had stopped last."""
        self.closed_at: int = self._study.user_attrs.get(CLOSED_AT, 0)
        """Trials of the search when it was closed; 0: it is open."""
        self.abandoned: set[str] = set()
        """Trials that were not asked for any more, and have no row."""
        for trial in trials:
            self._recover(trial)

    def _recover(self, trial: FrozenTrial) -> None:
        if ABANDONED in trial.user_attrs:
            self._ids[trial.user_attrs["trial_id"]] = trial._trial_id
            self.abandoned.add(trial.user_attrs["trial_id"])
            if not trial.state.is_finished():
                self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        elif "trial_id" in trial.user_attrs:
            trial_id = trial.user_attrs["trial_id"]
            if trial_id in self._ids:
                self._revive(trial_id, trial._trial_id, trial.user_attrs["stopped_at"])
            else:
                self._add(trial_id, trial._trial_id, trial.user_attrs["assignment"])
            for evaluation, loss in trial.intermediate_values.items():
                self._learn(trial_id, evaluation, loss)
            if trial.state.is_finished():
                self._ended[trial_id] = trial.state == TrialState.FAIL
            if trial.state == TrialState.FAIL:
                self._avoid(trial_id)
            if trial.state.is_finished():
                self._end(trial_id, trial.values if trial.state == TrialState.COMPLETE else None)
        elif trial.state == TrialState.RUNNING:
            self._study.tell(trial.number, state=TrialState.FAIL)  # a kill came before it was proposed

    def _add(self, trial_id: str, storage_id: int, assignment: Assignment) -> None:
        self._ids[trial_id] = storage_id
        self._assignments[trial_id] = assignment
        self._outcomes.setdefault(self._key(assignment), None)
        self._seeds[self._key(assignment)].add(self._spec.trial_config(assignment).seed)
        self._features[trial_id] = self._candidates.features([assignment])[0]
        self._bayes.add(trial_id, self._features[trial_id])

    def _revive(self, trial_id: str, storage_id: int, stopped_at: int) -> None:
        self._ids[trial_id] = storage_id
        self._stopped_at[trial_id] = stopped_at
        del self._ended[trial_id]
        self._bayes.resume(trial_id)

    def _learn(self, trial_id: str, evaluation: int, loss: float) -> None:
        self._bayes.report(trial_id, evaluation, loss if loss < DIVERGED_LOSS else math.inf)

    def _end(self, trial_id: str, values: Sequence[float] | None) -> None:
        if values is not None:
            key = self._key(self._assignments[trial_id])
            self._outcomes[key] = self._outcomes[key] or list(values)
            self._learn(trial_id, self._spec.evaluations, values[0])
        self._bayes.end(trial_id)

    def _key(self, assignment: Assignment) -> Key:
        """Without the seed, unless it is searched."""
        return tuple(assignment[name] for name in self._space.parameters)

    def unfinished(self) -> list[Proposal]:
        """Trials that an earlier driver left without an end, oldest first."""
        return [
            Proposal(
                trial.user_attrs["trial_id"],
                trial.user_attrs["assignment"],
                trial.user_attrs["stage"],
                resumed=True,
                stopped_at=self._stopped_at.get(trial.user_attrs["trial_id"], 0),
            )
            for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if "trial_id" in trial.user_attrs
        ]

    @_storage_errors()
    def ask(self) -> Proposal:
        """The next configuration: of `points`, else one that was never proposed, unless repeats get new seeds.

        The caller stops at the size of the space.
        """
        for point in self._spec.points:
            if self._is_new(point):
                return self._ask_for(point)
        if self._spec.method == "tpe" and len(self._ids) >= STARTUP:
            return self._ask_sampler()
        return self._ask_for(self._promising() if self._spec.method == "bayes" else self._even())

    def _ask_sampler(self) -> Proposal:
        for _ in range(REPEATS):
            trial = self._study.ask()
            assignment = self._space.draw(trial)
            if assignment is not None and self._may_be_proposed(assignment) and not self._near_failure(assignment):
                return self._asked(trial, self._with_own_seed(assignment))
            self._answer(trial, self._outcomes.get(self._key(assignment)) if assignment else None)
        offered = self._candidates.offer(self._may_be_proposed, drawn=REDRAWS)
        return self._ask_for(next((other for other in offered if not self._near_failure(other)), offered[0]))

    def _near_failure(self, assignment: Assignment) -> bool:
        """Whether the nearest trial that has ended failed: Optuna itself does not look at failures."""
        if not any(self._ended.values()):
            return False
        known = np.stack([self._features[trial_id] for trial_id in self._ended])
        away = ((known - self._candidates.features([assignment])) ** 2).sum(axis=1)
        return list(self._ended.values())[int(away.argmin())]

    def _is_new(self, assignment: Assignment) -> bool:
        return self._key(assignment) not in self._outcomes

    def _may_be_proposed(self, assignment: Assignment) -> bool:
        return self._spec.repeats == "new_seed" or self._is_new(assignment)

    def _even(self) -> Assignment:
        return self._candidates.offer(self._may_be_proposed, drawn=REDRAWS)[0]

    def _promising(self) -> Assignment:
        best = self._bayes.best()
        offered = self._candidates.offer(self._may_be_proposed, self._assignments[best] if best else None)
        return offered[self._bayes.choose(self._candidates.features(offered))]

    def _with_own_seed(self, assignment: Assignment) -> Assignment:
        """A configuration that is repeated gets a seed that none of its trials has had."""
        used, first = self._seeds[self._key(assignment)], self._spec.trial_config(assignment).seed
        return {**assignment, "seed": next(s for s in itertools.count(first) if s not in used)} if used else assignment

    @_storage_errors()
    def ask_again(self, assignment: Assignment, *, seed: int) -> Proposal:
        """A known configuration with another seed, to confirm it.

        Args:
            assignment: the searched parameters.
        """
        return self._ask_for(assignment, seed=seed, stage="confirm")

    @_storage_errors()
    def ask_to_resume(self, trial_id: str, stopped_at: int) -> Proposal:
        """A trial that stopped at an evaluation, to go on."""
        stopped = self._storage.get_trial(self._ids[trial_id])
        trial = create_trial(
            state=TrialState.RUNNING,
            params=stopped.params,
            distributions=stopped.distributions,
            user_attrs=stopped.user_attrs | {"stopped_at": stopped_at},
            intermediate_values=stopped.intermediate_values,
        )
        self._revive(trial_id, self._storage.create_new_trial(self._study._study_id, trial), stopped_at)
        return Proposal(trial_id, self._assignments[trial_id], resumed=True, stopped_at=stopped_at)

    @_storage_errors()
    def close(self, trials: int) -> None:
        """Note that a search of so many trials has ended: what is learnt later reopens it for nobody."""
        if self.closed_at < trials:
            self._study.set_user_attr(CLOSED_AT, trials)
            self.closed_at = trials

    def _ask_for(self, assignment: Assignment, *, seed: int | None = None, stage: Stage = "search") -> Proposal:
        """Write a chosen configuration down, in one transaction: a commit costs more than the choice."""
        fixed = FixedTrial(self._space.sampler_parameters(assignment))
        drawn = self._space.draw(fixed)
        assert drawn == assignment
        named = self._with_own_seed(assignment) if seed is None else {**assignment, "seed": seed}
        proposal = Proposal(f"{len(self._ids):04d}", named, stage)
        trial = create_trial(
            state=TrialState.RUNNING,
            params=fixed.params,
            distributions=fixed.distributions,
            user_attrs=_attributes(proposal),
        )
        self._add(proposal.trial_id, self._storage.create_new_trial(self._study._study_id, trial), named)
        return proposal

    def _asked(self, trial: Trial, assignment: Assignment) -> Proposal:
        """Write down a configuration that the sampler chose; the trial's name comes last, and makes it proposed."""
        proposal = Proposal(f"{len(self._ids):04d}", assignment)
        for name, value in _attributes(proposal).items():
            trial.set_user_attr(name, value)
        self._add(proposal.trial_id, trial._trial_id, assignment)
        return proposal

    def _answer(self, repeat: Trial, values: Sequence[float] | None) -> None:
        """Tell the sampler of a configuration that is not trained what its first trial gave; None: nothing."""
        if values is not None:
            self._study.tell(repeat, values)
        else:
            self._study.tell(repeat, state=TrialState.FAIL)

    @_storage_errors()
    def report(self, trial_id: str, evaluation: int, loss: float) -> None:
        """Store an intermediate value; a second report of the same evaluation changes nothing.

        Optuna has no intermediate values where there are two objectives.
        """
        if evaluation not in self._bayes.reported(trial_id):
            if not self._spec.pareto:
                self._storage.set_trial_intermediate_value(self._ids[trial_id], evaluation, loss)
            self._learn(trial_id, evaluation, loss)

    def forecast(self, trial_ids: Sequence[str]) -> dict[str, float]:
        """The losses that trials will end with, or would have, as the surrogate expects them. [nat/token]"""
        return dict(zip(trial_ids, self._bayes.forecast(trial_ids).tolist(), strict=True))

    def chance_of_best(self, trial_id: str) -> float:
        """Probability that a trial ends below the best forecast of all others."""
        return self._bayes.chance_of_best(trial_id)

    @_storage_errors()
    def tell(self, trial_id: str, status: Status, loss: float, second: float | None = None) -> None:
        """End a trial.

        Args:
            loss: final loss of a completed trial; not looked at otherwise.
            second: second objective, where there is one.
        """
        final = {"completed": loss, "diverged": DIVERGED_LOSS}.get(status)
        values = None if final is None else [final] if second is None else [final, second]
        self._storage.set_trial_state_values(self._ids[trial_id], STATES[status], values)
        self._ended[trial_id] = status == "failed"
        if status == "failed":
            self._avoid(trial_id)
        self._end(trial_id, values)

    @_storage_errors()
    def abandon(self, trial_id: str) -> None:
        """End a trial that is not asked for any more, as failed; its configuration counts as untried from the next run
        on.
        """
        self._storage.set_trial_user_attr(self._ids[trial_id], ABANDONED, True)
        self._storage.set_trial_state_values(self._ids[trial_id], TrialState.FAIL)
        self.abandoned.add(trial_id)

    def _avoid(self, trial_id: str) -> None:
        """Let the surrogate take a failure for a bad end, so that its region is not proposed at once again."""
        self._learn(trial_id, self._spec.evaluations, DIVERGED_LOSS)


def _attributes(proposal: Proposal) -> dict[str, Any]:
    return {"assignment": proposal.assignment, "stage": proposal.stage, "trial_id": proposal.trial_id}


def preview(spec: Spec) -> Iterable[Proposal]:
    """The configurations that a sweep would begin with; without results, later ones are as uninformed as the first."""
    search = Search(spec)
    for _ in range(spec.trials):
        yield search.ask()
