"""Which configurations were proposed, and which of them failed."""

import itertools
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from sweeps.policy.surrogate import Array
from sweeps.spec.recipe import Assignment, Value
from sweeps.spec.schema import Spec

Key = tuple[Value, ...]
"""The searched values of a configuration: what tells it from others."""


class Tried:
    """The configurations of the trials of a search.

    Args:
        spec: what is searched.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._names = tuple(spec.space.parameters)
        self._assignments: dict[str, Assignment] = {}
        self._trials: dict[Key, list[str]] = defaultdict(list)

    def add(self, trial_id: str, assignment: Assignment) -> None:
        """A trial has a configuration."""
        self._assignments[trial_id] = assignment
        self._trials[self._spec.space.identity(assignment)].append(trial_id)

    def remove(self, trial_id: str) -> None:
        """The configuration of a trial has not been proposed after all."""
        key = self._spec.space.identity(self._assignments.pop(trial_id))
        self._trials[key].remove(trial_id)
        if not self._trials[key]:
            del self._trials[key]

    def searched(self, trial_id: str) -> Assignment:
        """The searched parameters of a trial."""
        return {name: self._assignments[trial_id][name] for name in self._names}

    def is_new(self, assignment: Assignment) -> bool:
        """Whether a configuration was never proposed."""
        return self._spec.space.identity(assignment) not in self._trials

    def may_be_proposed(self, assignment: Assignment) -> bool:
        """Whether a configuration is new, or may have another seed."""
        return self._spec.repeats == "new_seed" or self.is_new(assignment)

    @property
    def exhausted(self) -> bool:
        """Whether no configuration may be proposed."""
        return self._spec.repeats == "answer" and len(self._trials) >= self._spec.space.size

    def first(self) -> Assignment:
        """The first configuration of a finite space in its order, among those that fewer trials have had than others.

        All have had `rounds` trials or more only if there are as many trials in all, so one of fewer is found.
        """
        rounds = len(self._assignments) // int(self._spec.space.size)
        every = self._spec.space.configurations()
        return next(other for other in every if len(self._trials.get(self._spec.space.identity(other), ())) <= rounds)

    def with_own_seed(self, assignment: Assignment) -> Assignment:
        """A configuration, with a seed that none of its trials has had if there are any."""
        if self.is_new(assignment):
            return dict(assignment)
        used = {
            self._seed(self._assignments[trial_id]) for trial_id in self._trials[self._spec.space.identity(assignment)]
        }
        first = self._seed(assignment)
        return {**assignment, "seed": next(seed for seed in itertools.count(first) if seed not in used)}

    def _seed(self, assignment: Assignment) -> int:
        return self._spec.trial_config(assignment).seed


class Failures:
    """Where trials have failed, which samplers of Optuna ignore."""

    def __init__(self) -> None:
        self._failed: dict[str, bool] = {}
        """Whether trials that have paused or ended failed."""

    def end(self, trial_id: str, *, failed: bool) -> None:
        """A trial has paused or ended."""
        self._failed[trial_id] = failed

    def remove(self, trial_id: str) -> None:
        """A trial runs again, or is forgotten."""
        self._failed.pop(trial_id, None)

    def near(self, place: Array, features: Mapping[str, Array]) -> bool:
        """Whether the trial that is nearest to a place, of those that have paused or ended, failed.

        Args:
            place: features of a configuration.
            features: those of all trials.
        """
        if not any(self._failed.values()):
            return False
        known = np.stack([features[trial_id] for trial_id in self._failed])
        nearest = int(((known - place) ** 2).sum(axis=1).argmin())
        return list(self._failed.values())[nearest]
