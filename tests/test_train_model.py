import errno
import gc
import os
import shlex
import shutil
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.live import Live

from tinystories import checkpoint, predict_model, train_model
from tinystories.config import TrialConfig, field_names
from tinystories.data.make_dataset import make_stories
from tinystories.train_model import main
from tinystories.trainer import Trainer

TINY = ["--depth", "1", "--width", "16", "--heads", "2", "--context", "32", "--evaluations", "2", "--tokens", "5k"]


def arguments(data: Path, out: Path, *more: str) -> list[str]:
    return [*TINY, "--data", str(data), "--out", str(out), "--threads", "1", *more]


def test_trained_model_is_in_its_folder(data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(arguments(data_folder, tmp_path / "one"))

    shown = capsys.readouterr()
    trained = checkpoint.load(checkpoint.latest(str(tmp_path / "one")) or "")
    assert status == 0
    assert trained.metrics.evaluation == 2
    assert (tmp_path / "one/tokenizer.json").read_bytes() == (data_folder / "tokenizer.json").read_bytes()
    assert f"val_loss {trained.metrics.val_loss:.4f} nat/token" in shown.out
    assert f"python -m tinystories.predict_model {tmp_path}/one --prompt" in shown.out
    assert len(shown.out.splitlines()) == 1
    assert "evaluation 1/2" in shown.err
    assert "evaluation 2/2" in shown.err


def test_the_progress_bar_does_not_keep_the_model(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread ends after it: had the thread the last hold on the model, the command could abort at its end."""
    bars: list[Live] = []
    trainers: list[weakref.ref[Trainer]] = []

    def bar(**options: Any) -> Live:
        bars.append(Live(**options))
        return bars[-1]

    def trainer(*args: Any, **options: Any) -> Trainer:
        made = Trainer(*args, **options)
        trainers.append(weakref.ref(made))
        return made

    monkeypatch.setattr(train_model, "Live", bar)
    monkeypatch.setattr(train_model, "Trainer", trainer)

    assert main(arguments(data_folder, tmp_path / "one")) == 0
    gc.collect()

    assert bars
    assert [made() for made in trainers] == [None]


def test_same_command_again_prints_the_result_without_training(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments(data_folder, tmp_path / "one"))
    first = capsys.readouterr().out
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").glob("*.pt")}

    assert main(arguments(data_folder, tmp_path / "one")) == 0
    assert capsys.readouterr().out == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "one").glob("*.pt")} == files


def test_folder_of_another_trial_is_refused_by_the_difference(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments(data_folder, tmp_path / "one"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    capsys.readouterr()

    status = main(arguments(data_folder, tmp_path / "one", "--learning-rate", "0.5"))

    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith(f"error: {tmp_path}/one/evaluation-0002-")
    assert error.endswith("not 0.5\n")
    assert "learning_rate" in error
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--heads", "3"], "error: width 16 is not divisible by heads 3; allowed heads: 1, 2, 4, 8, 16"),
        (["--tokens", "10"], "error: budget 10 tokens is 1 updates of 512 tokens; allowed: at least one for each of"),
        (["--context", "1000000", "--tokens", "1B"], "error: context 1000000 is too long: the training text has"),
        (["--width", "10000000"], "error: out of memory; lower --width"),
        (["--seed", "-1"], "error: seed -1 is not among 0 to"),
        (["--learning-rate", "inf"], "error: learning_rate inf is not a finite number"),
        (["--threads", "0"], "error: threads 0 must be above 0"),
        (["--device", "tpu"], "error: device 'tpu'"),
        (["--data", "nowhere"], "error: no dataset in nowhere"),
        (["--context", "1M"], "invalid int value: '1M'"),
        (["--tokens", "many"], "'many' is not a number; write 2000000, 2M"),
        (["--seconds", "5"], "not allowed with argument"),
        (["--dtype", "float16"], "invalid choice: 'float16'"),
    ],
)
def test_what_a_user_does_wrong_is_told_in_one_line(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    try:
        status = main(arguments(data_folder, tmp_path / "one", *more))
    except SystemExit as stopped:  # argparse's own errors
        status = int(stopped.code or 0)

    assert status == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "one").exists()


def test_output_folder_that_is_a_file_is_refused(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one").write_text("mine", encoding="utf-8")

    assert main(arguments(data_folder, tmp_path / "one")) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert (tmp_path / "one").read_text(encoding="utf-8") == "mine"


def test_divergence_is_reported_and_not_saved(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = ["--learning-rate", "1e5", "--gradient-clip", "1e9", "--warmup", "0"]

    assert main(arguments(data_folder, tmp_path / "one", *wild)) == 1
    assert "try a lower --learning-rate" in capsys.readouterr().err
    assert checkpoint.latest(str(tmp_path / "one")) is None


def test_every_field_of_a_trial_is_a_flag_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    text = " ".join(capsys.readouterr().out.split())
    flags = [name.replace("_", "-") for name in field_names(TrialConfig) if name not in ("axis", "budget")]
    assert all(f"--{flag} " in text for flag in flags)
    assert "--gradient-clip GRADIENT_CLIP see TrialConfig (default: 1.0)" in text
    assert "described in tinystories/config.py" in text


def test_default_data_are_built_in_stories_made_on_the_spot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = partial(make_stories, stories=60, tokenizer="bpe:300", valid_stories=5)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train_model, "make_stories", few)

    assert main([*TINY, "--threads", "1"]) == 0
    assert "no dataset in data/processed: making one of built-in stories" in capsys.readouterr().err
    assert (tmp_path / "models/one/tokenizer.json").exists()


def test_interrupted_training_goes_on_where_it_was(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments(data_folder, tmp_path / "whole"))
    expected = capsys.readouterr().out.partition(";")[0]
    save = checkpoint.save

    def save_and_interrupt(state: checkpoint.Checkpoint, folder: str) -> str:
        save(state, folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_and_interrupt)
        assert main(arguments(data_folder, tmp_path / "one")) == 130
    assert "the same command resumes from the last evaluation" in capsys.readouterr().err
    assert main(arguments(data_folder, tmp_path / "one")) == 0

    shown = capsys.readouterr()
    assert "was trained up to here" in shown.err
    assert shown.out.partition(";")[0] == expected


def damage(data: Path) -> None:
    content = bytearray((data / "train.bin").read_bytes())
    content[100] ^= 1
    (data / "train.bin").write_bytes(content)


@pytest.mark.parametrize("spoil", [damage, lambda data: (data / "dataset.json").unlink()])
def test_damaged_data_are_refused_and_kept(
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    data = Path("data/processed")
    shutil.copytree(data_folder, data)
    spoil(data)
    before = {path.name: path.read_bytes() for path in data.iterdir()}

    assert main([*TINY, "--threads", "1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "data/processed" in line
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def test_folder_with_other_files_is_refused(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.safetensors").write_text("mine", encoding="utf-8")

    assert main(arguments(data_folder, tmp_path)) == 2
    assert capsys.readouterr().err == f"error: {tmp_path} holds other files (model.safetensors); name another folder\n"
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_full_disk_leaves_no_file_behind(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)

    assert main(arguments(data_folder, tmp_path / "one")) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: [Errno 28] No space left on device: '{tmp_path}/one/evaluation-0001-")
    assert list((tmp_path / "one").iterdir()) == []


def test_tokenizer_is_written_once_and_again_where_it_is_missing(data_folder: Path, tmp_path: Path) -> None:
    tokenizer = tmp_path / "one/tokenizer.json"
    main(arguments(data_folder, tmp_path / "one"))
    tokenizer.unlink()

    assert main(arguments(data_folder, tmp_path / "one")) == 0
    stamp = tokenizer.stat().st_mtime_ns
    assert main(arguments(data_folder, tmp_path / "one")) == 0
    assert tokenizer.stat().st_mtime_ns == stamp


def test_odd_names_of_folders_work_and_are_printed_to_be_pasted(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "[red]a?b #c%20d 'ü'\n:smile:"
    shutil.copytree(data_folder, folder / "data")
    for _ in range(2):
        assert main(arguments(folder / "data", folder / "one")) == 0
    shown = capsys.readouterr()

    assert f"{folder}/one was trained up to here" in shown.err
    command = shlex.split(shown.out.rpartition("make a story: ")[2])
    assert command[3:] == [f"{folder}/one", "--prompt", "Once upon a time"]
    assert predict_model.main([*command[3:], "--max-tokens", "3"]) == 0
    assert capsys.readouterr().out.startswith("Once upon a time")


def test_home_folder_is_meant_by_a_tilde_wherever_it_is_written(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(data_folder, tmp_path / "data")

    assert main([*TINY, "--threads", "1", "--data=~/data", "--out=~/one"]) == 0
    assert checkpoint.latest(str(tmp_path / "one"))
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("uri", ["http://host/data", "hf://datasets/a/b"])
def test_data_that_no_store_has_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], uri: str
) -> None:
    assert main([*TINY, "--data", uri, "--out", str(tmp_path / "one")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"error: {uri}/dataset.json: {uri[: uri.index(':')]}:// is no storage; allowed: a path, file://"
    )
