"""The simulated machine: workers on a virtual clock."""

import math
from pathlib import Path

import pytest

from sweeps.machines.simulated import Clock, Machine, metrics_of
from sweeps.trials import Trial
from tinystories.metrics import Metrics

from ..driving import Flat, open_sweep, screening, simulate, states


class Paced(Flat):
    """Takes so long for an evaluation."""

    def __init__(self, loss: float, pace: float) -> None:
        super().__init__(loss)
        self.pace = pace

    def seconds(self, evaluation: int) -> float:
        """See `simulated.Curve`."""
        return self.pace * evaluation


@pytest.mark.parametrize(("workers", "seconds"), [(1, 4 * 9), (2, 2 * 9), (3, 2 * 9), (4, 9), (9, 9)])
def test_workers_share_the_time(workers: int, seconds: float) -> None:
    clock = Clock()
    sweep = simulate(open_sweep(None, clock=clock, early_terminate=None), clock, workers=workers)

    assert (clock.now, states(sweep)) == (pytest.approx(seconds), ["completed"] * 4)
    assert sweep.meter.gpu_seconds == pytest.approx(4 * 9), "each trial held a slot for its own time"


def test_a_slow_trial_reports_late_and_is_compared_with_those_before_it() -> None:
    for pace, state in ((5.0, "stopped"), (0.5, "completed")):
        clock = Clock()
        sweep = open_sweep(None, clock=clock, run_cap=2)
        simulate(sweep, clock, lambda trial: Paced(3.0, pace) if trial.trial_id == "0000" else Flat(2.0), workers=2)  # noqa: B023
        assert sweep.trials["0000"].state == state


def test_a_free_worker_takes_the_next_trial_at_once() -> None:
    clock = Clock()
    sweep = open_sweep(None, clock=clock, early_terminate=None, run_cap=3)
    simulate(sweep, clock, lambda trial: Paced(1.0, 1.0 if trial.trial_id == "0000" else 3.0), workers=2)

    assert clock.now == pytest.approx(9 + 27), "the third begins when the first ends"
    assert [moment for moment, _ in sweep.ended] == pytest.approx([9, 27, 36])


def test_an_interrupted_trial_loses_nothing_that_it_had_begun(tmp_path: Path) -> None:
    clock = Clock()
    killed = open_sweep(tmp_path, clock=clock, early_terminate=None, run_cap=2)
    Machine(killed, clock, workers=2, answer=lambda trial: Paced(1.0, 4.0)).run(until=lambda: clock.now > 10)
    resumed = open_sweep(tmp_path, clock=clock, early_terminate=None, run_cap=2)
    simulate(resumed, clock, lambda trial: Paced(1.0, 4.0), workers=2)

    assert (clock.now, states(resumed)) == (pytest.approx(36), ["completed"] * 2)


def test_a_promoted_trial_trains_from_its_rung() -> None:
    clock = Clock()
    sweep = simulate(open_sweep(None, clock=clock, early_terminate=screening(1), run_cap=4), clock)

    assert clock.now == pytest.approx(4 + 8)
    assert sorted(trial.evaluation for trial in sweep.trials.values()) == [1, 1, 1, 9]


def test_an_evaluation_that_is_not_known_is_passed_over_and_a_curve_may_end() -> None:
    class Short(Flat):
        def metrics(self, evaluation: int, before: Metrics | None) -> Metrics | None:
            if evaluation > 4:
                raise EOFError("it ends here")
            return None if evaluation < 3 else super().metrics(evaluation, before)

    clock = Clock()
    sweep = simulate(open_sweep(None, clock=clock, run_cap=1), clock, lambda trial: Short(1.0))
    trial: Trial = sweep.trials["0000"]

    assert [one.evaluation for one in trial.evaluations] == [3, 4]
    assert (trial.state, trial.error) == ("stopped", "it ends here")


def test_what_is_not_known_of_an_evaluation_is_not_made_up() -> None:
    first = metrics_of(3.0, evaluation=1, before=None, tokens=99.6, seconds=2.0)
    worse = metrics_of(4.0, evaluation=2, before=first, metric="val_bpb")

    assert (first.tokens, first.seconds, first.best_val_loss) == (100, 2.0, 3.0)
    assert (worse.val_bpb, worse.best_val_loss, math.isnan(worse.flops)) == (4.0, 3.0, True)
    assert metrics_of(math.nan, evaluation=3, before=worse).diverged
