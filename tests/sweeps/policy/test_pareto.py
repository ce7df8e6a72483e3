"""Two objectives: who is on the front, who continues, and what a sweep keeps."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from sweeps.machines.simulated import Clock, metrics_of
from sweeps.policy.pareto import ParetoHalving, beaten_by
from sweeps.policy.verdicts import Verdict
from sweeps.record.tables import Result, front, read_results
from sweeps.trials import Trial

from ..driving import Flat, begin, open_sweep, report, simulate, study_of
from ..examples import RESULT

POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30)


def trial(number: int, loss: float, parameters: int, status: str = "completed") -> Result:
    return replace(RESULT, trial_id=str(number), best_val_loss=loss, parameters=parameters, status=status)  # type: ignore[arg-type]


def verdict(rule: ParetoHalving, name: str, loss: float) -> Verdict:
    """A trial reports at the first rung."""
    rule.record(name, 1, loss)
    curve = [metrics_of(loss, evaluation=1, before=None)]
    return rule.verdict(
        Trial(trial_id=name, assignment={}, stage="search", state="running", since=0.0, evaluations=curve)
    )


@given(points=POINTS)
def test_the_front_is_whom_nobody_beats(points: list[tuple[int, int]]) -> None:
    results = [trial(number, loss, parameters) for number, (loss, parameters) in enumerate(points)]
    losses, sizes = (np.array(column) for column in zip(*points, strict=True))
    unbeaten = {point for point, beaten in zip(points, beaten_by(losses, sizes), strict=True) if not beaten}

    assert {(result.best_val_loss, result.parameters) for result in front(results, "parameters")} == unbeaten


def test_a_stopped_trial_is_not_on_the_front() -> None:
    assert front([trial(0, 1.0, 10, "stopped"), trial(1, 2.0, 10)], "parameters")[0].trial_id == "1"


@given(points=POINTS, eta=st.integers(2, 4))
def test_whom_nobody_beats_always_continues(points: list[tuple[int, int]], eta: int) -> None:
    second = {str(number): float(size) for number, (_, size) in enumerate(points)}
    halving = ParetoHalving(eta=eta, rungs=(1,), second=second)
    for number, (loss, size) in enumerate(points):
        continues = verdict(halving, str(number), loss) is Verdict.CONTINUE
        beaten = any(a <= loss and b <= size and (a, b) != (loss, size) for a, b in points[:number])
        assert continues or beaten


def test_one_beaten_by_most_stops() -> None:
    halving = ParetoHalving(eta=2, rungs=(1,), second=dict.fromkeys("abcd", 1.0))
    verdicts = [verdict(halving, name, loss) for name, loss in zip("abcd", (1, 2, 3, 4), strict=True)]

    assert verdicts == [Verdict.CONTINUE, Verdict.STOP, Verdict.STOP, Verdict.STOP]


def test_a_diverged_one_beats_nobody_however_small_it_is() -> None:
    halving = ParetoHalving(eta=2, rungs=(1,), second={"small": 1.0, "large": 2.0})
    halving.record("small", 1, math.inf)

    assert verdict(halving, "large", 3.0) is Verdict.CONTINUE


def test_a_diverged_one_ends_however_small_it_is() -> None:
    sweep = open_sweep(None, pareto="parameters", early_terminate={"type": "asha", "eta": 2})
    simulate(sweep, Clock(), lambda trial: Flat(math.nan if trial.assignment["width"] == 16 else 3.0))

    assert {trial.state for trial in sweep.trials.values() if trial.assignment["width"] == 16} == {"diverged"}


def test_a_sweep_with_two_objectives_tells_optuna_both_and_keeps_the_front(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, pareto="parameters", early_terminate=None, keep_checkpoints=1)
    for _ in range(4):
        trial = begin(sweep)
        config = sweep.rows.config(trial)
        report(sweep, trial, 9, 100 / config.width / config.depth + config.heads / 100)
    sweep.settle()
    sweep.close()

    results = read_results(tmp_path / "results.csv")
    study = study_of(tmp_path)
    assert [found.values for found in study] == [[row.val_loss, row.parameters] for row in results]
    assert {found.state for found in study} == {TrialState.COMPLETE}
    assert {found.name for found in (tmp_path / "checkpoints").iterdir()} == {
        row.trial_id for row in front(results, "parameters")
    }


def test_two_objectives_are_resumed_after_a_kill(tmp_path: Path) -> None:
    changes = {"pareto": "flops", "early_terminate": {"type": "asha", "eta": 2}}
    sweep = open_sweep(tmp_path, **changes)
    for _ in range(3):
        sweep.next()
    resumed = open_sweep(tmp_path, **changes)
    simulate(resumed, Clock())

    assert len(resumed.trials) == 4
    assert all(resumed.policy.second_objective(trial) > 0 for trial in resumed.trials.values())
