"""How a trial becomes a row."""

from pathlib import Path
from typing import Any

import pytest

from sweeps.events import Began, CheckpointDeleted, Completed, Diverged, Evaluated, Failed, Paused, Promoted, Proposed
from sweeps.record.rows import Rows, has_row
from sweeps.spec import load
from sweeps.trials import Trials
from tinystories.models import size

from ..driving import metrics
from ..examples import minimal

ROOT = "/runs/tiny"
AT: dict[str, Any] = {"trial_id": "0000", "at": 1.0}


def rows(**changes: Any) -> Rows:
    return Rows(load.parse(minimal(**changes)), vocab_size=300, root=ROOT)


def begun(evaluation: int = 1, *, share: float = 1.0, **assignment: Any) -> Trials:
    trials = Trials()
    trials.apply(Proposed(**AT, assignment={"depth": 2, "width": 32, "heads": 2, **assignment}))
    trials.apply(Began(**AT, gpu_share=share))
    checkpoint = f"{ROOT}/checkpoints/0000/{evaluation}.pt"
    trials.apply(Evaluated(**AT, metrics=metrics(evaluation, 2.0), checkpoint=checkpoint))
    return trials


def test_a_completed_trial_has_its_last_evaluation_and_its_configuration() -> None:
    trials = begun(9, share=0.5)
    trials.apply(Completed(**AT))
    row = rows().row(trials["0000"])
    config = rows().config(trials["0000"])

    assert (row.status, row.stage, row.depth, row.width, row.heads, row.seed) == ("completed", "search", 2, 32, 2, 0)
    assert (row.val_loss, row.tokens, row.seconds) == (2.0, 9000, 9.0)
    assert row.parameters == size.parameters(config.model(300))
    assert row.gpu_hours == pytest.approx(0.5 * 9 / 3600)
    assert row.checkpoint == "checkpoints/0000/9.pt", "relative to the run folder"


def test_a_checkpoint_elsewhere_keeps_its_address() -> None:
    trials = begun()
    trials.apply(Evaluated(**AT, metrics=metrics(2, 2.0), checkpoint="s3://bucket/tiny/checkpoints/0000/2.pt"))
    trials.apply(Paused(**AT))

    assert rows().row(trials["0000"]).checkpoint == "s3://bucket/tiny/checkpoints/0000/2.pt"


def test_a_paused_trial_shows_as_stopped_and_a_promoted_one_as_it_was_until_it_ends() -> None:
    """With the checkpoint of then, so that it is not lost from the leaderboard while it trains."""
    trials = begun()
    assert not has_row(trials["0000"])
    trials.apply(Paused(**AT))
    paused = rows().row(trials["0000"])
    assert (paused.status, paused.val_loss, paused.checkpoint) == ("stopped", 2.0, "checkpoints/0000/1.pt")

    trials.apply(Promoted(**AT))
    assert rows().row(trials["0000"]) == paused
    trials.apply(Evaluated(**AT, metrics=metrics(2, 1.0), checkpoint=f"{ROOT}/checkpoints/0000/2.pt"))
    assert rows().row(trials["0000"]) == paused
    assert has_row(trials["0000"])
    trials.release()
    assert rows().row(trials["0000"]) == paused
    trials.apply(Completed(**AT))
    assert (rows().row(trials["0000"]).val_loss, rows().row(trials["0000"]).status) == (1.0, "completed")


def test_a_failed_trial_says_why_in_one_line() -> None:
    trials = begun()
    trials.apply(Failed(**AT, error="ValueError: too\nlong"))
    trials.apply(CheckpointDeleted(**AT))
    row = rows().row(trials["0000"])

    assert (row.status, row.error, row.checkpoint) == ("failed", "ValueError: too long", "")


def test_a_trial_that_never_reported_has_a_row_too() -> None:
    trials = Trials()
    trials.apply(Proposed(**AT, assignment={"depth": 2, "width": 32, "heads": 2}))
    trials.apply(Diverged(**AT))
    row = rows().row(trials["0000"])

    assert (row.status, row.tokens, row.usable) == ("diverged", 0, False)


def test_a_confirming_trial_cools_down_though_searching_ones_do_not() -> None:
    trials = Trials()
    shape = {"depth": 2, "width": 32, "heads": 2}
    trials.apply(Proposed(**AT, assignment=shape))
    trials.apply(Proposed(trial_id="0001", at=0.0, assignment={**shape, "seed": 1}, stage="confirm"))
    made = rows(trial={"tokens": "20k", "cooldown": 0})

    assert [made.config(trial).cooldown for trial in trials.values()] == [0, 0.2]
    assert made.shown(trials["0001"])["stage"] == "confirm"
    assert made.shown(trials["0001"])["non_embedding_parameters"] > 0


def test_the_table_follows_the_order_of_proposal(tmp_path: Path) -> None:
    trials = Trials()
    for name in ("0000", "0001", "0002"):
        trials.apply(Proposed(trial_id=name, at=0.0, assignment={"depth": 2, "width": 32, "heads": 2}))
    for name in ("0002", "0000"):
        trials.apply(Failed(trial_id=name, at=0.0, error="why"))

    assert [row.trial_id for row in rows().table(trials)] == ["0000", "0002"]
