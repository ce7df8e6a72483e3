"""Which configurations count as the same, and where failures are."""

import numpy as np

from sweeps.policy.tried import Failures, Tried

from .methods import spec

FIRST = {"depth": 1, "width": 32, "heads": 1}


def test_a_configuration_is_the_same_with_any_seed() -> None:
    tried = Tried(spec())
    tried.add("0", {**FIRST, "seed": 7})

    assert not tried.is_new(FIRST)
    assert not tried.may_be_proposed(dict(reversed(FIRST.items())))
    assert tried.searched("0") == FIRST
    assert tried.is_new({**FIRST, "depth": 2})


def test_a_searched_seed_makes_another_configuration() -> None:
    parameters = {"depth": {"values": [1]}, "width": {"values": [32]}, "heads": {"values": [1]}}
    tried = Tried(spec(parameters=parameters | {"seed": {"values": [0, 1]}}))
    tried.add("0", {**FIRST, "seed": 0})

    assert tried.is_new({**FIRST, "seed": 1})


def test_each_trial_of_a_configuration_gets_a_seed_of_its_own() -> None:
    tried = Tried(spec(repeats="new_seed", seed=5))
    for name in ("0", "1", "2"):
        tried.add(name, tried.with_own_seed(FIRST))
    tried.remove("1")

    assert tried.with_own_seed(FIRST) == {**FIRST, "seed": 6}


def test_a_space_is_exhausted_only_if_nothing_repeats() -> None:
    once, often = Tried(spec()), Tried(spec(repeats="new_seed"))
    for number, assignment in enumerate(spec().space.configurations()):
        for tried in (once, often):
            assert not tried.exhausted
            tried.add(str(number), assignment)

    assert once.exhausted
    assert not often.exhausted
    assert often.first() == FIRST


def test_the_nearest_end_tells_whether_a_place_fails() -> None:
    failures = Failures()
    features = {name: np.array([place]) for name, place in (("a", 0.1), ("b", 0.9), ("running", 0.85))}
    failures.end("a", failed=False)
    failures.end("b", failed=True)
    assert failures.near(np.array([0.8]), features)
    assert not failures.near(np.array([0.4]), features)

    failures.remove("b")
    assert not failures.near(np.array([0.9]), features)
