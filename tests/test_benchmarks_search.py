"""The simulator, the contenders and the report of benchmarks/search.py, on a few records made here."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from curve_tables import OURS, CurveTable, load
from search_contenders import Ours, Random, RandomHalving, Ray, Top3
from search_jobs import Job, Outcome, outcomes
from search_report import Setting, sentences
from simulation import Contender, End, Simulation, Step, regret_at

from sweeps.machines.replay import Record
from sweeps.spec.load import parse
from sweeps.spec.recipe import Assignment

TOKENS = 900.0


def table(curves: Sequence[Sequence[float]], *, seconds: Sequence[float] | None = None) -> CurveTable:
    """A run of each depth from 1 on, with an evaluation for each loss; seconds are those of a whole run."""
    count = len(curves[0])
    spec = parse(
        {
            "name": "made",
            "parameters": {"depth": {"values": list(range(1, len(curves) + 1))}},
            "run_cap": len(curves),
            "trial": {"tokens": TOKENS, "evaluations": count, "width": 8, "heads": 1},
            **OURS,
        }
    )
    share = np.arange(1, count + 1) / count
    costs = [
        {"tokens": TOKENS * share} | ({"seconds": seconds[i] * share} if seconds else {}) for i in range(len(curves))
    ]
    return CurveTable(
        spec=spec,
        records=tuple(
            Record(config=str(i), parameters={"depth": i + 1}, costs=costs[i], losses=np.array(curve))
            for i, curve in enumerate(curves)
        ),
    )


class Listed(Contender):
    """Every depth in order; what was reported can be read."""

    def __init__(self, table: CurveTable, *, seed: int = 0, budget: float = 0) -> None:
        self.reported: list[tuple[str, int, float]] = []
        self.ended: list[tuple[str, End]] = []
        self._asked = 0

    def ask(self) -> tuple[str, Assignment] | None:
        self._asked += 1
        return str(self._asked), {"depth": self._asked}

    def report(self, trial: str, evaluation: int, loss: float) -> bool:
        self.reported.append((trial, evaluation, loss))
        return True

    def end(self, trial: str, status: End, loss: float) -> None:
        self.ended.append((trial, status))


def test_a_long_trial_reports_late() -> None:
    made = table([[4.0, 3.0], [2.0, 1.0], [6.0, 5.0]], seconds=[10, 2, 4])
    contender = Listed(made)
    simulation = Simulation(made, contender, workers=2, budget=9)
    simulation.run()
    # Depth 2 has its evaluations after 1 and 2 s, depth 3 then after 4 and 6 s; depth 1 after 5 and 10 s.
    order = [("2", 1), ("2", 2), ("3", 1), ("1", 1), ("3", 2), ("1", 2)]
    assert [(trial, evaluation) for trial, evaluation, _ in contender.reported] == order
    assert simulation.clock.now == pytest.approx(10)


def test_the_budget_counts_the_evaluations_of_all_workers() -> None:
    made = table([[3.0 + depth, 2.0 + depth, 1.0 + depth] for depth in range(10)])
    contender = Listed(made)
    simulation = Simulation(made, contender, workers=4, budget=2)
    simulation.run()
    assert len(contender.reported) == 2 * 3
    assert simulation.spent == 2


def test_regret_is_0_at_the_best_final_loss_and_1_at_the_median_one() -> None:
    made = table([[9.0, 5.0], [9.0, 3.0], [9.0, 1.0]])
    steps = Simulation(made, Listed(made), workers=1, budget=3).run()
    assert [regret_at(steps, budget) for budget in (0, 1, 2, 3)] == [2, 2, 1, 0]


def test_a_used_up_table_ends_the_search() -> None:
    made = table([[2.0, 1.0], [3.0, 2.0]])
    simulation = Simulation(made, Listed(made), workers=8, budget=50)
    assert regret_at(simulation.run(), 50) == 0
    assert simulation.spent == 2


def test_a_diverged_run_ends_and_is_never_the_best() -> None:
    made = table([[5.0, math.nan, math.nan], [4.0, 3.0, 2.0], [4.0, 3.0, 2.5]])
    contender = Listed(made)
    steps = Simulation(made, contender, workers=1, budget=3).run()
    assert contender.ended == [("1", "diverged"), ("2", "completed"), ("3", "completed")]
    assert regret_at(steps, 3) == 0


def test_a_loss_before_the_record_is_a_power_law_that_no_regret_counts() -> None:
    made = table([[8.0, 4.0, 2.0, 1.0], [9.0, 9.0, 9.0, 9.0]])
    late = Record(
        config="late",
        parameters={"depth": 1},
        costs={"tokens": np.array([450.0, 900.0])},
        losses=np.array([4.0, 2.0]),
    )
    made = replace(made, records=(late, made.records[1]))
    contender = Listed(made)
    steps = Simulation(made, contender, workers=1, budget=1).run()
    assert [loss for _, _, loss in contender.reported] == pytest.approx([8, 4, 4 - 2 * math.log2(1.5), 2])
    assert [spent for spent, _ in steps] == [0, 0.5, 0.75, 1]


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(("evaluations", "rung"), [(4, 1), (27, 3)])
def test_top_3_spends_its_budget_on_first_rungs_and_three_full_trainings(
    workers: int, evaluations: int, rung: int
) -> None:
    budget = 5
    made = table([[float(depth + 4 - at) for at in range(evaluations)] for depth in range(1, 31)])
    contender = Top3(made, seed=0, budget=budget)
    simulation = Simulation(made, contender, workers=workers, budget=budget + 10)
    steps = simulation.run()
    draws = (budget * evaluations - 3 * (evaluations - rung)) / rung
    assert simulation.spent == pytest.approx(draws * rung / evaluations + 3 * (1 - rung / evaluations)) == budget
    trials = simulation.sweep.trials.values()
    trained = [trial for trial in trials if trial.evaluation == evaluations]
    best = sorted(trials, key=lambda trial: simulation.records[trial.trial_id].losses[rung - 1])[:3]
    assert len(trials) == draws
    assert sorted(trial.trial_id for trial in trained) == sorted(trial.trial_id for trial in best)
    assert min(simulation.records[trial.trial_id].losses[-1] for trial in best) == made.finals.min() + steps[-1][1] * (
        np.median(made.finals) - made.finals.min()
    )


def test_top_3_draws_no_more_than_the_table_has() -> None:
    made = table([[float(depth), depth - 0.5] for depth in range(1, 6)])
    steps = Simulation(made, Top3(made, seed=0, budget=50), workers=2, budget=50).run()
    assert regret_at(steps, 50) == 0


def test_ray_decides_as_asha_does_where_both_rules_agree() -> None:
    """Falling losses continue and rising ones stop; between them Ray's interpolated cut-off lets some more continue."""
    made = table([[1.0] * 27] * 2)
    for losses in (range(20, 0, -1), range(1, 21)):
        ray = Ray(made, seed=0, budget=50)
        halving = RandomHalving(made, seed=0, budget=50)
        for loss in losses:
            proposal = ray.ask()
            assert proposal is not None
            for evaluation in range(1, 27):
                continues = ray.report(proposal[0], evaluation, float(loss))
                assert continues == halving.report(proposal[0], evaluation, float(loss))
                if not continues:
                    break
            ray.end(proposal[0], "stopped", float(loss))


