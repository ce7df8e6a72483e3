"""What the processes of a command are, and where they listen."""

import ipaddress
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from sweeps import run

from .examples import minimal

RUN = Path(run.__file__)
DEADLINE = 240
"""Far more than any step takes, so that a hang is a failure. [s]"""
LISTENING = "0A"
"""State of a socket in /proc/net/tcp (include/net/tcp_states.h)."""


def write_spec(folder: Path, name: str, **changes: Any) -> Path:
    """The file of a sweep of tiny models."""
    file = folder / f"{name}.yaml"
    trial = {"tokens": "8k", "context": 32, "batch_size": 4, "dtype": "float32"}
    raw = minimal(**{"name": name, "wandb": "disabled", "trial": trial, **changes})
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return file


def start(
    arguments: Sequence[str | Path], *, folder: Path, stdout: int = subprocess.PIPE, **environment: str
) -> "subprocess.Popen[str]":
    """Start `python sweeps/run.py ARGUMENTS` in a folder; both outputs come from one pipe.

    It leads a process group of its own.
    """
    return subprocess.Popen(
        [sys.executable, str(RUN), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "WANDB_ERROR_REPORTING": "false", **environment},
        text=True,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]", seconds: float = DEADLINE) -> tuple[int, str]:
    """Exit status and output of a process that ends in time."""
    output, _ = process.communicate(timeout=seconds)
    return process.returncode, output


def descendants(pid: int) -> dict[int, str]:
    """Processes below one, by id."""
    listing = subprocess.run(["ps", "-ewwo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    below, found = [pid], {}
    rows = [line.split(None, 2) for line in listing.splitlines()[1:]]
    for parent in below:
        children = {int(child): command for child, its_parent, command in rows if int(its_parent) == parent}
        found.update(children)
        below.extend(children)
    return found


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition: Callable[[], bool], seconds: float = DEADLINE) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def listening(pids: Sequence[int]) -> dict[tuple[str, int], int]:
    """Addresses and ports where processes listen, TCP of both families, and the process of each."""
    owners = {inode: pid for pid in pids for inode in _sockets(pid)}
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text(encoding="utf-8").splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and inode in owners:
                address, port = local.split(":")
                found[_address(address), int(port, 16)] = owners[inode]
    return found


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    parsed = ipaddress.ip_address(address)
    return ((isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped) or parsed).is_loopback


def _address(hexadecimal: str) -> str:
    """As /proc/net/tcp has it: words of four bytes in the order of the machine."""
    words = re.findall("." * 8, hexadecimal)
    return str(ipaddress.ip_address(b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)))


def _sockets(pid: int) -> list[str]:
    """Inodes of a process's sockets; none of one that has ended."""
    found = []
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor)):
                found.append(match[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found
