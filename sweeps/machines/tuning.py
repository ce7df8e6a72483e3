"""The Ray Tune side of a sweep: thin adapters that let Tune's searcher and scheduler hooks speak to a `Sweep`."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweeps.machines import signals
from sweeps.machines.slot import HEAD, Slot
from sweeps.machines.worker import Job, Report, SlotConfig
from sweeps.policy.verdicts import Resume, Verdict, Wait
from sweeps.sweep import Sweep

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Bridge:
    """Carries Tune's questions to the sweep, and the sweep's first failure past Tune, which would swallow it."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.failure: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its parts into snapshots, but a sweep is resumed from its own folder."""
        return {}

    def ask(self, question: Callable[[], Answer], *, otherwise: Answer) -> Answer:
        """The answer; `otherwise` when the sweep has failed, now or before."""
        if self.failure is None:
            try:
                return question()
            except Exception as error:
                logger.exception("the sweep ends")
                self.failure = error
        return otherwise


class SweepSearcher(Searcher):
    """Tune asks here for the next trial."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def suggest(self, trial_id: str) -> Any:
        """The next trial's job; None while there is none yet, FINISHED when the sweep has no more."""
        return self._bridge.ask(self._next, otherwise=Searcher.FINISHED)

    def _next(self) -> Any:
        sweep = self._bridge.sweep
        match sweep.next():
            case Resume(trial_id):
                config = sweep.rows.config(sweep.trials[trial_id])
                return {"job": Job(trial_id=trial_id, config=config, checkpoints=sweep.checkpoints.folder(trial_id))}
            case Wait():
                return None
            case _:
                return Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `SweepScheduler` has told the sweep."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing; see `Bridge.__getstate__`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing; see `Bridge.__getstate__`."""


class SweepScheduler(FIFOScheduler):
    """Tune tells here what trials report, and is told whether they continue."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """An evaluation that is not the trial's last."""
        report = result["report"]
        return self._bridge.ask(lambda: self._decide(trial, report), otherwise=TrialScheduler.STOP)

    def _decide(self, trial: Any, report: Report) -> str:
        sweep, job = self._bridge.sweep, trial.config["job"]
        assert report.metrics is not None
        # A trial may lose its worker often on spot machines, but not again and again without getting on.
        trial.run_metadata.num_failures = 0
        verdict = sweep.report(job.trial_id, report.metrics, report.checkpoint)
        return TrialScheduler.CONTINUE if verdict is Verdict.CONTINUE else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """A trial's last report; Tune also comes here after a STOP of `on_trial_result`."""
        job, report = trial.config["job"], result["report"]
        if self._bridge.sweep.trials[job.trial_id].state == "running" and report.ends(job):
            self._bridge.ask(lambda: self._end(job, report), otherwise=None)

    def _end(self, job: Job, report: Report) -> None:
        sweep = self._bridge.sweep
        if report.fatal:
            raise OSError(report.error)
        if report.metrics is None:
            logger.error(report.trace)
            sweep.fail(job.trial_id, report.error)
        else:
            sweep.report(job.trial_id, report.metrics, report.checkpoint)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """A slot died. Tune starts the trial in a new one, unless that has happened too often."""
        sweep, job = self._bridge.sweep, trial.config["job"]
        if trial.num_failures > sweep.spec.max_failures and sweep.trials[job.trial_id].state == "running":
            error = f"its worker died {trial.num_failures} times: {trial.get_error() or 'see the log'}"
            self._bridge.ask(lambda: sweep.fail(job.trial_id, error), otherwise=None)


class Observer(tune.Callback):
    """Calls back between Tune's events."""

    def __init__(self, on_step: Callable[[], None]) -> None:
        self._on_step = on_step

    def __getstate__(self) -> dict[str, Any]:
        """Nothing; see `Bridge.__getstate__`."""
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune has handled an event, or waited 0.1 s for one."""
        self._on_step()
        signals.tell_tune()


def run(sweep: Sweep, slot: SlotConfig, *, slots: int, on_step: Callable[[], None]) -> None:
    """Run the sweep's trials to their end, or until a signal (`signals`) or its time is up.

    Args:
        slots: trials at a time.
        on_step: called between events, at least every 0.1 s.

    Raises:
        OSError: a disk is full.
        Exception: whatever else the sweep raised while it took in a report.
    """
    bridge = Bridge(sweep)
    tuner = tune.Tuner(
        tune.with_resources(Slot, {HEAD: 0.001}),
        param_space={"slot": slot},
        tune_config=tune.TuneConfig(
            search_alg=SweepSearcher(bridge),
            scheduler=SweepScheduler(bridge),
            num_samples=-1,
            max_concurrent_trials=slots,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.config["job"].trial_id,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=slot.storage,
            verbose=0,
            callbacks=[Observer(on_step)],
            failure_config=tune.FailureConfig(max_failures=sweep.spec.max_failures),
        ),
    )
    with signals.given_to_tune():
        tuner.fit()
    if bridge.failure:
        raise bridge.failure
