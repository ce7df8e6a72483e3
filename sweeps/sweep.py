"""One sweep in progress: what was proposed, what came back, what follows from it. Knows nothing of Ray.

The files of the run folder are the truth. Each step is written in an order that a kill at any moment leaves
repairable: curves before decisions, results.csv before Optuna, checkpoints deleted last. What a step costs does not
depend on how many trials have ended; results.csv is written whole only where a better checkpoint displaces one, and
where a trial ends that had stopped.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from sweeps.policy import confirmation, stopping
from sweeps.policy.finals import Finals
from sweeps.policy.halving import DIVERGED_LOSS, Screening
from sweeps.policy.pareto import front
from sweeps.policy.search import Proposal, Search
from sweeps.record import tables
from sweeps.record.spending import SECONDS, Budget, Meter
from sweeps.record.tables import Configuration, Curves, Result, RunFolder, Stage, Status, ranked
from sweeps.record.tracking import Tracker
from sweeps.spec.schema import Spec
from sweeps.spec.space import Assignment
from tinystories import storage
from tinystories.config import TrialConfig
from tinystories.metrics import Metrics
from tinystories.models import size

logger = logging.getLogger(__name__)


@dataclass
class Running:
    """A trial that has not ended."""

    trial_id: str
    config: TrialConfig
    stage: Stage = "search"
    metrics: Metrics | None = None
    """Its last evaluation."""
    checkpoint: str = ""
    """Its best checkpoint so far."""

    @property
    def configuration(self) -> Configuration:
        """What is compared."""
        config = self.config
        return config.depth, config.width, config.heads, config.learning_rate


class Sweep:
    """The state of a sweep, and the three things that happen to it: propose, report, finish.

    Args:
        spec: what to do; `run_cap` may be larger than in an earlier run, which adds trials.
        folder: where everything stands; an earlier run found there is continued.
        vocab_size: of the data. [token]
        tracker: owner of the W&B runs.
        checkpoints: folder or URI that every worker reaches.
        budget: what the sweep may take; when it is used up, running trials stop at their next evaluation.
        gpu_share: GPUs that a trial holds; on CPUs 1, a slot.
        slots: trials at a time.
        search: proposes the trials; None: the study in the run folder.
        clock: tells the time. [s]
    """

    def __init__(
        self,
        spec: Spec,
        folder: RunFolder,
        *,
        vocab_size: int,
        tracker: Tracker,
        checkpoints: str,
        budget: Budget | None = None,
        gpu_share: float = 1.0,
        slots: int = 1,
        search: Search | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.checkpoints = checkpoints
        tables.drop_torn_row(folder.results)
        self.results = {result.trial_id: result for result in tables.read_results(folder.results)}
        self._searched = sum(result.stage == "search" for result in self.results.values())
        self._kept = ranked(r for r in self.results.values() if r.checkpoint and r.stage == "search")
        self.running: dict[str, Running] = {}
        self.busy_seconds = 0.0
        """Training and evaluation time that this process was told of, over all slots. [s]"""
        self.ended: list[tuple[float, Result]] = []
        """How trials ended in this process, and when on its clock [s]; one that went on after it stopped, twice."""
        self._vocab_size = vocab_size
        self._tracker = tracker
        self.meter = Meter(budget or Budget(), folder.spent, gpu_share=gpu_share, clock=clock)
        self._clock = clock
        self._curves = Curves(folder.curves)
        curves = tables.read_curves(folder.curves)
        self._last = {trial_id: curve[-1] for trial_id, curve in curves.items()}
        self._trained = (
            sum(last.seconds for last in self._last.values()),
            sum(last.evaluation for last in self._last.values()),
        )
        """Time [s] and evaluations of all trials."""
        self._search = search or Search(spec, storage=folder.study)
        self._second: dict[str, float] = {}
        """Of each trial the second objective, if there is one. [parameter or FLOP]"""
        self._rule = stopping.rule(spec, forecaster=self._search, second=self._second)
        self._screening = self._rule if isinstance(self._rule, Screening) else None
        self._finals = self._screening and Finals(
            self._screening,
            self.meter,
            slots=slots,
            rate=self._rate,
            stopped_at=self._stopped_at,
        )
        self._finalists: set[str] = set()
        """Trials that go on after they stopped, and have not ended again: each has a row from then."""
        self._unfinished = deque(self._recover(curves))
        going_on = {proposal.trial_id for proposal in self._unfinished}
        self._kept = [result for result in self._kept if result.trial_id not in going_on]

    def _recover(self, curves: Mapping[str, list[Metrics]]) -> list[Proposal]:
        """Bring the rule and Optuna up to the files, and find the trials to go on with."""
        proposals = self._search.unfinished()
        for result in self.results.values():
            shape: Assignment = {"depth": result.depth, "width": result.width, "heads": result.heads}
            self._judge(result.trial_id, self.spec.trial_config(shape))
        for proposal in proposals:
            self._judge(proposal.trial_id, self.spec.trial_config(proposal.assignment))
        stages = {trial.trial_id: trial.stage for trial in proposals}
        stages |= {trial.trial_id: trial.stage for trial in self.results.values()}
        for trial_id, curve in curves.items():
            for metrics in curve if stages.get(trial_id) == "search" else ():
                self._rule.record(trial_id, metrics.evaluation, self._loss(metrics))
        for result in self.results.values():
            self._drop_unusable(result)
        unfinished = []
        for proposal in proposals:
            for metrics in curves.get(proposal.trial_id, ()):  # a kill may have come before Optuna was told
                self._search.report(proposal.trial_id, metrics.evaluation, self._loss(metrics))
            ended = self.results.get(proposal.trial_id)
            if ended is None or (proposal.stopped_at and ended.status == "stopped"):
                unfinished.append(proposal)
            else:
                self._tell(ended)
        return unfinished

    def _judge(self, trial_id: str, config: TrialConfig) -> None:
        """Note a trial's second objective, if there is one."""
        if self.spec.pareto:
            self._second[trial_id] = self.spec.second_objective(config, self._vocab_size)

    def _loss(self, metrics: Metrics) -> float:
        return getattr(metrics, self.spec.metric) if metrics.usable else DIVERGED_LOSS

    @property
    def left(self) -> int:
        """Trials that have not ended yet, with finalists that wait."""
        going_on = self._finalists | {proposal.trial_id for proposal in self._unfinished if proposal.stopped_at}
        if self._searched >= self.spec.trials:
            going_on.update(self._waiting)
        return confirmation.left(self.spec, list(self.results.values())) + len(going_on)

    @property
    def may_follow(self) -> bool:
        """Whether more trials may follow from those that are running."""
        choosing = self.spec.confirm is not None or self._screening is not None
        return choosing and bool(self._searching) and not self.meter.used_up

    def propose(self) -> Running | None:
        """The next trial to run: those left unfinished, new ones, confirming ones; None when there is none now."""
        if self.meter.used_up:
            return None
        proposal = self._unfinished.popleft() if self._unfinished else self._ask()
        if proposal is None:
            return None
        confirming = proposal.stage == "confirm"
        config_of = self.spec.confirming_config if confirming else self.spec.trial_config
        trial = Running(
            proposal.trial_id,
            config_of(proposal.assignment),
            stage=proposal.stage,
            metrics=self._last.get(proposal.trial_id),
        )
        self.running[trial.trial_id] = trial
        if proposal.stopped_at:
            self._resume(trial, proposal.stopped_at)
        self._judge(trial.trial_id, trial.config)
        self.meter.begin(trial.trial_id)
        logger.info("trial %s: %s", trial.trial_id, proposal.assignment)
        config = asdict(trial.config) | self._sizes(trial.config) | {"stage": trial.stage}
        self._tracker.start(trial.trial_id, config, resumed=proposal.resumed)
        return trial

    def _ask(self) -> Proposal | None:
        running = self._reached
        if not self._all_begun and not (self._finals and self._finals.save(running)):
            return self._search.ask()
        if self._finals and not self._closed:
            if finalist := self._finals.next(running, all_begun=self._all_begun):
                return self._search.ask_to_resume(*finalist)
            self.settle()
        return None if self._searching else self._ask_again()

    def settle(self) -> None:
        """Once the search has ended, close it: who has stopped goes on no more, and checkpoints not to be kept go.

        To be repeated at will: what a kill cut short, here or when a trial ended, is made good.
        """
        going_on = self._searching or self._unfinished or self._finalists
        if going_on or not self._all_begun or self._waiting:
            return
        self._search.close(self.spec.trials)
        if self._keep(self._kept):
            tables.write_results(self.folder.results, self.results.values())
        kept = {trial_id for trial_id, result in self.results.items() if result.checkpoint} | set(self.running)
        for trial_id in storage.folders(self.checkpoints):
            if trial_id not in kept and (trial_id in self.results or trial_id in self._search.abandoned):
                storage.delete(self.checkpoint_folder(trial_id))

    @property
    def _waiting(self) -> Mapping[str, int]:
        """Stopped trials that are to go on once all have begun, and the rung where they stand."""
        return self._finals.waiting() if self._finals and not self._closed else {}

    @property
    def _closed(self) -> bool:
        """Whether all finalists have ended: forecasts that change by a restart or a confirmation call for no others."""
        return self._search.closed_at >= self.spec.trials

    @property
    def _all_begun(self) -> bool:
        """Whether all trials of the search were proposed."""
        running = sum(trial_id not in self._finalists for trial_id in self._reached)
        return self._searched + running >= self.spec.trials

    @property
    def _reached(self) -> dict[str, int]:
        """The last evaluation of running trials of the search; 0 before the first."""
        return {
            trial.trial_id: trial.metrics.evaluation if trial.metrics else 0
            for trial in self.running.values()
            if trial.stage == "search"
        }

    def _stopped_at(self, trial_id: str) -> int | None:
        """The evaluation at which a trial has stopped; None if it has not, or has gone on since."""
        ended = self.results.get(trial_id)
        if ended is None or ended.status != "stopped" or trial_id in self.running:
            return None
        at = self._last[trial_id].evaluation
        return None if self._screening and self._screening.has_passed(trial_id, at) else at

    def _resume(self, trial: Running, stopped_at: int) -> None:
        """Let a trial go on that had stopped; its row stands until it ends again."""
        if self._screening:
            self._screening.let_pass(trial.trial_id, stopped_at)
        self._finalists.add(trial.trial_id)
        trial.checkpoint = self.results[trial.trial_id].checkpoint
        self._kept = [result for result in self._kept if result.trial_id != trial.trial_id]

    def _rate(self, trial_id: str | None) -> float:
        """Time of an evaluation of a trial, or of the mean one. [s]"""
        if trial_id and (metrics := self._last.get(trial_id)):
            return metrics.seconds / metrics.evaluation
        return self._trained[0] / self._trained[1] if self._trained[1] else 0.0

    def _ask_again(self) -> Proposal | None:
        """Once the search has ended: the next trial that confirms one of the best."""
        running = [(trial.configuration, trial.config.seed) for trial in self.running.values()]
        for result, seed in confirmation.wanted(self.spec, list(self.results.values()), running=running):
            assignment = {name: getattr(result, name) for name in self.spec.space.parameters}
            return self._search.ask_again(assignment, seed=seed)
        return None

    @property
    def _searching(self) -> int:
        """Running trials of the search."""
        return sum(trial.stage == "search" for trial in self.running.values())

    def report(self, trial_id: str, metrics: Metrics, checkpoint: str) -> bool:
        """Take in an evaluation, and say whether the trial may go on.

        A trial that resumes reports its last checkpoint's evaluation again, since the driver that it first
        reported it to may have been killed; what is known already changes nothing.
        """
        trial = self.running[trial_id]
        known = self._last.get(trial_id)
        if known is None or metrics.evaluation > known.evaluation:
            self._curves.append(trial_id, metrics)
            self._tracker.log(trial_id, metrics)
            self._last[trial_id] = metrics
            seconds = metrics.seconds - (known.seconds if known else 0)
            self.busy_seconds += seconds
            evaluations = metrics.evaluation - (known.evaluation if known else 0)
            self._trained = self._trained[0] + seconds, self._trained[1] + evaluations
            self.meter.update()
        self._search.report(trial_id, metrics.evaluation, self._loss(metrics))
        trial.metrics, trial.checkpoint = metrics, checkpoint
        if trial.stage == "confirm":
            return True
        return self._rule.report(trial_id, metrics.evaluation, self._loss(metrics))

    def pause(self, trial_id: str) -> None:
        """Let a trial go when the run ends: it stays unfinished, and a later run goes on from its checkpoint."""
        logger.info("trial %s paused", trial_id)
        trial = self.running.pop(trial_id)
        self.meter.end(trial_id)
        if trial_id in self._finalists:  # its row names a checkpoint that is no more
            self.results[trial_id] = self._result(trial, "stopped", "")
            tables.write_results(self.folder.results, self.results.values())
        self.meter.save()

    def abandon(self) -> None:
        """End in Optuna what was left unfinished and is not asked for any more, now that the sweep is done."""
        while self._unfinished:
            self._search.abandon(self._unfinished.popleft().trial_id)

    def stand_for(self, trial_id: str, config: TrialConfig) -> None:
        """Let a running trial stand for another configuration, the nearest that is recorded."""
        self.running[trial_id].config = config
        self._judge(trial_id, config)

    def finish(self, trial_id: str, status: Status, error: str = "") -> Result:
        """End a trial: its row, Optuna, W&B, and the checkpoints that need not be kept."""
        logger.info("trial %s %s %s", trial_id, status, error)
        result = self._result(self.running.pop(trial_id), status, error)
        self.meter.end(trial_id)
        self.results[trial_id] = result
        self._searched += result.stage == "search" and trial_id not in self._finalists
        self.ended.append((self._clock(), result))
        if status != "stopped":
            self._last.pop(trial_id, None)
        self._drop_unusable(result)
        confirms = result.stage == "confirm" and result.usable
        dropped = self._keep([*self._kept, result]) if result.checkpoint and not confirms else []
        self._write(trial_id, whole=trial_id in self._finalists or any(other != trial_id for other in dropped))
        self._finalists.discard(trial_id)
        self._tell(result)
        self._tracker.end(trial_id, status, asdict(self.results[trial_id]))
        for other in dropped:
            storage.delete(self.checkpoint_folder(other))
        return self.results[trial_id]

    def _drop_unusable(self, ended: Result) -> None:
        """Let another trial be a finalist for one that failed or diverged."""
        if self._screening and ended.status in ("failed", "diverged"):
            self._screening.drop(ended.trial_id)

    def _tell(self, result: Result) -> None:
        loss = getattr(result, self.spec.metric)
        self._search.tell(result.trial_id, result.status, loss, self._second.get(result.trial_id))

    def _result(self, trial: Running, status: Status, error: str) -> Result:
        metrics = trial.metrics
        config = trial.config
        measured = {name: getattr(metrics, name) for name in tables.MEASURED} if metrics else {}
        return Result(
            trial_id=trial.trial_id,
            stage=trial.stage,
            status=status,
            depth=config.depth,
            width=config.width,
            heads=config.heads,
            learning_rate=config.learning_rate,
            seed=config.seed,
            checkpoint=self._relative(trial.checkpoint),
            error=" ".join(error.split()),
            gpu_hours=self.meter.gpu_share * (metrics.seconds if metrics else 0.0) / SECONDS,
            **self._sizes(config),
            **measured,
        )

    def _sizes(self, config: TrialConfig) -> dict[str, int]:
        model = config.model(self._vocab_size)
        return {
            "parameters": size.parameters(model),
            "non_embedding_parameters": size.non_embedding_parameters(model),
        }

    def _relative(self, checkpoint: str) -> str:
        return checkpoint.removeprefix(f"{self.folder.root}/")

    def _keep(self, known: list[Result]) -> list[str]:
        """Forget the checkpoints of all but the best of these ended trials; returns whose to delete.

        Where there are two objectives, the best are all on the front. Stopped trials that may yet go on keep theirs.
        """
        if self.spec.pareto:
            self._kept = front(known, self.spec.pareto)
        else:
            promising = self._promising()
            best = ranked(known)
            may_go_on = [r for r in best[self.spec.keep_checkpoints :] if r.trial_id in promising]
            self._kept = best[: self.spec.keep_checkpoints] + may_go_on
        dropped = [result.trial_id for result in known if result not in self._kept]
        for trial_id in dropped:
            self.results[trial_id] = replace(self.results[trial_id], checkpoint="")
        return dropped

    def _promising(self) -> set[str]:
        """Stopped trials that may yet go on."""
        return self._screening.promising(self._stopped_at) if self._screening and not self._closed else set()

    def checkpoint_folder(self, trial_id: str) -> str:
        """Where a trial's checkpoints stand."""
        return f"{self.checkpoints}/{trial_id}"

    def _write(self, trial_id: str, *, whole: bool) -> None:
        if whole:
            tables.write_results(self.folder.results, self.results.values())
        else:
            tables.append_result(self.folder.results, self.results[trial_id])
        self.meter.update()
