"""What the surrogate sees of many curves, and when it is to learn from them."""

import math

import numpy as np

from sweeps.policy.curves import ROWS, Curves, Reported, Standard

PLACE = np.array([0.5])


def told(lengths: dict[str, int], *, ended: bool) -> Curves:
    curves = Curves(4)
    _tell(curves, lengths, ended=ended)
    return curves


def _tell(curves: Curves, lengths: dict[str, int], *, ended: bool) -> None:
    for name, length in lengths.items():
        curves.add(name, PLACE)
        for evaluation in range(1, length + 1):
            curves.report(name, evaluation, 1 / evaluation)
        if ended:
            curves.end(name)


def test_many_running_trials_leave_the_ended_ones_their_rows() -> None:
    curves = told({str(number): 9 for number in range(35)}, ended=True)
    _tell(curves, {f"running {number}": 3 for number in range(200)}, ended=False)

    kept = curves.kept()
    assert {str(number) for number in range(35)} <= set(kept)
    assert "running 199" in kept, "the one that has just reported"
    assert sum(min(4, len(trial.losses)) for trial in kept.values()) <= ROWS


def test_a_paused_trial_that_fails_counts_once() -> None:
    curves = told({"a": 2, "b": 3}, ended=True)
    curves.report("a", 9, math.inf)
    curves.end("a")
    curves.resume("b")

    assert list(curves.kept()) == ["a", "b"]
    assert list(curves.running) == ["b"]


def test_curves_are_noted_seldom_and_as_they_were() -> None:
    curves = Curves(4)
    notes = []
    for number in range(2000):
        curves.add(str(number), PLACE)
        curves.report(str(number), 1, float(number))
        if not notes or curves.noted is not notes[-1]:
            notes.append(curves.noted)
    curves.report("0", 1, -1.0)

    assert 20 < len(notes) < 45
    assert notes[0]["0"].losses == {1: 0.0}
    assert len(notes[-1]) <= ROWS


def test_nothing_is_noted_before_the_first_number() -> None:
    curves = Curves(4)
    curves.add("0", PLACE)
    curves.report("0", 1, math.inf)
    assert not curves.noted

    curves.report("0", 2, 3.0)
    assert curves.noted["0"].losses == {1: math.inf, 2: 3.0}


def test_outliers_are_drawn_in_where_they_are() -> None:
    trials = [Reported(PLACE, {1: 3.0 + number / 10, 2: 1.0 + number / 10}) for number in range(9)]
    trials.append(Reported(PLACE, {1: 50.0, 2: math.inf}))
    standard = Standard.of(trials)
    last = standard.curve(trials[-1], 2, 0.0).values

    assert np.isfinite(last).all()
    assert 2 < last.max() < 20
    assert last[0] > last[1]
