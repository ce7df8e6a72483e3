import os
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from subprocess import CompletedProcess, run
from sys import executable

import pytest
import torch
from safetensors.torch import load_file, save_file

from tinystories import checkpoint
from tinystories.config import ModelConfig
from tinystories.data.dataset import Dataset
from tinystories.data.tokenizer import Tokenizer, load_tokenizer, train_bpe
from tinystories.models.conversion import to_transformers
from tinystories.models.model import GPTNeo
from tinystories.predict_model import generate, load_model, main
from tinystories.train_model import main as train_main


@pytest.fixture(scope="module")
def tokenizer(data_folder: Path) -> Tokenizer:
    return load_tokenizer(data_folder)


@pytest.fixture(scope="module")
def model(dataset: Dataset) -> GPTNeo:
    """A model that has learned nothing, and so tells every byte there is."""
    torch.manual_seed(0)
    config = ModelConfig(depth=2, width=16, heads=2, vocab_size=dataset.vocab_size, context=24, window=8)
    return GPTNeo(config).eval()


@pytest.fixture(scope="module")
def trained(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of train_model."""
    out = tmp_path_factory.mktemp("models") / "one"
    shape = ["--depth", "1", "--width", "16", "--heads", "2", "--context", "32", "--batch-size", "4"]
    budget = ["--tokens", "5k", "--evaluations", "2"]
    assert train_main([*shape, *budget, "--data", str(data_folder), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as a Hugging Face folder."""
    folder = tmp_path_factory.mktemp("models") / "exported"
    model, tokenizer = load_model(str(trained))
    to_transformers(model, end_of_text=tokenizer.end_of_text).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((trained / "tokenizer.json").read_bytes())
    return folder


def test_same_seed_tells_the_same_story(model: GPTNeo, tokenizer: Tokenizer) -> None:
    one, again, other = ("".join(generate(model, tokenizer, "Once", max_tokens=40, seed=seed)) for seed in (1, 1, 2))

    assert one == again
    assert one != other


def test_story_is_longer_than_the_context_if_asked(model: GPTNeo, tokenizer: Tokenizer) -> None:
    story = "".join(generate(model, tokenizer, "Once upon a time " * 20, max_tokens=100, temperature=2.0, seed=3))

    assert len(tokenizer.encode(story)) > model.config.context


@pytest.mark.parametrize("seed", range(5))
def test_pieces_are_whole_characters(model: GPTNeo, tokenizer: Tokenizer, seed: int) -> None:
    """Whatever bytes a model makes up, the pieces join to what the tokenizer reads in all of them together."""
    pieces = list(generate(model, tokenizer, "", max_tokens=60, temperature=1.5, seed=seed))
    story = "".join(pieces)

    assert story.encode("utf-8").decode("utf-8") == story
    assert not any(piece.endswith("\N{REPLACEMENT CHARACTER}") for piece in pieces)


def test_character_of_several_tokens_comes_in_one_piece(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("a😀é!")
    model = Recital([*tokens, tokenizer.end_of_text], tokenizer.vocab_size)

    pieces = list(generate(model, tokenizer, "", temperature=0))

    assert len(tokens) > 4
    assert pieces[:4] == ["a", "😀", "é", "!"]
    assert "".join(pieces) == "a😀é!"


def test_story_ends_with_the_end_of_text(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("The end.")
    model = Recital([*tokens, tokenizer.end_of_text, *tokens], tokenizer.vocab_size)

    assert "".join(generate(model, tokenizer, "", temperature=0)) == "The end."


def test_character_cut_off_at_the_end_is_left_out(tokenizer: Tokenizer) -> None:
    model = Recital(tokenizer.encode("a😀"), tokenizer.vocab_size)

    assert "".join(generate(model, tokenizer, "", temperature=0, max_tokens=2)) == "a"


class Recital(GPTNeo):
    """A model that is sure of one text."""

    def __init__(self, tokens: list[int], vocab_size: int) -> None:
        super().__init__(ModelConfig(depth=1, width=2, heads=1, vocab_size=vocab_size))
        self.tokens = tokens

    def forward(self, tokens_BL: torch.Tensor) -> torch.Tensor:
        logits_BLV = torch.zeros(*tokens_BL.shape, self.config.vocab_size)
        logits_BLV[:, -1, self.tokens[tokens_BL.shape[1] - 1]] = 1
        return logits_BLV


def test_temperature_zero_and_top_1_both_take_the_likeliest(model: GPTNeo, tokenizer: Tokenizer) -> None:
    greedy = "".join(generate(model, tokenizer, "Once", temperature=0, max_tokens=20))

    assert "".join(generate(model, tokenizer, "Once", top_k=1, max_tokens=20, seed=9)) == greedy


def test_tiny_temperature_is_still_a_distribution(model: GPTNeo, tokenizer: Tokenizer) -> None:
    greedy = "".join(generate(model, tokenizer, "Once", temperature=0, max_tokens=20))

    assert "".join(generate(model, tokenizer, "Once", temperature=1e-40, max_tokens=20)) == greedy


def test_pieces_come_one_at_a_time(model: GPTNeo, tokenizer: Tokenizer) -> None:
    endless = generate(model, tokenizer, "Once", max_tokens=10**9)

    assert len(list(islice(endless, 3))) == 3


@pytest.mark.parametrize(
    ("option", "value"),
    [("temperature", -1.0), ("temperature", float("nan")), ("top_k", 0), ("max_tokens", 0)],
)
def test_option_out_of_range_is_refused_at_once(model: GPTNeo, tokenizer: Tokenizer, option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{option} {value} must be"):
        generate(model, tokenizer, "Once", **{option: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 10**41])
def test_seed_out_of_range_is_refused(model: GPTNeo, tokenizer: Tokenizer, seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed {seed} is not among 0 to"):
        generate(model, tokenizer, "Once", seed=seed)


def test_prompt_that_is_no_text_is_refused(model: GPTNeo, tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="is not valid UTF-8"):
        generate(model, tokenizer, b"caf\xe9".decode("utf-8", "surrogateescape"))


def test_training_folder_and_its_export_tell_the_same_story(
    trained: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for folder in (trained, exported):
        assert main([str(folder), "--prompt", "Once upon", "--max-tokens", "30", "--stories", "2"]) == 0
        told.append(capsys.readouterr().out)

    assert told[0] == told[1]
    assert told[0].count("Once upon") == 2


def test_training_folder_gives_its_best_model(trained: Path) -> None:
    model, _ = load_model(str(trained))

    best = checkpoint.load(checkpoint.best(str(trained)) or "")
    torch.testing.assert_close(model.state_dict(), best.model)


@pytest.mark.parametrize(
    ("files", "more", "message"),
    [
        ({}, [], "no model in"),
        ({"config.json": "{"}, [], "config.json is damaged"),
        ({"config.json": '{"model_type": "llama"}'}, [], "holds a model of type 'llama'; allowed: 'gpt_neo'"),
        ({"config.json": '{"model_type": "gpt_neo"}'}, [], "error: "),
        ({"evaluation-0001-loss-2.000000.pt": "torn"}, [], "is damaged or not a checkpoint"),
        ({}, ["--stories", "0"], "stories 0 must be above 0"),
    ],
)
def test_what_a_user_does_wrong_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], more: list[str], message: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")

    assert main([str(tmp_path), *more]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_bad_temperature_prints_no_half_story(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(trained), "--prompt", "Once", "--temperature", "-1"]) == 2
    assert capsys.readouterr().out == ""


def shell(tail: str, *arguments: object, **environment: str) -> CompletedProcess[str]:
    """The command in a shell's line that ends in `tail`; the last line of its output is the command's status."""
    words = " ".join(f"'{argument}'" for argument in arguments)
    script = f"{executable} -m tinystories.predict_model {words} {tail}; echo status ${{PIPESTATUS[0]}}"
    return run(["bash", "-c", script], env=os.environ | environment, capture_output=True, encoding="latin-1")


def test_locale_without_a_character_cuts_no_story_off(trained: Path) -> None:
    arguments = (trained, "--prompt", "“Ana” \N{SNOWMAN} is", "--max-tokens", "20", "--temperature", "0")
    whole, poor = (shell("", *arguments, PYTHONIOENCODING=name) for name in ("utf-8", "latin-1"))

    expected = whole.stdout.encode("latin-1").decode("utf-8")
    assert poor.stdout == expected.encode("latin-1", "replace").decode("latin-1")
    assert (poor.stderr, poor.stdout.splitlines()[-1]) == ("", "status 0")
    assert poor.stdout.startswith("?Ana? ? is")


def test_reader_that_has_had_enough_ends_the_telling(trained: Path) -> None:
    told = shell("| head -1", trained, "--stories", 1_000_000, "--max-tokens", 5)

    assert (told.stdout.splitlines()[-1], told.stderr) == ("status 0", "")


def test_home_folder_is_meant_by_a_tilde(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(trained.parent))

    assert main([f"~/{trained.name}", "--prompt", "Once", "--max-tokens", "3"]) == 0
    assert capsys.readouterr().out.startswith("Once")


def change_weight(folder: Path, rows: int) -> None:
    """Keep that many rows of a weight; of none, not even its name."""
    path, name = folder / "model.safetensors", "transformer.h.0.mlp.c_fc.weight"
    weights = load_file(path)
    weight = weights.pop(name)[:rows].clone()
    save_file(weights | ({name: weight} if rows else {}), path, metadata={"format": "pt"})


def give_larger_tokenizer(folder: Path) -> None:
    larger = train_bpe([f"{number} cats" for number in range(1000)], 310)
    (folder / "tokenizer.json").write_text(larger.to_json(), encoding="utf-8")


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncate, "holds no readable GPT-Neo"),
        (lambda folder: change_weight(folder, 0), "mlp.c_fc.weight is missing or has another shape"),
        (lambda folder: change_weight(folder, 3), "mlp.c_fc.weight is missing or has another shape"),
        (give_larger_tokenizer, "tokens, the model knows 300"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    ],
)
def test_damaged_export_is_refused_in_one_line(
    exported: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], spoil: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    spoil(folder)

    assert main([str(folder)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"error: {folder}")
    assert message in line


def test_checkpoint_whose_weights_do_not_fit_its_shape_is_refused(trained: Path, tmp_path: Path) -> None:
    state = checkpoint.load(checkpoint.best(str(trained)) or "")
    del state.model["ln_f.weight"]
    checkpoint.save(state, str(tmp_path))

    with pytest.raises(ValueError, match=f"{tmp_path}/evaluation-.* its weights are not those of its shape"):
        load_model(str(tmp_path))
