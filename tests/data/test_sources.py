import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess, run
from sys import executable
from threading import Thread
from typing import ClassVar

import pyarrow as pa
import pytest
from pyarrow import parquet

from tinystories.data import sources
from tinystories.data.sources import BuiltIn, File

STORIES = ["Tom ran.\nHe fell.", "Ana sang “la”.", "A third one."]


def read(path: Path) -> list[str]:
    return [story.strip() for story in File(path).stories(lambda amount: None)]


def write_lines(path: Path, key: str) -> Path:
    path.write_text("".join(json.dumps({key: story, "more": 1}) + "\n" for story in STORIES))
    return path


def test_text_is_split_at_the_end_of_text_token(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    for separator in ("\n<|endoftext|>\n", "<|endoftext|>", "\r\n<|endoftext|>\r\n"):
        for end in (separator, "", "\n"):
            path.write_bytes((separator.join(STORIES) + end).encode())
            assert read(path) == STORIES
    path.write_bytes("\ufeffTom ran.".encode())
    assert read(path) == ["Tom ran."]


@pytest.mark.parametrize("key", ["text", "story"])
def test_json_lines_and_parquet_hold_stories_under_text_or_story(tmp_path: Path, key: str) -> None:
    assert read(write_lines(tmp_path / "stories.jsonl", key)) == STORIES
    parquet.write_table(pa.table({"n": [1, 2, 3], key: STORIES}), tmp_path / "stories.parquet")
    assert read(tmp_path / "stories.parquet") == STORIES


def test_end_of_text_token_inside_a_record_ends_a_story(tmp_path: Path) -> None:
    path = tmp_path / "stories.jsonl"
    path.write_text('{"text": "One.<|endoftext|>Two.<|endoftext|>"}\n\n{"text": ""}\n')
    assert read(path) == ["One.", "Two.", ""]
    parquet.write_table(pa.table({"text": ["One.<|endoftext|>Two.", None]}), tmp_path / "stories.parquet")
    assert read(tmp_path / "stories.parquet") == ["One.", "Two.", ""]


def test_reading_reports_its_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ADVANCE_EVERY", 1)
    for path in (write_lines(tmp_path / "stories.jsonl", "text"), tmp_path / "stories.parquet"):
        if path.suffix == ".parquet":
            parquet.write_table(pa.table({"text": STORIES}), path)
        amounts: list[int] = []
        list(File(path).stories(amounts.append))
        assert sum(amounts) == path.stat().st_size


def test_bad_text_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_bytes(b"Tom ran.\nAn\xff.\n")
    with pytest.raises(ValueError, match=r"stories.txt, line 2, byte 11: not UTF-8 text"):
        read(path)
    path.write_text("words without an end\n" * 60_000)
    with pytest.raises(ValueError, match=r"line \d+: no <\|endoftext\|> in 1000000 characters"):
        read(path)


@pytest.mark.parametrize("line", ["{", "3", '"text"', "null", '{"other": "x"}', '{"text": 5}', '["text"]'])
def test_bad_json_line_is_named(tmp_path: Path, line: str) -> None:
    path = write_lines(tmp_path / "stories.jsonl", "text")
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=r"stories.jsonl, line 4: not"):
        read(path)


def test_bad_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "stories.parquet"
    parquet.write_table(pa.table({"title": STORIES}), path)
    with pytest.raises(ValueError, match=r"stories.parquet: no column text or story"):
        read(path)
    parquet.write_table(pa.table({"text": [1, 2]}), path)
    with pytest.raises(ValueError, match=r"stories.parquet: no readable parquet"):
        read(path)
    parquet.write_table(pa.table({"text": STORIES * 100}), path)
    content = path.read_bytes()
    for damaged in (content[:-20], b"PAR1" + bytes(200) + content[204:], b"no parquet"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"stories.parquet: no readable parquet"):
            read(path)


def test_missing_empty_and_unknown_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere.txt is not a file"):
        File(tmp_path / "nowhere.txt")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match=r"empty.txt is empty"):
        File(tmp_path / "empty.txt")
    (tmp_path / "stories.doc").write_text("x")
    with pytest.raises(ValueError, match=r"suffix '.doc' is not one of .txt, .jsonl, .parquet"):
        read(tmp_path / "stories.doc")


def test_file_counts_as_unchanged_while_its_content_is(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "stories.jsonl", "text")
    record = json.loads(json.dumps(File(path).record()))
    assert File(path).unchanged(record)
    os.utime(path, (1, 1))
    assert File(path).unchanged(record)
    path.write_text(path.read_text().replace("Tom", "Tim"))
    assert not File(path).unchanged(record)
    assert not File(path).unchanged({})


def test_built_in_stories_continue_where_another_stretch_ends() -> None:
    def told(start: int, size: int) -> list[str]:
        return list(BuiltIn(3, start, size).stories(lambda amount: None))

    assert told(0, 5) + told(5, 3) == told(0, 8)
    assert BuiltIn(3, 0, 5).unchanged(BuiltIn(3, 0, 5).record())
    assert not BuiltIn(3, 0, 5).unchanged(BuiltIn(4, 0, 5).record())
    with pytest.raises(ValueError, match="0 stories asked for"):
        BuiltIn(3, 0, 0)


class Hub(BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as a download asks for."""

    files: ClassVar[dict[str, bytes]] = {
        "/datasets/someone/stories/resolve/main/train.txt": b"Tom ran.\n<|endoftext|>\n",
        "/datasets/someone/stories/resolve/main/valid.txt": b"Ana sang.\n",
    }

    def do_HEAD(self) -> None:
        content = self.files.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{hash(content)}"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.files.get(self.path, b""))

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def download(folder: Path, *names: str, **environment: str) -> CompletedProcess[str]:
    """In a process of its own, for the hub's library reads its settings when it is imported."""
    code = "import sys; from pathlib import Path; from tinystories.data.sources import download\n"
    code += "try: print(*download('someone/stories', tuple(sys.argv[2:]), Path(sys.argv[1])), sep='\\n')\n"
    code += "except ValueError as error: sys.exit(f'error: {error}')"
    settings = {"HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "home"), "NO_PROXY": "127.0.0.1"} | environment
    return run([executable, "-c", code, folder, *names], env=os.environ | settings, capture_output=True, text=True)


def test_download_puts_the_files_in_the_folder(endpoint: str, tmp_path: Path) -> None:
    done = download(tmp_path / "raw", "train.txt", "valid.txt", HF_ENDPOINT=endpoint)
    assert done.stdout.split() == [f"{tmp_path}/raw/train.txt", f"{tmp_path}/raw/valid.txt"], done.stderr
    assert read(tmp_path / "raw" / "train.txt") == ["Tom ran."]


def test_failed_download_says_so_in_one_line(endpoint: str, tmp_path: Path) -> None:
    missing = download(tmp_path / "raw", "nowhere.txt", HF_ENDPOINT=endpoint)
    offline = download(tmp_path / "raw", "nowhere.txt", HF_HUB_OFFLINE="1")
    for failed in (missing, offline):
        assert failed.returncode == 1
        (line,) = failed.stderr.splitlines()
        assert line.startswith("error: cannot download nowhere.txt from someone/stories: ")


def test_folder_that_cannot_be_written_is_told_as_such(endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file")
    failed = download(tmp_path / "raw", "train.txt", HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path / "home"))
    assert "cannot download" not in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith(("FileExistsError", "NotADirectoryError"))
