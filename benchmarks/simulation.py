"""Many workers search a recorded table on a virtual clock; what has been spent, and how good is the best so far?

The sweep's own simulated machine drives every contender: each worker serves trial after trial, and an evaluation is
reported when its time has come, so a long trial reports late. Time is the table's seconds; where it has none, the axis.
"""

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import Literal

import numpy as np
from curve_tables import CurveTable

from sweeps.events import Completed, Diverged, Event, Paused, Proposed, TrialEvent
from sweeps.limits import Left
from sweeps.machines.replay import Record, Table
from sweeps.machines.simulated import Clock, Machine, metrics_of
from sweeps.policy.policy import Policy
from sweeps.policy.verdicts import Decision, Done, Resume, Start, Verdict
from sweeps.spec.recipe import Assignment
from sweeps.spec.schema import Spec
from sweeps.sweep import Sweep
from sweeps.trials import Trial, Trials
from tinystories.metrics import Metrics

End = Literal["completed", "stopped", "diverged"]
Step = tuple[float, float]
"""What had been spent when the lowest loss fell, in full trainings, and the regret since then."""
ENDS: dict[type[TrialEvent], End] = {Completed: "completed", Paused: "stopped", Diverged: "diverged"}


class Searcher(ABC):
    """One way to search.

    Args:
        table: what is searched; only its spec and its number of runs may be used.
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
    def policy(self, spec: Spec, trials: Trials) -> Policy:
        """What decides for a sweep of these trials."""


class Contender(Searcher):
    """A way to search that is not a sweep's own: it names its trials itself."""

    @abstractmethod
    def ask(self) -> tuple[str, Assignment] | None:
        """A new trial and its configuration; None: not now."""

    def resume(self) -> str | None:
        """A stopped trial that is trained further, before any new one; None: there is none."""
        return None

    @abstractmethod
    def report(self, trial: str, evaluation: int, loss: float) -> bool:
        """Take in a loss, NaN if the trial diverged, and say whether the trial continues."""

    def end(self, trial: str, status: End, loss: float) -> None:
        """Take in that a trial has ended, or stopped after `report` said so."""

    def policy(self, spec: Spec, trials: Trials) -> Policy:
        """See `Searcher`."""
        return _Guest(self, spec, trials)


class _Guest(Policy):
    """A contender as a sweep's policy."""

    surplus = ()
    promising = frozenset()
    phase = "searching"

    def __init__(self, contender: Contender, spec: Spec, trials: Trials) -> None:
        self._contender = contender
        self._spec = spec
        self._trials = trials
        self._asked = ""
        self._names: dict[str, str] = {}
        """The contender's names of trials."""

    def apply(self, event: Event) -> None:
        """Take in a name, or an end."""
        if isinstance(event, Proposed):
            self._names[event.trial_id] = self._asked
        elif status := ENDS.get(type(event)):
            trial = self._trials[event.trial_id]
            self._contender.end(self._names[event.trial_id], status, _loss(trial))

    def next(self, left: Left) -> Decision:
        """What the contender wants to train."""
        if (name := self._contender.resume()) is not None:
            return Resume(next(own for own, theirs in self._names.items() if theirs == name))
        if self._trials.searched == self._spec.run_cap or (proposal := self._contender.ask()) is None:
            return Done()
        self._asked, assignment = proposal
        return Start(assignment=assignment)

    def verdict(self, trial_id: str, left: Left) -> Verdict:
        """What the contender says of the last evaluation."""
        trial = self._trials[trial_id]
        continues = self._contender.report(self._names[trial_id], trial.evaluation, _loss(trial))
        if trial.metrics.diverged:
            return Verdict.STOP
        if trial.evaluation == self._spec.evaluations:
            return Verdict.COMPLETE
        return Verdict.CONTINUE if continues else Verdict.PAUSE


def _loss(trial: Trial) -> float:
    return trial.metrics.val_loss if trial.metrics.usable else math.nan


class Simulation:
    """One search.

    Args:
        table: what is searched; each of its runs answers one trial.
        searcher: made for this table.
        workers: trials at a time.
        budget: where the search ends. [full training]
    """

    def __init__(self, table: CurveTable, searcher: Searcher, *, workers: int, budget: float) -> None:
        finals = table.finals
        self.evaluations = 0
        """Reported so far, over all trials; each costs 1 / spec.evaluations of a full training."""
        self.steps: list[Step] = []
        self.table = table
        self.clock = Clock()
        self.records: dict[str, Record] = {}
        """What answers each trial."""
        make = partial(searcher.policy, table.spec)
        self.sweep = Sweep(table.spec, None, vocab_size=1, clocks=self.clock.clocks, policy=make)
        self._unused = Table(table.records)
        self._budget = budget
        self._goal = float(np.nanmin(finals))
        self._scale = float(np.nanmedian(finals)) - self._goal
        self._best = np.inf
        self._machine = Machine(self.sweep, self.clock, workers=workers, answer=self._answer)
        self._see(float(np.nanmax(finals)))  # before the first loss: that of the worst run

    @property
    def spent(self) -> float:
        """The cost of all reported evaluations. [full training]"""
        return self.evaluations / self.table.spec.evaluations

    def run(self) -> list[Step]:
        """Search until the budget is spent or the table has no more; the steps down."""
        self._machine.run(until=lambda: self.spent >= self._budget)
        return self.steps

    def _answer(self, trial: Trial) -> "_Answer":
        if trial.trial_id not in self.records:
            self.records[trial.trial_id] = self._unused.take(trial.assignment)
        return _Answer(self, self.records[trial.trial_id])

    def report(self, record: Record, evaluation: int) -> float:
        """The loss at an evaluation, which is paid for now."""
        self.evaluations += 1
        loss = self.table.loss(record, evaluation)
        if self.table.recorded(record, evaluation):
            self._see(loss)
        return loss

    def _see(self, loss: float) -> None:
        if loss < self._best:
            self._best = loss
            self.steps.append((self.spent, (loss - self._goal) / self._scale))


class _Answer:
    """The curve of a record, each evaluation of which takes a second of what a contender is told of."""

    def __init__(self, simulation: Simulation, record: Record) -> None:
        self._simulation = simulation
        self._record = record

    def seconds(self, evaluation: int) -> float:
        """See `simulated.Curve`."""
        costs = self._record.costs[self._simulation.table.axis]
        times = self._record.costs.get("seconds", costs)
        return float(np.interp(self._simulation.table.spec.cost_at(evaluation), [0, *costs], [0, *times]))

    def metrics(self, evaluation: int, before: Metrics | None) -> Metrics:
        """See `simulated.Curve`."""
        loss = self._simulation.report(self._record, evaluation)
        return metrics_of(loss, evaluation=evaluation, before=before, seconds=evaluation)


def regret_at(steps: list[Step], budget: float) -> float:
    """The regret when a budget was spent: of the lowest loss seen until then, over that of a median run.

    0 is the best final loss of the table, 1 the median one.
    """
    return min(regret for spent, regret in steps if spent <= budget * (1 + 1e-9))
