import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models
from transformers import PreTrainedTokenizerFast

from tinystories.data.tokenizer import Tokenizer, cut_gpt_neo, load_tokenizer, parse_spec, train_bpe

GPT2 = Path(__file__).parents[3] / "shared" / "data" / "gpt2"
STORIES = [
    f'Once upon a time, {name} had a {colour} {thing}.\n{name} said, "It\'s {count} years old!"'
    for name in ("Lily", "Tom", "Ana")
    for colour in ("red", "blue")
    for thing in ("ball", "train", "kite")
    for count in (1, 20, 300)
]


@cache
def byte_pair() -> Tokenizer:
    return train_bpe(STORIES, 300)


@cache
def gpt_neo(size: int = 320) -> Tokenizer:
    if not GPT2.exists():
        pytest.skip("GPT-2's vocabulary is not on this machine")
    return cut_gpt_neo(STORIES, size, vocab_json=GPT2 / "vocab.json", merges_txt=GPT2 / "merges.txt")


@pytest.mark.parametrize("make", [byte_pair, gpt_neo])
@settings(max_examples=200, deadline=None)
@given(text=st.text() | st.from_regex(r"(<\|endoftext\|>| |\r|\n|\x00|[^a]|\u200d|[🎉-🎎]){0,12}"))
def test_any_text_survives_encoding(make: Callable[[], Tokenizer], text: str) -> None:
    tokenizer = make()
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.end_of_text not in ids
    assert tokenizer.encode_batch([text, text]) == [ids, ids]


@pytest.mark.parametrize("make", [byte_pair, gpt_neo])
def test_end_of_text_is_one_token_that_text_cannot_name(make: Callable[[], Tokenizer]) -> None:
    tokenizer = make()
    assert tokenizer.decode([tokenizer.end_of_text]) == "<|endoftext|>"
    assert tokenizer.decode(tokenizer.encode("a<|endoftext|>b")) == "a<|endoftext|>b"
    assert tokenizer.end_of_text not in tokenizer.encode("a<|endoftext|>b")
    assert tokenizer.encode("a") != tokenizer.encode(" a")


@pytest.mark.parametrize("make", [byte_pair, gpt_neo])
def test_saved_tokenizer_gives_the_same_ids_here_and_in_transformers(
    make: Callable[[], Tokenizer], tmp_path: Path
) -> None:
    tokenizer = make()
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
    loaded = load_tokenizer(tmp_path)
    fast = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"), eos_token="<|endoftext|>")
    assert (loaded.vocab_size, loaded.end_of_text) == (tokenizer.vocab_size, tokenizer.end_of_text)
    assert (len(fast), fast.eos_token_id) == (tokenizer.vocab_size, tokenizer.end_of_text)
    for story in [*STORIES[:5], " a café , don 't 🎉 \n\n x"]:
        ids = tokenizer.encode(story)
        assert loaded.encode(story) == ids
        assert fast(story)["input_ids"] == ids
        assert fast.decode(ids) == story


def test_same_stories_give_the_same_bpe() -> None:
    assert train_bpe(iter(STORIES), 300).to_json() == byte_pair().to_json()


def test_bpe_has_the_size_asked_or_what_the_text_yields() -> None:
    assert byte_pair().vocab_size == 300
    assert train_bpe(STORIES, 257).vocab_size == 257
    assert 257 < train_bpe(["Tom ran."], 5000).vocab_size < 300


def merges(tokenizer: Tokenizer) -> list[str]:
    return [left + right for left, right in json.loads(tokenizer.to_json())["model"]["merges"]]


def test_cut_vocabulary_is_compact_and_holds_the_parts_of_its_tokens() -> None:
    model = json.loads(gpt_neo().to_json())["model"]
    assert sorted(model["vocab"].values()) == list(range(320))
    assert len(model["merges"]) == 320 - 257
    for left, right in model["merges"]:
        assert {left, right, left + right} <= model["vocab"].keys()


def test_cut_keeps_frequent_tokens_and_encodes_them_whole() -> None:
    assert {"Ġtime", "ĠLily", "Ġupon"} <= set(merges(gpt_neo(400)))
    pieces = [gpt_neo(400).decode([token]) for token in gpt_neo(400).encode("Once upon a time")]
    assert pieces == ["Once", " upon", " a", " time"]


def test_smaller_cut_is_a_part_of_a_larger_one() -> None:
    assert set(merges(gpt_neo(300))) < set(merges(gpt_neo(320))) < set(merges(gpt_neo(400)))


def test_token_that_was_cut_falls_back_to_its_parts() -> None:
    tokenizer = gpt_neo()
    pieces = [tokenizer.decode([token]) for token in tokenizer.encode(" elephant")]
    assert "".join(pieces) == " elephant"
    assert len(pieces) > 1


def test_uncut_gpt_neo_keeps_its_ids() -> None:
    vocab = json.loads(gpt_neo(50_257).to_json())["model"]["vocab"]
    published = json.loads((GPT2 / "vocab.json").read_text(encoding="utf-8"))
    assert vocab == published


@pytest.mark.parametrize("text", ["bpe:257", "bpe:65536", "gpt-neo:10000", "gpt-neo:50257"])
def test_specs_read_as_they_are_written(text: str) -> None:
    assert str(parse_spec(text)) == text


@pytest.mark.parametrize("text", ["", "bpe", "bpe:", "bpe:-1", "bpe:4k", "word:4096", "bpe:4096 ", "gpt2:300"])
def test_unknown_spec_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: bpe:N and gpt-neo:N"):
        parse_spec(text)


@pytest.mark.parametrize(
    ("text", "allowed"), [("bpe:256", "257 to 65536"), ("bpe:65537", "257 to 65536"), ("gpt-neo:50258", "50257")]
)
def test_size_out_of_range_is_refused(text: str, allowed: str) -> None:
    with pytest.raises(ValueError, match=allowed):
        parse_spec(text)


def test_missing_or_damaged_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"tokenizer.json is missing"):
        load_tokenizer(tmp_path)
    for content in ("", "{}", Backend(models.BPE()).to_str()):
        (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=r"tokenizer.json is damaged"):
            load_tokenizer(tmp_path)


def test_tokenizer_is_read_from_a_uri(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(byte_pair().to_json(), encoding="utf-8")
    assert load_tokenizer(tmp_path.as_uri()).encode("Once") == byte_pair().encode("Once")
    with pytest.raises(FileNotFoundError, match=r"file:///.*/nowhere/tokenizer.json is missing$"):
        load_tokenizer(f"{tmp_path.as_uri()}/nowhere")


def test_files_that_are_no_byte_level_bpe_are_refused(tmp_path: Path) -> None:
    vocab, merges_txt = tmp_path / "vocab.json", tmp_path / "merges.txt"
    with pytest.raises(FileNotFoundError, match=r"vocab.json is missing"):
        cut_gpt_neo(STORIES, 300, vocab_json=vocab, merges_txt=merges_txt)
    vocab.write_text('{"a": 0, "b": 1, "ab": 2}', encoding="utf-8")
    merges_txt.write_text("#version: 0.2\na b\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no byte-level BPE"):
        cut_gpt_neo(STORIES, 300, vocab_json=vocab, merges_txt=merges_txt)
    vocab.write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="are no BPE"):
        cut_gpt_neo(STORIES, 300, vocab_json=vocab, merges_txt=merges_txt)
