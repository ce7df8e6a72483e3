"""A small sweep, one of its rows, one of its evaluations."""

from typing import Any

from sweeps.record.tables import Result
from tinystories.metrics import Metrics

RESULT = Result(
    trial_id="0000",
    status="completed",
    depth=2,
    width=32,
    heads=4,
    learning_rate=2e-3,
    seed=0,
    parameters=1000,
    non_embedding_parameters=500,
    tokens=20_000,
    flops=1.5e12,
    seconds=3.25,
    val_loss=2.5,
    val_bpb=1.25,
    best_val_loss=2.4,
    checkpoint="checkpoints/0000/evaluation-0009.pt",
)
METRICS = Metrics(
    evaluation=1,
    step=10,
    tokens=1000,
    flops=1e9,
    seconds=0.5,
    train_loss=3.0,
    val_loss=2.9,
    val_loss_se=0.01,
    sample_loss=2.9,
    val_bpb=1.4,
    best_val_loss=2.9,
    learning_rate=1e-3,
    tokens_per_second=2000.0,
)

ODD_NAMES = ["a?b=c", "a%20b", "100%", "a#b", "a b", "a[red]b", "a'b\"c", "été—日", "new\nline"]
"""Names of files and folders that URLs, markup, shells and locales read as something else."""


def minimal(**changes: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "name": "tiny",
        "parameters": {"depth": {"values": [1, 2]}, "width": {"values": [16, 32]}, "heads": {"values": [1, 2]}},
        "run_cap": 4,
        "trial": {"tokens": "20k"},
    }
    return {key: value for key, value in {**raw, **changes}.items() if value is not None}
