"""Decisions from the surrogate: where it starts, what it believes, and what it costs."""

import math

import numpy as np
import pytest

from sweeps.policy.curve_surrogate import START, CurveSurrogate
from sweeps.policy.curves import ROWS
from sweeps.policy.surrogate import Array, CurveModel


def loss_at(place: float, evaluation: int) -> float:
    """Lowest at the end for 0.3."""
    return 2 + (place - 0.3) ** 2 + 1 / evaluation


def told(places: list[float], evaluations: int = 9, length: int = 9) -> CurveSurrogate:
    surrogate = CurveSurrogate(evaluations, 0.0)
    for number, place in enumerate(places):
        surrogate.add(str(number), np.array([place]))
        for evaluation in range(1, length + 1):
            surrogate.report(str(number), evaluation, loss_at(place, evaluation))
        surrogate.end(str(number))
    return surrogate


def grid(count: int = 101) -> Array:
    return np.random.default_rng(0).permutation(np.linspace(0, 1, count))[:, None]


def test_forecasts_are_losses_at_the_end() -> None:
    places = [0.0, 0.25, 0.5, 0.75, 1.0]
    surrogate = told(places)
    surrogate.add("begun", np.array([0.6]))
    surrogate.report("begun", 1, loss_at(0.6, 1))

    assert surrogate.forecast(["0", "begun"]) == pytest.approx([loss_at(0.0, 9), loss_at(0.6, 9)], abs=0.03)


