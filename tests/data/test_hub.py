"""Data sets of a local folder and of a hub on this machine, through the `datasets` library."""

import io
import json
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from subprocess import CompletedProcess, run
from sys import executable

import pyarrow as pa
import pytest
from pyarrow import parquet

from tinystories.data import hub, make_dataset
from tinystories.data.dataset import describe
from tinystories.data.published import read_card
from tinystories.data.text import DEFAULT_LAYOUT, Layout

from .loopback_hub import REPOSITORY, serving

CARD = """---
license: cdla-sharing-1.0
---
Described in [a paper](https://arxiv.org/abs/2305.07759).
"""
BIBTEX = "@article{eldan2023,\n  title={TinyStories},\n  year={2023}\n}"


def told(who: str, count: int) -> list[str]:
    return [f"{who} saw {number} cats." for number in range(count)]


def in_parquet(stories: list[str], column: str = "text") -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"number": range(len(stories)), column: stories}), buffer)
    return buffer.getvalue()


def in_lines(stories: list[str]) -> bytes:
    return "".join(json.dumps({"text": story}) + "\n" for story in stories).encode()


def fill(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def stories(source: hub.HubSplit) -> list[str]:
    return [story.strip() for story in source.stories(lambda amount: None)]


def make(*arguments: object) -> int:
    return make_dataset.main([*map(str, arguments), "--tokenizer", "bpe:300"])


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which the command refuses its input."""
    capsys.readouterr()
    assert make(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of one split."""
    return fill(tmp_path / "stories", {"data/train.parquet": in_parquet(told("Tom", 90)), "README.md": CARD})


def test_a_folder_is_read_with_its_validation_split_its_licence_and_its_citation(tmp_path: Path) -> None:
    files = {"data/train.parquet": in_parquet(told("Tom", 90)), "data/validation.parquet": in_parquet(told("Ana", 20))}
    fill(tmp_path / "stories", {**files, "README.md": CARD})

    assert make("--hub", tmp_path / "stories", "--out", tmp_path / "out") == 0

    description = describe(tmp_path / "out")
    assert (description["train"]["stories"], description["valid"]["stories"]) == (90, 20)
    assert (description["license"], description["citation"]) == ("cdla-sharing-1.0", "arXiv:2305.07759")
    assert description["held_out"] is False
    assert [source["split"] for use in ("train", "valid") for source in description["sources"][use]] == [
        "train",
        "validation",
    ]


def test_without_a_validation_split_some_stories_are_held_out_and_it_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make("--hub", folder, "--out", tmp_path / "out") == 0

    description = describe(tmp_path / "out")
    assert (description["train"]["stories"], description["valid"]["stories"]) == (81, 9)
    assert description["held_out"] is True
    assert "held out of the training stories, drawn by seed 0" in capsys.readouterr().out


def test_second_run_does_nothing_until_a_file_changes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endings = []
    for change in (False, False, True):
        if change:
            (folder / "data/train.parquet").write_bytes(in_parquet(told("Tim", 90)))
        assert make("--hub", folder, "--out", tmp_path / "out") == 0
        endings.append(capsys.readouterr().out.splitlines()[-1])

    assert [ending.endswith(": made") for ending in endings] == [True, False, True]
    assert "already there" in endings[1]


@pytest.mark.parametrize("name", ["a?b", "a[b]c", "a*b", "a\nb", "a::b", "a:b", "a#b %20", "ünï"])
def test_odd_names_of_folders_are_names_and_no_patterns(tmp_path: Path, name: str) -> None:
    fill(tmp_path / "aXb", {"train.jsonl": in_lines(told("Ben", 3))})
    fill(tmp_path / name, {"data/train.jsonl": in_lines(told("Tom", 3))})

    with hub.opened(str(tmp_path / name)) as data_set:
        assert stories(data_set.source(None, DEFAULT_LAYOUT)) == told("Tom", 3)


def test_split_and_column_are_found_by_name(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        f"{split}.parquet": in_parquet(told(who, 3), "story of the day")
        for split, who in {"train": "Tom", "test": "Ana"}.items()
    }
    fill(tmp_path, files)

    with hub.opened(str(tmp_path)) as data_set:
        assert stories(data_set.source("test", Layout(column="story of the day"))) == told("Ana", 3)
        with pytest.raises(ValueError, match=r"no column text or story; there are: number, story of the day; name one"):
            stories(data_set.source(None, DEFAULT_LAYOUT))
        with pytest.raises(ValueError, match=r"column number holds int, not text"):
            stories(data_set.source(None, Layout(column="number")))
        with pytest.raises(ValueError, match=r"has no split 'valid'; allowed: train, test"):
            data_set.source("valid", DEFAULT_LAYOUT)


def test_the_only_split_is_trained_on_whatever_its_name(tmp_path: Path) -> None:
    fill(tmp_path, {"test.jsonl": in_lines(told("Tom", 3))})

    with hub.opened(str(tmp_path)) as data_set:
        assert data_set.source(None, DEFAULT_LAYOUT).split == "test"


def test_configuration_stands_behind_a_colon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configs = "".join(f"- config_name: {name}\n  data_files: {name}/*.jsonl\n" for name in ("short", "long"))
    files: dict[str, bytes | str] = {f"{name}/a.jsonl": in_lines(told(name, 30)) for name in ("short", "long")}
    folder = fill(tmp_path / "stories", {**files, "README.md": f"---\nconfigs:\n{configs}---\n"})

    with hub.opened(f"{folder}:long") as data_set:
        assert stories(data_set.source(None, DEFAULT_LAYOUT)) == told("long", 30)
    line = refused(capsys, "--hub", folder, "--out", tmp_path / "out")
    assert "short" in line
    assert "long" in line


def test_a_folder_of_text_files_is_cut_at_separators_not_at_lines(tmp_path: Path) -> None:
    fill(tmp_path, {"train.txt": "Tom ran.\nHe fell.\n<|endoftext|>\nAna sang.\n\nBen sat.\n"})

    with hub.opened(str(tmp_path)) as data_set:
        assert stories(data_set.source(None, DEFAULT_LAYOUT)) == ["Tom ran.\nHe fell.", "Ana sang.\n\nBen sat."]
        by_blank_lines = Layout(separator="blank-line")
        assert stories(data_set.source(None, by_blank_lines)) == ["Tom ran.\nHe fell.", "Ana sang.", "Ben sat."]


def test_what_the_library_saved_to_disk_is_read(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    one = Dataset.from_dict({"text": told("Tom", 5)})
    one.save_to_disk(tmp_path / "one")
    DatasetDict({"train": one, "valid": Dataset.from_dict({"text": told("Ana", 2)})}).save_to_disk(tmp_path / "two")

    for name in ("one", "two"):
        with hub.opened(str(tmp_path / name)) as data_set:
            source = data_set.source(None, DEFAULT_LAYOUT)
            assert stories(source) == told("Tom", 5)
            assert source.size == 5
            assert (data_set.validation(source) is None) == (name == "one")


def test_stories_are_streamed(tmp_path: Path) -> None:
    """A damaged end of a file does not matter to whoever reads its beginning."""
    fill(tmp_path, {"train.jsonl": in_lines(told("Tom", 500_000)) + b'{"text": \n'})

    with hub.opened(str(tmp_path)) as data_set:
        source = data_set.source(None, DEFAULT_LAYOUT)
        assert list(islice(source.stories(lambda amount: None), 3)) == told("Tom", 3)


@pytest.mark.parametrize(
    ("card", "license", "citation"),
    [
        (CARD, "cdla-sharing-1.0", "arXiv:2305.07759"),
        (
            f"---\nlicense: [mit, apache-2.0]\n---\n```\n{BIBTEX}\n```\nSee arxiv.org/abs/1234.56789",
            "mit, apache-2.0",
            BIBTEX,
        ),
        ("No front matter.", None, None),
        ("---\nlicense: [\n---\n", None, None),
    ],
)
def test_licence_and_citation_come_from_the_card(
    tmp_path: Path, card: str, license: str | None, citation: str | None
) -> None:
    fill(tmp_path, {"train.jsonl": in_lines(told("Tom", 3)), "README.md": ""})
    (tmp_path / "README.md").write_text(card, encoding="utf-8")

    found = read_card(tmp_path / "README.md")

    assert (found.license, found.citation) == (license, citation)


@pytest.mark.parametrize(
    ("prepare", "arguments", "message"),
    [
        (lambda folder: None, ["--hub", "nowhere/at all"], "cannot read nowhere/at all: "),
        (lambda folder: None, ["--hub", "https://hub/datasets/a/b"], "cannot read https://hub/datasets/a/b: "),
        (lambda folder: None, ["--hub", "."], "cannot read .: "),
        (lambda folder: fill(folder, {"train.jsonl": '{"text": "Tom ran."}\n{"te'}), ["--hub", "."], "cannot read .: "),
        (lambda folder: fill(folder, {"train.parquet": b"PAR1 and nothing"}), ["--hub", "."], "cannot read .: "),
        (lambda folder: fill(folder, {"train.jsonl": in_lines(told("Tom", 3))}), ["--hub", ".", "--split", "x"], "'x'"),
        (
            lambda folder: fill(folder, {"train.jsonl": in_lines(told("Tom", 3))}),
            ["--hub", ".", "--separator", "x"],
            "--separator goes with plain text",
        ),
        (
            lambda folder: fill(folder, {"train.txt": "Tom ran."}),
            ["--hub", ".", "--column", "x"],
            "--column goes with records",
        ),
        (lambda folder: None, ["--split", "x"], "--split goes with --hub"),
        (lambda folder: None, ["--hub", "--version", "V1", "--split", "x"], "--split goes with --hub"),
    ],
)
def test_wrong_data_sets_are_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[Path], object],
    arguments: list[str],
    message: str,
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    prepare(tmp_path / "here")

    line = refused(capsys, *arguments, "--out", tmp_path / "out")

    assert line.startswith("error: ")
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def command(endpoint: str, home: Path, *arguments: object, offline: bool = False) -> CompletedProcess[str]:
    """The command in a process of its own, for the hub's library reads its settings when it is imported."""
    settings = {"HF_HUB_OFFLINE": str(int(offline)), "HF_ENDPOINT": endpoint, "HF_HOME": str(home)}
    words = [executable, "-m", "tinystories.data.make_dataset", *map(str, arguments), "--tokenizer", "bpe:300"]
    environment = os.environ | settings | {"NO_PROXY": "127.0.0.1"}
    return run(words, env=environment, capture_output=True, text=True, timeout=100)


def test_a_data_set_of_the_hub_is_streamed_with_its_card(tmp_path: Path) -> None:
    files = {
        "README.md": CARD.encode(),
        "data/train-00000-of-00002.parquet": in_parquet(told("Tom", 60)),
        "data/train-00001-of-00002.parquet": in_parquet(told("Tim", 60)),
        "data/validation-00000-of-00001.parquet": in_parquet(told("Ana", 20)),
    }
    out = tmp_path / "out"
    with serving(files) as endpoint:
        made = command(endpoint, tmp_path / "home", "--hub", REPOSITORY, "--out", out)
        assert (made.returncode, made.stderr) == (0, "")
        description = describe(out)
        assert (description["train"]["stories"], description["valid"]["stories"]) == (120, 20)
        assert (description["license"], description["citation"]) == ("cdla-sharing-1.0", "arXiv:2305.07759")
        (source,) = description["sources"]["train"]
        assert (source["name"], source["split"], len(source["revision"])) == (REPOSITORY, "train", 40)
        again = command(endpoint, tmp_path / "home", "--hub", REPOSITORY, "--out", out)
        assert "already there" in again.stdout
        missing = command(endpoint, tmp_path / "home", "--hub", "someone/else", "--out", out)
        assert missing.returncode == 2
        assert missing.stderr.startswith("error: cannot read someone/else: ")
    unreachable = command(endpoint, tmp_path / "home", "--hub", REPOSITORY, "--out", out, offline=True)
    assert unreachable.returncode == 2
    assert unreachable.stderr.startswith(f"error: cannot read {REPOSITORY}: ")
    assert len(unreachable.stderr.splitlines()) == 1
    assert describe(out) == description
