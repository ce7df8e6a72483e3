"""What is proposed, and that it follows from what became of the trials alone."""

import math
import random
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sweeps.policy.proposals import Proposals
from sweeps.spec.recipe import Assignment
from tinystories.models import size

from .methods import BUILTIN, IMPORTED, ONE_SHAPE, PARAMETERS, RATE, complete, spec, train

FOLLOWING = ("bayes", "tpe", "cmaes")
LARGE = {
    "depth": {"min": 1, "max": 12},
    "width": {"min": 16, "max": 128, "q": 16},
    "heads": {"values": [1, 2, 4, 8]},
    "learning_rate": {"min": 1e-4, "max": 1e-2},
}
Call = tuple[str, tuple[Any, ...]]


def loss_of(assignment: Assignment, evaluation: int) -> float:
    return 2 + abs(math.log10(assignment["learning_rate"]) + 3) + 1 / assignment["depth"] + 1 / evaluation


def life(proposals: Proposals, trials: int, seed: int = 0) -> Iterator[tuple[Call, Assignment]]:
    """Trials on three slots that pause, are resumed, fail, diverge or are abandoned; each call, and the proposal then.

    The proposal is asked for before a trial begins alone.
    """
    rng = random.Random(seed)
    running: dict[str, tuple[Assignment, int]] = {}
    paused: dict[str, tuple[Assignment, int]] = {}
    begun = 0
    while begun < trials or running:
        if begun < trials and len(running) < 3:
            if paused and rng.random() < 0.3:
                name = min(paused)
                running[name] = paused.pop(name)
                yield _call(proposals, "resume", name), {}
                continue
            name, assignment = str(begun), proposals.propose()
            begun += 1
            running[name] = assignment, 0
            yield _call(proposals, "begin", name, assignment), assignment
            continue
        name = rng.choice(list(running))
        assignment, evaluation = running[name]
        running[name] = assignment, evaluation + 1
        fate = rng.random()
        if fate < 0.1:
            yield _call(proposals, "report", name, evaluation + 1, math.nan), {}
            yield _call(proposals, "end", name, "diverged"), {}
        elif fate < 0.15:
            yield _call(proposals, "end", name, "failed"), {}
        elif fate < 0.2:
            yield _call(proposals, "end", name, "abandoned"), {}
        else:
            yield _call(proposals, "report", name, evaluation + 1, loss_of(assignment, evaluation + 1)), {}
            if evaluation + 1 == 9:
                yield _call(proposals, "end", name, "completed", [loss_of(assignment, 9)]), {}
            elif rng.random() < 0.3:
                yield _call(proposals, "end", name, rng.choice(("paused", "stopped"))), {}
                paused[name] = running[name]
            else:
                continue
        del running[name]


def _call(proposals: Proposals, name: str, *arguments: Any) -> Call:
    getattr(proposals, name)(*arguments)
    return name, arguments


@pytest.mark.parametrize("method", [*BUILTIN, IMPORTED])
def test_a_replay_goes_on_as_the_search_would_have(method: str) -> None:
    """Cut before every proposal: whoever is told of all calls until then proposes the same, though never asked."""
    trials = 16 if method == "gp" else 30
    wanted = spec(method, parameters=PARAMETERS | {"learning_rate": RATE["learning_rate"]})
    if method == "grid":
        wanted = spec(method, parameters=PARAMETERS | {"learning_rate": {"values": [1e-3, 1e-2, 1e-1]}})
    history = list(life(Proposals(wanted), trials))
    assert sum(bool(proposal) for _, proposal in history) == trials
    replayed = Proposals(wanted)

    for (name, arguments), proposal in history:
        if proposal and int(arguments[0]) % 7 == 6:
            assert replayed.propose() == replayed.propose() == proposal
        getattr(replayed, name)(*arguments)


