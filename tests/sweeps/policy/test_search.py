"""What is proposed, and that Optuna hears the truth about every trial."""

import math
import statistics
from pathlib import Path
from typing import Any, get_args

import optuna
import pytest
from optuna.trial import TrialState
from sweeps.policy.search import Search, preview

from sweeps.policy.halving import DIVERGED_LOSS
from sweeps.spec import load
from sweeps.spec.schema import Spec
from sweeps.spec.space import Method
from tinystories.models import size

from ..examples import minimal

PARAMETERS = {"depth": {"values": [1, 2, 4]}, "width": {"values": [32, 64]}, "heads": {"values": [1, 2]}}
RATE = {"learning_rate": {"min": 1e-5, "max": 1.0}}
ONE_SHAPE = {"tokens": "20k", "depth": 1, "width": 8, "heads": 1}


def spec(**changes: Any) -> Spec:
    return load.parse(minimal(**{"parameters": PARAMETERS, "run_cap": 100, **changes}))


def storage(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="sweep", storage=f"sqlite:///{folder / 'optuna.db'}")


def open_search(folder: Path, **changes: Any) -> Search:
    return Search(spec(**changes), storage=folder / "optuna.db")


def test_stopped_trials_are_pruned_with_all_their_values(tmp_path: Path) -> None:
    search = open_search(tmp_path)
    trial_id = search.ask().trial_id
    search.report(trial_id, 1, 3.0)
    search.report(trial_id, 2, 2.5)
    search.report(trial_id, 2, 2.5)
    search.tell(trial_id, "stopped", 2.5)

    trial = storage(tmp_path).trials[0]
    assert trial.state == TrialState.PRUNED
    assert trial.intermediate_values == {1: 3.0, 2: 2.5}


@pytest.mark.parametrize(
    ("status", "state", "value"),
    [
        ("completed", TrialState.COMPLETE, 1.5),
        ("diverged", TrialState.COMPLETE, DIVERGED_LOSS),
        ("failed", TrialState.FAIL, None),
    ],
)
def test_every_trial_gets_an_end(tmp_path: Path, status: str, state: TrialState, value: float | None) -> None:
    search = open_search(tmp_path)
    search.tell(search.ask().trial_id, status, 1.5 if status == "completed" else math.nan)  # type: ignore[arg-type]

    trial = storage(tmp_path).trials[0]
    assert (trial.state, trial.value) == (state, value)


@pytest.mark.parametrize("method", get_args(Method))
def test_no_configuration_is_proposed_twice_until_all_were(tmp_path: Path, method: Method) -> None:
    search = Search(spec(method=method), storage=tmp_path / "optuna.db")
    seen = set()
    for _ in range(spec().trials):
        proposal = search.ask()
        seen.add(tuple(sorted(proposal.assignment.items())))
        search.tell(proposal.trial_id, "completed", float(proposal.assignment["depth"]))

    assert len(seen) == spec().trials == 12


def test_a_killed_driver_leaves_its_trials_to_the_next(tmp_path: Path) -> None:
    first = open_search(tmp_path)
    ended, left = first.ask(), first.ask()
    first.report(left.trial_id, 1, 3.0)
    first.tell(ended.trial_id, "completed", 1.0)

    second = open_search(tmp_path)
    (found,) = second.unfinished()
    assert (found.trial_id, found.assignment, found.resumed) == (left.trial_id, left.assignment, True)
    second.report(left.trial_id, 1, 3.0)
    second.tell(left.trial_id, "completed", 2.0)
    assert second.ask().trial_id == "0002"
    running = [t for t in storage(tmp_path).trials if t.state == TrialState.RUNNING]
    assert len(running) == 1


