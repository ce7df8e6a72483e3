"""The policy as a pure object: events in, decisions out; no file, no clock."""

import math
import subprocess
import sys
from typing import Any

import pytest

from sweeps.events import (
    Abandoned,
    Began,
    Closed,
    Completed,
    Diverged,
    Evaluated,
    Event,
    Failed,
    Interrupted,
    Paused,
    Promoted,
    Proposed,
    Stage,
    Stopped,
    TrialEvent,
)
from sweeps.limits import Left
from sweeps.policy.policy import Policy
from sweeps.policy.verdicts import Close, Done, Resume, Start, Verdict, Wait
from sweeps.spec import load
from sweeps.trials import Trials
from tinystories.metrics import Metrics

from ..driving import metrics
from ..examples import minimal

LEFT = Left()
NOTHING = Left(seconds=0.0, seconds_in_all=1.0)
PROMOTION = {"type": "asha", "variant": "promotion", "eta": 2, "min_iter": 1}


class Sweep:
    """Trials and policy, with nothing around them."""

    def __init__(self, **changes: Any) -> None:
        self.trials = Trials()
        self.policy = Policy(load.parse(minimal(**changes)), self.trials, vocab_size=300)
        self.events: list[Event] = []

    def apply(self, *events: Event) -> None:
        for event in events:
            self.trials.apply(event)
            self.policy.apply(event)
            self.events.append(event)

    def begin(self, left: Left = LEFT) -> str:
        """Do what the policy says: a trial begins, or runs again."""
        decision = self.policy.next(left)
        if isinstance(decision, Start):
            name = f"{len(self.trials):04d}"
            self.apply(Proposed(trial_id=name, at=0.0, assignment=decision.assignment, stage=decision.stage))
        else:
            assert isinstance(decision, Resume), decision
            name = decision.trial_id
            if self.trials[name].state == "paused":
                self.apply(Promoted(trial_id=name, at=0.0))
        self.apply(Began(trial_id=name, at=0.0, gpu_share=1.0))
        return name

    def report(self, name: str, evaluation: int, loss: float, left: Left = LEFT, **changes: Any) -> Verdict:
        told: Metrics = metrics(evaluation, loss, **changes)
        self.apply(Evaluated(trial_id=name, at=0.0, metrics=told, checkpoint=""))
        return self.policy.verdict(name, left)

    def end(self, kind: type[TrialEvent], name: str, **more: Any) -> None:
        event: Any = kind(trial_id=name, at=0.0, **more)
        self.apply(event)

    def pause(self, loss: float) -> str:
        name = self.begin()
        assert self.report(name, 1, loss) is Verdict.PAUSE
        self.end(Paused, name)
        return name

    def complete(self, loss: float, name: str | None = None) -> str:
        name = name or self.begin()
        assert self.report(name, 9, loss) is Verdict.COMPLETE
        self.end(Completed, name)
        return name

    def close(self) -> None:
        assert isinstance(self.policy.next(LEFT), Close)
        self.apply(Closed(at=0.0, trials=4))


def test_a_search_without_stopping_begins_all_trials_and_closes() -> None:
    sweep = Sweep()
    names = [sweep.begin() for _ in range(4)]

    assert (sweep.policy.phase, sweep.policy.left) == ("promoting", 4)
    assert isinstance(sweep.policy.next(LEFT), Done), "no trial follows from those that run"
    for name in names:
        sweep.complete(1.0, name)
    assert (sweep.policy.phase, sweep.policy.left) == ("closing", 0)
    sweep.close()
    assert (sweep.policy.phase, sweep.policy.left) == ("over", 0)
    assert isinstance(sweep.policy.next(LEFT), Done)


def test_an_interrupted_trial_is_resumed_before_anything_else() -> None:
    sweep = Sweep()
    first, second = sweep.begin(), sweep.begin()
    sweep.end(Interrupted, second)
    sweep.end(Interrupted, first)

    assert [sweep.begin(), sweep.begin()] == [first, second], "in the order in which they began"
    assert isinstance(sweep.policy.next(LEFT), Start)


def test_asking_changes_nothing() -> None:
    sweep = Sweep()
    sweep.complete(2.0)

    assert sweep.policy.next(LEFT) == sweep.policy.next(LEFT)
    assert sweep.begin() == "0001"


def test_a_diverged_loss_stops_at_any_evaluation() -> None:
    sweep = Sweep()

    assert sweep.report(sweep.begin(), 2, math.nan, diverged=True) is Verdict.STOP
    assert sweep.report(sweep.begin(), 9, math.inf, diverged=True) is Verdict.STOP
    assert sweep.report(sweep.begin(), 2, math.nan) is Verdict.STOP, "a loss that is no number ranks nowhere"


