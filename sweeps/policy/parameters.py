"""How a study's trial is asked for a configuration, in the terms that its sampler knows."""

from collections.abc import Sequence
from typing import Any

from sweeps.spec.space import Assignment, Suggester


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
        known = ordered(choices)
        if conditional:
            return known[min(int(self._trial.suggest_float(name, 0.0, 1.0) * len(known)), len(known) - 1)]
        return known[self._trial.suggest_int(name, 0, len(known) - 1)]


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
        """The configuration's own value."""
        plain, conditional, _ = name.partition("@")
        value = self._assignment[plain]
        place = ordered(choices).index(value)
        if not self._numbers:
            self.parameters[name] = value
        else:
            self.parameters[plain] = (place + 0.5) / len(choices) if conditional else place
        return value

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """The configuration's own value."""
        self.parameters[name] = self._assignment[name]
        return int(self._assignment[name])

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """The configuration's own value."""
        self.parameters[name] = self._assignment[name]
        return float(self._assignment[name])


def ordered(choices: Sequence[Any]) -> list[Any]:
    """Numbers by their size, others as they are listed."""
    return sorted(choices) if all(isinstance(choice, int | float) for choice in choices) else list(choices)
