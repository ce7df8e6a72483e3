"""Files of a hub's repository come as they are."""

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess, run
from sys import executable
from threading import Thread
from typing import ClassVar

import pytest


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
    code = "import sys; from pathlib import Path; from tinystories.data.published import download\n"
    code += "try: print(*download('someone/stories', tuple(sys.argv[2:]), Path(sys.argv[1])), sep='\\n')\n"
    code += "except ValueError as error: sys.exit(f'error: {error}')"
    settings = {"HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "home"), "NO_PROXY": "127.0.0.1"} | environment
    return run([executable, "-c", code, folder, *names], env=os.environ | settings, capture_output=True, text=True)


def test_download_puts_the_files_in_the_folder(endpoint: str, tmp_path: Path) -> None:
    done = download(tmp_path / "raw", "train.txt", "valid.txt", HF_ENDPOINT=endpoint)
    assert done.stdout.split() == [f"{tmp_path}/raw/train.txt", f"{tmp_path}/raw/valid.txt"], done.stderr
    assert (tmp_path / "raw" / "train.txt").read_bytes() == b"Tom ran.\n<|endoftext|>\n"


def test_failed_download_says_so_in_one_line(endpoint: str, tmp_path: Path) -> None:
    missing = download(tmp_path / "raw", "nowhere.txt", HF_ENDPOINT=endpoint)
    offline = download(tmp_path / "raw", "nowhere.txt", HF_HUB_OFFLINE="1")
    for failed in (missing, offline):
        assert failed.returncode == 1
        (line,) = failed.stderr.splitlines()
        assert line.startswith("error: cannot read nowhere.txt of someone/stories: ")


def test_folder_that_cannot_be_written_is_told_as_such(endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file", encoding="utf-8")
    failed = download(tmp_path / "raw", "train.txt", HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path / "home"))
    assert "cannot read" not in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith(("FileExistsError", "NotADirectoryError"))