def test_a_long_journal_is_replayed_in_no_time() -> None:
    wanted = spec(parameters=LARGE)
    rng = random.Random(0)
    history = [(str(number), wanted.space.sample(rng)) for number in range(5000)]
    proposals = Proposals(wanted)
    started = time.process_time()
    for name, assignment in history:
        proposals.begin(name, assignment)
        for evaluation in range(1, 10):
            proposals.report(name, evaluation, loss_of(assignment, evaluation))
        proposals.end(name, "completed", [loss_of(assignment, 9)])

    assert time.process_time() - started < 1.5
    assert proposals.propose() not in [assignment for _, assignment in history]


@pytest.mark.parametrize("method", ["bayes", "random", "tpe", "gp"])
def test_a_proposal_that_nobody_begins_changes_nothing(method: str) -> None:
    wanted = spec(method, parameters=RATE, trial=ONE_SHAPE)
    asked, silent = Proposals(wanted), Proposals(wanted)
    for number in range(14):
        assignment = {"learning_rate": 10 ** -(1 + number / 4)}
        for proposals in (asked, silent):
            proposals.begin(str(number), assignment)
            proposals.report(str(number), 1, 3.0 + number % 5)
        asked.propose()
        for proposals in (asked, silent):
            complete(proposals, str(number), 2.0 + number % 5)

    assert asked.propose() == silent.propose()


@pytest.mark.parametrize("method", [*BUILTIN, IMPORTED])
def test_no_configuration_is_proposed_twice_until_all_were(method: str) -> None:
    proposals = Proposals(spec(method))
    seen = [tuple(sorted(train(proposals, str(number), 2.0 + number % 3).items())) for number in range(12)]

    assert len(set(seen)) == 12
    with pytest.raises(ValueError, match="all 12 configurations have been proposed"):
        proposals.propose()


def test_a_grid_is_walked_in_order() -> None:
    wanted = spec("grid")
    proposals = Proposals(wanted)

    assert [train(proposals, str(number), 2.0) for number in range(12)] == list(wanted.space.configurations())


def test_a_grid_that_may_repeat_is_walked_again_with_other_seeds() -> None:
    wanted = spec("grid", repeats="new_seed", seed=3)
    proposals = Proposals(wanted)
    walked = [train(proposals, str(number), 2.0) for number in range(24)]

    assert walked[12:] == [{**assignment, "seed": 4} for assignment in walked[:12]]


@pytest.mark.parametrize("method", [*BUILTIN[:2], *BUILTIN[3:]])
def test_the_seed_of_a_sweep_decides_what_is_proposed(method: str) -> None:
    def proposed(seed: int) -> list[float]:
        proposals = Proposals(spec(method, seed=seed, parameters=RATE, trial=ONE_SHAPE))
        rates = []
        for number in range(13):
            rates.append(float(proposals.propose()["learning_rate"]))
            train(proposals, str(number), 2 + abs(math.log10(rates[-1]) + 3))
        return rates

    first = proposed(3)
    assert proposed(3) == first
    if method != "qmc":  # a sequence that is not scrambled is the same for any seed
        assert len(set(proposed(4)) & set(first)) <= 1, "CMA-ES begins in the middle"


@pytest.mark.parametrize("method", FOLLOWING)
def test_the_search_learns_where_the_good_trials_are(method: str) -> None:
    proposals = Proposals(spec(method, parameters=RATE, trial=ONE_SHAPE))
    distances = []
    for number in range(40):
        distances.append(abs(math.log10(proposals.propose()["learning_rate"]) + 3))
        train(proposals, str(number), 2 + distances[-1])

    even = (2**2 + 3**2) / 2 / 5  # mean distance of even draws
    assert statistics.median(distances[20:]) < 0.5 * even


@pytest.mark.parametrize("method", ["bayes", "tpe"])
def test_stopped_trials_are_learnt_from(method: str) -> None:
    proposals = Proposals(spec(method, parameters=RATE, trial=ONE_SHAPE))
    distances = []
    for number in range(40):
        assignment = proposals.propose()
        distances.append(abs(math.log10(assignment["learning_rate"]) + 3))
        proposals.begin(str(number), assignment)
        proposals.report(str(number), 1, 2 + distances[-1])
        proposals.end(str(number), "paused")

    assert statistics.median(distances[20:]) < 0.65


