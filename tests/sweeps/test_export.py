"""What is exported is what was trained: the same loss in transformers alone, or nothing at all."""

import itertools
import json
import math
import os
import resource
import shlex
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml

from sweeps import export
from sweeps.events import Completed, Evaluated, Paused, Promoted, Proposed, Stopped, from_line, to_line
from sweeps.record.folder import RunFolder
from sweeps.record.journal import Journal, read
from tinystories import checkpoint
from tinystories import trainer as trainer_module
from tinystories.config import TrialConfig
from tinystories.data.dataset import Dataset
from tinystories.device import precision
from tinystories.evaluate import Evaluation
from tinystories.trainer import Trainer

from .examples import minimal


@pytest.fixture
def run(tmp_path: Path, dataset: Dataset) -> Path:
    """A run folder with one trained trial."""
    return make_run(tmp_path / "run", dataset)


def make_run(root: Path, dataset: Dataset, *, evaluations: int = 2, **changes: Any) -> Path:
    """A run folder as a sweep leaves it, with one trial of two evaluations, stopped after so many."""
    folder = RunFolder(root)
    shape = {"depth": 3, "width": 16, "heads": 2, "context": 32, "window": 8}
    config = TrialConfig(**{**shape, "budget": 4e3, "batch_size": 4, "evaluations": 2} | changes)  # type: ignore[arg-type]
    trainer = Trainer(config, dataset, device="cpu")
    for _ in itertools.islice(trainer.run(), evaluations):
        location = checkpoint.save(trainer.checkpoint(), str(folder.checkpoints / "0000"))
    assignment: dict[str, Any] = {"depth": 3, "width": 16, "heads": 2}
    kept = str(Path(location).relative_to(folder.root))
    end = Completed if evaluations == 2 else Stopped
    journal = Journal(folder.journal)
    list(journal.open())
    journal.append(
        Proposed(trial_id="0000", at=0.0, assignment=assignment),
        Evaluated(trial_id="0000", at=1.0, metrics=trainer.checkpoint().metrics, checkpoint=kept),
        end(trial_id="0000", at=1.0),
    )
    folder.spec.write_text(yaml.safe_dump(minimal()), encoding="utf-8")
    folder.origin.write_text(json.dumps({"location": str(dataset.folder)}), encoding="utf-8")
    return folder.root


def change(run: Path, kind: type[Any], **changes: Any) -> None:
    """Tell other values in the journal's events of a kind."""
    journal = run / "journal.jsonl"
    head, *lines = journal.read_text(encoding="utf-8").splitlines()
    events = [from_line(line) for line in lines]
    changed = [replace(event, **changes) if isinstance(event, kind) else event for event in events]
    journal.write_text("\n".join([head, *map(to_line, changed), ""]), encoding="utf-8")


def evaluated(run: Path) -> Evaluated:
    """The trial's evaluation as its journal has it."""
    (event,) = (line.event for line in read(run / "journal.jsonl") if isinstance(line.event, Evaluated))
    return event


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


def test_the_tokenizer_is_named_as_transformers_4_knows_it_too(run: Path, tmp_path: Path) -> None:
    """Version 4.57 refuses the TokenizersBackend that version 5 writes; so do the tools that are built on it."""
    export.export(run, tmp_path / "best")
    settings = json.loads((tmp_path / "best/tokenizer_config.json").read_text(encoding="utf-8"))

    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert not [value for value in settings.values() if isinstance(value, str) and str(tmp_path) in value]


def test_the_files_have_the_permissions_that_the_umask_leaves(run: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        export.export(run, tmp_path / "best")
    finally:
        os.umask(before)

    assert {stat.filemode(path.stat().st_mode) for path in (tmp_path / "best").iterdir()} == {"-rw-r-----"}


def test_the_model_generates_by_its_own_settings(run: Path, tmp_path: Path) -> None:
    export.export(run, tmp_path / "best")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "best")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "best")
    prompt = tokenizer("Once", return_tensors="pt")

    assert model.generate(**prompt, max_new_tokens=5).shape[1] <= prompt["input_ids"].shape[1] + 5
    assert model.config.eos_token_id == tokenizer.eos_token_id


def test_the_model_card_says_what_it_is(run: Path, tmp_path: Path, dataset: Dataset) -> None:
    loss, _ = export.export(run, tmp_path / "best")
    card = (tmp_path / "best/README.md").read_text(encoding="utf-8")
    used = str(precision("auto", torch.device("cpu"))).removeprefix("torch.")

    for expected in (
        *("depth 3, width 16, heads 2", f"{loss:.4f} nat/token", dataset.fingerprint, "run_cap: 4"),
        *(f"| dtype | {used} (asked for: auto) |", "| mlp_ratio | 4 |"),
    ):
        assert expected in card
    assert "| licence of the data | mit |" in card  # of the built-in stories


