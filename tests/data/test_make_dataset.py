import gzip
import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess, run
from sys import executable

import numpy as np
import pytest

from tinystories.data import make_dataset
from tinystories.data.dataset import describe, open_dataset
from tinystories.data.make_dataset import make_stories
from tinystories.data.tokenizer import load_tokenizer

SHARED = Path(__file__).parents[3] / "shared" / "data"


def tell(number: int) -> str:
    names, things = ("Lily", "Tom", "Ana", "Ben"), ("ball", "kite", "train", "drum", "cat")
    return f"One day, {names[number % 4]} saw {number} {things[number % 5]}s.\nIt was a good day number {number}."


def write(path: Path, stories: list[str]) -> Path:
    path.write_text("".join(f"{story}\n<|endoftext|>\n" for story in stories), encoding="utf-8")
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write(tmp_path / "stories.txt", [tell(number) for number in range(300)])


def make(*arguments: str | Path) -> int:
    return make_dataset.main([str(argument) for argument in arguments])


def texts(folder: Path, split: str) -> list[str]:
    """The stories of a split, decoded from its tokens."""
    tokens: np.ndarray = getattr(open_dataset(folder, verify=True), split)
    tokenizer = load_tokenizer(folder)
    ends = np.flatnonzero(tokens == tokenizer.end_of_text)
    assert ends[-1] == len(tokens) - 1
    return [tokenizer.decode(ids[:-1].tolist()) for ids in np.split(tokens, ends + 1)[:-1]]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line with which the command refuses its input."""
    assert make(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def test_every_story_is_followed_by_the_end_of_text_token(text: Path, tmp_path: Path) -> None:
    valid = write(tmp_path / "valid.txt", [tell(number) for number in range(1000, 1050)])
    assert make("--text", text, "--valid", valid, "--tokenizer", "bpe:300", "--out", tmp_path / "out") == 0
    assert texts(tmp_path / "out", "train") == [tell(number) for number in range(300)]
    assert texts(tmp_path / "out", "valid") == [tell(number) for number in range(1000, 1050)]
    assert set(content(tmp_path / "out")) == {"train.bin", "valid.bin", "tokenizer.json", "dataset.json"}


def test_description_counts_what_is_there(text: Path, tmp_path: Path) -> None:
    make("--text", text, "--tokenizer", "bpe:300", "--out", tmp_path / "out")
    description, dataset = describe(tmp_path / "out"), open_dataset(tmp_path / "out")
    for split in ("train", "valid"):
        figures, stories = description[split], texts(tmp_path / "out", split)
        assert figures["stories"] == len(stories)
        assert figures["bytes"] == sum(len(story.encode()) for story in stories)
        assert figures["tokens"] == len(getattr(dataset, split))
        assert figures["bytes_per_token"] == pytest.approx(figures["bytes"] / figures["tokens"], abs=1e-4)
    assert dataset.valid_bytes == description["valid"]["bytes"]
    assert description["vocab_size"] == dataset.vocab_size == 300
    (source,) = description["sources"]["train"]
    assert (source["name"], source["bytes"]) == ("stories.txt", text.stat().st_size)


def test_defects_duplicates_and_validation_stories_are_left_out_of_training(tmp_path: Path) -> None:
    train = [tell(1), "", tell(2), "TOM ran!", tell(1).upper(), "It broke \x00.", "They went to", "Canâ€™t."]
    valid = [tell(3), "Tom ran.", "tom ran..."]
    files = write(tmp_path / "train.txt", train), write(tmp_path / "valid.txt", valid)
    arguments = ["--text", files[0], "--valid", files[1], "--tokenizer", "bpe:257", "--out", tmp_path / "out"]
    assert make(*arguments, "--max-dropped", "0.6") == 0
    assert texts(tmp_path / "out", "train") == [tell(1), tell(2), "Can’t."]
    assert texts(tmp_path / "out", "valid") == [tell(3), "Tom ran."]
    description = describe(tmp_path / "out")
    reasons = {"empty": 1, "damaged": 1, "truncated": 1, "duplicate": 1, "in validation": 1}
    assert description["train"]["removed"] == reasons
    assert description["train"]["repaired"] == 1
    assert description["valid"]["removed"] == dict.fromkeys(reasons, 0) | {"duplicate": 1}


def test_held_out_part_is_disjoint_seeded_and_independent_of_the_order(text: Path, tmp_path: Path) -> None:
    stories = [tell(number) for number in range(300)]
    backwards = write(tmp_path / "backwards.txt", stories[::-1])
    for name, arguments in {
        "one": [text],
        "same": [backwards],
        "other": [text, "--seed", "1"],
    }.items():
        assert make("--tokenizer", "bpe:257", "--out", tmp_path / name, "--text", *arguments) == 0
    held_out = {name: set(texts(tmp_path / name, "valid")) for name in ("one", "same", "other")}
    assert held_out["one"] == held_out["same"] != held_out["other"]
    assert len(held_out["one"]) == 30
    assert set(texts(tmp_path / "one", "train")) == set(stories) - held_out["one"]


def test_formats_and_several_files_can_be_mixed(text: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    more.write_text("".join(json.dumps({"story": tell(number)}) + "\n" for number in range(250, 400)), encoding="utf-8")
    assert make("--text", text, more, "--tokenizer", "bpe:300", "--out", tmp_path / "out") == 0
    assert len(texts(tmp_path / "out", "train")) + len(texts(tmp_path / "out", "valid")) == 400
    assert describe(tmp_path / "out")["train"]["removed"]["duplicate"] == 50


def test_second_run_does_nothing(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--text", text, "--tokenizer", "bpe:300", "--out", tmp_path / "out")
    assert make(*arguments) == 0
    assert "made" in capsys.readouterr().out.splitlines()[-1]
    before, stamp = content(tmp_path / "out"), (tmp_path / "out").stat().st_ino
    assert make(*arguments) == 0
    assert "already there" in capsys.readouterr().out.splitlines()[-1]
    assert (content(tmp_path / "out"), (tmp_path / "out").stat().st_ino) == (before, stamp)


def test_changed_input_settings_or_output_are_made_anew(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen = set()
    for change in ("nothing", "size", "seed", "input", "output"):
        size = "300" if change == "nothing" else "290"
        seed = "0" if change in ("nothing", "size") else "1"
        if change == "input":
            write(text, [tell(number) for number in range(1, 301)])
        if change == "output":
            (out / "train.bin").write_bytes(b"half")
        assert make("--text", text, "--tokenizer", f"bpe:{size}", "--seed", seed, "--out", out) == 0
        seen.add(open_dataset(out, verify=True).fingerprint)
    assert len(seen) == 4, "only the last change gives what was there before"


def test_same_input_gives_the_same_bytes(text: Path, tmp_path: Path) -> None:
    for name, threads in (("one", "1"), ("other", "2")):
        arguments = ["--text", text, "--tokenizer", "bpe:300", "--out", tmp_path / name]
        environment = os.environ | {"RAYON_NUM_THREADS": threads}
        run([executable, "-m", "tinystories.data.make_dataset", *arguments], env=environment, check=True)
    assert content(tmp_path / "one") == content(tmp_path / "other")


INTERRUPTED = """
import os, signal, sys
from itertools import islice
from tinystories.data import make_dataset, readers

