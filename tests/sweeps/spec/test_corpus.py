"""Data are found where their path says, whatever characters it has."""

from pathlib import Path

import pytest

from sweeps.spec import load
from sweeps.spec.corpus import prepare, vocab_size
from sweeps.spec.schema import StoriesData
from tinystories.data.make_dataset import make_stories

from ..examples import minimal

STORIES = StoriesData(stories=60, valid_stories=20, tokenizer="bpe:300")


@pytest.mark.parametrize("name", ["50% off", "what?", "a#b", "[red]", "größe", "two words", "a&b=c", "quote's"])
def test_odd_characters_in_a_path_are_only_characters(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    make_stories(str(folder), stories=60, valid_stories=20, tokenizer="bpe:300", seed=0)
    wanted = load.parse(minimal(data=str(folder))).data

    assert vocab_size(wanted) == prepare(wanted).vocab_size == 300
    assert prepare(wanted).location == str(folder)


def test_the_home_folder_is_where_the_data_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    make_stories(str(tmp_path / "text"), stories=60, valid_stories=20, tokenizer="bpe:300", seed=0)

    assert prepare(load.parse(minimal(data="~/text")).data).location == str(tmp_path / "text")


def test_a_context_that_is_longer_than_the_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = load.parse(
        minimal(parameters={**minimal()["parameters"], "context": {"values": [64, 10**6]}}, data={"stories": 60})
    )

    with pytest.raises(ValueError, match="context 1000000 is too long"):
        prepare(STORIES).check_context(spec.largest_trial(300).context)