def test_a_kill_while_a_trial_is_abandoned_leaves_none_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = open_search(tmp_path)
    trial_id = search.ask().trial_id
    with monkeypatch.context() as patched:
        patched.setattr(search._storage, "set_trial_state_values", lambda *arguments: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            search.abandon(trial_id)

    resumed = open_search(tmp_path)
    assert (resumed.unfinished(), resumed.abandoned) == ([], {trial_id})
    assert storage(tmp_path).trials[0].state == TrialState.FAIL


@pytest.mark.parametrize("method", get_args(Method))
def test_the_same_seed_proposes_the_same_trials(tmp_path: Path, method: Method) -> None:
    rate = {"learning_rate": {"min": 1e-5, "max": 1.0, "distribution": "log_uniform_values"}}

    def proposals(folder: Path, seed: int) -> list[float]:
        folder.mkdir()
        search = open_search(folder, seed=seed, parameters=rate, trial=ONE_SHAPE, method=method)
        asked = []
        for _ in range(16):
            proposal = search.ask()
            asked.append(proposal.assignment["learning_rate"])
            search.tell(proposal.trial_id, "completed", 2 + abs(math.log10(asked[-1]) + 3))
        return asked

    first = proposals(tmp_path / "a", seed=3)
    assert proposals(tmp_path / "b", seed=3) == first
    assert not set(proposals(tmp_path / "c", seed=4)) & set(first)


@pytest.mark.parametrize("method", ["bayes", "tpe"])
def test_the_search_learns_where_the_good_trials_are(method: Method) -> None:
    rate = {"learning_rate": {"min": 1e-5, "max": 1.0, "distribution": "log_uniform_values"}}
    search = Search(spec(parameters=rate, trial=ONE_SHAPE, method=method))
    distances = []
    for _ in range(40):
        proposal = search.ask()
        distances.append(abs(math.log10(proposal.assignment["learning_rate"]) + 3))
        search.tell(proposal.trial_id, "completed", 2 + distances[-1])

    even = (2**2 + 3**2) / 2 / 5  # mean distance of even draws
    assert statistics.median(distances[20:]) < 0.5 * even


@pytest.mark.parametrize("method", get_args(Method))
def test_a_restart_forecasts_as_before(tmp_path: Path, method: Method) -> None:
    def opened() -> Search:
        return Search(spec(method=method), storage=tmp_path / "optuna.db")

    search = opened()
    names = []
    for _ in range(9):
        proposal = search.ask()
        names.append(proposal.trial_id)
        for evaluation in (1, 3, 9):
            search.report(proposal.trial_id, evaluation, 2 + 1 / proposal.assignment["depth"] + 1 / evaluation)
        search.tell(proposal.trial_id, "completed", 2 + 1 / proposal.assignment["depth"] + 1 / 9)
    begun = search.ask().trial_id
    search.report(begun, 1, 3.5)
    search.forecast(names)

    assert opened().forecast([*names, begun]) == pytest.approx(search.forecast([*names, begun]), abs=0.01)


@pytest.mark.parametrize("method", ["bayes", "tpe"])
def test_the_random_phase_does_not_grow_with_parallelism(method: Method) -> None:
    """With 40 trials asked for at once, the next follow the results as soon as 9 have one."""

    def following(sign: float) -> list[float]:
        search = Search(spec(parameters=RATE, trial=ONE_SHAPE, method=method))
        for proposal in [search.ask() for _ in range(40)][:9]:
            search.tell(proposal.trial_id, "completed", 2 + sign * proposal.assignment["learning_rate"])
        return [search.ask().assignment["learning_rate"] for _ in range(4)]

    assert following(1.0) != following(-1.0)


@pytest.mark.parametrize("method", ["bayes", "tpe"])
def test_the_region_of_a_failed_trial_is_left_alone_for_a_while(method: Method) -> None:
    """Half of the space fails; after a few failures, most proposals come from the other half."""
    parameters = {"learning_rate": {"min": 1e-5, "max": 1e-1, "distribution": "log_uniform_values"}}
    search = Search(spec(parameters=parameters, trial=ONE_SHAPE, method=method))
    failed = []
    for _ in range(40):
        proposal = search.ask()
        fails = proposal.assignment["learning_rate"] > 1e-3
        failed.append(fails)
        search.tell(proposal.trial_id, "failed" if fails else "completed", 3.0)

    assert sum(failed[16:]) <= 0.3 * 24


def test_the_preview_is_what_a_sweep_begins_with(tmp_path: Path) -> None:
    search = open_search(tmp_path)

    previewed = [proposal.assignment for proposal in preview(spec(run_cap=5))]
    assert previewed == [search.ask().assignment for _ in range(5)]


def test_a_damaged_study_is_told_as_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_bytes(b"no database" * 100)

    with pytest.raises(OSError, match=r"optuna\.db cannot be used: file is not a database"):
        open_search(tmp_path)


def test_a_kill_before_a_trial_was_proposed_leaves_nothing_running(tmp_path: Path) -> None:
    open_search(tmp_path)
    storage(tmp_path).ask()

    assert open_search(tmp_path).unfinished() == []
    assert [trial.state for trial in storage(tmp_path).trials] == [TrialState.FAIL]


def test_random_search_does_not_follow_the_results(tmp_path: Path) -> None:
    def proposals(sign: float) -> list[dict[str, int | float]]:
        search = Search(spec(parameters=RATE, trial=ONE_SHAPE, method="random"))
        asked = []
        for _ in range(20):
            proposal = search.ask()
            asked.append(proposal.assignment)
            search.tell(proposal.trial_id, "completed", sign * proposal.assignment["learning_rate"])
        return asked

    assert proposals(1.0) == proposals(-1.0)


def test_points_come_first_and_once(tmp_path: Path) -> None:
    points = [{"depth": 4, "width": 64, "heads": 2}, {"depth": 1, "width": 32, "heads": 1}]
    wanted = spec(points=points)
    first = Search(wanted, storage=tmp_path / "optuna.db")
    assert first.ask().assignment == points[0]

    second = Search(wanted, storage=tmp_path / "optuna.db")
    assert second.ask().assignment == points[1]
    assert second.ask().assignment not in points


@pytest.mark.parametrize("method", get_args(Method))
def test_only_shapes_within_the_limits_are_proposed(method: str) -> None:
    parameters = {
        "depth": {"min": 1, "max": 12},
        "width": {"min": 16, "max": 128, "q": 16},
        "heads": {"values": [1, 2, 4, 8]},
        "learning_rate": {"min": 1e-4, "max": 1e-2},
    }
    limits = {"max_parameters": 60_000, "min_head_dim": 8, "max_head_dim": 32}
    search = Search(spec(parameters=parameters, limits=limits, method=method).for_vocabulary(300))
    for _ in range(40):
        config = search._spec.trial_config(search.ask().assignment)
        assert size.parameters(config.model(300)) <= 60_000
        assert 8 <= config.width // config.heads <= 32


def test_a_repeat_becomes_another_seed_if_the_spec_asks_for_it(tmp_path: Path) -> None:
    one = {"depth": {"values": [1]}, "width": {"values": [32]}, "heads": {"values": [1]}}
    wanted = spec(parameters=one, repeats="new_seed", run_cap=4, seed=5)
    assert wanted.trials == 4

    seeds = []
    for _ in range(2):
        search = Search(wanted, storage=tmp_path / "optuna.db")
        for _ in range(2):
            proposal = search.ask()
            seeds.append(wanted.trial_config(proposal.assignment).seed)
            search.tell(proposal.trial_id, "completed", 2.0)
    assert seeds == [5, 6, 7, 8]


def test_the_sampler_hears_what_a_repeat_gave_the_first_time(tmp_path: Path) -> None:
    wanted = spec(method="tpe")
    search = Search(wanted, storage=tmp_path / "optuna.db")
    losses = {}
    for _ in range(wanted.trials):
        proposal = search.ask()
        losses[tuple(proposal.assignment.values())] = loss = 2.0 + len(losses) / 10
        search.tell(proposal.trial_id, "completed", loss)

    repeats = [trial for trial in storage(tmp_path).trials if "trial_id" not in trial.user_attrs]
    assert repeats, "12 configurations, the last two of them chosen by TPE"
    for trial in repeats:
        heads = trial.params[f"heads@{trial.params['width']}"]
        assert trial.value == losses[trial.params["depth"], trial.params["width"], heads]


@pytest.mark.parametrize("method", get_args(Method))
def test_a_stopped_trial_goes_on_as_another_of_the_same_name(tmp_path: Path, method: Method) -> None:
    def opened() -> Search:
        return Search(spec(method=method), storage=tmp_path / "optuna.db")

    search = opened()
    first, other = search.ask(), search.ask()
    for trial, loss in ((first, 3.0), (other, 4.0)):
        search.report(trial.trial_id, 1, loss)
        search.tell(trial.trial_id, "stopped", loss)
    assert opened().unfinished() == []

    resumed = search.ask_to_resume(first.trial_id, 1)
    assert (resumed.trial_id, resumed.assignment, resumed.stopped_at) == (first.trial_id, first.assignment, 1)
    assert opened().unfinished() == [resumed]
    for evaluation, loss in ((1, 3.0), (9, 1.0)):
        search.report(first.trial_id, evaluation, loss)
    search.tell(first.trial_id, "completed", 1.0)

    trials = storage(tmp_path).trials
    assert [trial.state for trial in trials] == [TrialState.PRUNED, TrialState.PRUNED, TrialState.COMPLETE]
    assert (trials[2].intermediate_values, trials[2].value) == ({1: 3.0, 9: 1.0}, 1.0)
    assert trials[2].params == trials[0].params
    names = [first.trial_id, other.trial_id]
    assert opened().forecast(names) == pytest.approx(search.forecast(names), abs=1e-3)
    assert search.ask().trial_id == "0002"
