"""A sweep whose trials train nothing: its spec, and what its trials report."""

import time
from collections.abc import Iterator
from typing import Any

from sweeps import parsing
from sweeps.space import Method
from sweeps.spec import Spec
from sweeps.worker import Job, Report, SlotConfig
from tinystories.metrics import Metrics

VOCABULARY = 300
TOKENS = 1000
"""Between two evaluations, as far as anyone is told. [token]"""


def spec(*, method: Method, trials: int, evaluations: int, asha: bool) -> Spec:
    """A shape and rate study, far larger than the number of trials."""
    return parsing.parse(
        {
            "name": "rehearsal",
            "method": method,
            "parameters": {
                "depth": {"min": 1, "max": 16},
                "width": {"values": list(range(64, 1025, 64))},
                "heads": {"values": [1, 2, 4, 8, 16]},
                "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
            },
            "run_cap": trials,
            "early_terminate": {"type": "asha", "eta": 3, "min_iter": 1} if asha else None,
            "trial": {"tokens": TOKENS * evaluations, "evaluations": evaluations},
            "wandb": "disabled",
        }
    )


def metrics(evaluation: int, loss: float, seconds: float) -> Metrics:
    """What a trial reports at one of its evaluations; `seconds` in all. [nat/token], [s]"""
    return Metrics(
        evaluation=evaluation,
        step=evaluation,
        tokens=TOKENS * evaluation,
        flops=1e9 * evaluation,
        seconds=seconds,
        train_loss=loss,
        val_loss=loss,
        val_bpb=loss / 2,
        best_val_loss=loss,
        learning_rate=1e-3,
        tokens_per_second=TOKENS * evaluation / seconds if seconds else 0.0,
    )


def wait(job: Job, dataset: Any, config: SlotConfig, *, pause: float) -> Iterator[Report]:
    """Stands in for `sweeps.worker.train`: sleeps where that would train. `pause` is between two evaluations. [s]"""
    for evaluation in range(1, job.config.evaluations + 1):
        time.sleep(pause)
        yield Report(metrics=metrics(evaluation, 3.0 + 1 / job.config.depth, pause * evaluation))
