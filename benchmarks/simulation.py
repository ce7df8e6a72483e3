"""Many workers search a recorded table on a virtual clock; what has been spent, and how good is the best so far?

Every worker serves trial after trial, and an evaluation is reported when its time has come: a long trial reports
late. Time is the table's seconds; where it has none, the axis.
"""

import heapq
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
from curve_tables import CurveTable

from sweeps.machines.replay import Record, Table
from sweeps.spec.space import Assignment

End = Literal["completed", "stopped", "diverged"]
Step = tuple[float, float]
"""What had been spent when the lowest loss fell, in full trainings, and the regret since then."""


class Contender(ABC):
    """One way to search.

    Args:
        table: what is searched; only its spec and its number of runs may be looked at.
        seed: of everything drawn.
        budget: for all trials together. [full training]
    """

    per_budget = False
    """Whether it searches in another way when the budget is another."""
    most_seeds: int | None = None
    """How often it searches at most, where it takes minutes each time."""

    @abstractmethod
    def __init__(self, table: CurveTable, *, seed: int, budget: float) -> None: ...

    @abstractmethod
    def ask(self) -> tuple[str, Assignment] | None:
        """A new trial and its configuration; None: not now."""

    def resume(self) -> str | None:
        """A stopped trial that goes on where it was, before any new one; None: there is none."""
        return None

    @abstractmethod
    def report(self, trial: str, evaluation: int, loss: float) -> bool:
        """Take in a loss, NaN if the trial diverged, and say whether the trial goes on."""

    def end(self, trial: str, status: End, loss: float) -> None:  # noqa: B027
        """Take in that a trial has ended, or stopped after `report` said so."""


@dataclass
class Running:
    """A trial and its place on the record that answers it."""

    name: str
    record: Record
    evaluation: int = 0
    """How many have been reported."""


class Simulation:
    """One search.

    Args:
        table: what is searched; each of its runs answers one trial.
        contender: made for this table.
        workers: trials at a time.
        budget: where the search ends. [full training]
    """

    def __init__(self, table: CurveTable, contender: Contender, *, workers: int, budget: float) -> None:
        finals = table.finals
        self.now = 0.0
        self.evaluations = 0
        """Reported so far, over all trials; each costs 1 / spec.evaluations of a full training."""
        self.steps: list[Step] = []
        self._table = table
        self._unused = Table(table.records)
        self._contender = contender
        self._workers = workers
        self._budget = budget
        self._goal = float(np.nanmin(finals))
        self._scale = float(np.nanmedian(finals)) - self._goal
        self._best = np.inf
        self._trials: dict[str, Running] = {}
        self._due: list[tuple[float, int, Running]] = []
        self._begun = 0
        self._see(float(np.nanmax(finals)))  # before the first loss: that of the worst run

    @property
    def spent(self) -> float:
        """The cost of all reported evaluations. [full training]"""
        return self.evaluations / self._table.spec.evaluations

    @property
    def trials(self) -> list[Running]:
        """All trials, in the order in which they began."""
        return list(self._trials.values())

    def run(self) -> list[Step]:
        """Search until the budget is spent or the table has no more; the steps down."""
        self._fill()
        while self._due and self.spent < self._budget:
            self.now, _, trial = heapq.heappop(self._due)
            if self._goes_on(trial):
                self._work(trial)
            self._fill()
        return self.steps

    def _fill(self) -> None:
        """Give every idle worker a trial, while there are any."""
        while len(self._due) < self._workers and (trial := self._next()):
            self._work(trial)

    def _next(self) -> Running | None:
        if (name := self._contender.resume()) is not None:
            return self._trials[name]
        if self._unused.exhausted or (proposal := self._contender.ask()) is None:
            return None
        name, assignment = proposal
        self._trials[name] = Running(name, self._unused.take(assignment))
        return self._trials[name]

    def _work(self, trial: Running) -> None:
        """Have a worker train a trial up to its next evaluation."""
        begin, end = (self._seconds(trial.record, trial.evaluation + ahead) for ahead in (0, 1))
        self._begun += 1
        heapq.heappush(self._due, (self.now + end - begin, self._begun, trial))

    def _seconds(self, record: Record, evaluation: int) -> float:
        costs = record.costs[self._table.axis]
        times = record.costs.get("seconds", costs)
        return float(np.interp(self._table.spec.cost_at(evaluation), [0, *costs], [0, *times]))

    def _goes_on(self, trial: Running) -> bool:
        """Report an evaluation, and end the trial where it ends."""
        trial.evaluation += 1
        self.evaluations += 1
        loss = self._table.loss(trial.record, trial.evaluation)
        if self._table.recorded(trial.record, trial.evaluation):
            self._see(loss)
        goes_on = self._contender.report(trial.name, trial.evaluation, loss)
        diverged, completed = not np.isfinite(loss), trial.evaluation == self._table.spec.evaluations
        if goes_on and not diverged and not completed:
            return True
        self._contender.end(trial.name, "diverged" if diverged else "completed" if completed else "stopped", loss)
        return False

    def _see(self, loss: float) -> None:
        if loss < self._best:
            self._best = loss
            self.steps.append((self.spent, (loss - self._goal) / self._scale))


def regret_at(steps: list[Step], budget: float) -> float:
    """The regret when a budget was spent: of the lowest loss seen until then, over that of a median run.

    0 is the best final loss of the table, 1 the median one.
    """
    return min(regret for spent, regret in steps if spent <= budget * (1 + 1e-9))
