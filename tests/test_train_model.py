from functools import partial
from pathlib import Path

import pytest

from tinystories import checkpoint, train_model
from tinystories.config import TrialConfig, field_names
from tinystories.data.make_dataset import make_stories
from tinystories.train_model import main

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
    (tmp_path / "one").write_text("mine")

    assert main(arguments(data_folder, tmp_path / "one")) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert (tmp_path / "one").read_text() == "mine"


def test_divergence_is_reported_and_not_saved(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = ["--learning-rate", "1e5", "--gradient-clip", "1e9", "--warmup", "0"]

    assert main(arguments(data_folder, tmp_path / "one", *wild)) == 1
    assert "diverged at step" in capsys.readouterr().err
    assert checkpoint.latest(str(tmp_path / "one")) is None


def test_every_field_of_a_trial_is_a_flag_with_its_description(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    text = " ".join(capsys.readouterr().out.split())
    flags = [name.replace("_", "-") for name in field_names(TrialConfig) if name not in ("axis", "budget")]
    assert all(f"--{flag} " in text for flag in flags)
    assert "Largest norm of the gradient. (default: 1.0)" in text


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
    assert "the same command goes on from the last evaluation" in capsys.readouterr().err
    assert main(arguments(data_folder, tmp_path / "one")) == 0

    shown = capsys.readouterr()
    assert "was trained up to here" in shown.err
    assert shown.out.partition(";")[0] == expected
