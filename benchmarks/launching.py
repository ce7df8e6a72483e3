"""Trials that train nothing, on a real Ray of this machine: through our slots, and as Ray documents it."""

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import rehearsal

from sweeps import showing
from sweeps.machines import access, cluster
from sweeps.policy.verdicts import Verdict
from sweeps.record.folder import RunFolder
from sweeps.record.tracking import Tracker
from sweeps.spec.corpus import Data
from sweeps.spec.schema import Spec
from sweeps.sweep import Sweep
from tinystories.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One run: when what happened, since Ray was asked to start. [s]"""

    ray: float
    """Ray was there."""
    ends: list[float]
    """A trial ended, one entry each."""
    over: float
    """Every trial had ended, and the run returned."""
    spans: dict[str, list[tuple[float, float]]]
    """By trial, from when to when it was training, as it says itself; empty where it was not asked."""


class Timed(Sweep):
    """Notes from when to when trials were training: what a report says it took, up to its arrival."""

    spans: dict[str, list[tuple[float, float]]]

    def report(self, trial_id: str, metrics: Metrics, checkpoint: str) -> Verdict:
        """Take in an evaluation."""
        now, known = time.monotonic(), self.trials[trial_id].metrics
        took = metrics.seconds - (known.seconds if known else 0.0)
        self.spans.setdefault(trial_id, []).append((now - took, now))
        return super().report(trial_id, metrics, checkpoint)


def ours(*, trials: int, evaluations: int, pause: float, slots: int, data: Data, folder: Path) -> Launch:
    """Our slots, each with one CPU. Trials sleep for `pause` [s] before every report."""
    from sweeps.machines import tuning
    from sweeps.machines.worker import SlotConfig

    spec = rehearsal.spec(method="bayes", trials=trials, evaluations=evaluations, rule=None)
    started = time.monotonic()
    cluster.connect(None)
    ready = time.monotonic()
    sweep = _sweep(spec, folder, slots)
    slot = SlotConfig(
        cpus=1,
        gpus=0,
        patience=600,
        storage=str(folder / "ray"),
        data=data.location,
        stories=None,
        fingerprint=data.fingerprint,
        shared_code=None,
        train=partial(rehearsal.wait, pause=pause),
    )
    tuning.run(sweep, slot, slots=slots, on_step=sweep.record.flush)
    over = time.monotonic()
    cluster.disconnect()
    sweep.close()
    if sweep.policy.left or any(trial.state != "completed" for trial in sweep.trials.values()):
        raise RuntimeError(f"not all of our trials completed: {list(sweep.trials.values())[-1]}")
    return Launch(
        ray=ready - started,
        ends=[end - started for end, _ in sweep.ended],
        over=over - started,
        spans={name: [(a - started, b - started) for a, b in spans] for name, spans in sweep.spans.items()},
    )


def _sweep(spec: Spec, folder: Path, slots: int) -> Timed:
    run = RunFolder(folder)
    sweep = Timed(spec, run, vocab_size=rehearsal.VOCABULARY, checkpoints=str(run.checkpoints))
    sweep.take_slots(slots, gpu_share=1.0)
    showing.show(sweep, run, Tracker.open("disabled", sweep="", folder=folder, project="", token=""))
    sweep.spans = {}
    return sweep


def documented(*, trials: int, evaluations: int, slots: int, folder: Path) -> Launch:
    """A Tune function that runs a TorchTrainer for every trial, with Ray's own settings.

    Source: docs.ray.io, "Hyperparameter Tuning with Ray Tune" of Ray Train's user guide (Ray 2.60).
    """
    os.environ.update(access.closed())  # as `cluster.connect` does
    import ray
    from ray import tune

    started = time.monotonic()
    ray.init(address="local", log_to_driver=False)
    ready = time.monotonic()
    ends: list[float] = []

    class Ends(tune.Callback):
        """Notes when a trial ends."""

        def __getstate__(self) -> dict[str, Any]:
            """Nothing: Tune pickles its callbacks."""
            return {}

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            ends.append(time.monotonic() - started)

    # The Tune function must not hold the CPUs that its Train worker needs.
    tuner = tune.Tuner(
        tune.with_resources(_run_trainer, {"node:__internal_head__": 0.001}),
        param_space={"evaluations": evaluations, "storage": str(folder)},
        tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=slots),
        run_config=tune.RunConfig(name="tune", storage_path=str(folder), verbose=0, callbacks=[Ends()]),
    )
    results = tuner.fit()
    over = time.monotonic()
    ray.shutdown()
    if results.errors:
        raise RuntimeError(f"a trial of the documented pattern failed: {results.errors[0]}")
    return Launch(ray=ready - started, ends=ends, over=over - started, spans={})


def _run_trainer(config: dict[str, Any]) -> None:
    """One trial as documented: a Train run of its own, whose reports reach Tune through a callback."""
    from ray import train, tune
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    trainer = TorchTrainer(
        _report,
        train_loop_config=config,
        scaling_config=train.ScalingConfig(num_workers=1),
        run_config=train.RunConfig(
            name=f"train-{tune.get_context().get_trial_id()}",
            storage_path=config["storage"],
            callbacks=[TuneReportCallback()],
        ),
    )
    trainer.fit()


def _report(config: dict[str, Any]) -> None:
    from ray import train

    for evaluation in range(1, config["evaluations"] + 1):
        train.report({"val_loss": 3.0, "evaluation": evaluation})


def busy_share(launch: Launch, slots: int) -> tuple[float, float]:
    """Share of the slots' time in which they were training, and how long that was watched. [1], [s]

    From when every slot has its first trial to when the first slot finds no trial left.
    """
    trials = sorted(launch.spans.values())
    begin = max(spans[0][0] for spans in trials[:slots])
    end = sorted(spans[-1][1] for spans in trials)[-slots]
    busy = sum(max(0.0, min(b, end) - max(a, begin)) for spans in trials for a, b in spans)
    return busy / (slots * (end - begin)), end - begin
