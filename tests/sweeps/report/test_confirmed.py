"""What is said of confirming trials: means, intervals, and who leads."""

import math
from dataclasses import replace

import pytest

from sweeps.record.tables import Result, ranked
from sweeps.report.confirmed import Confirmed, confirmed, verdict

from ..examples import RESULT


def trial(depth: int, loss: float, *, seed: int = 0, **changes: object) -> Result:
    return replace(RESULT, depth=depth, seed=seed, best_val_loss=loss, trial_id=f"{depth}-{seed}", **changes)  # type: ignore[arg-type]


def confirming(depth: int, *losses: float) -> list[Result]:
    return [trial(depth, loss, seed=seed, stage="confirm") for seed, loss in enumerate(losses, start=1)]


SEARCH = [trial(1, 2.0), trial(2, 1.0), trial(3, 1.5), trial(4, 0.5, status="stopped")]


def test_the_interval_is_students() -> None:
    group = Confirmed(results=tuple(confirming(1, 1.0, 2.0, 3.0)))

    assert group.mean == pytest.approx(2.0)
    assert group.half_width == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)  # t of 2 degrees of freedom


def test_shapes_that_overlap_are_called_a_tie_and_others_are_not() -> None:
    clear = confirmed([*confirming(2, 2.00, 2.01, 2.02), *confirming(1, 1.00, 1.01, 1.02)])
    assert verdict(clear, 3) == "Confirmed with 3 new seeds: depth 1, width 32, heads 4, 1.0100 ± 0.0248 nat/token."

    close = confirmed([*confirming(1, 1.00, 1.01, 1.02), *confirming(2, 1.02, 1.03, 1.04), *confirming(3, 9, 9, 9)])
    said = verdict(close, 3)
    assert said.startswith("A tie after 3 new seeds each: depth 1, ")
    assert "depth 2" in said
    assert "depth 3" not in said


def test_a_configuration_whose_seed_diverged_is_last() -> None:
    broken = [*confirming(1, 1.0, 1.0), trial(1, math.nan, seed=3, stage="confirm", status="diverged")]
    groups = confirmed([*broken, *confirming(2, 2.0, 2.1, 2.2)])

    assert [group.results[0].depth for group in groups] == [2, 1]
    assert verdict(groups[1:], 3).startswith("Not confirmed")


def test_an_unfinished_confirmation_has_no_verdict_and_a_broken_seed_is_no_tie() -> None:
    half = confirmed([*confirming(1, 1.0, 1.0, 1.0), *confirming(2, 3.0)])
    assert verdict(half, 3).startswith("No verdict yet: 4 confirming trials have ended")

    broken = [*confirming(1, 1.0), trial(1, math.nan, seed=2, stage="confirm", status="diverged")]
    assert verdict(confirmed([*broken, *confirming(2, 2.1, 2.2)]), 2).startswith("Confirmed with 2 new seeds: depth 2")
    assert ranked([*broken, *confirming(2, 2.1, 2.2)])[0].depth == 2, "the leaderboard agrees"


def test_confirmed_trials_lead_the_ranking_by_their_means() -> None:
    lucky = confirming(1, 0.1, 3.0, 3.0)
    steady = confirming(2, 1.0, 1.1, 1.2)

    order = [(result.depth, result.stage) for result in ranked([*SEARCH, *lucky, *steady])]
    assert order[:3] == [(2, "confirm")] * 3
    assert order[6] == (2, "search")
