"""A sweep in progress: asks the policy, writes the record, hands on the verdict. Knows nothing of Ray.

Whatever happens is first a line of the journal; the trials, the policy and the views follow from it. So a kill at any
moment loses at most the last event, and the next run of the same command completes what it cut short.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sweeps.events import (
    Abandoned,
    Began,
    CheckpointDeleted,
    Closed,
    Completed,
    Diverged,
    Evaluated,
    Failed,
    Interrupted,
    Paused,
    Promoted,
    Proposed,
    RunClosed,
    RunOpened,
    Stopped,
    Substituted,
)
from sweeps.limits import Limits
from sweeps.policy.policy import Policy
from sweeps.policy.verdicts import Close, Decision, Resume, Start, Verdict
from sweeps.record.checkpoints import Checkpoints
from sweeps.record.folder import RunFolder
from sweeps.record.record import Record
from sweeps.record.rows import Rows
from sweeps.record.spending import Meter
from sweeps.spec.recipe import Assignment
from sweeps.spec.schema import Spec
from sweeps.trials import Trial, Trials, front, ranked
from tinystories.metrics import Metrics

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """Two ways to tell the time. [s]"""

    now: Callable[[], float] = time.time
    """Time for the journal, since 1970. [s]"""
    steady: Callable[[], float] = time.monotonic
    """Time for what has been spent, never set back. [s]"""


class Sweep:
    """A sweep and what happens to it: a free slot asks for work, a trial reports, fails or is interrupted.

    Args:
        spec: what to do; `run_cap` may be larger than in an earlier run, which adds trials.
        folder: where everything is kept, and an earlier run found there is resumed; None: nowhere.
        vocab_size: of the data. [token]
        checkpoints: folder or URI that every worker reaches; None: there are none, as in a simulation.
        limits: what the sweep may take; when one is used up, running trials are interrupted at their next evaluation.
        clocks: tell the time.
        policy: makes what decides; None: as the spec says.

    Raises:
        ValueError: the folder's journal is damaged, or of another version.
    """

    def __init__(
        self,
        spec: Spec,
        folder: RunFolder | None,
        *,
        vocab_size: int,
        checkpoints: str | None = None,
        limits: Limits | None = None,
        clocks: Clocks | None = None,
        policy: Callable[[Trials], Policy] | None = None,
    ) -> None:
        self.spec = spec
        self.trials = Trials()
        self.rows = Rows(spec, vocab_size=vocab_size, root=str(folder.root) if folder else "")
        self.policy = policy(self.trials) if policy else Policy(spec, self.trials, vocab_size=vocab_size)
        self.record = Record(folder, trials=self.trials, follow=self.policy.apply)
        self.record.open()
        clocks = clocks or Clocks()
        self._now, self._steady = clocks.now, clocks.steady
        self._slots = 1
        self.meter = Meter(limits or Limits(), earlier=self.trials.spent, clock=self._steady)
        self.checkpoints = Checkpoints(
            checkpoints,
            self.trials,
            best=_best(spec, self.policy),
            promising=lambda: self.policy.promising,
            forget=lambda trial_id: self.record.write(CheckpointDeleted(trial_id=trial_id, at=self._now())),
        )
        self.run_id: Callable[[str], str] | None = None
        """Names the W&B run of a trial; None: there are none."""
        self.ended: list[tuple[float, Trial]] = []
        """Trials that ended or paused in this process, and when [s]; one that was promoted in between, twice."""

    def take_slots(self, slots: int, gpu_share: float) -> None:
        """From now on so many trials may run at a time, each with this share of a GPU; the time counts from here."""
        self._slots = slots
        self.meter.start(gpu_share)

    def recover(self) -> None:
        """Give the verdict that a kill or an error cut short: on an evaluation that nothing followed."""
        if isinstance(self.record.last, Evaluated):
            self._follow(self.trials[self.record.last.trial_id])
        for trial in list(self.trials.unfinished.values()):
            if trial.evaluation >= self.spec.evaluations:
                self._follow(trial)

    def next(self) -> Decision:
        """What a free slot does; a trial that is to run is taken to run from now on."""
        decision = self.policy.next(self.meter.left(self._slots))
        while isinstance(decision, Close):
            self.settle()
            decision = self.policy.next(self.meter.left(self._slots))
        if isinstance(decision, Start):
            trial_id = f"{len(self.trials):04d}"
            assignment, stage = decision.assignment, decision.stage
            self.checkpoints.clear(trial_id)
            self.record.write(Proposed(trial_id=trial_id, at=self._now(), assignment=assignment, stage=stage))
            decision = Resume(trial_id)
        if isinstance(decision, Resume):
            self._run(self.trials[decision.trial_id])
        return decision

    def _run(self, trial: Trial) -> None:
        """A slot takes a trial."""
        logger.info("trial %s: %s", trial.trial_id, trial.assignment)
        if trial.state == "paused":
            self.record.write(Promoted(trial_id=trial.trial_id, at=self._now()))
        self.checkpoints.resume(trial)
        if self.run_id and not trial.run_id:
            run_id = self.run_id(trial.trial_id)
            self.record.write(RunOpened(trial_id=trial.trial_id, at=self._now(), run_id=run_id))
        self.record.write(Began(trial_id=trial.trial_id, at=self._now(), gpu_share=self.meter.gpu_share))
        self.meter.begin(trial.trial_id)

    def report(self, trial_id: str, metrics: Metrics, checkpoint: str) -> Verdict:
        """Take in an evaluation, and say what follows for the trial.

        A trial that resumes reports its last checkpoint's evaluation again, since the driver that it first reported it
        to may have been killed; what is known already changes nothing.
        """
        trial = self.trials[trial_id]
        if metrics.evaluation <= trial.evaluation:
            return Verdict.CONTINUE
        kept = self.rows.relative(checkpoint)
        self.record.write(Evaluated(trial_id=trial_id, at=self._now(), metrics=metrics, checkpoint=kept))
        verdict = self._follow(trial)
        self._note_spending()
        return verdict

    def _follow(self, trial: Trial) -> Verdict:
        """Decide on a trial's last evaluation."""
        verdict = self.policy.verdict(trial.trial_id, self.meter.left(self._slots))
        name, at = trial.trial_id, self._now()
        match verdict:
            case Verdict.COMPLETE:
                self._end(Completed(trial_id=name, at=at))
            case Verdict.STOP if trial.metrics and trial.metrics.diverged:
                self._end(Diverged(trial_id=name, at=at))
            case Verdict.STOP:
                self._end(Stopped(trial_id=name, at=at))
            case Verdict.PAUSE:
                self._end(Paused(trial_id=name, at=at))
            case Verdict.INTERRUPT:
                self.interrupt(name)
        return verdict

    def fail(self, trial_id: str, error: str) -> None:
        """End a trial by an error."""
        self._end(Failed(trial_id=trial_id, at=self._now(), error=error))

    def cut_short(self, trial_id: str, error: str) -> None:
        """End a trial where its recorded curve does."""
        self._end(Stopped(trial_id=trial_id, at=self._now(), error=error))

    def substitute(self, trial_id: str, assignment: Assignment) -> None:
        """Let a recorded configuration answer for the proposed one."""
        self.record.write(Substituted(trial_id=trial_id, at=self._now(), assignment=assignment))

    def interrupt(self, trial_id: str) -> None:
        """Take a trial from its slot as the run ends: a later run resumes it from its checkpoint."""
        self._end(Interrupted(trial_id=trial_id, at=self._now()))

    def note_closed_run(self, trial_id: str) -> None:
        """Write down that W&B has all of an ended or paused trial's run."""
        self.record.write(RunClosed(trial_id=trial_id, at=self._now()))

    def _end(self, event: Completed | Stopped | Diverged | Paused | Failed | Interrupted) -> None:
        """Take a trial from its slot, and delete the checkpoints that need not be kept any more."""
        logger.info("trial %s %s", event.trial_id, type(event).__name__.lower())
        self.record.write(event)
        self.meter.end(event.trial_id)
        self._note_spending()
        trial = self.trials[event.trial_id]
        if not trial.unfinished:
            self.ended.append((self._steady(), trial))
            self.checkpoints.end(trial)

    def _note_spending(self) -> None:
        """Write down what the sweep has taken, now and then, for a run that is killed."""
        if self.meter.is_due:
            self.record.write(self.meter.note(self._now()))

    def settle(self) -> None:
        """Abandon what is not asked for any more, close the search if it has ended, and delete what is not to be kept.

        May be called again at any time: it completes what a kill cut short.
        """
        for trial in self.policy.surplus:
            self.record.write(Abandoned(trial_id=trial.trial_id, at=self._now()))
        if self.policy.phase == "closing":
            self.record.write(Closed(at=self._now(), trials=self.spec.trials))
        self.checkpoints.settle()

    def close(self) -> None:
        """Write down what the sweep has taken, and let the views write all."""
        if self.meter.runs:
            self.record.write(self.meter.note(self._now()))
        self.record.close()


def _best(spec: Spec, policy: Policy) -> Callable[[Sequence[Trial]], Sequence[Trial]]:
    """Chooses the ended trials whose checkpoints are worth keeping: the front where there are two objectives."""

    def best(trials: Sequence[Trial]) -> Sequence[Trial]:
        if not spec.pareto:
            return ranked(trials)[: spec.keep_checkpoints]
        completed = [trial for trial in trials if trial.state == "completed"]
        return front(completed, loss=lambda trial: trial.best_loss, second=policy.second_objective)

    return best
