"""Sweeps without Ray: driven by hand, a report at a time, or by a simulated machine on made-up curves."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from sqlalchemy import URL

from sweeps import showing
from sweeps.limits import Limits
from sweeps.machines.simulated import Answer, Clock, Curve, Machine
from sweeps.policy.verdicts import Resume, Verdict
from sweeps.record.folder import RunFolder
from sweeps.record.tables import COLUMNS, Result, line, result_line
from sweeps.record.tracking import Tracker
from sweeps.spec import load
from sweeps.sweep import Sweep
from sweeps.trials import Trial
from tinystories.metrics import Metrics

from .examples import METRICS, minimal

VOCABULARY = 300
"""Of the data that the sweeps are said to train on. [token]"""


def screening(finalists: int) -> dict[str, Any]:
    """With a single rung."""
    return {"type": "screen", "finalists": finalists, "looks": 1}


def open_sweep(root: Path | None, limits: Limits | None = None, *, clock: Clock | None = None, **changes: Any) -> Sweep:
    """A process of a sweep with the views of its files; without a folder, nothing is written."""
    spec = load.parse(minimal(**{"early_terminate": {"type": "asha", "eta": 2, "min_iter": 1}, **changes}))
    folder = RunFolder(root) if root else None
    if folder:
        folder.root.mkdir(parents=True, exist_ok=True)
    sweep = Sweep(
        spec,
        folder,
        vocab_size=VOCABULARY,
        checkpoints=str(folder.checkpoints) if folder else "",
        limits=limits,
        clocks=clock.clocks if clock else None,
    )
    sweep.recover()
    if folder:
        showing.show(sweep, folder, disabled(folder))
    return sweep


def disabled(folder: RunFolder) -> Tracker:
    """A tracker that tracks nothing."""
    return Tracker.open("disabled", sweep="tiny", folder=folder.root, project="test", token="abc")


def metrics(evaluation: int, loss: float, **changes: Any) -> Metrics:
    """An evaluation a second."""
    told: dict[str, Any] = {"tokens": 1000 * evaluation, "flops": 1e9 * evaluation, "seconds": float(evaluation)}
    losses = {"val_loss": loss, "sample_loss": loss, "best_val_loss": loss}
    return replace(METRICS, evaluation=evaluation, **losses | told | changes)


def begin(sweep: Sweep) -> Trial:
    """A slot takes the trial that is to run next."""
    decision = sweep.next()
    assert isinstance(decision, Resume), decision
    return sweep.trials[decision.trial_id]


def checkpoint(sweep: Sweep, trial_id: str) -> str:
    """What a worker saves."""
    file = Path(sweep.checkpoints.folder(trial_id)) / "evaluation.pt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"weights")
    return str(file)


def report(sweep: Sweep, trial: Trial, evaluation: int, loss: float, **changes: Any) -> Verdict:
    """A worker reports an evaluation, with a checkpoint."""
    return sweep.report(trial.trial_id, metrics(evaluation, loss, **changes), checkpoint(sweep, trial.trial_id))


def complete(sweep: Sweep, loss: float) -> str:
    """The next trial reports its last evaluation at once."""
    trial = begin(sweep)
    assert report(sweep, trial, sweep.spec.evaluations, loss) is Verdict.COMPLETE
    return trial.trial_id


def pause(sweep: Sweep, loss: float) -> str:
    """The next trial reaches the first rung and pauses there."""
    trial = begin(sweep)
    assert report(sweep, trial, 1, loss) is Verdict.PAUSE
    return trial.trial_id


def train_to_its_end(sweep: Sweep, trial: Trial, loss: float) -> None:
    """A promoted trial: its worker reports the last evaluation again before it trains further."""
    for evaluation in range(max(1, trial.evaluation), sweep.spec.evaluations):
        assert report(sweep, trial, evaluation, loss) is Verdict.CONTINUE
    assert report(sweep, trial, sweep.spec.evaluations, loss) is Verdict.COMPLETE


def work(sweep: Sweep, loss: Callable[[Trial, int], float], clock: Clock | None = None) -> list[str]:
    """One slot trains whatever is next, a second an evaluation, until there is nothing; the trials in their order.

    Args:
        loss: of a trial, and of how many the slot has taken.
    """
    order = []
    while isinstance(decision := sweep.next(), Resume):
        order.append(decision.trial_id)
        trial, verdict = sweep.trials[decision.trial_id], Verdict.CONTINUE
        while verdict is Verdict.CONTINUE:
            if clock:
                clock.now += 1
            evaluation = trial.evaluation + 1
            verdict = report(sweep, trial, evaluation, loss(trial, len(order)))
    return order


class Flat:
    """A curve of a single loss, a second an evaluation."""

    def __init__(self, loss: float) -> None:
        self.loss = loss

    def seconds(self, evaluation: int) -> float:
        """See `simulated.Curve`."""
        return float(evaluation)

    def metrics(self, evaluation: int, before: Metrics | None) -> Metrics | None:
        """See `simulated.Curve`."""
        return metrics(evaluation, self.loss, diverged=not math.isfinite(self.loss))


def simulate(
    sweep: Sweep,
    clock: Clock,
    answer: Answer | None = None,
    *,
    workers: int = 1,
    until: Callable[[], bool] = lambda: False,
) -> Sweep:
    """Run a sweep to its end, or until it is killed; unless told otherwise, the deeper and wider the better."""

    def by_size(trial: Trial) -> Curve:
        config = sweep.rows.config(trial)
        return Flat(5 / config.depth + 1 / config.width + config.heads / 100)

    sweep.take_slots(workers, gpu_share=1.0)
    Machine(sweep, clock, workers=workers, answer=answer or by_size).run(until)
    if not sweep.trials.running:
        sweep.settle()
    return sweep


def states(sweep: Sweep) -> list[str]:
    """Of all trials, in their order."""
    return [trial.state for trial in sweep.trials.values()]


def study_of(root: Path) -> list[FrozenTrial]:
    """The trials that optuna.db holds."""
    url = URL.create("sqlite", database=str(root / "optuna.db")).render_as_string(hide_password=False)
    storage = optuna.storages.RDBStorage(url)
    trials = optuna.load_study(study_name="sweep", storage=storage).trials
    storage.engine.dispose()
    return trials


def write_results(path: Path, results: Iterable[Result]) -> None:
    """A results.csv as a sweep leaves it."""
    results = list(results)
    searched = list(results[0].searched) if results else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join([line([*COLUMNS, *searched]), *map(result_line, results)]), encoding="utf-8")