def test_the_model_card_names_licence_and_source_of_the_data(run: Path, tmp_path: Path, dataset: Dataset) -> None:
    data = shutil.copytree(dataset.folder, tmp_path / "data")
    known = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    more = {"license": "cdla-sharing-1.0", "citation": "@article{stories}"}
    (data / "dataset.json").write_text(json.dumps(known | more), encoding="utf-8")

    export.export(run, tmp_path / "best", data=str(data))
    card = (tmp_path / "best/README.md").read_text(encoding="utf-8")

    assert "| licence of the data | cdla-sharing-1.0 |" in card
    assert "@article{stories}" in card


def test_a_stopped_trial_is_held_to_the_loss_on_its_sample(tmp_path: Path, dataset: Dataset) -> None:
    run = make_run(tmp_path / "run", dataset, evaluations=1, evaluation_tokens=2000)
    loss, row = export.export(run, tmp_path / "best")

    assert abs(loss - row.best_val_loss) > export.TOLERANCE  # of the whole file, which the trial has not read
    assert transformers_loss(tmp_path / "best", dataset, context=32) == pytest.approx(loss, abs=1e-3)


def test_a_finished_trial_is_exported_and_held_to_the_whole_file_though_it_was_better_before(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made to read an easier sample at its first evaluation."""
    measured = trainer_module.evaluate
    calls = itertools.count()

    def easier_at_first(*arguments: Any, **options: Any) -> Evaluation:
        found = measured(*arguments, **options)
        return replace(found, loss=1.0) if next(calls) == 0 else found

    monkeypatch.setattr(trainer_module, "evaluate", easier_at_first)
    run = make_run(tmp_path / "run", dataset, evaluation_tokens=2000)
    loss, row = export.export(run, tmp_path / "best")

    assert row.checkpoint.endswith("-last.pt")
    assert loss == pytest.approx(row.best_val_loss, abs=1e-3)
    assert transformers_loss(tmp_path / "best", dataset, context=32) == pytest.approx(loss, abs=1e-3)


def test_a_finalist_whose_end_was_not_written_down_ranks_by_the_text_of_its_checkpoint(
    run: Path, tmp_path: Path
) -> None:
    """Killed after its last checkpoint, it still has the row of the rung where it had paused."""
    folder = run / "checkpoints/0000"
    metrics = evaluated(run).metrics
    change(run, Evaluated, metrics=replace(metrics, evaluation=1, tokens=1), checkpoint="checkpoints/0000/gone.pt")
    journal = run / "journal.jsonl"
    journal.write_text("".join(journal.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    Journal(journal).append(
        Paused(trial_id="0000", at=1.0),
        Promoted(trial_id="0000", at=2.0),
        Proposed(trial_id="0001", at=2.0, assignment={"depth": 1, "width": 16, "heads": 1}),
        Evaluated(
            trial_id="0001",
            at=3.0,
            metrics=replace(metrics, evaluation=1, best_val_loss=metrics.best_val_loss - 1),
            checkpoint=f"checkpoints/0000/{next(folder.glob('*-last.pt')).name}",
        ),
        Stopped(trial_id="0001", at=3.0),
    )

    row = export.export(run, tmp_path / "best")[1]
    assert (row.trial_id, row.status, row.best_val_loss) == ("0000", "completed", metrics.best_val_loss)


def test_another_loss_than_it_measures_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = evaluated(run).metrics
    change(run, Evaluated, metrics=replace(metrics, best_val_loss=metrics.best_val_loss - 0.01))

    assert export.main([str(run), "--out", str(tmp_path / "best")]) == 2
    assert "nothing was exported" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_checkpoint_that_gave_way_to_a_later_one_is_found(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    metrics = evaluated(run).metrics
    earlier = replace(metrics, val_loss=5.0, best_val_loss=5.0, tokens=1)
    change(run, Evaluated, metrics=earlier, checkpoint="checkpoints/0000/gone.pt")
    Journal(run / "journal.jsonl").append(
        Proposed(trial_id="0001", at=2.0, assignment={"depth": 1, "width": 16, "heads": 1}),
        Evaluated(
            trial_id="0001",
            at=3.0,
            metrics=replace(metrics, best_val_loss=1.0),
            checkpoint="checkpoints/0001/gone.pt",
        ),
        Completed(trial_id="0001", at=3.0),
    )

    loss, exported = export.export(Path("run"), Path("best"))
    assert (exported.trial_id, exported.best_val_loss) == ("0000", metrics.best_val_loss)
    assert loss == pytest.approx(metrics.best_val_loss, abs=1e-3)
    assert exported.tokens > 1


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_model_that_measures_no_number_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], loss: float
) -> None:
    (location,) = {path for path in (run / "checkpoints/0000").iterdir() if "0002" in path.name}
    saved = checkpoint.load(str(location))
    saved.model["ln_f.weight"].fill_(loss)
    location.unlink()
    checkpoint.save(saved, str(location.parent))

    assert export.main([str(run), "--out", str(tmp_path / "best")]) == 2
    assert "the exported files have a loss of nan" in capsys.readouterr().err
    assert not (tmp_path / "best").exists()


def test_data_that_have_moved_are_asked_for(
    run: Path, tmp_path: Path, dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = run.rename(tmp_path / "elsewhere")
    (moved / "origin.json").write_text(json.dumps({"location": str(tmp_path / "gone")}), encoding="utf-8")

    assert export.main([str(moved), "--out", str(tmp_path / "best")]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "gone") in error
    assert "--data FOLDER" in error
    assert export.main([str(moved), "--out", str(tmp_path / "best"), "--data", str(dataset.folder)]) == 0


@pytest.mark.parametrize("room", [0, 1000, 10_000, 40_000])
def test_a_full_disk_is_one_line_and_leaves_nothing_behind(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], room: int
) -> None:
    """Files may not be larger than so many bytes: what each library raises then is what it raises on a full disk."""
    export.export(run, tmp_path / "best")
    before = {path.name: path.read_bytes() for path in (tmp_path / "best").iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        status = export.main([str(run), "--out", str(tmp_path / "best")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert status == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert {path.name: path.read_bytes() for path in (tmp_path / "best").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "run"]


@pytest.mark.parametrize("name", ["what?", "50%20", "a#b", "two words", "[red]x", "été-物語", "two\nlines", "it's"])
def test_folders_may_have_any_name(
    tmp_path: Path, dataset: Dataset, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    run, out = make_run(tmp_path / name / "run", dataset), tmp_path / name / "best"

    assert export.main([str(run), "--out", str(out)]) == 0

    shown = capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert shlex.split(shown.partition("Let it write:\n")[2])[3] == str(out)
    code = (out / "README.md").read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    loaded: dict[str, Any] = {}
    exec(code.partition("prompt =")[0], loaded)  # as a reader would paste it
    assert loaded["model"].config.hidden_size == 16


@pytest.mark.parametrize(
    ("spoil", "trial", "message"),
    [
        (lambda run: change(run, Evaluated, checkpoint=""), [], "no usable checkpoint"),
        (
            lambda run: change(run, Evaluated, metrics=replace(evaluated(run).metrics, best_val_loss=math.nan)),
            [],
            "no usable checkpoint",
        ),
        (lambda run: None, ["--trial", "0007"], "trial '0007' has no usable checkpoint; trials that have one: 0000"),
        (lambda run: None, ["--data", "nowhere"], "nowhere"),
        (lambda run: (run / "journal.jsonl").unlink(), [], "version 0.1 began it"),
        (lambda run: (run / "journal.jsonl").write_text("{}", encoding="utf-8"), [], "has no whole line"),
        (lambda run: (run / "spec.yaml").write_text("[", encoding="utf-8"), [], "spec.yaml: not YAML"),
        (lambda run: (run / "spec.yaml").write_text("", encoding="utf-8"), [], "spec.yaml: a sweep is a mapping"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    trial: list[str],
    message: str,
) -> None:
    spoil(run)

    assert export.main([str(run), "--out", str(tmp_path / "best"), *trial]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "best").exists()


def test_a_table_that_somebody_changed_is_not_believed(run: Path, tmp_path: Path) -> None:
    (run / "results.csv").write_text("trial_id,checkpoint\n../../x,/etc/passwd\n", encoding="utf-8")

    assert export.export(run, tmp_path / "best")[1].trial_id == "0000"


def test_a_folder_that_is_no_sweep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main([str(tmp_path), "--out", str(tmp_path / "best")]) == 2
    assert "is not the run folder of a sweep" in capsys.readouterr().err


def test_a_folder_with_other_things_is_not_replaced(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").write_text("cat", encoding="utf-8")

    assert export.main([str(run), "--out", str(tmp_path / "photos")]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / "photos/cat.jpg").exists()


def test_an_earlier_export_is_replaced(run: Path, tmp_path: Path) -> None:
    export.export(run, tmp_path / "best")
    export.export(run, tmp_path / "best")

    assert (tmp_path / "best/model.safetensors").exists()
