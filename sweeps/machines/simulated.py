"""A simulated machine: workers on a virtual clock that serve trial after trial, from curves that are known beforehand.

It drives a sweep as Ray does: a free worker asks for work, a trial reports when its time has come, so a slow one
reports late. Replays, benchmarks and tests use it.
"""

import heapq
import math
from collections.abc import Callable
from typing import Protocol

from sweeps.policy.verdicts import Resume, Verdict
from sweeps.sweep import Clocks, Sweep
from sweeps.trials import Trial
from tinystories.metrics import Metrics


class Clock:
    """Virtual time."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time. [s]"""
        return self.now

    @property
    def clocks(self) -> Clocks:
        """This clock as both clocks of a sweep."""
        return Clocks(now=self, steady=self)


class Curve(Protocol):
    """What a trial will report."""

    def seconds(self, evaluation: int) -> float:
        """Training time up to an evaluation. [s]"""

    def metrics(self, evaluation: int, before: Metrics | None) -> Metrics | None:
        """An evaluation, after the one before; None: nothing is known there.

        Raises:
            EOFError: the curve ends before.
        """


Answer = Callable[[Trial], Curve]
"""The curve of a trial; asked whenever a worker takes it."""


class Machine:
    """Simulated workers that run a sweep.

    Args:
        sweep: made with this clock; its trials that were interrupted lose nothing.
        clock: moved by the machine.
        workers: trials at a time.
        answer: says what a trial will report.
    """

    def __init__(self, sweep: Sweep, clock: Clock, *, workers: int, answer: Answer) -> None:
        self._sweep = sweep
        self._clock = clock
        self._workers = workers
        self._answer = answer
        self._since = {name: trial.since for name, trial in sweep.trials.unfinished.items()}
        """When interrupted trials reported last, from where their workers carry on."""
        self._due: list[tuple[float, str, int]] = []
        """When the next evaluation of a running trial comes, its name and that evaluation."""
        self._curves: dict[str, Curve] = {}

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Run the sweep to its end, or until a condition holds."""
        self._fill()
        while self._due and not until():
            self._clock.now, trial_id, evaluation = heapq.heappop(self._due)
            if self._report(trial_id, evaluation) is Verdict.CONTINUE:
                self._train(trial_id, evaluation, self._clock.now)
            self._fill()

    def _fill(self) -> None:
        """Give every idle worker a trial, while there are any."""
        while len(self._due) < self._workers and isinstance(decision := self._sweep.next(), Resume):
            trial = self._sweep.trials[decision.trial_id]
            self._curves[trial.trial_id] = self._answer(trial)
            self._train(trial.trial_id, trial.evaluation, self._since.pop(trial.trial_id, self._clock.now))

    def _train(self, trial_id: str, evaluation: int, since: float) -> None:
        """Have a worker train a trial up to the evaluation after this one."""
        curve = self._curves[trial_id]
        due = since + curve.seconds(evaluation + 1) - curve.seconds(evaluation)
        heapq.heappush(self._due, (due, trial_id, evaluation + 1))

    def _report(self, trial_id: str, evaluation: int) -> Verdict:
        """Report an evaluation, if there is one, and end the trial where its curve does, or its budget."""
        before = self._sweep.trials[trial_id].metrics
        try:
            metrics = self._curves[trial_id].metrics(evaluation, before)
            if metrics is None and evaluation >= self._sweep.spec.evaluations:
                raise EOFError(f"nothing is known of its last evaluation, number {evaluation}")
        except EOFError as error:
            self._sweep.cut_short(trial_id, str(error))
            return Verdict.STOP
        return Verdict.CONTINUE if metrics is None else self._sweep.report(trial_id, metrics, "")


def metrics_of(
    loss: float,
    *,
    evaluation: int,
    before: Metrics | None,
    last: bool = False,
    metric: str = "val_loss",
    tokens: float = 0.0,
    flops: float = math.nan,
    seconds: float = 0.0,
) -> Metrics:
    """An evaluation as a trial reports it; what is not known of it is NaN.

    Args:
        loss: of the metric; one that is not finite says that the trial diverged.
        before: the evaluation before, if there was one.
        last: whether the trial's budget is spent, so that it is ranked by this evaluation.
    """
    earlier = before.best_val_loss if before else math.inf
    return Metrics(
        evaluation=evaluation,
        step=0,
        tokens=round(tokens),
        flops=flops,
        seconds=seconds,
        train_loss=math.nan,
        val_loss=loss,
        val_loss_se=math.nan,
        sample_loss=loss,
        val_bpb=loss if metric == "val_bpb" else math.nan,
        best_val_loss=loss if last and math.isfinite(loss) else min(earlier, loss),
        learning_rate=math.nan,
        tokens_per_second=math.nan,
        diverged=not math.isfinite(loss),
    )
