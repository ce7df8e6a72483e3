"""Which trials confirm a search."""

from typing import Any

from sweeps.events import Began, Completed, Evaluated, Failed, Proposed, Stage, Stopped
from sweeps.machines.simulated import metrics_of
from sweeps.policy.confirmation import wanted
from sweeps.policy.verdicts import Start
from sweeps.spec import load
from sweeps.spec.schema import Spec
from sweeps.trials import Trials

from ..examples import minimal


def spec(**confirm: int) -> Spec:
    depths, trial = {"depth": {"values": [1, 2, 3, 4]}}, {"tokens": "20k", "width": 16, "heads": 1}
    return load.parse(minimal(confirm={"top": 2, "seeds": 3, **confirm}, parameters=depths, trial=trial))


def add(trials: Trials, depth: int, loss: float | None, *, stage: Stage = "search", **more: Any) -> str:
    """A trial that completed with this loss; None: it is running."""
    name = f"{len(trials):04d}"
    trials.apply(Proposed(trial_id=name, at=0.0, assignment={"depth": depth, **more}, stage=stage))
    trials.apply(Began(trial_id=name, at=0.0, gpu_share=1.0))
    if loss is not None:
        metrics = metrics_of(loss, evaluation=9, before=None)
        trials.apply(Evaluated(trial_id=name, at=0.0, metrics=metrics, checkpoint=""))
        trials.apply(Completed(trial_id=name, at=0.0))
    return name


def searched() -> Trials:
    """Of four depths; the last one, of the lowest loss, was stopped."""
    trials = Trials()
    for depth, loss in ((1, 2.0), (2, 1.0), (3, 1.5)):
        add(trials, depth, loss)
    name = add(trials, 4, None)
    trials.apply(Evaluated(trial_id=name, at=0.0, metrics=metrics_of(0.5, evaluation=1, before=None), checkpoint=""))
    trials.apply(Stopped(trial_id=name, at=0.0))
    return trials


def asked(spec: Spec, trials: Trials) -> list[tuple[Any, Any]]:
    starts: list[Start] = wanted(spec, trials)
    assert {start.stage for start in starts} <= {"confirm"}
    return [(start.assignment["depth"], start.assignment["seed"]) for start in starts]


def test_the_best_full_trials_are_repeated_with_seeds_that_none_of_them_had() -> None:
    trials = searched()
    add(trials, 2, 1.1, seed=2)

    assert asked(spec(), trials) == [(2, 1), (2, 3), (2, 4), (3, 1), (3, 2), (3, 3)]


def test_what_has_been_confirmed_or_is_running_is_not_asked_for_again() -> None:
    trials = searched()
    add(trials, 2, 1.0, stage="confirm", seed=1)
    add(trials, 2, 1.0, stage="confirm", seed=2)
    add(trials, 3, None, stage="confirm", seed=2)

    assert asked(spec(), trials) == [(2, 3), (3, 1), (3, 3)]


def test_one_that_failed_has_had_its_turn() -> None:
    trials = searched()
    trials.apply(Failed(trial_id=add(trials, 2, None, stage="confirm", seed=1), at=0.0, error="why"))

    assert asked(spec(top=1), trials) == [(2, 2), (2, 3)]


def test_a_stopped_one_is_repeated_if_full_ones_are_too_few() -> None:
    assert [depth for depth, _ in asked(spec(top=4), searched())] == [2] * 3 + [3] * 3 + [1] * 3 + [4] * 3


def test_nothing_is_repeated_where_that_is_not_asked_for() -> None:
    assert wanted(load.parse(minimal()), searched()) == []