def test_a_used_up_limit_interrupts_running_trials_and_begins_none() -> None:
    sweep = Sweep(early_terminate={"type": "screen"})
    running, screened = sweep.begin(), sweep.begin()

    assert isinstance(sweep.policy.next(NOTHING), Done)
    assert sweep.report(running, 1, 2.0, NOTHING) is Verdict.PAUSE, "a rung frees the slot anyway"
    assert sweep.report(screened, 9, 2.0, NOTHING) is Verdict.COMPLETE
    sweep.end(Completed, screened)
    other = sweep.begin()
    assert sweep.report(other, 2, 2.0, NOTHING) is Verdict.INTERRUPT


def test_a_screening_promotes_the_best_when_no_more_are_to_come() -> None:
    sweep = Sweep(early_terminate={"type": "screen", "finalists": 2, "looks": 1})
    names = [sweep.pause(loss) for loss in (4.0, 1.0, 3.0)]
    last = sweep.begin()
    assert isinstance(sweep.policy.next(LEFT), Wait), "a better one may come"
    assert sweep.policy.left == 1 + 2
    assert sweep.report(last, 1, 2.0) is Verdict.PAUSE
    sweep.end(Paused, last)

    assert (sweep.policy.phase, sweep.policy.left) == ("promoting", 2)
    assert sweep.policy.promising == {names[1], last, names[2]}, "one may fail"
    assert [sweep.begin(), sweep.begin()] == [names[1], last]
    assert isinstance(sweep.policy.next(LEFT), Wait)
    assert sweep.report(names[1], 2, 9.0) is Verdict.CONTINUE, "finalists are not stopped between rungs"
    sweep.complete(0.9, names[1])
    sweep.complete(0.8, last)
    sweep.close()
    assert sweep.policy.promising == set()


@pytest.mark.parametrize(("kind", "more"), [(Failed, {"error": "why"}), (Diverged, {})])
def test_another_one_is_promoted_for_a_finalist_that_fails(kind: type[TrialEvent], more: dict[str, str]) -> None:
    sweep = Sweep(early_terminate={"type": "screen", "finalists": 1, "looks": 1})
    names = [sweep.pause(loss) for loss in (1.0, 2.0, 3.0, 4.0)]
    assert sweep.begin() == names[0]
    sweep.end(kind, names[0], **more)

    assert (sweep.policy.left, sweep.begin()) == (1, names[1])


def test_asha_promotes_at_once_and_completes_one_at_the_end() -> None:
    sweep = Sweep(early_terminate=PROMOTION)
    worse, better = sweep.pause(2.0), sweep.pause(1.0)

    assert sweep.begin() == better, "the best of two"
    assert sweep.report(better, 2, 0.9) is Verdict.PAUSE
    sweep.end(Paused, better)
    assert sweep.pause(3.0) not in (worse, better)
    sweep.pause(4.0)
    assert sweep.begin() == worse, "the best two of four"
    assert sweep.report(worse, 2, 1.5) is Verdict.PAUSE
    sweep.end(Paused, worse)
    for evaluation in (4, 8):
        assert (sweep.policy.left, sweep.begin()) == (1, better)
        assert sweep.report(better, evaluation, 0.8) is Verdict.PAUSE
        sweep.end(Paused, better)
    assert sweep.begin() == better
    sweep.complete(0.7, better)
    assert (sweep.policy.left, sweep.policy.phase) == (0, "closing")


def test_a_closed_search_promotes_nobody_until_it_is_given_more_trials() -> None:
    sweep = Sweep(early_terminate={"type": "screen", "finalists": 1, "looks": 1}, run_cap=4)
    names = [sweep.pause(loss) for loss in (1.0, 2.0, 3.0, 4.0)]
    sweep.complete(9.0, sweep.begin())
    sweep.close()
    assert isinstance(sweep.policy.next(LEFT), Done)

    larger = Sweep(early_terminate={"type": "screen", "finalists": 2, "looks": 1}, run_cap=5)
    larger.apply(*sweep.events)
    assert (larger.policy.phase, larger.policy.left) == ("searching", 1)
    larger.pause(5.0)
    assert (larger.policy.left, larger.begin()) == (1, names[1])


