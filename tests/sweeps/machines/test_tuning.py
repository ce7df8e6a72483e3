"""The adapters between Tune and a sweep, spoken to as Tune speaks to them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from sweeps.limits import Limits
from sweeps.machines.simulated import Clock
from sweeps.machines.tuning import Bridge, SweepScheduler, SweepSearcher
from sweeps.machines.worker import Report
from sweeps.record.folder import RunFolder
from sweeps.spec import load
from sweeps.sweep import Sweep

from ..examples import METRICS, minimal


class Tune:
    """A sweep of two trials, and what Tune would ask of it."""

    def __init__(self, folder: Path, *, hours: float | None = None, **changes: Any) -> None:
        spec = load.parse(minimal(**{"run_cap": 2, "early_terminate": None, **changes}))
        self.clock = Clock()
        self.sweep = Sweep(
            spec,
            RunFolder(folder),
            vocab_size=100,
            checkpoints=str(folder),
            limits=Limits(hours=hours),
            clocks=self.clock.clocks,
        )
        self.bridge = Bridge(self.sweep)
        self.searcher = SweepSearcher(self.bridge)
        self.scheduler = SweepScheduler(self.bridge)

    def begin(self, name: str) -> Any:
        """A trial as Tune has it."""
        config = self.searcher.suggest(name)
        return SimpleNamespace(
            config=config, run_metadata=SimpleNamespace(num_failures=2), num_failures=0, get_error=lambda: "boom"
        )

    def report(self, trial: Any, evaluation: int, **measured: Any) -> str:
        metrics = replace(METRICS, evaluation=evaluation, tokens=evaluation * 2222, **measured)
        return self.scheduler.on_trial_result(None, trial, {"report": Report(metrics=metrics, checkpoint="")})

    def end(self, trial: Any, report: Report) -> None:
        self.scheduler.on_trial_complete(None, trial, {"report": report})


def test_the_searcher_hands_out_every_trial_and_then_says_that_it_has_finished(tmp_path: Path) -> None:
    tune = Tune(tmp_path)
    jobs = [tune.begin(name).config["job"] for name in "ab"]

    assert [job.trial_id for job in jobs] == ["0000", "0001"]
    assert jobs[0].checkpoints == str(tmp_path / "0000")
    assert tune.searcher.suggest("c") == Searcher.FINISHED


def test_a_trial_that_reports_continues_and_its_earlier_failures_are_forgotten(tmp_path: Path) -> None:
    tune = Tune(tmp_path)
    trial = tune.begin("a")

    assert tune.report(trial, 1) == TrialScheduler.CONTINUE
    assert trial.run_metadata.num_failures == 0
    assert tune.sweep.trials["0000"].evaluation == 1


def test_a_trial_that_the_sweep_stops_is_stopped_and_has_its_row(tmp_path: Path) -> None:
    tune = Tune(tmp_path, early_terminate={"type": "asha", "min_iter": 1, "eta": 2})
    good, poor = tune.begin("a"), tune.begin("b")

    assert tune.report(good, 1, val_loss=2.0) == TrialScheduler.CONTINUE
    assert tune.report(poor, 1, val_loss=9.0) == TrialScheduler.STOP
    assert tune.sweep.trials["0001"].state == "stopped"
    assert [trial.trial_id for trial in tune.sweep.trials.running] == ["0000"]


def test_when_the_time_is_up_a_trial_is_stopped_and_stays_unfinished(tmp_path: Path) -> None:
    tune = Tune(tmp_path, hours=1)
    trial = tune.begin("a")
    tune.clock.now = 3601

    assert tune.report(trial, 1) == TrialScheduler.STOP
    assert tune.sweep.trials["0000"].state == "interrupted"
    assert tune.searcher.suggest("b") == Searcher.FINISHED


@pytest.mark.parametrize(
    ("report", "status"),
    [
        (Report(metrics=replace(METRICS, evaluation=9), checkpoint=""), "completed"),
        (Report(error="no memory", trace="trace"), "failed"),
    ],
)
def test_the_last_report_ends_a_trial(report: Report, status: str, tmp_path: Path) -> None:
    tune = Tune(tmp_path)
    tune.end(tune.begin("a"), report)

    assert tune.sweep.trials["0000"].state == status
    assert tune.sweep.trials["0000"].error == report.error


def test_a_worker_that_dies_once_costs_nothing_and_one_that_dies_again_and_again_its_trial(tmp_path: Path) -> None:
    tune = Tune(tmp_path, max_failures=2)
    trial = tune.begin("a")
    trial.num_failures = 2
    tune.scheduler.on_trial_error(None, trial)
    assert tune.sweep.trials["0000"].state == "running"
    trial.num_failures = 3
    tune.scheduler.on_trial_error(None, trial)

    assert tune.sweep.trials["0000"].state == "failed"
    assert tune.sweep.trials["0000"].error == "its worker died 3 times: boom"


def test_a_full_disk_ends_the_sweep_with_its_own_error(tmp_path: Path) -> None:
    """Tune would swallow it."""
    tune = Tune(tmp_path)
    trial, other = tune.begin("a"), tune.begin("b")
    tune.end(trial, Report(error="No space left on device", fatal=True))

    assert isinstance(tune.bridge.failure, OSError)
    assert str(tune.bridge.failure) == "No space left on device"
    assert tune.report(other, 1) == TrialScheduler.STOP
    assert tune.searcher.suggest("c") == Searcher.FINISHED
