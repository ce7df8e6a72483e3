"""An in-memory Optuna study that is told of all trials of a search, and the sampler behind it."""

import math
from collections.abc import Sequence
from typing import Literal

import optuna
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState

from sweeps.policy.parameters import Written
from sweeps.policy.samplers import Sampler, quiet
from sweeps.spec.recipe import Assignment
from sweeps.spec.schema import Spec

End = Literal["paused", "stopped", "completed", "failed", "diverged", "abandoned"]
"""What becomes of a trial."""


class MemoryStudy:
    """Asks a sampler of Optuna for configurations, and tells it how trials ended.

    Each attempt is one trial of the study: one that is resumed becomes another, with all its values, as Optuna's do
    not come back. A configuration that is asked for and not trained is told as failed, which samplers ignore.

    A sampler with a state is asked before every trial that begins, and its last answer is what begins if it can be:
    so it goes through the same states when a journal is replayed. The others are made anew for each question.

    Args:
        spec: what is searched.
        sampler: is asked.
    """

    def __init__(self, spec: Spec, sampler: Sampler) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = spec.space
        self._sampler = sampler
        self._objectives = 2 if spec.pareto else 1
        directions = [StudyDirection.MINIMIZE] * self._objectives
        self._study = optuna.create_study(directions=directions, sampler=sampler.make(spec.seed))
        self._running: dict[str, Trial] = {}
        self._losses: dict[str, dict[int, float]] = {}
        self._asked: tuple[Trial, Assignment] | None = None

    @property
    def stateful(self) -> bool:
        """Whether the sampler keeps a state."""
        return self._sampler.stateful

    def ask(self, seed: int) -> Assignment | None:
        """A configuration, which may be known; None: one that is not valid.

        Args:
            seed: of a sampler that keeps no state.
        """
        self._drop_asked()
        if not self._sampler.stateful:
            self._study.sampler = self._sampler.make(seed)
        with quiet():
            trial = self._study.ask()
            drawn = self._space.draw(self._sampler.reader(trial))
        if drawn is not None and self._sampler.stateful:
            self._asked = trial, drawn
        else:
            self._study.tell(trial, state=TrialState.FAIL)
        return drawn

    def _drop_asked(self) -> None:
        if self._asked:
            self._study.tell(self._asked[0], state=TrialState.FAIL)
        self._asked = None

    def begin(self, trial_id: str, searched: Assignment) -> None:
        """A trial begins with these values of the searched parameters."""
        self._losses[trial_id] = {}
        if self._asked and self._asked[1] == searched:
            self._running[trial_id], self._asked = self._asked[0], None
        else:
            self._drop_asked()
            self._running[trial_id] = self._attempt(searched)

    def resume(self, trial_id: str, searched: Assignment) -> None:
        """A trial runs again, with its values of the searched parameters."""
        self._running[trial_id] = self._attempt(searched)
        if self._objectives == 1:
            for evaluation, loss in self._losses[trial_id].items():
                self._running[trial_id].report(loss, evaluation)

    def _attempt(self, searched: Assignment) -> Trial:
        written = Written(searched, numbers=self._sampler.numbers)
        self._space.draw(written)
        self._study.enqueue_trial(written.parameters)
        with quiet():
            trial = self._study.ask()
            drawn = self._space.draw(self._sampler.reader(trial))
        assert drawn == searched
        return trial

    def report(self, trial_id: str, evaluation: int, loss: float) -> None:
        """An evaluation; Optuna has none with two objectives, and must not be told of a loss that diverged."""
        if math.isfinite(loss) and self._objectives == 1:
            self._losses[trial_id][evaluation] = loss
            self._running[trial_id].report(loss, evaluation)

    def end(self, trial_id: str, state: End, values: Sequence[float] | None) -> None:
        """A trial has paused or ended; of one that does not run, nothing more is told."""
        trial = self._running.pop(trial_id, None)
        if trial is None:
            return
        told = self._told(state, values)
        ended = TrialState.PRUNED if state in ("paused", "stopped") else TrialState.FAIL
        with quiet():
            self._study.tell(trial, told, state=ended if told is None else TrialState.COMPLETE)

    def _told(self, state: End, values: Sequence[float] | None) -> list[float] | None:
        """What a sampler is told: of a trial that diverged the worst value, if the other objective is known."""
        if state == "completed":
            assert values is not None
            return list(values)
        others = list(values or ())[1:]
        return [self._sampler.worst, *others] if state == "diverged" and len(others) + 1 == self._objectives else None
