import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tinystories.checkpoint import Checkpoint, best, latest, load, resume, save
from tinystories.config import TrialConfig
from tinystories.metrics import Metrics


def make_checkpoint(evaluation: int, val_loss: float) -> Checkpoint:
    config = TrialConfig(depth=1, width=8, heads=2, budget=1e4, context=8)
    metrics = Metrics(
        evaluation=evaluation,
        step=evaluation,
        tokens=100,
        flops=1e6,
        seconds=1.0,
        train_loss=2.0,
        val_loss=val_loss,
        val_loss_se=0.01,
        sample_loss=val_loss,
        val_bpb=1.0,
        best_val_loss=val_loss,
        learning_rate=1e-3,
        tokens_per_second=1e3,
    )
    return Checkpoint(
        config=config,
        model_config=config.model(vocab_size=20),
        precision="float32",
        data_fingerprint="abc",
        tokenizer="bpe:20",
        metrics=metrics,
        model={"weight": torch.arange(1000.0)},
        optimizer={"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        first_loss=3.0,
    )


def save_all(folder: Path, losses: list[float]) -> None:
    for evaluation, loss in enumerate(losses, start=1):
        save(make_checkpoint(evaluation, loss), str(folder))


def test_loaded_checkpoint_is_the_saved_one(tmp_path: Path) -> None:
    saved = make_checkpoint(3, 1.5)

    loaded = load(save(saved, str(tmp_path)))

    assert torch.equal(loaded.model["weight"], saved.model["weight"])
    assert loaded.optimizer == saved.optimizer
    assert replace(loaded, model={}, optimizer={}) == replace(saved, model={}, optimizer={})


@pytest.mark.parametrize("as_uri", [False, True])
@pytest.mark.parametrize(
    ("losses", "kept", "best_evaluation"),
    [([3.0], {1}, 1), ([3.0, 2.0, 1.0], {3}, 3), ([3.0, 1.0, 2.0, 2.5], {2, 4}, 2), ([1.0, 1.0], {2}, 2)],
)
def test_latest_and_best_remain(
    tmp_path: Path, as_uri: bool, losses: list[float], kept: set[int], best_evaluation: int
) -> None:
    folder = f"file://{tmp_path}/trial" if as_uri else str(tmp_path / "trial")
    for evaluation, loss in enumerate(losses, start=1):
        location = save(make_checkpoint(evaluation, loss), folder)

    last, lowest = latest(folder), best(folder)

    assert last == location
    assert lowest
    assert load(lowest).metrics.evaluation == best_evaluation
    assert {load(f"{folder}/{name}").metrics.evaluation for name in os.listdir(tmp_path / "trial")} == kept


def test_a_trial_that_has_spent_its_budget_keeps_its_last_checkpoint_alone(tmp_path: Path) -> None:
    """It is ranked by its last loss, over all stories, so that is the model to keep, even after a lower sample loss."""
    save_all(tmp_path, [3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    earlier = (tmp_path / "evaluation-0002-loss-1.000000.pt").read_bytes()
    last = save(make_checkpoint(9, 2.5), str(tmp_path))

    assert os.listdir(tmp_path) == ["evaluation-0009-loss-2.500000-last.pt"]
    (tmp_path / "evaluation-0002-loss-1.000000.pt").write_bytes(earlier)  # a kill before it was deleted
    assert best(str(tmp_path)) == latest(str(tmp_path)) == last


def test_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")

    assert latest(str(tmp_path)) is None
    assert best(str(tmp_path / "missing")) is None


def test_saving_leaves_foreign_files_alone(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")

    save_all(tmp_path, [3.0, 2.0])

    assert (tmp_path / "tokenizer.json").exists()


def test_unfinished_file_is_not_the_latest(tmp_path: Path) -> None:
    save_all(tmp_path, [3.0])
    (tmp_path / ".evaluation-0002-loss-1.000000.pt.1a2b3c4d.tmp").write_bytes(b"half")

    assert latest(str(tmp_path)) == best(str(tmp_path)) == f"{tmp_path}/evaluation-0001-loss-3.000000.pt"


def test_previous_checkpoint_survives_a_failed_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError("No space left on device")

    save_all(tmp_path, [3.0])
    before = os.listdir(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(OSError, match="No space left"):
        save(make_checkpoint(2, 2.0), str(tmp_path))

    assert os.listdir(tmp_path) == before


def test_files_left_by_a_kill_before_the_clean_up_do_not_confuse(tmp_path: Path) -> None:
    save_all(tmp_path, [3.0])
    left = (tmp_path / "evaluation-0001-loss-3.000000.pt").read_bytes()
    save(make_checkpoint(2, 2.0), str(tmp_path))
    (tmp_path / "evaluation-0001-loss-3.000000.pt").write_bytes(left)

    save(make_checkpoint(3, 2.5), str(tmp_path))

    assert sorted(os.listdir(tmp_path)) == ["evaluation-0002-loss-2.000000.pt", "evaluation-0003-loss-2.500000.pt"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_torn_file_is_refused_by_name(tmp_path: Path, share: float) -> None:
    path = Path(save(make_checkpoint(1, 3.0), str(tmp_path)))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])

    with pytest.raises(ValueError, match=f"{path.name} is damaged"):
        load(str(path))


@pytest.mark.parametrize("content", [b"text", b"\x80\x02}.", b"PK\x03\x04"])
def test_foreign_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evaluation-0001-loss-3.000000.pt"
    path.write_bytes(content)

    with pytest.raises(ValueError, match=f"{path.name} is damaged or not a checkpoint; delete it"):
        load(str(path))


def test_changed_bytes_are_found(tmp_path: Path) -> None:
    path = Path(save(make_checkpoint(1, 3.0), str(tmp_path)))
    content = bytearray(path.read_bytes())
    place = content.index(torch.arange(1000.0)[500:510].numpy().tobytes())
    content[place] ^= 0xFF
    path.write_bytes(content)

    with pytest.raises(ValueError, match="is damaged"):
        load(str(path))


def test_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evaluation-0001-loss-3.000000.pt"
    torch.save({"version": 2}, path)

    for read in (lambda: load(str(path)), lambda: resume(str(tmp_path))):
        with pytest.raises(ValueError, match=r"000\.pt is not a checkpoint of version 4, .* or delete it"):
            read()
    assert path.exists()


@pytest.mark.parametrize(("damaged", "taken"), [((), 3), ((3,), 2), ((2,), 3), ((2, 3), None)])
def test_the_latest_whole_checkpoint_is_taken_and_damaged_ones_behind_it_go(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: tuple[int, ...], taken: int | None
) -> None:
    save_all(tmp_path, [3.0, 2.0, 2.5])
    for path in tmp_path.iterdir():
        if int(path.name[11:15]) in damaged:
            path.write_bytes(path.read_bytes()[:-100])

    found = resume(str(tmp_path))

    assert (found and found.metrics.evaluation) == taken
    assert caplog.text.count("is damaged: deleted") == (0 if taken == 3 else len(damaged))
    assert sorted(int(path.name[11:15]) for path in tmp_path.iterdir()) == [n for n in (2, 3) if n <= (taken or 0)]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.pt"):
        load(str(tmp_path / "missing.pt"))


@pytest.mark.parametrize("failure", [MemoryError(), OSError(28, "No space left on device")])
def test_failure_of_the_machine_is_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise failure

    location = save(make_checkpoint(1, 3.0), str(tmp_path))
    monkeypatch.setattr(torch, "load", fail)

    with pytest.raises(type(failure)):
        load(location)