@pytest.mark.parametrize("method", ["bayes", "tpe"])
def test_the_random_phase_does_not_grow_with_parallelism(method: str) -> None:
    """With 40 trials asked for at once, the next follow the results as soon as 9 have one."""

    def following(sign: float) -> list[float]:
        proposals = Proposals(spec(method, parameters=RATE, trial=ONE_SHAPE))
        rates = []
        for number in range(40):
            rates.append(float(proposals.propose()["learning_rate"]))
            proposals.begin(str(number), {"learning_rate": rates[-1]})
        for number, rate in enumerate(rates[:9]):
            complete(proposals, str(number), 2 + sign * rate)
        asked = []
        for number in range(40, 44):
            asked.append(float(proposals.propose()["learning_rate"]))
            proposals.begin(str(number), {"learning_rate": asked[-1]})
        return asked

    assert following(1.0) != following(-1.0)


@pytest.mark.parametrize("method", FOLLOWING)
def test_the_region_of_a_failed_trial_is_left_alone_for_a_while(method: str) -> None:
    """Half of the space fails; after a few failures, most proposals come from the other half."""
    parameters = {"learning_rate": {"min": 1e-5, "max": 1e-1, "distribution": "log_uniform_values"}}
    proposals = Proposals(spec(method, parameters=parameters, trial=ONE_SHAPE))
    failed = []
    for number in range(40):
        assignment = proposals.propose()
        failed.append(assignment["learning_rate"] > 1e-3)
        proposals.begin(str(number), assignment)
        if failed[-1]:
            proposals.end(str(number), "failed")
        else:
            complete(proposals, str(number), 3.0)

    assert sum(failed[16:]) <= 0.3 * 24


@pytest.mark.parametrize("method", ["bayes", "tpe", "gp", "cmaes"])
def test_a_region_that_diverges_is_not_proposed_for_ever(method: str) -> None:
    proposals = Proposals(spec(method, parameters=RATE, trial=ONE_SHAPE))
    diverged = []
    for number in range(24):
        assignment = proposals.propose()
        diverged.append(assignment["learning_rate"] > 1e-2)
        proposals.begin(str(number), assignment)
        proposals.report(str(number), 1, math.inf if diverged[-1] else 3.0)
        if diverged[-1]:
            proposals.end(str(number), "diverged")
        else:
            complete(proposals, str(number), 2 + abs(math.log10(assignment["learning_rate"]) + 3))

    assert sum(diverged[12:]) <= 5, "two fifths of the space would be 5 of 12"


def test_random_search_does_not_follow_the_results() -> None:
    def proposed(sign: float) -> list[Assignment]:
        proposals = Proposals(spec("random", parameters=RATE, trial=ONE_SHAPE))
        return [train(proposals, str(number), sign * number) for number in range(20)]

    assert proposed(1.0) == proposed(-1.0)


@pytest.mark.parametrize("method", ["bayes", "grid", "cmaes"])
def test_points_come_first_and_once(method: str) -> None:
    points = [{"depth": 4, "width": 64, "heads": 2}, {"depth": 1, "width": 32, "heads": 1}]
    proposals = Proposals(spec(method, points=points))

    assert [train(proposals, str(number), 2.0) for number in range(2)] == points
    assert proposals.propose() not in points


@pytest.mark.parametrize("method", [*BUILTIN[:2], *BUILTIN[3:], IMPORTED])
def test_only_shapes_within_the_limits_are_proposed(method: str) -> None:
    limits = {"max_parameters": 60_000, "min_head_dim": 8, "max_head_dim": 32}
    wanted = spec(parameters=LARGE, limits=limits).for_vocabulary(300)
    object.__setattr__(wanted, "method", method)
    proposals = Proposals(wanted)
    for number in range(14 if method == "gp" else 40):
        config = wanted.trial_config(train(proposals, str(number), 2.0 + number % 3))
        assert size.parameters(config.model(300)) <= 60_000
        assert 8 <= config.width // config.heads <= 32