def test_the_best_are_confirmed_when_the_search_is_closed() -> None:
    sweep = Sweep(confirm={"top": 1, "seeds": 2})
    assert sweep.policy.left == 4 + 2
    names = [sweep.begin() for _ in range(4)]
    assert isinstance(sweep.policy.next(LEFT), Wait)
    for name, loss in zip(names, (2.0, 1.0, 3.0, 4.0), strict=True):
        sweep.complete(loss, name)
    sweep.close()

    assert (sweep.policy.phase, sweep.policy.left) == ("confirming", 2)
    again = sweep.begin()
    assert sweep.trials[again].stage == "confirm"
    assert sweep.trials[again].assignment == {**sweep.trials[names[1]].assignment, "seed": 1}
    assert sweep.report(again, 1, 50.0) is Verdict.CONTINUE, "a confirming trial is not stopped"
    assert sweep.policy.left == 2
    sweep.end(Failed, again, error="why")
    sweep.complete(1.0)
    assert (sweep.policy.phase, sweep.policy.left) == ("over", 0)


def test_confirming_trials_do_not_lead_the_search() -> None:
    def told(stage: Stage) -> Sweep:
        sweep = Sweep(early_terminate={"type": "asha", "eta": 2, "min_iter": 1})
        sweep.apply(Proposed(trial_id="0000", at=0.0, assignment={"depth": 1, "width": 16, "heads": 1}, stage=stage))
        sweep.apply(Began(trial_id="0000", at=0.0, gpu_share=1.0))
        sweep.report("0000", 1, 0.1)
        return sweep

    verdicts = {}
    for stage in ("search", "confirm"):
        sweep = told(stage)  # type: ignore[arg-type]
        verdicts[stage] = sweep.report(sweep.begin(), 1, 5.0)
    assert verdicts == {"search": Verdict.STOP, "confirm": Verdict.CONTINUE}


def test_what_is_not_asked_for_any_more_is_surplus() -> None:
    sweep = Sweep(run_cap=2)
    sweep.complete(1.0)
    hung = sweep.begin()
    sweep.end(Interrupted, hung)

    smaller = Sweep(run_cap=1)
    smaller.apply(*sweep.events)
    assert [trial.trial_id for trial in smaller.policy.surplus] == [hung]
    assert smaller.policy.left == 0
    smaller.end(Abandoned, hung)
    assert (smaller.policy.surplus, smaller.policy.left, smaller.policy.phase) == ([], 0, "closing")

    same = Sweep(run_cap=2)
    same.apply(*sweep.events)
    assert (same.policy.surplus, same.begin()) == ([], hung)


def test_an_abandoned_configuration_is_proposed_again() -> None:
    one = {"parameters": {"depth": {"values": [1]}}, "trial": {"tokens": "20k", "width": 16, "heads": 1}, "run_cap": 1}
    sweep = Sweep(**one)
    sweep.end(Abandoned, sweep.begin())

    assert sweep.trials[sweep.begin()].assignment == {"depth": 1}


RULES: list[dict[str, Any]] = [
    {"early_terminate": {"type": "asha", "eta": 2}},
    {"early_terminate": PROMOTION},
    {"early_terminate": {"type": "screen", "finalists": 2}},
    {"early_terminate": {"type": "screen", "finalists": 2}, "trial": {"flops": "9e9"}},
    {"early_terminate": {"type": "asha"}, "pareto": "parameters"},
    {"confirm": {"top": 1, "seeds": 2}},
]
ENDS: dict[Verdict, type[TrialEvent]] = {
    Verdict.COMPLETE: Completed,
    Verdict.PAUSE: Paused,
    Verdict.STOP: Stopped,
}


@pytest.mark.parametrize("changes", RULES)
def test_a_policy_that_is_told_the_same_events_decides_the_same(changes: dict[str, Any]) -> None:
    """Whether it has been asked in between or not."""
    sweep = Sweep(**{"run_cap": 8, **changes})
    while not isinstance(decision := sweep.policy.next(LEFT), Done):
        twin = Sweep(**{"run_cap": 8, **changes})
        twin.apply(*sweep.events)
        assert twin.policy.left == sweep.policy.left
        assert twin.policy.phase == sweep.policy.phase
        if isinstance(decision, Close):
            assert isinstance(twin.policy.next(LEFT), Close)
            sweep.apply(Closed(at=0.0, trials=8))
            continue
        assert twin.policy.next(LEFT) == decision
        name = sweep.begin()
        for evaluation in range(sweep.trials[name].evaluation + 1, 10):
            depth = sweep.trials[name].assignment["depth"]
            verdict = sweep.report(name, evaluation, 5 / depth + depth / evaluation + int(name) / 100)
            if verdict is not Verdict.CONTINUE:
                sweep.end(ENDS[verdict], name)
                break
    assert sweep.policy.left == 0
    assert "completed" in {trial.state for trial in sweep.trials.values()}


def test_a_policy_needs_neither_ray_nor_wandb_nor_torch() -> None:
    code = "import sys, sweeps.policy.policy; sys.exit(bool({'ray', 'torch', 'wandb'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