@pytest.mark.parametrize("kind", [Random, RandomHalving, Ours])
def test_the_same_seed_searches_the_same(kind: type[Contender]) -> None:
    made = table([[float(depth % 7 + 9 - at) for at in range(9)] for depth in range(30)])
    runs = [Simulation(made, kind(made, seed=3, budget=5), workers=4, budget=5).run() for _ in range(2)]
    assert runs[0] == runs[1]


def test_the_table_that_comes_along_is_a_search_of_whole_curves() -> None:
    stories = load("stories", "tokens", Path("nowhere"))

    assert stories.spec.evaluations == 27
    assert stories.spec.rungs == (3, 9)
    assert len(stories.records) == stories.spec.run_cap > 20
    assert np.isfinite(stories.finals).all()
    assert all(stories.recorded(record, 1) for record in stories.records)


def outcome(contender: str, steps: list[Step], *, seed: int = 0, budget: float = 20, spent: float = 20) -> Outcome:
    return Outcome(Job("made", "tokens", 8, contender, budget, seed), steps, spent, 0.0)


def test_the_report_says_medians_over_seeds_who_is_better_and_what_random_needs() -> None:
    random = [outcome("random", [(0, 2.0), (1, 1.0 + seed / 10), (16, 0.2)], seed=seed) for seed in range(3)]
    better = [outcome("top-3", [(0, 2.0), (1, 0.1)], seed=seed, spent=6) for seed in range(3)]
    ours = [
        outcome("ours", [(0, 2.0), (1, {5: 0.8, 10: 0.3, 20: 0.0}[budget])], seed=seed, budget=budget)
        for budget in (5, 10, 20)
        for seed in range(3)
    ]
    found = {"random": random, "top-3": better, "ours": ours}
    setting = Setting(table="made", axis="tokens", workers=8, note="", outcomes=found)

    assert setting.quartiles("random", 10) == pytest.approx((1.05, 1.1, 1.15))
    assert [setting.used_up(contender, 10) for contender in found] == [False, True, False]
    assert [record.regret_median for record in setting.records([5, 10, 20])][-3:] == [0.8, 0.3, 0.0]
    first = asdict(next(setting.records([5])))
    assert list(first) == (
        ["table", "axis", "workers", "contender", "budget", "regret_median", "regret_q1", "regret_q3", "seeds"]
    )
    assert list(sentences(setting, [5, 10, 20])) == [
        "ours is worse than top-3 (its median above the other's upper quartile): at 5 0.800 over 0.100; "
        "at 10 0.300 over 0.100",
        "ours at 10: 0.300, since 10; random: since 16 (1.60 x 10, 1.60 x 10)",
        "ours at 20: 0.000, since 20; random: not by 20 (1.00 x 20, 1.00 x 20)",
    ]


def test_finished_searches_are_kept_and_not_run_again(tmp_path: Path) -> None:
    jobs = [Job("stories", "tokens", 8, "random", 5.0, seed) for seed in range(3)]
    kept = tmp_path / "kept.jsonl"
    first = list(outcomes(jobs[:2], data=tmp_path, processes=1, kept=kept))
    lines = kept.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["job"][-1] for line in lines] == [0, 1]

    again = list(outcomes(jobs, data=tmp_path, processes=1, kept=kept))
    assert again[:2] == first
    assert kept.read_text(encoding="utf-8").splitlines()[:2] == lines
    assert len(kept.read_text(encoding="utf-8").splitlines()) == 3
