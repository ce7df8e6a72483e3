import math
from dataclasses import asdict, replace

import pytest

from tinystories.metrics import Metrics

METRICS = Metrics(
    evaluation=1,
    step=10,
    tokens=1000,
    flops=1e6,
    seconds=1.5,
    train_loss=3.0,
    val_loss=2.0,
    val_loss_se=0.01,
    sample_loss=2.0,
    val_bpb=1.0,
    best_val_loss=2.0,
    learning_rate=1e-3,
    tokens_per_second=700.0,
)


def test_record_survives_the_trip_through_a_dictionary() -> None:
    assert Metrics(**asdict(METRICS)) == METRICS


@pytest.mark.parametrize(
    ("change", "usable"),
    [({}, True), ({"diverged": True}, False), ({"val_loss": math.nan}, False), ({"val_loss": math.inf}, False)],
)
def test_record_is_usable_if_its_loss_is_a_number_of_a_sound_run(change: dict[str, float], usable: bool) -> None:
    assert replace(METRICS, **change).usable is usable  # type: ignore[arg-type]
