"""Two objectives: who is on the front, who goes on, and what Optuna hears."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from sweeps.policy.halving import DIVERGED_LOSS
from sweeps.policy.pareto import ParetoHalving, beaten_by, front
from sweeps.record.tables import Result, RunFolder, read_results
from sweeps.record.tracking import Tracker
from sweeps.spec import load
from sweeps.sweep import Sweep

from ..examples import METRICS, RESULT, minimal

POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30)


def trial(number: int, loss: float, parameters: int, status: str = "completed") -> Result:
    return replace(RESULT, trial_id=str(number), best_val_loss=loss, parameters=parameters, status=status)  # type: ignore[arg-type]


@given(points=POINTS)
def test_the_front_is_whom_nobody_beats(points: list[tuple[int, int]]) -> None:
    results = [trial(number, loss, parameters) for number, (loss, parameters) in enumerate(points)]
    losses, sizes = (np.array(column) for column in zip(*points, strict=True))
    unbeaten = {point for point, beaten in zip(points, beaten_by(losses, sizes), strict=True) if not beaten}

    assert {(result.best_val_loss, result.parameters) for result in front(results, "parameters")} == unbeaten


def test_a_stopped_trial_is_not_on_the_front() -> None:
    assert front([trial(0, 1.0, 10, "stopped"), trial(1, 2.0, 10)], "parameters")[0].trial_id == "1"


@given(points=POINTS, eta=st.integers(2, 4))
def test_whom_nobody_beats_always_goes_on(points: list[tuple[int, int]], eta: int) -> None:
    second = {str(number): float(size) for number, (_, size) in enumerate(points)}
    halving = ParetoHalving(eta=eta, rungs=(1,), second=second)
    for number, (loss, size) in enumerate(points):
        goes_on = halving.report(str(number), 1, loss)
        beaten = any(a <= loss and b <= size and (a, b) != (loss, size) for a, b in points[:number])
        assert goes_on or beaten


def test_one_beaten_by_most_stops() -> None:
    halving = ParetoHalving(eta=2, rungs=(1,), second=dict.fromkeys("abcd", 1.0))

    assert [halving.report(name, 1, loss) for name, loss in zip("abcd", (1, 2, 3, 4), strict=True)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_diverged_one_stops_however_small_it_is() -> None:
    halving = ParetoHalving(eta=2, rungs=(1,), second={"large": 2.0, "small": 1.0})

    assert halving.report("large", 1, 3.0)
    assert not halving.report("small", 1, DIVERGED_LOSS)


def test_a_sweep_with_two_objectives_tells_optuna_both_and_keeps_the_front(tmp_path: Path) -> None:
    spec = load.parse(minimal(pareto="parameters", early_terminate={"type": "asha", "eta": 2}, keep_checkpoints=1))

    def open_sweep() -> Sweep:
        return Sweep(
            spec,
            RunFolder(tmp_path),
            vocab_size=300,
            tracker=Tracker.open("disabled", sweep="tiny", folder=tmp_path, project="test"),
            checkpoints=f"{tmp_path}/checkpoints",
        )

    sweep = open_sweep()
    for _ in range(3):
        trial = sweep.propose()
        assert trial is not None
        loss = 100.0 / trial.config.width / trial.config.depth  # the larger the better
        metrics = replace(METRICS, evaluation=9, val_loss=loss, best_val_loss=loss)
        sweep.report(trial.trial_id, metrics, f"{tmp_path}/checkpoints/{trial.trial_id}/evaluation.pt")
        sweep.finish(trial.trial_id, "completed")
    left = sweep.propose()
    assert left is not None

    assert open_sweep().propose() is not None, "goes on after a kill"
    results = read_results(tmp_path / "results.csv")
    assert {row.trial_id for row in results if row.checkpoint} == {row.trial_id for row in front(results, "parameters")}
    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    trained = [trial for trial in study.trials if "trial_id" in trial.user_attrs]
    ended = [trial for trial in trained if trial.state == TrialState.COMPLETE]
    assert [trial.values for trial in ended] == [[row.val_loss, row.parameters] for row in results]
