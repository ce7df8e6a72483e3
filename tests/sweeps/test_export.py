"""What is exported is what was trained: the same loss in transformers alone, or nothing at all."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
import yaml

from sweeps import export
from sweeps.record.folder import RunFolder
from sweeps.record.tables import Result, read_results
from tinystories import checkpoint
from tinystories.config import TrialConfig
from tinystories.data.dataset import Dataset
from tinystories.models import size
from tinystories.trainer import Trainer

from .driving import write_results
from .examples import RESULT, minimal


@pytest.fixture
def run(tmp_path: Path, dataset: Dataset) -> Path:
    """A run folder with one trained trial, as a sweep leaves it."""
    folder = RunFolder(tmp_path / "run")
    config = TrialConfig(depth=3, width=16, heads=2, budget=4e3, context=32, window=8, batch_size=4, evaluations=2)
    trainer = Trainer(config, dataset, device="cpu")
    for _ in trainer.run():
        location = checkpoint.save(trainer.checkpoint(), str(folder.checkpoints / "0000"))
    last = trainer.checkpoint().metrics
    row = replace(
        RESULT,
        depth=3,
        width=16,
        heads=2,
        parameters=size.parameters(config.model(dataset.vocab_size)),
        val_loss=last.val_loss,
        best_val_loss=last.best_val_loss,
        checkpoint=str(Path(location).relative_to(folder.root)),
    )
    write_results(folder.results, [row])
    folder.spec.write_text(yaml.safe_dump(minimal()))
    folder.origin.write_text(json.dumps({"location": str(dataset.folder)}))
    return folder.root


def change_row(run: Path, change: Callable[[Result], Result]) -> None:
    write_results(run / "results.csv", [change(row) for row in read_results(run / "results.csv")])


def transformers_loss(folder: Path, dataset: Dataset, context: int) -> float:
    """Mean loss over valid.bin, by a loop that knows transformers alone."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokens = torch.from_numpy(dataset.valid.astype("int64"))
    total = 0.0
    for start in range(0, len(tokens) - 1, context):
        window = tokens[start : start + context + 1]
        with torch.no_grad():
            logits = model(window[None, :-1]).logits[0]
        total += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
    return total / (len(tokens) - 1)


def test_transformers_alone_finds_the_reported_loss(run: Path, tmp_path: Path, dataset: Dataset) -> None:
    loss, result = export.export(run, tmp_path / "best")

    assert loss == pytest.approx(result.best_val_loss, abs=1e-3)
    assert transformers_loss(tmp_path / "best", dataset, context=32) == pytest.approx(loss, abs=1e-3)


def test_the_tokenizer_that_comes_along_gives_the_same_ids(run: Path, tmp_path: Path, dataset: Dataset) -> None:
    export.export(run, tmp_path / "best")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "best")
    text = tokenizer.decode(dataset.valid[:200].tolist())

    assert tokenizer(text)["input_ids"] == dataset.valid[:200].tolist()
    assert tokenizer.decode([tokenizer.eos_token_id]) == "<|endoftext|>"


def test_the_model_generates_by_its_own_settings(run: Path, tmp_path: Path) -> None:
    export.export(run, tmp_path / "best")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "best")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "best")
    prompt = tokenizer("Once", return_tensors="pt")

    assert model.generate(**prompt, max_new_tokens=5).shape[1] <= prompt["input_ids"].shape[1] + 5
    assert model.config.eos_token_id == tokenizer.eos_token_id


def test_the_model_card_says_what_it_is(run: Path, tmp_path: Path, dataset: Dataset) -> None:
    loss, _ = export.export(run, tmp_path / "best")
    card = (tmp_path / "best/README.md").read_text()

    for expected in ("depth 3, width 16, heads 2", f"{loss:.4f} nat/token", dataset.fingerprint, "run_cap: 4"):
        assert expected in card


def test_another_loss_than_it_measures_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_row(run, lambda row: replace(row, best_val_loss=row.best_val_loss - 0.01))

    assert export.main([str(run), "--out", str(tmp_path / "best")]) == 2
    assert "nothing was exported" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_checkpoint_that_gave_way_to_a_later_one_is_found(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (row,) = read_results(run / "results.csv")
    earlier = replace(row, val_loss=5.0, best_val_loss=5.0, tokens=1, checkpoint="checkpoints/0000/gone.pt")
    gone = replace(row, trial_id="0001", best_val_loss=1.0, checkpoint="checkpoints/0001/gone.pt")
    write_results(run / "results.csv", [earlier, gone])

    loss, exported = export.export(Path("run"), Path("best"))
    assert (exported.trial_id, exported.best_val_loss) == ("0000", row.best_val_loss)
    assert loss == pytest.approx(row.best_val_loss, abs=1e-3)
    assert exported.tokens > 1


@pytest.mark.parametrize(
    ("change", "trial", "message"),
    [
        ({"checkpoint": ""}, [], "no usable checkpoint"),
        ({"status": "failed", "best_val_loss": math.nan}, [], "no usable checkpoint"),
        ({}, ["--trial", "0007"], "trial '0007' has no usable checkpoint; trials that have one: 0000"),
        ({}, ["--data", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
    trial: list[str],
    message: str,
) -> None:
    change_row(run, lambda row: replace(row, **change))  # type: ignore[arg-type]

    assert export.main([str(run), "--out", str(tmp_path / "best"), *trial]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "best").exists()


def test_a_folder_that_is_no_sweep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main([str(tmp_path), "--out", str(tmp_path / "best")]) == 2
    assert "is not the run folder of a sweep" in capsys.readouterr().err


def test_a_folder_with_other_things_is_not_replaced(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").write_text("cat")

    assert export.main([str(run), "--out", str(tmp_path / "photos")]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / "photos/cat.jpg").exists()


def test_an_earlier_export_is_replaced(run: Path, tmp_path: Path) -> None:
    export.export(run, tmp_path / "best")
    export.export(run, tmp_path / "best")

    assert (tmp_path / "best/model.safetensors").exists()