number = int(sys.argv.pop(1))
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
read_text = readers.TEXT_FORMATS[".txt"]

def broken_off(path, layout, text):
    yield from islice(read_text(path, layout, text), 200)
    os.kill(os.getpid(), number)

readers.TEXT_FORMATS[".txt"] = broken_off
sys.exit(make_dataset.main())
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_interrupted_run_leaves_nothing_that_looks_finished(
    text: Path, tmp_path: Path, number: int, status: int
) -> None:
    arguments = ["--text", str(text), "--tokenizer", "bpe:300", "--out", str(tmp_path / "out")]
    done = run([executable, "-c", INTERRUPTED, str(int(number)), *arguments], capture_output=True, text=True)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    left_behind = {".out.partial", ".out.lock"} if number == signal.SIGKILL else set()
    assert {path.name for path in tmp_path.iterdir()} == {"stories.txt"} | left_behind
    assert make(*arguments) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"stories.txt", "out"}


def test_interrupted_run_keeps_the_dataset_that_was_there(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make("--text", text, "--tokenizer", "bpe:300", "--out", out)
    before = content(out)
    arguments = ["--text", str(text), "--tokenizer", "bpe:290", "--out", str(out)]
    run([executable, "-c", INTERRUPTED, str(int(signal.SIGKILL)), *arguments], capture_output=True)
    assert content(out) == before


def test_link_to_a_data_folder_stays_a_link(text: Path, tmp_path: Path) -> None:
    out, link = tmp_path / "elsewhere/out", tmp_path / "link"
    out.mkdir(parents=True)
    link.symlink_to(out)
    for size in ("300", "290"):
        assert make("--text", text, "--tokenizer", f"bpe:{size}", "--out", link) == 0
        assert link.is_symlink()
        assert open_dataset(out, verify=True).vocab_size == int(size)
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["out"]


def test_folder_with_other_files_is_never_replaced(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("precious", encoding="utf-8")
    assert "holds other files (thesis.tex)" in refused(capsys, "--text", text, "--out", out)
    assert content(out) == {"thesis.tex": b"precious"}
    (out / "thesis.tex").rename(out / "train.bin")
    assert "holds other files (train.bin)" in refused(capsys, "--text", text, "--out", out)
    (out / "train.bin").unlink()
    assert make("--text", text, "--tokenizer", "bpe:300", "--out", out) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "nowhere.txt"], "nowhere.txt is not a file"),
        (["--text", "empty.txt"], "empty.txt is empty"),
        (["--text", "latin.txt"], "latin.txt, line 2, byte 12: not UTF-8"),
        (["--text", "blank.txt"], "no training story is left: 2 found in blank.txt (removed: 2 empty)"),
        (
            ["--text", "single.txt"],
            "1 found in single.txt (removed: none); <|endoftext|> separates stories in a .txt file",
        ),
        (["--text", "broken.jsonl"], "broken.jsonl, line 2"),
        (["--text", "broken.parquet"], "broken.parquet: no readable parquet file"),
        (["--text", "single.txt", "--valid", "single.txt"], "1 found in single.txt (removed: 1 in validation)"),
        (["--text", "single.txt", "--seed", "-1"], "seed -1 is not among 0 to"),
        (["--text", "single.txt", "--seed", str(10**41)], "is not among 0 to"),
        (["--seed", str(10**41)], "is not among 0 to"),
        (["--text", "single.txt", "--tokenizer", "wordpiece:300"], "allowed: bpe:N and gpt-neo:N"),
        (["--text", "single.txt", "--tokenizer", "bpe:65537"], "allowed sizes are 257 to 65536"),
        (["--text", "single.txt", "--tokenizer", "bpe:256"], "allowed sizes are 257 to 65536"),
        (["--text", "single.txt", "--tokenizer", "gpt-neo:300", "--vocab-json", "v"], "go together"),
        (
            ["--text", "single.txt", "--tokenizer", "gpt-neo:300", "--vocab-json", "v", "--merges-txt", "m"],
            "v is not a file",
        ),
        (["--text", "single.txt", "--vocab-json", "v", "--merges-txt", "m"], "go with --tokenizer gpt-neo:N"),
        (["--text", "single.txt", "--version", "V1"], "--version goes with --hub"),
        (["--text", "single.txt", "--out", "."], "holds the working folder; name another folder"),
        (["--text", "single.txt", "--out", ".."], "holds the working folder; name another folder"),
        (["--valid", "single.txt"], "--valid goes with --text"),
        (["--text", "single.txt", "--separator", ""], "separator '' is empty; allowed: blank-line"),
        (["--separator", "x"], "--column and --separator go with --text or --hub"),
        (["--text", "broken.jsonl", "--separator", "x"], "--separator goes with plain text"),
        (["--text", "single.txt", "--column", "x"], "--column goes with records; plain text has none"),
        (["--text", "single.txt", "--max-dropped", "2"], "max-dropped 2.0 must be a share from 0 to 1"),
        (["--text", "."], ". is a folder, not a file; a folder of files is read with --hub"),
        (["--stories", "0"], "0 stories asked for"),
        (["--stories", "10", "--tokenizer", "gpt-neo:300"], "built-in stories have bpe:N only"),
    ],
)
def test_wrong_input_is_refused_in_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").touch()
    Path("latin.txt").write_bytes(b"Tom ran.\nAna\xe9.\n")
    Path("blank.txt").write_text("\n<|endoftext|>\n \n<|endoftext|>\n", encoding="utf-8")
    Path("single.txt").write_text("Tom ran.\n", encoding="utf-8")
    Path("broken.jsonl").write_text('{"text": "Tom ran."}\n{"text": "Ana \n', encoding="utf-8")
    Path("broken.parquet").write_bytes(b"PAR1 and nothing else")
    before = set(tmp_path.iterdir())
    assert message in refused(capsys, "--out", "out", *arguments)
    assert set(tmp_path.iterdir()) == before


