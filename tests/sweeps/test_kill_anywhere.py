"""A sweep whose journal is cut after any event, or inside a line, ends with the table of the undisturbed one."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeps.limits import Limits
from sweeps.machines.simulated import Clock, Machine, metrics_of
from sweeps.record.folder import RunFolder
from sweeps.record.tables import result_line
from sweeps.spec import load
from sweeps.spec.schema import Spec
from sweeps.sweep import Sweep
from sweeps.trials import Trial
from tinystories.config import TrialConfig
from tinystories.metrics import Metrics

from .examples import minimal

SPACE: dict[str, Any] = {
    "parameters": {"depth": {"values": [1, 2, 3, 4, 5, 6]}, "heads": {"values": [1, 2, 4]}},
    "run_cap": 10,
    "keep_checkpoints": 2,
}
RULES: dict[str, dict[str, Any]] = {
    "stopping": {"early_terminate": {"type": "asha"}},
    "promotion": {"early_terminate": {"type": "asha", "variant": "promotion"}},
    "screening": {"early_terminate": {"type": "screen", "finalists": 2}},
    "forecasts": {"early_terminate": {"type": "screen", "finalists": 2}, "trial": {"flops": "9e9", "width": 16}},
    "tpe": {"early_terminate": {"type": "asha", "variant": "promotion"}, "method": "tpe"},
    "cmaes": {"early_terminate": None, "method": "cmaes", "run_cap": 6},
    "grid": {"early_terminate": {"type": "hyperband", "min_iter": 1}, "method": "grid"},
    "random": {"early_terminate": None, "method": "random", "run_cap": 6},
    "confirmation": {
        "early_terminate": {"type": "screen", "finalists": 2},
        "confirm": {"top": 2, "seeds": 2},
    },
    "pareto": {"early_terminate": {"type": "asha"}, "pareto": "parameters"},
}


class Synthetic:
    """A loss that falls with training, sooner for small models and further for large ones; one shape diverges."""

    def __init__(self, config: TrialConfig) -> None:
        self._config = config

    def seconds(self, evaluation: int) -> float:
        return (1 + self._config.depth / 7) * evaluation

    def metrics(self, evaluation: int, before: Metrics | None) -> Metrics:
        config = self._config
        noise = random.Random(f"{config}/{evaluation}").gauss(0, 0.05)
        loss = 2 / config.depth + config.depth / evaluation / 2 + config.heads / 20 + noise
        diverges = config.depth == 6 and config.heads == 1 and evaluation > 2
        return metrics_of(
            float("nan") if diverges else loss,
            evaluation=evaluation,
            before=before,
            tokens=1000 * evaluation,
            flops=1e9 * evaluation,
            seconds=self.seconds(evaluation),
        )


def spec(rule: str) -> Spec:
    changes = {**SPACE, "trial": {"tokens": "20k", "width": 16}, **RULES[rule]}
    return load.parse({**minimal(), **changes})


def run(spec: Spec, folder: RunFolder, clock: Clock, *, workers: int) -> Sweep:
    """A process of the sweep, from wherever its journal stands to its end."""
    sweep = Sweep(spec, folder, vocab_size=300, checkpoints=str(folder.checkpoints), clocks=clock.clocks)
    sweep.take_slots(workers, gpu_share=1.0)
    clock.now = max((trial.since for trial in sweep.trials.values()), default=0.0)
    sweep.recover()

    def answer(trial: Trial) -> Synthetic:
        return Synthetic(sweep.rows.config(trial))

    Machine(sweep, clock, workers=workers, answer=answer).run()
    sweep.settle()
    return sweep


def table(sweep: Sweep) -> list[str]:
    return [result_line(row) for row in sweep.rows.table(sweep.trials)]


def cuts(journal: bytes) -> Iterator[bytes]:
    """After every line, and inside the line that follows."""
    lines = journal.splitlines(keepends=True)
    for count in range(1, len(lines) + 1):
        whole = b"".join(lines[:count])
        yield whole
        if count < len(lines):
            yield whole + lines[count][: len(lines[count]) // 2]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is such a place: thousands of journals are written, line by line."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("rule", RULES)
def test_the_table_is_that_of_the_undisturbed_sweep(rule: str, workers: int, memory: Path) -> None:
    whole = RunFolder(memory / "whole")
    whole.root.mkdir()
    wanted = table(run(spec(rule), whole, Clock(), workers=workers))
    assert len(wanted) >= spec(rule).trials
    journal = whole.journal.read_bytes()

    for number, part in enumerate(cuts(journal)):
        folder = RunFolder(memory / "cut")
        folder.root.mkdir(exist_ok=True)
        folder.journal.write_bytes(part)
        resumed = run(spec(rule), folder, Clock(), workers=workers)

        assert table(resumed) == wanted, f"cut {number} of the journal, {len(part)} bytes"
        assert resumed.policy.left == 0
        for trial in resumed.trials.values():
            evaluations = [metrics.evaluation for metrics in trial.evaluations]
            assert evaluations == sorted(set(evaluations)), "nothing doubled"


def test_a_limit_that_ends_a_run_is_no_end_of_the_sweep(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    clock = Clock()
    sweep = Sweep(
        spec("screening"),
        folder,
        vocab_size=300,
        checkpoints=str(folder.checkpoints),
        limits=Limits(gpu_hours=20 / 3600),
        clocks=clock.clocks,
    )
    Machine(sweep, clock, workers=2, answer=lambda trial: Synthetic(sweep.rows.config(trial))).run()
    assert sweep.policy.left
    sweep.close()

    resumed = run(spec("screening"), folder, Clock(clock.now), workers=2)
    assert resumed.policy.left == 0
    assert resumed.meter.seconds > 20
