"""A sweep in progress, without Ray: what follows from a report, and what a kill between any two steps leaves."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sweeps.events import Evaluated, Interrupted, Proposed
from sweeps.limits import Limits
from sweeps.machines.simulated import Clock, Machine
from sweeps.policy.verdicts import Done, Resume, Verdict, Wait
from sweeps.record.folder import RunFolder
from sweeps.record.journal import read
from sweeps.record.tables import read_curves, read_results
from sweeps.sweep import Sweep
from sweeps.trials import Trial
from tinystories.metrics import Metrics

from .driving import (
    Flat,
    begin,
    checkpoint,
    complete,
    metrics,
    open_sweep,
    pause,
    report,
    screening,
    simulate,
    states,
    train_to_its_end,
    work,
)


def events(root: Path) -> list[str]:
    """The kinds of all events of a sweep, and the trials that they are of."""
    known = (line.event for line in read(RunFolder(root).journal))
    return [f"{type(event).__name__.lower()} {getattr(event, 'trial_id', '')}".strip() for event in known]


def test_the_second_at_a_rung_stops_if_it_is_worse(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    first, second = begin(sweep), begin(sweep)

    assert report(sweep, first, 1, 2.0) is Verdict.CONTINUE
    assert report(sweep, second, 1, 3.0) is Verdict.STOP
    assert states(sweep) == ["running", "stopped"]


def test_a_diverged_trial_is_worse_than_any_other(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    first, second = begin(sweep), begin(sweep)
    report(sweep, first, 1, 11.0)

    assert report(sweep, second, 1, float("nan"), diverged=True) is Verdict.STOP
    (row,) = read_results(tmp_path / "results.csv")
    assert (row.status, row.usable) == ("diverged", False)


def test_every_step_is_an_event_in_its_order(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=2, early_terminate=screening(1), keep_checkpoints=1)
    pause(sweep, 2.0), pause(sweep, 1.0)
    report(sweep, begin(sweep), 9, 0.5)
    sweep.settle()
    sweep.close()

    assert events(tmp_path) == [
        *("proposed 0000", "began 0000", "evaluated 0000", "paused 0000"),
        *("proposed 0001", "began 0001", "evaluated 0001", "paused 0001"),
        *("promoted 0001", "began 0001", "evaluated 0001", "completed 0001"),
        *("closed", "checkpointdeleted 0000", "spent"),
    ]


def test_a_failed_trial_says_why_and_the_sweep_continues(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    sweep.fail(begin(sweep).trial_id, "ValueError: too\nlong")
    complete(sweep, 1.0)

    rows = read_results(tmp_path / "results.csv")
    assert [(row.status, row.error) for row in rows] == [("failed", "ValueError: too long"), ("completed", "")]


def test_no_more_trials_than_the_cap_and_a_larger_cap_adds_some(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=2)
    complete(sweep, 2.0), complete(sweep, 1.0)
    assert sweep.policy.left == 0
    assert isinstance(sweep.next(), Done)

    larger = open_sweep(tmp_path, run_cap=3)
    assert larger.policy.left == 1
    assert complete(larger, 3.0) == "0002"
    assert larger.policy.left == 0


def test_a_killed_driver_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    complete(sweep, 2.0)
    left = begin(sweep)
    report(sweep, left, 1, 1.9)

    resumed = open_sweep(tmp_path)
    trial = begin(resumed)
    assert (trial.trial_id, trial.assignment, trial.metrics) == (left.trial_id, left.assignment, metrics(1, 1.9))
    assert report(resumed, trial, 1, 1.9) is Verdict.CONTINUE, "its worker reports its last checkpoint again"
    report(resumed, trial, 3, 1.8)
    assert [one.evaluation for one in read_curves(tmp_path / "curves.csv")[trial.trial_id]] == [1, 3]
    assert resumed.trials.evaluations == 9 + 3, "counted once"


def test_rungs_remember_the_losses_of_an_earlier_driver(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    report(sweep, begin(sweep), 1, 1.0)

    resumed = open_sweep(tmp_path)
    begin(resumed)
    assert report(resumed, begin(resumed), 1, 2.0) is Verdict.STOP


@pytest.mark.parametrize(
    ("evaluation", "loss", "changes", "state"),
    [
        (9, 2.0, {}, "completed"),
        (1, 9.0, {}, "stopped"),
        (2, float("nan"), {}, "diverged"),
        (1, 2.0, {"early_terminate": screening(1)}, "paused"),
        (2, 2.0, {}, "interrupted"),
    ],
)
def test_a_verdict_that_a_kill_cut_short_is_given_by_the_next_driver(
    tmp_path: Path, evaluation: int, loss: float, changes: dict[str, Any], state: str
) -> None:
    sweep = open_sweep(tmp_path, **changes)
    if not changes:
        report(sweep, begin(sweep), 1, 1.0)
    trial = begin(sweep)
    last = metrics(evaluation, loss, diverged=loss != loss)
    sweep.record.write(Evaluated(trial_id=trial.trial_id, at=1.0, metrics=last, checkpoint=""))

    resumed = open_sweep(tmp_path, **changes)
    assert resumed.trials[trial.trial_id].state == state
    assert any(trial.trial_id == one.trial_id for _, one in resumed.ended) == (state != "interrupted")


def test_a_trial_that_was_proposed_and_never_began_is_the_next(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    assignment = {"depth": 2, "width": 32, "heads": 2}
    sweep.record.write(Proposed(trial_id="0000", at=0.0, assignment=assignment))

    resumed = open_sweep(tmp_path)
    assert (begin(resumed).trial_id, begin(resumed).trial_id) == ("0000", "0001")
    assert resumed.trials["0000"].assignment == assignment


def test_the_same_configuration_is_not_proposed_twice_by_two_drivers(tmp_path: Path) -> None:
    for _ in range(2):
        sweep = open_sweep(tmp_path, run_cap=8)
        for _ in range(4):
            complete(sweep, 1.0)

    assert len({tuple(trial.assignment.values()) for trial in sweep.trials.values()}) == 8


def test_time_already_run_counts_and_time_in_between_does_not(tmp_path: Path) -> None:
    clock = Clock()
    sweep = open_sweep(tmp_path, clock=clock)
    sweep.take_slots(1, gpu_share=1.0)
    clock.now += 3599
    sweep.close()
    open_sweep(tmp_path, clock=clock).close()  # nothing runs, and nothing is spent
    clock.now += 1e6

    assert not open_sweep(tmp_path, Limits(hours=1.01), clock=clock).meter.used_up
    late = open_sweep(tmp_path, Limits(hours=0.9), clock=clock)
    assert late.meter.used_up == "--hours 0.9"
    assert isinstance(late.next(), Done)


def test_an_interrupted_trial_gives_its_slot_back_and_is_resumed_later(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    trial = begin(sweep)
    report(sweep, trial, 1, 2.0)
    sweep.interrupt(trial.trial_id)
    assert (sweep.trials.running, read_results(tmp_path / "results.csv"), sweep.ended) == ([], [], [])

    assert begin(open_sweep(tmp_path)).trial_id == trial.trial_id


def test_a_used_up_limit_interrupts_at_the_next_evaluation(tmp_path: Path) -> None:
    clock = Clock()
    sweep = open_sweep(tmp_path, Limits(gpu_hours=2 / 3600), clock=clock)
    trial = begin(sweep)
    clock.now += 1
    assert report(sweep, trial, 1, 2.0) is Verdict.CONTINUE
    clock.now += 1

    assert report(sweep, trial, 2, 2.0) is Verdict.INTERRUPT
    assert (sweep.trials[trial.trial_id].state, sweep.policy.left) == ("interrupted", 4)
    assert isinstance(sweep.next(), Done)


def test_the_best_are_confirmed_when_the_search_has_ended_and_after_a_kill_too(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "run_cap": 2,
        "confirm": {"top": 1, "seeds": 2},
        "trial": {"tokens": "20k", "cooldown": 0},
    }
    sweep = open_sweep(tmp_path, **changes)
    first, second = begin(sweep), begin(sweep)
    assert isinstance(sweep.next(), Wait), "confirming trials may follow"
    report(sweep, first, 9, 2.0), report(sweep, second, 9, 1.0)

    again = begin(sweep)
    assert (again.stage, again.assignment) == ("confirm", {**second.assignment, "seed": 1})
    assert [sweep.rows.config(trial).cooldown for trial in (second, again)] == [0, 0.2]
    assert report(sweep, again, 1, 50.0) is Verdict.CONTINUE, "a confirming trial is not stopped"

    resumed = open_sweep(tmp_path, **changes)
    confirming = [begin(resumed), begin(resumed)]
    assert [trial.trial_id for trial in confirming] == [again.trial_id, "0003"]
    assert [trial.assignment["seed"] for trial in confirming] == [1, 2]
    assert isinstance(resumed.next(), Done)
    for trial in confirming:
        report(resumed, trial, 9, 1.0)
    assert resumed.policy.left == 0
    assert [row.stage for row in read_results(tmp_path / "results.csv")] == ["search"] * 2 + ["confirm"] * 2


def test_all_are_screened_and_the_best_are_trained_to_their_end(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, early_terminate=screening(2), keep_checkpoints=1)
    names = [pause(sweep, loss) for loss in (4.0, 1.0, 3.0)]
    late = begin(sweep)
    assert isinstance(sweep.next(), Wait), "a better one may come"
    assert report(sweep, late, 1, 2.0) is Verdict.PAUSE
    assert sweep.policy.left == 2

    best, second = begin(sweep), begin(sweep)
    assert [best.trial_id, second.trial_id] == [names[1], late.trial_id]
    assert best.metrics == metrics(1, 1.0)
    assert (isinstance(sweep.next(), Wait), sweep.policy.left) == (True, 2)
    train_to_its_end(sweep, best, 0.9)
    train_to_its_end(sweep, second, 0.8)

    assert (isinstance(sweep.next(), Done), sweep.policy.left) == (True, 0)
    sweep.close()
    rows = {row.trial_id: row for row in read_results(tmp_path / "results.csv")}
    assert [rows[name].status for name in sorted(rows)] == ["stopped", "completed", "stopped", "completed"]
    assert [one.evaluation for one in read_curves(tmp_path / "curves.csv")[names[1]]] == list(range(1, 10))
    assert [trial.trial_id for _, trial in sweep.ended] == [*names, late.trial_id, best.trial_id, second.trial_id]


def test_a_finalist_that_is_interrupted_keeps_the_search_open_and_its_row(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"run_cap": 1, "early_terminate": screening(1)}
    clock = Clock()
    sweep = open_sweep(tmp_path, Limits(gpu_hours=4 / 3600), clock=clock, **changes)
    name = pause(sweep, 3.0)
    (paused,) = read_results(tmp_path / "results.csv")
    finalist = begin(sweep)
    clock.now += 4
    assert report(sweep, finalist, 2, 2.0) is Verdict.INTERRUPT
    sweep.settle()
    sweep.close()

    assert sweep.policy.left == open_sweep(tmp_path, **changes).policy.left == 1
    assert read_results(tmp_path / "results.csv") == [paused]
    assert paused.checkpoint == f"checkpoints/{name}/evaluation.pt"
    assert (tmp_path / paused.checkpoint).exists()


@pytest.mark.parametrize("reported", [0, 3, 9])
def test_a_kill_among_the_finalists_loses_nothing(tmp_path: Path, reported: int) -> None:
    changes: dict[str, Any] = {"run_cap": 3, "early_terminate": screening(2), "keep_checkpoints": 1}
    sweep = open_sweep(tmp_path, **changes)
    names = [pause(sweep, loss) for loss in (1.0, 2.0, 3.0)]
    begun = begin(sweep)
    for evaluation in range(1, 1 + reported):
        report(sweep, begun, evaluation, 1.0)

    resumed = open_sweep(tmp_path, **changes)
    assert resumed.policy.left == (1 if reported == 9 else 2)
    while isinstance(decision := resumed.next(), Resume):
        trial = resumed.trials[decision.trial_id]
        assert trial.trial_id in names[:2]
        train_to_its_end(resumed, trial, 1.0)

    assert resumed.policy.left == open_sweep(tmp_path, **changes).policy.left == 0
    assert [row.trial_id for row in read_results(tmp_path / "results.csv")] == names
    assert states(resumed) == ["completed", "completed", "paused"]
    assert [one.evaluation for one in read_curves(tmp_path / "curves.csv")[begun.trial_id]] == list(range(1, 10))


def test_what_was_abandoned_is_proposed_again_when_it_is_asked_for(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "parameters": {"depth": {"values": [1, 2]}},
        "trial": {"tokens": "20k", "width": 16, "heads": 1},
    }
    sweep = open_sweep(tmp_path, run_cap=2, **changes)
    complete(sweep, 1.0)
    hung = begin(sweep)

    smaller = open_sweep(tmp_path, run_cap=1, **changes)
    assert smaller.policy.left == 0
    smaller.settle()
    assert states(smaller) == ["completed", "abandoned"]

    again = begin(open_sweep(tmp_path, run_cap=2, **changes))
    assert (again.assignment, again.trial_id) == (hung.assignment, "0002")


def test_settling_again_changes_nothing(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=1, early_terminate=screening(1))
    pause(sweep, 1.0)
    train_to_its_end(sweep, begin(sweep), 0.5)
    sweep.settle()
    before = events(tmp_path)
    sweep.settle()
    open_sweep(tmp_path, run_cap=1, early_terminate=screening(1)).settle()

    assert events(tmp_path) == before
    assert before.count("closed") == 1


def test_more_trials_may_bring_more_finalists(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, run_cap=2, early_terminate=screening(1))
    pause(sweep, 2.0), pause(sweep, 3.0)
    train_to_its_end(sweep, begin(sweep), 2.0)
    assert sweep.policy.left == 0

    larger = open_sweep(tmp_path, run_cap=3, early_terminate=screening(1))
    better = pause(larger, 1.0)
    train_to_its_end(larger, begin(larger), 0.5)
    larger.close()
    assert [row.status for row in read_results(tmp_path / "results.csv")] == ["completed", "stopped", "completed"]
    assert (larger.trials[better].state, larger.policy.left) == ("completed", 0)


def one_after_the_other(sweep: Sweep, clock: Clock) -> list[str]:
    """Losses go up and down with the order in which trials are trained."""
    return work(sweep, lambda trial, turn: 5 - turn % 7 / 7, clock)


@pytest.mark.parametrize(("seconds", "completed"), [(25, 1), (29, 1), (33, 2), (41, 2), (46, 3)])
def test_once_all_have_begun_as_many_are_finalists_as_the_rest_of_a_limit_trains(
    tmp_path: Path, seconds: float, completed: int
) -> None:
    """Screened in 9 s; then one finalist takes 12 s with the losers of its second rung, two 24 s, three 36 s."""
    clock = Clock()
    changes: dict[str, Any] = {"run_cap": 9, "repeats": "new_seed", "early_terminate": {}}
    sweep = open_sweep(tmp_path, Limits(gpu_hours=seconds / 3600), clock=clock, **changes)
    one_after_the_other(sweep, clock)

    assert states(sweep).count("completed") == completed


def test_the_last_of_a_limit_is_for_the_finalists(tmp_path: Path) -> None:
    """A trial takes 9 s, 1 s to the rung: with 30 s there is room for one finalist, and it is trained in time."""
    clock = Clock()
    changes: dict[str, Any] = {"run_cap": 60, "repeats": "new_seed", "early_terminate": screening(5)}
    sweep = open_sweep(tmp_path, Limits(gpu_hours=30 / 3600), clock=clock, **changes)
    order = one_after_the_other(sweep, clock)

    (completed,) = (name for name, trial in sweep.trials.items() if trial.state == "completed")
    finalist_at = len(order) - 1 - order[::-1].index(completed)
    assert sweep.meter.used_up == f"--gpu-hours {30 / 3600:g}"
    assert completed == "0005", "the first of the lowest losses"
    assert finalist_at == 21, "one more trial and 1.1 times what the finalist needs fit until then"
    assert len(order) == 23, "what is left goes into new ones"


def test_a_finalist_that_a_limit_does_not_last_for_waits_for_those_that_run(tmp_path: Path) -> None:
    """Screened in 4 s; 9 s are left for finalists of 8 s each."""
    clock = Clock()
    changes: dict[str, Any] = {"run_cap": 4, "early_terminate": screening(3)}
    sweep = open_sweep(tmp_path, Limits(gpu_hours=13 / 3600), clock=clock, **changes)
    for loss in (1.0, 2.0, 3.0, 4.0):
        trial = begin(sweep)
        clock.now += 1
        report(sweep, trial, 1, loss)

    first = begin(sweep)
    assert (isinstance(sweep.next(), Wait), sweep.policy.left) == (True, 3)
    clock.now += 8
    report(sweep, first, 9, 1.0)
    second = begin(sweep)
    clock.now += 1
    assert report(sweep, second, 2, 2.0) is Verdict.INTERRUPT
    assert (isinstance(sweep.next(), Done), sweep.policy.left) == (True, 2)
    sweep.close()

    larger = open_sweep(tmp_path, Limits(gpu_hours=1), clock=clock, **changes)
    again = begin(larger)
    assert (again.trial_id, again.metrics, larger.policy.left) == (second.trial_id, metrics(2, 2.0), 2)
    train_to_its_end(larger, again, 2.0)
    train_to_its_end(larger, begin(larger), 3.0)
    assert (isinstance(larger.next(), Done), larger.policy.left) == (True, 0)


class Crossing:
    """Curves of large models cross those of others; some noise, and a trial that diverges."""

    def __init__(self, trial: Trial) -> None:
        self.depth, self.heads = trial.assignment["depth"], trial.assignment["heads"]

    def seconds(self, evaluation: int) -> float:
        """Deep ones are slow."""
        return float(self.depth * evaluation)

    def metrics(self, evaluation: int, before: Metrics | None) -> Metrics:
        """The deeper, the later and the lower."""
        noise = random.Random(f"{self.depth}/{self.heads}/{evaluation}").random() / 1000
        loss = 1 / self.depth + self.depth / evaluation + self.heads / 100 + noise
        return metrics(evaluation, loss, seconds=self.seconds(evaluation), flops=1e9 * evaluation)


@pytest.mark.parametrize(
    ("axis", "method"), [("tokens", "bayes"), ("tokens", "tpe"), ("flops", "bayes"), ("flops", "random")]
)
@pytest.mark.parametrize("gpu_hours", [None, 30 / 3600])
def test_a_screening_that_is_killed_again_and_again_ends_as_it_should(
    tmp_path: Path, axis: str, method: str, gpu_hours: float | None
) -> None:
    changes: dict[str, Any] = {
        "method": method,
        "trial": {axis: "9e9", "width": 16},
        "parameters": {"depth": {"values": [1, 2, 3, 4, 5, 6]}, "heads": {"values": [1, 2, 4]}},
        "run_cap": 18,
        "early_terminate": {"type": "screen", "finalists": 2},
        "keep_checkpoints": 2,
    }
    clock = Clock()

    def drive(reports: int, limit: float | None) -> Sweep:
        """A process that ends, or is killed after so many reports."""
        sweep = open_sweep(tmp_path, Limits(gpu_hours=limit), clock=clock, **changes)
        counted = iter(range(reports))
        return simulate(sweep, clock, Crossing, workers=3, until=lambda: next(counted, None) is None)

    for reports in range(1, 8):
        drive(reports, gpu_hours)
    sweep = drive(10_000, gpu_hours)

    assert bool(sweep.meter.used_up) == bool(sweep.policy.left) == (gpu_hours is not None)
    if gpu_hours:
        sweep = drive(10_000, None)
    sweep.close()
    assert open_sweep(tmp_path, **changes).policy.left == 0
    rows, curves = read_results(tmp_path / "results.csv"), read_curves(tmp_path / "curves.csv")
    assert len(rows) == 18
    for row in rows:
        assert [point.evaluation for point in curves[row.trial_id]] == list(range(1, 1 + len(curves[row.trial_id])))
        assert (row.status == "completed") == (len(curves[row.trial_id]) == 9)
    assert {len(curve) for curve in curves.values()} == {1, 3, 9}, "nobody stops between the rungs"
    if axis == "tokens":
        for rung, promoted in ((1, 6), (3, 2)):
            reached = [name for name, curve in curves.items() if len(curve) >= rung]
            best = sorted(reached, key=lambda name: curves[name][rung - 1].val_loss)[:promoted]
            assert all(len(curves[name]) > rung for name in best)
            assert gpu_hours or sum(len(curves[name]) > rung for name in reached) == promoted


@pytest.mark.parametrize("variant", ["stopping", "promotion"])
@pytest.mark.parametrize("workers", [1, 4])
def test_asha_ends_with_every_trial_at_a_rung_or_at_its_end(variant: str, workers: int) -> None:
    changes: dict[str, Any] = {"early_terminate": {"type": "asha", "variant": variant, "eta": 2, "min_iter": 1}}
    clock = Clock()
    sweep = simulate(open_sweep(None, clock=clock, run_cap=8, **changes), clock, workers=workers)
    lengths = Counter(trial.evaluation for trial in sweep.trials.values())

    assert sweep.policy.left == 0
    assert set(lengths) <= {1, 2, 4, 8, 9}
    assert lengths[9] >= 1
    assert sum(lengths.values()) == 8
    if variant == "promotion":
        assert lengths[1] <= 4, "the best 1 / eta of a rung are promoted, and who was among them for a while"


def test_a_sweep_without_a_folder_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clock = Clock()
    sweep = simulate(open_sweep(None, clock=clock), clock, lambda trial: Flat(float(trial.trial_id)))
    sweep.close()

    assert list(tmp_path.iterdir()) == []
    assert [row.val_loss for row in sweep.rows.table(sweep.trials)] == [0.0, 1.0, 2.0, 3.0]


def test_a_worker_that_reports_again_what_is_known_changes_nothing(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, early_terminate=screening(1), run_cap=1)
    pause(sweep, 1.0)
    trial = begin(sweep)
    before = events(tmp_path)

    assert sweep.report(trial.trial_id, metrics(1, 1.0), checkpoint(sweep, trial.trial_id)) is Verdict.CONTINUE
    assert events(tmp_path) == before


def test_an_interruption_is_no_end(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path)
    trial = begin(sweep)
    report(sweep, trial, 2, 1.0)
    sweep.interrupt(trial.trial_id)

    assert isinstance(sweep.record.last, Interrupted)
    assert (Path(sweep.checkpoints.folder(trial.trial_id)) / "evaluation.pt").exists()


@pytest.mark.parametrize("rule", [{"type": "screen", "finalists": 1}, {"type": "asha", "variant": "promotion"}, None])
def test_fewer_trials_than_have_begun_end_the_sweep(tmp_path: Path, rule: dict[str, Any] | None) -> None:
    """Those that are not asked for any more hold nobody up, and are forgotten when more are asked for again."""
    clock = Clock()
    changes: dict[str, Any] = {"early_terminate": rule, "confirm": {"top": 1, "seeds": 2}, "trial": {"flops": "9e9"}}
    killed = open_sweep(tmp_path, clock=clock, run_cap=4, **changes)
    Machine(killed, clock, workers=2, answer=lambda trial: Flat(float(trial.trial_id))).run(
        until=lambda: len(killed.trials) == 4 and killed.trials["0003"].evaluation >= 1
    )
    for trial in killed.trials.running:
        killed.interrupt(trial.trial_id)
    killed.close()

    smaller = open_sweep(tmp_path, clock=clock, run_cap=2, **changes)
    simulate(smaller, clock)
    smaller.settle()
    assert (smaller.policy.left, smaller.policy.phase) == (0, "over")
    smaller.close()

    larger = simulate(open_sweep(tmp_path, clock=clock, run_cap=5, **changes), clock)
    larger.settle()
    assert (larger.policy.left, larger.policy.phase) == (0, "over")


def test_an_error_between_an_evaluation_and_its_verdict_loses_no_verdict(tmp_path: Path) -> None:
    class Full:
        def apply(self, event: object, trial: object) -> None:
            if isinstance(event, Evaluated):
                raise OSError("disk full")

        def flush(self) -> None: ...

        def close(self) -> None: ...

    sweep = open_sweep(tmp_path, early_terminate=None, run_cap=1)
    trial = begin(sweep)
    sweep.record.show_in(Full())
    with pytest.raises(OSError, match="disk full"):
        report(sweep, trial, 9, 1.0)
    sweep.close()

    resumed = open_sweep(tmp_path, early_terminate=None, run_cap=1)
    assert (resumed.trials[trial.trial_id].state, resumed.policy.left) == ("completed", 0)


def test_checkpoints_under_the_name_of_a_new_trial_are_not_its_own(tmp_path: Path) -> None:
    """A copy of the journal may be older than the checkpoints beside it."""
    sweep = open_sweep(tmp_path)
    stale = Path(sweep.checkpoints.folder("0000")) / "evaluation-0001.pt"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"of another trial")
    begin(sweep)

    assert not stale.exists()
