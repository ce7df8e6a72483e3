"""When a screening has seen enough, and who goes on for what is left of a budget."""

from collections.abc import Mapping, Sequence

import pytest

from sweeps.policy.finals import Finals
from sweeps.policy.halving import Screening


class Purse:
    """So many seconds of one slot are left, of a hundred."""

    limited = True

    def __init__(self, left: float) -> None:
        self.left = left

    def lasts(self, *phases: Sequence[float], slots: int, share: float | None = None) -> bool:
        return sum(map(sum, phases)) <= (self.left if share is None else 100 * share)


def finals(
    losses: Mapping[str, Mapping[int, float]],
    *,
    left: float,
    stopped: Mapping[str, int],
    finalists: int = 3,
    rates: Mapping[str, float] | None = None,
) -> Finals:
    """Of trials of 9 evaluations, with rungs at 1 and 3; a second an evaluation unless `rates` says otherwise."""
    screening = Screening(rungs=(1, 3), evaluations=9, finalists=finalists)
    for trial_id, curve in losses.items():
        for evaluation, loss in curve.items():
            screening.report(trial_id, evaluation, loss)
    return Finals(
        screening,
        Purse(left),
        slots=4,
        rate=lambda trial_id: (rates or {}).get(trial_id or "", 1.0),
        stopped_at=stopped.get,
    )


SEEN = {name: {1: 1.0 + place} for place, name in enumerate("abcdefghi")}


def test_as_many_go_on_side_by_side_as_what_is_left_trains_to_the_end() -> None:
    """One finalist takes 3 * 2 + 6 s and a tenth more, two take twice that."""
    for left, running, expected in (
        (26.0, "abc", None),
        (27.0, "abc", ("d", 1)),
        (13.0, "ab", ("c", 1)),
    ):
        stopped = {name: 1 for name in SEEN if name not in running}
        for all_begun in (True, False):
            found = finals(SEEN, left=left, stopped=stopped).next(dict.fromkeys(running, 1), all_begun=all_begun)
            assert found == expected


def test_where_nobody_runs_it_is_worth_a_try_however_little_is_left() -> None:
    stopped = dict.fromkeys(SEEN, 1)

    assert finals(SEEN, left=1.0, stopped=stopped).next({}, all_begun=True) == ("a", 1)


@pytest.mark.parametrize(("most", "count"), [(99, 5), (3, 3), (0, 1)])
def test_a_budget_allows_as_many_finalists_as_fit_and_one_at_least(
    most: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lasts(purse: Purse, *phases: Sequence[float], slots: int, share: float | None = None) -> bool:
        return phases[1] == [6] * len(phases[1]) and len(phases[1]) <= most

    monkeypatch.setattr(Purse, "lasts", lasts)
    assert finals({}, left=0, stopped={}, finalists=5)._affordable() == count


def test_one_that_a_kill_left_at_its_end_holds_nobody_up() -> None:
    stopped = {name: 1 for name in SEEN if name != "a"}

    assert finals(SEEN, left=90.0, stopped=stopped).next({"a": 9}, all_begun=True) == ("b", 1)


def test_what_is_saved_trains_a_slow_one_too_that_may_yet_come_first() -> None:
    """The quick one would take 6 s from the second rung, the slow one 8 s to it and 24 s from there."""
    losses = {"quick": {1: 1.0, 3: 0.9}, "slow": {1: 1.1}, "third": {1: 1.2, 3: 1.1}}
    stopped, rates = {"quick": 3, "third": 3}, {"slow": 4.0}

    def saves(left: float) -> bool:
        return finals(losses, left=left, stopped=stopped, finalists=1, rates=rates).save({"slow": 1})

    assert [saves(left) for left in (30.0, 40.0)] == [True, False]