@contextmanager
def largest_file(limit: int) -> Iterator[None]:
    """Writing fails as on a full disk once a file has `limit` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [1_000, 20_000], ids=["cleaned stories", "tokens"])
def test_failed_write_is_reported_and_leaves_nothing(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: int
) -> None:
    with largest_file(limit):
        message = refused(capsys, "--text", text, "--tokenizer", "bpe:257", "--out", tmp_path / "out")
    assert message == f"error: [Errno 27] File too large: '{tmp_path}/out'"
    assert list(tmp_path.iterdir()) == [text]


@pytest.mark.parametrize(("version", "prefix"), [("V1", "TinyStories"), ("V2", "TinyStoriesV2-GPT4")])
def test_published_files_fetched_before_are_used_without_a_network(
    text: Path, tmp_path: Path, version: str, prefix: str
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    text.rename(raw / f"{prefix}-train.txt")
    write(raw / f"{prefix}-valid.txt", [tell(number) for number in range(1000, 1050)])
    arguments = [
        "--hub",
        "roneneldan/TinyStories",
        "--version",
        version,
        "--raw",
        raw,
        "--tokenizer",
        "bpe:300",
        "--out",
        out,
    ]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    done = run([executable, "-m", "tinystories.data.make_dataset", *arguments], env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (describe(out)["train"]["stories"], describe(out)["valid"]["stories"]) == (300, 50)


def test_short_text_gives_fewer_tokens_than_asked(text: Path, tmp_path: Path) -> None:
    assert make("--text", text, "--tokenizer", "bpe:60000", "--out", tmp_path / "out") == 0
    dataset = open_dataset(tmp_path / "out", verify=True)
    assert dataset.tokenizer == "bpe:60000"
    assert dataset.vocab_size == load_tokenizer(tmp_path / "out").vocab_size < 2000


def test_gpt_neo_vocabulary_is_cut_to_the_training_stories(text: Path, tmp_path: Path) -> None:
    if not SHARED.exists():
        pytest.skip("GPT-2's vocabulary is not on this machine")
    files = ["--vocab-json", SHARED / "gpt2/vocab.json", "--merges-txt", SHARED / "gpt2/merges.txt"]
    assert make("--text", text, "--tokenizer", "gpt-neo:400", *files, "--out", tmp_path / "out") == 0
    assert open_dataset(tmp_path / "out", verify=True).vocab_size == 400
    both = texts(tmp_path / "out", "train") + texts(tmp_path / "out", "valid")
    assert sorted(both) == sorted(tell(number) for number in range(300))


def test_built_in_stories_are_made_once(tmp_path: Path) -> None:
    out = tmp_path / "data" / "sweep"
    assert make_stories(out, stories=60, tokenizer="bpe:300", valid_stories=20) == out
    before, inode = content(out), out.stat().st_ino
    make_stories(str(out), stories=60, tokenizer="bpe:300", valid_stories=20)
    assert (content(out), out.stat().st_ino) == (before, inode)
    assert (len(texts(out, "train")), len(texts(out, "valid"))) == (60, 20)


def test_more_built_in_stories_keep_the_validation_stories(tmp_path: Path) -> None:
    for stories in (40, 80):
        make_stories(tmp_path / str(stories), stories=stories, tokenizer="bpe:300", valid_stories=20)
    assert texts(tmp_path / "40", "valid") == texts(tmp_path / "80", "valid")
    assert texts(tmp_path / "40", "train") == texts(tmp_path / "80", "train")[:40]


@pytest.mark.parametrize("end", ["\r", "\r\r\n", "\r\n"])
def test_line_ends_of_other_systems_cost_no_story(tmp_path: Path, end: str) -> None:
    path = write(tmp_path / "stories.TXT", [tell(number) for number in range(120)])
    path.write_bytes(path.read_bytes().replace(b"\n", end.encode()))
    assert make("--text", path, "--tokenizer", "bpe:300", "--out", tmp_path / "out") == 0
    both = texts(tmp_path / "out", "train") + texts(tmp_path / "out", "valid")
    assert sorted(both) == sorted(tell(number) for number in range(120))


def test_text_of_one_story_is_pointed_out(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A validation file whose stories are separated by blank lines is one story, unless that is said."""
    valid = tmp_path / "valid.txt"
    valid.write_text("\n\n".join(tell(number) for number in range(1000, 1050)), encoding="utf-8")
    arguments = ["--text", text, "--valid", valid, "--tokenizer", "bpe:300", "--out", tmp_path / "out"]

    assert make(*arguments) == 0
    assert f"note: {valid} is one story, as no separator is in it" in capsys.readouterr().err
    assert describe(tmp_path / "out")["valid"]["stories"] == 1
    for separator in ("blank-line", r"\n\n"):
        assert make(*arguments, "--separator", separator) == 0
        assert capsys.readouterr().err == ""
        assert texts(tmp_path / "out", "valid") == [tell(number) for number in range(1000, 1050)]


