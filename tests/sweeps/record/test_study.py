"""optuna.db: exactly one Optuna trial per trial, right for any tool that reads it."""

import contextlib
import math
import sqlite3
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL

from sweeps.machines.simulated import Clock
from sweeps.record import study
from sweeps.record.study import DIVERGED_LOSS
from sweeps.sweep import Sweep

from ..driving import begin, checkpoint, complete, metrics, open_sweep, pause, report, screening, simulate, study_of

SCREENED: dict[str, Any] = {"early_terminate": screening(1)}
ODD = ["what?", "50%", "%20", "a#b", "two words", "[red]", "grüße", "line\nbreak", "'quoted'", "q=1&b=2"]


def closed(sweep: Sweep) -> Sweep:
    sweep.settle()
    sweep.close()
    return sweep


def states(root: Path) -> list[str]:
    return [trial.state.name for trial in study_of(root)]


def told(sweep: Sweep, trial: FrozenTrial) -> None:
    """Everything that Optuna says of a trial is so."""
    ours = sweep.trials[trial.user_attrs["trial_id"]]
    row = sweep.rows.row(ours)
    assert trial.number == int(ours.trial_id)
    assert trial.params == {name: ours.assignment[name] for name in sweep.spec.space.parameters}
    assert trial.intermediate_values == {known.tokens: known.val_loss for known in ours.evaluations if known.usable}
    assert trial.user_attrs == {
        "trial_id": ours.trial_id,
        "stage": ours.stage,
        "status": ours.state,
        "seed": row.seed,
        "parameters": row.parameters,
        "flops": ours.metrics.flops if ours.metrics else 0.0,
        "tokens_per_second": ours.metrics.tokens_per_second if ours.metrics else 0.0,
        "checkpoint": ours.checkpoint,
        "error": row.error,
    }


def test_there_is_one_optuna_trial_per_trial_in_every_state(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=6)
    complete(sweep, 2.0)
    stopped = begin(sweep)
    report(sweep, stopped, 1, 2.0)
    report(sweep, begin(sweep), 1, 5.0)
    report(sweep, begin(sweep), 2, math.nan, diverged=True)
    sweep.fail(begin(sweep).trial_id, "ValueError: why")
    sweep.interrupt(begin(sweep).trial_id)
    sweep.close()

    found = study_of(tmp_path)
    assert states(tmp_path) == ["COMPLETE", "RUNNING", "PRUNED", "COMPLETE", "FAIL", "RUNNING"]
    assert [trial.value for trial in found if trial.state == TrialState.COMPLETE] == [2.0, DIVERGED_LOSS]
    for trial in found:
        told(sweep, trial)


def test_paused_trials_run_until_the_search_is_closed_and_are_pruned_then(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=2, **SCREENED)
    best, _ = pause(sweep, 1.0), pause(sweep, 2.0)
    sweep.close()
    assert states(tmp_path) == ["RUNNING", "RUNNING"]

    resumed = open_sweep(tmp_path, run_cap=2, **SCREENED)
    assert report(resumed, begin(resumed), 9, 0.5)
    closed(resumed)
    assert states(tmp_path) == ["COMPLETE", "PRUNED"]
    assert study_of(tmp_path)[0].intermediate_values == {1000: 1.0, 9000: 0.5}
    assert study_of(tmp_path)[0].user_attrs["trial_id"] == best


def test_one_that_is_promoted_when_more_trials_are_asked_for_is_complete_in_the_end(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=2, **SCREENED)
    pause(sweep, 1.0), pause(sweep, 2.0)
    report(sweep, begin(sweep), 9, 3.0)
    closed(sweep)
    assert states(tmp_path) == ["COMPLETE", "PRUNED"]

    larger = open_sweep(tmp_path, run_cap=3, early_terminate=screening(2) | {"finalists": 1})
    pause(larger, 0.5)
    report(larger, begin(larger), 9, 0.4)
    closed(larger)
    assert states(tmp_path) == ["COMPLETE", "PRUNED", "COMPLETE"]

    more = open_sweep(tmp_path, run_cap=4, early_terminate=screening(1) | {"finalists": 3})
    pause(more, 5.0)
    report(more, begin(more), 9, 1.5)
    closed(more)
    assert states(tmp_path) == ["COMPLETE", "COMPLETE", "COMPLETE", "PRUNED"]
    for trial in study_of(tmp_path):
        told(more, trial)


def wait_for(root: Path, wanted: list[str]) -> None:
    """Until the file, which a thread of its own writes, says so; read as by somebody who must not change it."""
    found: list[str] = []
    for _ in range(1000):
        try:
            with contextlib.closing(sqlite3.connect((root / "optuna.db").as_uri() + "?mode=ro", uri=True)) as database:
                found = [state for (state,) in database.execute("select state from trials order by number")]
        except sqlite3.OperationalError:  # not there yet
            pass
        if found == wanted:
            return
        time.sleep(0.02)
    raise AssertionError(f"{found} after 20 s")


def test_the_file_follows_a_running_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "FLUSH_SECONDS", 0.0)
    sweep = open_sweep(tmp_path)
    trial = begin(sweep)
    report(sweep, trial, 1, 2.0)
    sweep.record.flush()
    wait_for(tmp_path, ["RUNNING"])
    sweep.close()

    assert study_of(tmp_path)[0].intermediate_values == {1000: 2.0}