def test_the_chance_to_end_best_follows_what_is_known() -> None:
    surrogate = told([0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
    for name, place in (("good", 0.3), ("bad", 0.9)):
        surrogate.add(name, np.array([place]))
        surrogate.report(name, 1, loss_at(place, 1))

    assert surrogate.chance_of_best("bad") < 0.1 < 0.3 < surrogate.chance_of_best("good")
    assert told([0.5]).chance_of_best("0") == 1


def test_it_looks_where_losses_are_low() -> None:
    surrogate = told([0.0, 0.1, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])

    assert grid()[surrogate.choose(grid())][0] == pytest.approx(0.3, abs=0.05)
    assert surrogate.best() in ("2", "3")


def test_the_start_does_not_grow_with_the_workers() -> None:
    """However many trials run: once there are so many, the first result counts."""
    surrogate = CurveSurrogate(9, 0.0)
    for number in range(START + 1):
        surrogate.add(str(number), np.array([number / START]))
        surrogate.report(str(number), 1, loss_at(number / START, 1))
    near_far = np.array([[0.32], [0.8], [0.95]])
    begun = CurveSurrogate(9, 0.0)
    begun.add("0", np.array([0.3]))
    begun.report("0", 1, 2.5)

    assert begun.choose(near_far) == 2
    assert surrogate.choose(near_far) == 0


def test_running_trials_are_believed_so_that_parallel_proposals_spread() -> None:
    surrogate = CurveSurrogate(1, 0.0)
    for number, place in enumerate((0.0, 0.02, 0.04, 0.48, 0.5, 0.52, 0.96, 0.98, 1.0)):
        surrogate.add(str(number), np.array([place]))
        surrogate.report(str(number), 1, 2 + abs(math.sin(2 * math.pi * place)))
        surrogate.end(str(number))
    gaps = np.array([[0.25], [0.75]])
    first = surrogate.choose(gaps)
    surrogate.add("running", gaps[first])

    assert surrogate.choose(gaps) == 1 - first


def test_losses_that_part_late_are_forecast_as_they_are() -> None:
    """Alike at first and far apart at the end, no loss of the end is an outlier."""
    surrogate = CurveSurrogate(9, 0.0)
    finals = {str(number): 1.5 + 0.2 * number for number in range(START)}
    for trial_id, final in finals.items():
        surrogate.add(trial_id, np.array([(final - 1.5) / 1.4]))
        for evaluation in range(1, 10):
            surrogate.report(trial_id, evaluation, 4 + 0.001 * final + (final - 4) * math.log(evaluation) / math.log(9))
        surrogate.end(trial_id)

    assert surrogate.forecast(list(finals)) == pytest.approx(list(finals.values()), abs=0.05)


@pytest.mark.parametrize("diverged", [math.inf, 1e9])
def test_a_diverged_trial_wrecks_no_forecast(diverged: float) -> None:
    places = [0.0, 0.2, 0.4, 0.6, 0.8]
    surrogate = told(places)
    surrogate.add("diverged", np.array([1.0]))
    surrogate.report("diverged", 2, diverged)
    surrogate.report("diverged", 9, diverged)
    names = [str(number) for number in range(5)]

    assert surrogate.forecast(names) == pytest.approx([loss_at(place, 9) for place in places], abs=0.05)
    assert surrogate.forecast(["diverged"])[0] > max(surrogate.forecast(names))


def test_nothing_but_divergence_leaves_the_search_spreading() -> None:
    surrogate = CurveSurrogate(9, 0.0)
    for number in range(2 * START):
        surrogate.add(str(number), np.array([number / START]))
        surrogate.report(str(number), 1, math.inf)

    assert surrogate.best() is None
    assert surrogate.choose(grid()) in range(len(grid()))
    with pytest.raises(ValueError, match="no loss has been reported"):
        surrogate.forecast(["0"])


def test_cost_is_bounded_however_many_trials_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    monkeypatch.setattr(CurveModel, "objective", lambda self, theta: (rows.append(self.rows), (0.0, 0 * theta))[1])
    surrogate = told(list(np.linspace(0, 1, ROWS)), length=4)
    surrogate.forecast(["0", str(ROWS - 1)])

    assert ROWS - 3 < max(rows) <= ROWS


def test_answers_do_not_hang_on_when_it_was_asked() -> None:
    asked, silent = CurveSurrogate(9, 0.0), CurveSurrogate(9, 0.0)
    for number in range(30):
        for surrogate in (asked, silent):
            surrogate.add(str(number), np.array([number / 30]))
            for evaluation in range(1, 1 + number % 9):
                surrogate.report(str(number), evaluation, loss_at(number / 30, evaluation))
        if number % 4 == 1:
            asked.best()
            asked.choose(grid())
    names = [str(number) for number in range(30)]

    assert asked.forecast(names).tolist() == silent.forecast(names).tolist()
    assert asked.choose(grid()) == silent.choose(grid())


def test_a_removed_trial_has_never_been() -> None:
    surrogate, without = told([0.1, 0.5, 0.9]), told([0.1, 0.5, 0.9])
    surrogate.add("left", np.array([0.3]))
    surrogate.report("left", 1, 0.5)
    surrogate.remove("left")
    surrogate.add("other", np.array([0.4]))
    without.add("other", np.array([0.4]))

    assert surrogate.best() == without.best()
    assert surrogate.forecast(["0", "other"]) == pytest.approx(without.forecast(["0", "other"]), abs=0.02)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_values_of_any_sign_are_modelled_as_they_are(sign: float) -> None:
    surrogate = CurveSurrogate(9, 0.0, logarithmic=False)
    places = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    for number, place in enumerate(places):
        surrogate.add(str(number), np.array([place]))
        for evaluation in range(1, 10):
            surrogate.report(str(number), evaluation, sign * loss_at(place, evaluation))
    names = [str(number) for number in range(6)]

    assert surrogate.forecast(names) == pytest.approx([sign * loss_at(place, 9) for place in places], abs=0.05)


def test_the_order_of_arrival_of_reports_does_not_matter() -> None:
    """A restart reads trial by trial what came evaluation by evaluation."""
    places = [0.0, 0.3, 0.6, 0.9]
    live = CurveSurrogate(9, 0.0)
    for number, place in enumerate(places):
        live.add(str(number), np.array([place]))
    for evaluation in range(1, 5):
        for number, place in enumerate(places):
            live.report(str(number), evaluation, loss_at(place, evaluation))
        live.forecast(["0"])
    restarted = told(places, length=4)
    names = [str(number) for number in range(4)]

    assert restarted.forecast(names) == pytest.approx(live.forecast(names), abs=5e-3)


def test_failures_in_great_number_do_not_crowd_out_the_only_loss() -> None:
    surrogate = told([0.5])
    for number in range(400):
        surrogate.add(f"failed {number}", np.array([0.1]))
        surrogate.report(f"failed {number}", 9, math.inf)
        surrogate.end(f"failed {number}")

    assert surrogate.best() == "0"
