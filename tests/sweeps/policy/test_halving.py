"""ASHA, both variants, against plain references of the published rules."""

import math

from hypothesis import given
from hypothesis import strategies as st

from sweeps.machines.simulated import metrics_of
from sweeps.policy.halving import PromotionHalving, Ranking, Rule, SuccessiveHalving
from sweeps.policy.verdicts import Verdict
from sweeps.trials import State, Trial

LOSSES = st.one_of(st.floats(0, 10), st.sampled_from([1.0, 2.0, 3.0, math.inf]))
"""Any, with ties and diverged ones among them."""


def trial(name: str, evaluation: int = 0, state: State = "running", loss: float = 1.0) -> Trial:
    curve = [metrics_of(loss, evaluation=evaluation, before=None)] if evaluation else []
    return Trial(trial_id=name, assignment={}, stage="search", state=state, since=0.0, evaluations=curve)


def verdict(rule: Rule, name: str, evaluation: int, loss: float) -> Verdict:
    """A trial reports; one that diverged stops without being asked for."""
    rule.record(name, evaluation, loss)
    return rule.verdict(trial(name, evaluation)) if math.isfinite(loss) else Verdict.STOP


def reference_continues(reported: list[float], loss: float, eta: int) -> bool:
    """The published rule: among all losses of the rung, this one included, is it in the best 1/eta?

    Of equal losses, the earlier ones are the better.
    """
    if math.isinf(loss):
        return False
    return sum(other <= loss for other in reported) < max(1, (len(reported) + 1) // eta)


@given(losses=st.lists(LOSSES, min_size=1, max_size=60), eta=st.integers(2, 4))
def test_decisions_are_those_of_the_published_rule(losses: list[float], eta: int) -> None:
    halving = SuccessiveHalving(eta=eta, rungs=(3,))
    for number, loss in enumerate(losses):
        expected = reference_continues(losses[:number], loss, eta)
        assert (verdict(halving, f"{number:04d}", 3, loss) is Verdict.CONTINUE) == expected


def test_a_trial_continues_between_rungs_whatever_its_loss() -> None:
    halving = SuccessiveHalving(eta=3, rungs=(1, 3))
    verdict(halving, "good", 1, 1.0)

    assert verdict(halving, "bad", 2, 9.0) is Verdict.CONTINUE
    assert verdict(halving, "bad", 1, 9.0) is Verdict.STOP


class Counted(float):
    """A loss that counts how often it is compared."""

    comparisons = 0

    def __lt__(self, other: float) -> bool:
        Counted.comparisons += 1
        return float.__lt__(self, other)


def test_a_decision_takes_few_comparisons_however_many_trials_have_reached_the_rung() -> None:
    halving = SuccessiveHalving(eta=3, rungs=(1,))
    for number in range(1000):
        halving.record(str(number), 1, Counted(number * 7919 % 1000))
    Counted.comparisons = 0
    verdict(halving, "last", 1, Counted(500.5))

    assert Counted.comparisons < 30


@given(losses=st.lists(st.floats(0, 10) | st.sampled_from([1.0, 2.0]), max_size=30), data=st.data())
def test_a_ranking_is_a_sorted_list(losses: list[float], data: st.DataObject) -> None:
    ranking, plain = Ranking(), {}
    for number, loss in enumerate(losses):
        ranking.add(f"{number:04d}", loss)
        plain[f"{number:04d}"] = loss
        if data.draw(st.booleans()):
            gone = data.draw(st.sampled_from([*plain, "nobody"]))
            ranking.remove(gone)
            plain.pop(gone, None)
    order = sorted(plain, key=lambda name: (plain[name], name))

    assert list(ranking) == order
    assert [ranking.rank(name) for name in order] == list(range(len(order))) == list(range(len(ranking)))
    assert ranking.best(3) == order[:3]
    assert all(name in ranking for name in order)


class Reference:
    """Algorithm 2 of arXiv:1810.05934, as plainly as can be; the top rung is the end of a trial."""

    def __init__(self, eta: int, rungs: tuple[int, ...]) -> None:
        self.eta = eta
        self.rungs = rungs
        self.losses: dict[int, dict[str, float]] = {rung: {} for rung in rungs}
        self.promoted: dict[int, set[str]] = {rung: set() for rung in rungs}

    def get_job(self) -> str | None:
        """The trial to promote; None: a new configuration."""
        for rung in reversed(self.rungs):
            reached = self.losses[rung]
            candidates = sorted(reached, key=lambda name: (reached[name], name))[: len(reached) // self.eta]
            promotable = [name for name in candidates if name not in self.promoted[rung] and reached[name] < math.inf]
            if promotable:
                self.promoted[rung].add(promotable[0])
                return promotable[0]
        return None


@given(eta=st.integers(2, 4), workers=st.integers(1, 5), data=st.data())
def test_promotions_are_those_of_algorithm_2(eta: int, workers: int, data: st.DataObject) -> None:
    """Workers end their jobs in any order, with any losses."""
    rungs = (1, eta, eta**2)
    halving, reference = PromotionHalving(eta=eta, rungs=rungs), Reference(eta, rungs)
    trials: dict[str, Trial] = {}
    running: list[str] = []

    def begin() -> None:
        promoted = halving.next(trials, last=False)
        assert promoted == reference.get_job()
        if promoted is None:
            promoted = f"{len(trials):04d}"
            trials[promoted] = trial(promoted)
        else:
            halving.promote(trials[promoted])
            trials[promoted].state = "running"
        running.append(promoted)

    for _ in range(data.draw(st.integers(1, 40))):
        while len(running) < workers:
            begin()
        name = running.pop(data.draw(st.integers(0, workers - 1)))
        at = next((rung for rung in rungs if rung > trials[name].evaluation), None)
        if at is None:
            trials[name].state = "completed"
            continue
        loss = data.draw(LOSSES)
        reference.losses[at][name] = loss
        trials[name] = trial(name, at, "paused" if math.isfinite(loss) else "diverged")
        assert verdict(halving, name, at, loss) is (Verdict.PAUSE if math.isfinite(loss) else Verdict.STOP)
        if math.isinf(loss):
            halving.drop(name)


def ended(losses: list[float], eta: int, *, fails: int) -> dict[str, Trial]:
    """A search of so many trials by one worker, to its end; the first so many promoted trials fail."""
    halving = PromotionHalving(eta=eta, rungs=(1, 3))
    trials: dict[str, Trial] = {}
    while True:
        all_begun = len(trials) == len(losses)
        promoted = halving.next(trials, last=all_begun)
        if promoted is None and all_begun:
            return trials
        name = promoted or f"{len(trials):04d}"
        at = 0
        if promoted:
            at = trials[name].evaluation
            halving.promote(trials[name])
            if fails:
                fails -= 1
                trials[name].state = "failed"
                halving.drop(name)
                continue
        stop = next((rung for rung in (1, 3) if rung > at), 9)
        trials[name] = trial(name, stop, "paused" if stop < 9 else "completed", losses[int(name)])
        if stop < 9:
            assert verdict(halving, name, stop, losses[int(name)]) is Verdict.PAUSE


@given(losses=st.lists(st.floats(0, 10), min_size=1, max_size=12), eta=st.integers(2, 4))
def test_somebody_completes_however_few_trials_there_are(losses: list[float], eta: int) -> None:
    completed = [trial for trial in ended(losses, eta, fails=0).values() if trial.state == "completed"]

    assert completed
    if len(losses) < eta:
        assert [trial.metrics and trial.metrics.val_loss for trial in completed] == [min(losses)]


@given(losses=st.lists(st.floats(0, 10), min_size=3, max_size=12), eta=st.integers(2, 4), fails=st.integers(1, 2))
def test_somebody_completes_though_those_that_were_promoted_first_fail(
    losses: list[float], eta: int, fails: int
) -> None:
    assert "completed" in [trial.state for trial in ended(losses, eta, fails=fails).values()]


def test_one_that_failed_is_promoted_no_more_and_counts_among_those_that_came() -> None:
    halving = PromotionHalving(eta=2, rungs=(1,))
    trials = {name: trial(name, 1, "paused") for name in "abcd"}
    for number, name in enumerate(trials):
        verdict(halving, name, 1, float(number))
    assert halving.next(trials, last=False) == "a"
    trials["a"].state = "failed"
    halving.drop("a")

    assert halving.next(trials, last=False) == "b"
    halving.promote(trials["b"])
    trials["b"].state = "running"
    assert halving.next(trials, last=False) is None, "two of four were promoted"


def test_checkpoints_are_kept_of_those_that_may_yet_be_promoted_and_one_more() -> None:
    halving = PromotionHalving(eta=2, rungs=(1,))
    trials = {name: trial(name, 1, "paused") for name in "abcdef"}
    for number, name in enumerate(trials):
        verdict(halving, name, 1, float(number))

    assert halving.promising(trials, total=6) == {"a", "b", "c", "d"}
    trials["a"].state = "running"
    assert halving.promising(trials, total=6) == {"b", "c", "d"}