def test_real_text_is_read_whatever_its_form(tmp_path: Path) -> None:
    if not SHARED.exists():
        pytest.skip("the real stories are not on this machine")
    stories = (SHARED / "valid.txt").read_text(encoding="utf-8").split("<|endoftext|>")[:400]
    forms = {"old.gz": gzip.compress("\r<|endoftext|>\r".join(stories).replace("\n", "\r").encode())}
    forms["new.JSON"] = json.dumps([{"story": story} for story in stories]).encode()
    for name, content in forms.items():
        (tmp_path / name).write_bytes(content)
        assert make("--text", tmp_path / name, "--tokenizer", "bpe:300", "--out", tmp_path / f"{name}.out") == 0
    old, new = (texts(tmp_path / f"{name}.out", "train") for name in forms)
    assert old == new
    assert len(old) > 350


ODD_NAMES = ["a?b", "a%20b", "a#b", "a b", "[red]a", "ünï", "a\nb", "~", ":smile:", "it's"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_work_and_are_printed_as_they_are(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    path = text.rename(folder / f"{name}.txt")
    assert make("--text", path, "--tokenizer", "bpe:300", "--out", folder / name) == 0
    assert f"{folder / name}: made" in capsys.readouterr().out
    assert len(open_dataset(folder / name).train)
    assert open_dataset((folder / name).as_uri()).vocab_size == 300


def test_home_folder_is_meant_by_a_tilde_wherever_it_is_written(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert make(f"--text=~/{text.name}", "--tokenizer=bpe:300", "--out=~/made") == 0
    assert (tmp_path / "made" / "dataset.json").exists()
    assert not (tmp_path / "~").exists()


def shell(command: str, **environment: str) -> CompletedProcess[str]:
    """A command line in bash, which tells the status of its first command by a last line."""
    script = f"{command}; echo status ${{PIPESTATUS[0]}}"
    settings = os.environ | environment
    return run(["bash", "-c", script], env=settings, capture_output=True, text=True, errors="replace")


def test_data_are_finished_without_a_reader(text: Path, tmp_path: Path) -> None:
    command = f"{executable} -m tinystories.data.make_dataset --text {text} --tokenizer bpe:300 --out {tmp_path}/out"
    done = shell(f"{command} 2>&1 | true")
    assert (done.stdout, done.stderr) == ("status 0\n", "")
    assert len(texts(tmp_path / "out", "train")) == 270


def test_full_disk_behind_the_output_is_one_line(text: Path, tmp_path: Path) -> None:
    command = f"{executable} -m tinystories.data.make_dataset --text {text} --tokenizer bpe:300 --out {tmp_path}/out"
    done = shell(f"{command} > /dev/full")
    assert done.stdout == "status 2\n"
    assert done.stderr == "error: [Errno 28] No space left on device\n"
