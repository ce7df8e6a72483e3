"""Who can reach and speak to the Ray of a local sweep, asked of a real one while it trains."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweeps.machines import access
from sweeps.record.tables import read_curves
from tinystories.data.make_dataset import make_stories

from .. import processes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="lists sockets as Linux does"),
]
DASHBOARD, AGENT = "dashboard/dashboard.py", "DashboardAgent"
REFUSED, ONLY_READS = 401, 405
"""HTTP status without a token, and of the port of metrics, which takes no POST."""


@dataclass(frozen=True)
class Running:
    """A local sweep that trains."""

    pid: int
    folder: Path

    @property
    def commands(self) -> dict[int, str]:
        return {self.pid: "driver", **processes.descendants(self.pid)}

    def ports(self, name: str) -> list[int]:
        commands = self.commands
        return [port for (_, port), pid in processes.listening(list(commands)).items() if name in commands[pid]]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("workplace")
    make_stories(folder / "data/processed", stories=200, valid_stories=5, tokenizer="bpe:300")
    trial = {"tokens": "100M", "evaluations": 9000, "context": 32, "batch_size": 4, "dtype": "float32"}
    file = processes.write_spec(folder, "open", trial=trial, run_cap=2, early_terminate=None, wandb="offline")
    process = processes.start([file], folder=folder, RAY_AUTH_MODE="disabled")
    running = Running(process.pid, folder)
    try:
        processes.wait_for(
            lambda: process.poll() is not None or bool(read_curves(folder / "runs/open/curves.csv")), seconds=240
        )
        assert process.poll() is None, processes.finish(process)
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        processes.finish(process)


def test_every_socket_of_a_local_sweep_listens_on_the_loopback_address_alone(sweep: Running) -> None:
    commands = sweep.commands
    found = processes.listening(list(commands))
    open_to_others = {
        (address, port): commands[pid] for (address, port), pid in found.items() if not processes.is_loopback(address)
    }

    assert len(found) > 10, "the parts of Ray were not found"
    assert not open_to_others


def test_the_job_api_refuses_who_has_no_token(sweep: Running) -> None:
    """Each of these would run a command, or list those that run."""
    for name in (DASHBOARD, AGENT):
        answers = [_submit(port, path) for port in sweep.ports(name) for path in ("/api/jobs/", "/api/job_agent/jobs/")]
        assert REFUSED in answers
        assert set(answers) <= {REFUSED, ONLY_READS, None}  # None: the port does not speak HTTP


def test_the_runtime_environment_agent_refuses_who_has_no_token(sweep: Running) -> None:
    """It would install packages."""
    (port,) = sweep.ports("RuntimeEnvAgent")

    assert _submit(port, "/get_or_create_runtime_env") == REFUSED


def _submit(port: int, path: str) -> int | None:
    """The status that a job without a token is answered with."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, json.dumps({"entrypoint": "true"}), {"Content-Type": "application/json"})
        return connection.getresponse().status
    except (http.client.HTTPException, OSError):
        return None
    finally:
        connection.close()


def test_the_control_store_admits_the_token_alone(sweep: Running) -> None:
    (port,) = sweep.ports("gcs/gcs_server")
    code = f"import ray; ray.init(address='127.0.0.1:{port}', log_to_driver=False); print('joined', len(ray.nodes()))"

    def join(**variables: str) -> tuple[int, str, str]:
        environment = {**os.environ, **access.LOOPBACK_ONLY, **variables}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=processes.DEADLINE
        )
        return done.returncode, done.stdout, done.stderr

    status, printed, _ = join(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=_token(sweep))
    assert (status, printed) == (0, "joined 1\n")
    status, printed, error = join(RAY_AUTH_MODE="disabled")
    assert (status, printed) == (1, "")
    assert "token authentication is enabled" in error


def test_the_token_stands_in_no_file_and_on_no_command_line(sweep: Running) -> None:
    token = _token(sweep)

    assert len(token) == 64
    for root in (sweep.folder, _session(sweep)):
        files = [path for path in root.rglob("*") if path.is_file()]
        assert files
        assert [path for path in files if token.encode() in path.read_bytes()] == []
    assert not [command for command in sweep.commands.values() if token in command]


def _token(sweep: Running) -> str:
    """The token that a process of the sweep has inherited."""
    worker = next(pid for pid, command in sweep.commands.items() if "RayTrainWorker" in command)
    (found,) = re.findall(rb"\0RAY_AUTH_TOKEN=([^\0]*)", Path(f"/proc/{worker}/environ").read_bytes())
    return found.decode()


def _session(sweep: Running) -> Path:
    """Ray's session folder of this sweep."""
    command = next(command for command in sweep.commands.values() if "gcs/gcs_server" in command)
    return Path(command.split("--session-dir=")[1].split()[0])