@pytest.mark.parametrize("method", ["bayes", "random", "tpe", "cmaes"])
def test_a_repeat_gets_a_seed_of_its_own_if_the_spec_asks_for_it(method: str) -> None:
    one = {"depth": {"values": [1]}, "width": {"values": [32]}, "heads": {"values": [1]}}
    wanted = spec(method, parameters=one, repeats="new_seed", run_cap=4, seed=5)
    proposals = Proposals(wanted)

    seeds = [wanted.trial_config(train(proposals, str(number), 2.0)).seed for number in range(4)]
    assert seeds == [5, 6, 7, 8]


@pytest.mark.parametrize("state", ["running", "paused", "stopped"])
def test_the_configuration_of_an_abandoned_trial_counts_as_untried(state: Any) -> None:
    proposals = Proposals(spec("grid"))
    first = proposals.propose()
    proposals.begin("0", first)
    proposals.report("0", 1, 3.0)
    train(proposals, "1", 2.0)
    if state != "running":
        proposals.end("0", state)
    proposals.end("0", "abandoned")

    assert proposals.propose() == first
    assert proposals.chance_of_best("1") == 1


def test_known_evaluations_change_nothing() -> None:
    told, again = Proposals(spec()), Proposals(spec())
    for proposals in (told, again):
        train(proposals, "0", 2.0)
        proposals.begin("1", proposals.propose())
        proposals.report("1", 1, 3.0)
    again.report("1", 1, 30.0)

    assert again.forecast(["0", "1"]) == told.forecast(["0", "1"])


def test_the_surrogate_keeps_to_the_reported_losses_when_a_trial_is_completed() -> None:
    """The final value is of all stories, and not of the sample that the other losses are of."""
    told, other = Proposals(spec()), Proposals(spec())
    for proposals, final in ((told, 2.0), (other, 20.0)):
        proposals.begin("0", proposals.propose())
        for evaluation in range(1, 10):
            proposals.report("0", evaluation, 2.0 + 1 / evaluation)
        proposals.end("0", "completed", [final])

    assert told.forecast(["0"]) == other.forecast(["0"])


def test_a_resumed_trial_is_forecast_by_all_its_values() -> None:
    proposals = Proposals(spec("tpe"))
    train(proposals, "0", 2.0)
    proposals.begin("1", proposals.propose())
    for evaluation in (1, 2, 3):
        proposals.report("1", evaluation, 3.0 / evaluation)
    proposals.end("1", "paused")
    before = proposals.forecast(["1"])
    proposals.resume("1")

    assert proposals.forecast(["1"]) == before
    proposals.report("1", 4, 0.8)
    assert proposals.chance_of_best("1") > 0.5


def test_a_paused_trial_may_end_otherwise() -> None:
    """Its checkpoint is lost, or nobody resumes it."""
    proposals = Proposals(spec("tpe"))
    for number in range(6):
        train(proposals, str(number), 2.0 + number / 10)
    for name in ("lost", "left"):
        proposals.begin(name, proposals.propose())
        proposals.report(name, 1, 2.0)
        proposals.end(name, "paused")
    before = proposals.forecast(["lost", "left"])
    proposals.end("lost", "failed")
    proposals.end("left", "stopped")
    after = proposals.forecast(["lost", "left"])

    assert after["lost"] - after["left"] > before["lost"] - before["left"]


@pytest.mark.parametrize("method", ["random", "grid", "tpe", "gp", "qmc", "nsga2", "nsga3"])
def test_two_objectives_are_followed(method: str) -> None:
    parameters = PARAMETERS | ({} if method == "grid" else RATE)
    proposals = Proposals(spec(method, parameters=parameters, pareto="parameters"))
    for number in range(12):
        assignment = proposals.propose()
        proposals.begin(str(number), assignment)
        proposals.report(str(number), 1, 3.0)
        match number % 6:
            case 0:
                proposals.end(str(number), "stopped")
            case 1:
                proposals.end(str(number), "diverged")
            case _:
                proposals.end(str(number), "completed", [3.0 / assignment["depth"], 1000.0 * assignment["depth"]])
