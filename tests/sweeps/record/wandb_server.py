"""A W&B server in miniature: answers what the client asks about a run, and remembers what it was told."""

import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "a" * 40
ENTITY = {"id": "e", "name": "tester"}
VIEWER = {"id": "u", "entity": "tester", "username": "tester", "flags": "{}", "teams": {"edges": []}}


@dataclass
class RecordedRun:
    """What the server was told of one run."""

    upserts: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def tags(self) -> list[str]:
        return [upsert["tags"] for upsert in self.upserts if upsert.get("tags")][-1]

    @property
    def config(self) -> dict[str, Any]:
        return json.loads(self.upserts[0]["config"])

    @property
    def evaluations(self) -> list[int]:
        return [self.rows[line]["evaluation"] for line in sorted(self.rows)]


class WandbServer:
    """Listens on a free port of this machine until closed.

    `silence_after`: number of GraphQL answers after which it takes every request and answers none.
    """

    def __init__(self) -> None:
        self.runs: dict[str, RecordedRun] = defaultdict(RecordedRun)
        self.silence_after: int | None = None
        self.answers = 0
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def silent(self) -> bool:
        return self.silence_after is not None and self.answers >= self.silence_after

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Answer one query; an unknown one is answered like Viewer, which the client tolerates."""
        self.answers += 1
        if "RunResumeStatus" in query:
            return {"model": {"id": "p", "name": "p", "entity": ENTITY, "bucket": self._resume(variables["name"])}}
        if "UpsertBucket" in query:
            self.runs[variables["name"]].upserts.append(variables)
            return {"upsertBucket": {"bucket": self._identity(variables), "inserted": True}}
        if "CreateRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload"} for name in variables["files"]]
            return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}
        return {"viewer": VIEWER}

    def file_stream(self, name: str, body: dict[str, Any]) -> None:
        """Take history rows at their offsets, and the exit code."""
        run = self.runs[name]
        history = body.get("files", {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
        for line, row in enumerate(history["content"], history["offset"]):
            run.rows[line] = json.loads(row)
        if body.get("complete"):
            run.exit_code = body["exitcode"]

    def _identity(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["name"]
        project = {"id": "p", "name": variables["project"], "entity": ENTITY}
        return {"id": name, "name": name, "displayName": variables["displayName"], "project": project}

    def _resume(self, name: str) -> dict[str, Any] | None:
        """What the client needs to go on; it takes a run for started if its W&B config has a "t"."""
        if name not in self.runs:
            return None
        rows = self.runs[name].rows
        tail = json.dumps([json.dumps(rows[line]) for line in sorted(rows)[-1:]])
        counts = {"historyLineCount": len(rows), "eventsLineCount": 0, "logLineCount": 0}
        texts = {"summaryMetrics": "{}", "config": "{}", "wandbConfig": '{"t": 1}'}
        return {"name": name, "historyTail": tail, "eventsTail": "[]", **counts, **texts}


class _Handler(BaseHTTPRequestHandler):
    owner: WandbServer

    def do_POST(self) -> None:
        body = json.loads(self._body())
        if self.owner.silent:
            self.owner.closing.wait()
        elif self.path == "/graphql":
            self._answer({"data": self.owner.graphql(body["query"], body.get("variables") or {})})
        else:
            self.owner.file_stream(self.path.split("/")[-2], body)
            self._answer({"limits": {}})

    def do_GET(self) -> None:
        """How many rows there are, for a driver that waits for its own."""
        self._answer(sum(len(run.rows) for run in self.owner.runs.values()))

    def do_PUT(self) -> None:
        self._body()
        self._answer({})

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