def test_a_checkpoint_that_is_deleted_is_not_named_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its trial had ended before, for Optuna too."""
    monkeypatch.setattr(study, "FLUSH_SECONDS", 0.0)
    sweep = open_sweep(tmp_path, keep_checkpoints=1, early_terminate=None)
    complete(sweep, 2.0)
    sweep.record.flush()
    wait_for(tmp_path, ["COMPLETE"])
    complete(sweep, 1.0)
    closed(sweep)

    found = study_of(tmp_path)
    assert [bool(trial.user_attrs["checkpoint"]) for trial in found] == [False, True]
    assert [(trial.state, trial.value) for trial in found] == [(TrialState.COMPLETE, 2.0), (TrialState.COMPLETE, 1.0)]


def test_a_new_seed_of_a_known_configuration_is_a_trial_of_its_own(tmp_path: Path) -> None:
    clock = Clock()
    sweep = simulate(open_sweep(tmp_path, clock=clock, confirm={"top": 1, "seeds": 2}, early_terminate=None), clock)
    sweep.close()

    found = study_of(tmp_path)
    assert [trial.user_attrs["stage"] for trial in found] == ["search"] * 4 + ["confirm"] * 2
    assert [trial.user_attrs["seed"] for trial in found] == [0] * 4 + [1, 2]
    assert found[4].params == found[5].params


def test_optunas_own_tools_read_it(tmp_path: Path) -> None:
    clock = Clock()
    parameters = {
        "depth": {"values": [1, 2]},
        "width": {"min": 16, "max": 64, "q": 16},
        "heads": {"values": [1, 2]},
        "learning_rate": {"min": 1e-4, "max": 1e-2, "distribution": "log_uniform_values"},
    }
    simulate(open_sweep(tmp_path, clock=clock, parameters=parameters, early_terminate=None, run_cap=8), clock).close()

    url = URL.create("sqlite", database=str(tmp_path / "optuna.db")).render_as_string(hide_password=False)
    loaded = optuna.load_study(study_name="sweep", storage=url)
    assert loaded.best_trial.value == min(trial.value or math.inf for trial in loaded.trials)
    assert set(optuna.importance.get_param_importances(loaded)) == set(parameters)
    assert len(loaded.trials_dataframe()) == 8
    assert loaded.trials[0].distributions == {
        "depth": CategoricalDistribution((1, 2)),
        "width": IntDistribution(16, 64, step=16),
        "heads": CategoricalDistribution((1, 2)),
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    }


def foreign(path: Path) -> None:
    """Somebody's own study under that name."""
    url = URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)
    storage = optuna.storages.RDBStorage(url)
    found = optuna.create_study(study_name="sweep", storage=storage)
    found.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    storage.engine.dispose()


def older(path: Path) -> None:
    """Of a version of Optuna that has another schema."""
    foreign(path)
    with sqlite3.connect(path) as database:
        database.execute("update alembic_version set version_num = 'v0.9.0.a'")
    database.close()


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("create table trials (name text)")
    database.close()


DAMAGES: dict[str, Any] = {
    "garbage": lambda path: path.write_bytes(b"no database" * 100),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "foreign": foreign,
    "older": older,
    "other_database": other_database,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_not_this_sweeps_is_replaced(tmp_path: Path, damage: str) -> None:
    sweep = open_sweep(tmp_path)
    complete(sweep, 2.0)
    closed(sweep)
    if damage != "cut":
        (tmp_path / "optuna.db").unlink()
    DAMAGES[damage](tmp_path / "optuna.db")
    again = open_sweep(tmp_path)
    again.close()

    (trial,) = study_of(tmp_path)
    assert trial.value == 2.0
    told(again, trial)


def test_a_file_that_another_sweep_left_is_replaced(tmp_path: Path) -> None:
    for root, loss in ((tmp_path / "a", 1.0), (tmp_path / "b", 2.0)):
        sweep = open_sweep(root)
        complete(sweep, loss)
        closed(sweep)
    (tmp_path / "a/optuna.db").replace(tmp_path / "b/optuna.db")
    open_sweep(tmp_path / "b").close()

    assert [trial.value for trial in study_of(tmp_path / "b")] == [2.0]


def test_a_file_that_is_up_to_date_is_left_alone(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, **SCREENED)
    pause(sweep, 1.0), begin(sweep)
    sweep.close()
    before = (tmp_path / "optuna.db").stat().st_ino
    began = [trial.datetime_start for trial in study_of(tmp_path)]
    open_sweep(tmp_path, **SCREENED).close()

    assert (tmp_path / "optuna.db").stat().st_ino == before
    assert [trial.datetime_start for trial in study_of(tmp_path)] == began


@pytest.mark.parametrize("name", ODD)
def test_a_study_stands_in_its_own_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    sweep = open_sweep(tmp_path / name)
    complete(sweep, 2.0)
    closed(sweep)

    assert list(tmp_path.rglob("optuna.db*")) == [tmp_path / name / "optuna.db"]
    assert [trial.value for trial in study_of(tmp_path / name)] == [2.0]


def test_a_study_that_cannot_be_written_ends_no_sweep(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "optuna.db").mkdir()
    sweep = open_sweep(tmp_path)
    complete(sweep, 2.0)
    closed(sweep)

    assert sweep.trials["0000"].state == "completed"
    assert "optuna.db" in caplog.text


def test_two_objectives_have_no_intermediate_values(tmp_path: Path) -> None:
    """Optuna has none for them."""
    sweep = open_sweep(tmp_path, pareto="flops", early_terminate={"type": "asha", "eta": 2})
    trial = begin(sweep)
    sweep.report(trial.trial_id, metrics(1, 3.0), checkpoint(sweep, trial.trial_id))
    report(sweep, trial, 9, 2.0)
    closed(sweep)

    (found,) = study_of(tmp_path)
    assert found.values == [2.0, sweep.trials["0000"].metrics.flops if sweep.trials["0000"].metrics else 0]
    assert found.intermediate_values == {}
