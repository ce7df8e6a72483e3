"""A sweep whose trials train nothing: its spec, and what its trials report."""

import time
from collections.abc import Iterator
from typing import Any

from sweeps.machines.worker import Job, Report, SlotConfig
from sweeps.spec import load
from sweeps.spec.schema import Spec, StoppingType
from tinystories.metrics import Metrics

VOCABULARY = 300
TOKENS, FLOPS = 1000, 1e9
"""Tokens and FLOPs that a trial reports for the way between two evaluations. [token], [FLOP]"""


def spec(*, method: str, trials: int, evaluations: int, rule: StoppingType | None) -> Spec:
    """A shape and rate study at equal FLOPs, far larger than the number of trials; no rule: all run to their end."""
    return load.parse(
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
            "early_terminate": {"type": rule} if rule else None,
            "trial": {"flops": FLOPS * evaluations, "evaluations": evaluations},
            "wandb": "disabled",
        }
    )


def metrics(evaluation: int, loss: float, seconds: float) -> Metrics:
    """What a trial reports at one of its evaluations; `seconds` in all. [nat/token], [s]"""
    return Metrics(
        evaluation=evaluation,
        step=evaluation,
        tokens=TOKENS * evaluation,
        flops=FLOPS * evaluation,
        seconds=seconds,
        train_loss=loss,
        val_loss=loss,
        val_loss_se=0.01,
        sample_loss=loss,
        val_bpb=loss / 2,
        best_val_loss=loss,
        learning_rate=1e-3,
        tokens_per_second=TOKENS * evaluation / seconds if seconds else 0.0,
    )


def wait(job: Job, dataset: Any, config: SlotConfig, *, pause: float) -> Iterator[Report]:
    """Replaces `worker.train`: sleeps where that would train. `pause` is between two evaluations. [s]"""
    for evaluation in range(1, job.config.evaluations + 1):
        time.sleep(pause)
        yield Report(metrics=metrics(evaluation, 3.0 + 1 / job.config.depth, pause * evaluation))
