"""As much of the Hugging Face hub as the `datasets` library asks for, served from this machine."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

REPOSITORY = "someone/stories"


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[str]:
    """The address of a hub that holds one data set, `REPOSITORY`, with these files."""

    class Served(_Hub):
        content = files
        revision = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    content: ClassVar[Mapping[str, bytes]]
    revision: ClassVar[str]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        if match := re.fullmatch(f"/datasets/{REPOSITORY}/resolve/[^/]+/(.*)", path):
            self._send_file(match[1])
        elif re.fullmatch(f"/api/datasets/{REPOSITORY}(/revision/[^/]+)?", path):
            names = [{"rfilename": name} for name in self.content]
            self._send_json({"id": REPOSITORY, "sha": self.revision, "siblings": names})
        elif match := re.fullmatch(f"/api/datasets/{REPOSITORY}/tree/[^/]+/?(.*)", path):
            self._send_json(self._tree(match[1], "True" in str(parse_qs(url.query).get("recursive")).title()))
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def _tree(self, folder: str, recursive: bool) -> list[dict[str, object]]:
        """What a folder holds."""
        inside = folder and f"{folder}/"
        files = [name for name in self.content if name.startswith(inside)]
        direct = [name for name in files if recursive or "/" not in name.removeprefix(inside)]
        folders = {inside + name.removeprefix(inside).split("/")[0] for name in set(files) - set(direct)}
        entries = [(name, "file", len(self.content[name])) for name in direct]
        entries += [(name, "directory", 0) for name in sorted(folders)]
        return [{"path": name, "type": kind, "size": size, "oid": "0" * 40} for name, kind, size in entries]

    def _send_file(self, name: str) -> None:
        headers = {"X-Repo-Commit": self.revision}
        if name not in self.content:
            self._send(404, b"", headers | {"X-Error-Code": "EntryNotFound"})
            return
        whole = self.content[name]
        headers |= {"ETag": f'"{hashlib.sha1(whole).hexdigest()}"', "Accept-Ranges": "bytes"}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, stop = int(asked[1]), min(int(asked[2] or len(whole)) + 1, len(whole))
            span = {"Content-Range": f"bytes {start}-{stop - 1}/{len(whole)}"}
            self._send(206, whole[start:stop], headers | span)
        else:
            self._send(200, whole, headers)

    def _send_json(self, value: object) -> None:
        self._send(200 if value else 404, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""
