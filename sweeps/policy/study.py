"""An in-memory Optuna study that hears of all trials of a search, and the sampler behind it."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import optuna
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState

from sweeps.policy.samplers import Sampler, quiet
from sweeps.spec.schema import Spec
from sweeps.spec.space import Assignment, Suggester

End = Literal["paused", "stopped", "completed", "failed", "diverged", "abandoned"]
"""What becomes of a trial."""


class MemoryStudy:
    """Asks a sampler of Optuna for configurations, and tells it what became of trials.

    Each attempt is one trial of the study: one that is resumed becomes another, with all its values, as Optuna's do
    not come back. A configuration that is asked for and not trained is told as failed, which samplers do not look at.

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
            drawn = self._space.draw(self._reader(trial))
        if drawn is not None and self._sampler.stateful:
            self._asked = trial, drawn
        else:
            self._study.tell(trial, state=TrialState.FAIL)
        return drawn

    def _reader(self, trial: Trial) -> Suggester:
        return Numbers(trial) if self._sampler.numbers else trial

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
            drawn = self._space.draw(self._reader(trial))
        assert drawn == searched
        return trial

    def report(self, trial_id: str, evaluation: int, loss: float) -> None:
        """An evaluation; Optuna has none where there are two objectives, and must not hear of a loss that diverged."""
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
        """What a sampler hears: of a trial that diverged a worst value, if the other objective is known."""
        if state == "completed":
            assert values is not None
            return list(values)
        others = list(values or ())[1:]
        return [self._sampler.worst, *others] if state == "diverged" and len(others) + 1 == self._objectives else None


class Numbers:
    """Asks a trial for numbers where a space asks for one of a list, for samplers that know no other.

    Of ordered numbers it asks for the place in their list; of those that depend on another parameter (`heads@128`) for
    a share of the list that is allowed there, so that all trials have the same parameters.

    Args:
        trial: answers.
    """

    def __init__(self, trial: Suggester) -> None:
        self._trial = trial
        self.suggest_int = trial.suggest_int
        self.suggest_float = trial.suggest_float

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        name, conditional, _ = name.partition("@")
        ordered = _ordered(choices)
        if conditional:
            return ordered[min(int(self._trial.suggest_float(name, 0.0, 1.0) * len(ordered)), len(ordered) - 1)]
        return ordered[self._trial.suggest_int(name, 0, len(ordered) - 1)]


class Written:
    """Answers a space with a known configuration, and notes the parameters that a study's trial has for it.

    Args:
        assignment: the configuration.
        numbers: whether the study is asked through `Numbers`.
    """

    def __init__(self, assignment: Assignment, *, numbers: bool) -> None:
        self._assignment = assignment
        self._numbers = numbers
        self.parameters: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The configuration's own."""
        plain, conditional, _ = name.partition("@")
        value = self._assignment[plain]
        place = _ordered(choices).index(value)
        if not self._numbers:
            self.parameters[name] = value
        else:
            self.parameters[plain] = (place + 0.5) / len(choices) if conditional else place
        return value

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """The configuration's own."""
        self.parameters[name] = self._assignment[name]
        return int(self._assignment[name])

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """The configuration's own."""
        self.parameters[name] = self._assignment[name]
        return self._assignment[name]


def _ordered(choices: Sequence[Any]) -> list[Any]:
    """Numbers by their size, others as they are listed."""
    return sorted(choices) if all(isinstance(choice, int | float) for choice in choices) else list(choices)
