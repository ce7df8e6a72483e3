"""Who may speak to Ray: only this sweep's processes where Ray is local, whoever the cluster admits elsewhere.

Ray runs any code that it is sent. By default it listens on all addresses of a machine, which would let every host
that reaches the machine run commands as its user.
"""

import os
import secrets
import socket
from functools import cache
from pathlib import Path

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Lets all of Ray's servers listen on the loopback address alone.

Ray does so by itself on Windows and macOS, and on Linux with this variable, whatever its name says
(`ray/_private/ray_constants.py`, `services.get_node_ip_address`); `ray.init(_node_ip_address="127.0.0.1")` does not,
as Ray replaces it by the public address. `cluster.connect` checks that the address is what it should be.
"""


def closed() -> dict[str, str]:
    """The environment of a local Ray that no one else can reach or speak to: loopback, with a fresh token.

    Ray must not have been imported before this is the environment. The token is in no file and in no log; only this
    process and its children know it.
    """
    return {**LOOPBACK_ONLY, MODE: "token", TOKEN: _token()}


@cache
def _token() -> str:
    """One for this process, as Ray reads it only once."""
    return secrets.token_hex(32)


def own_address() -> dict[str, str]:
    """The environment that lets all processes of a local Ray find it, whatever other Ray runs on the machine.

    Without it Ray Train's cleaner finds several, gives up, and what a dead slot had reserved is never free again.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {"RAY_GCS_SERVER_PORT": str(port), "RAY_ADDRESS": f"127.0.0.1:{port}"}


def of_cluster() -> dict[str, str]:
    """The environment with which to join a running cluster: as it says itself, else by token if the user has one.

    The mode is spelled out because Ray would derive it for some of its processes and not for others.
    """
    has_token = os.environ.get(TOKEN) or os.environ.get(TOKEN_PATH) or (Path.home() / ".ray" / "auth_token").exists()
    return {MODE: os.environ.get(MODE) or ("token" if has_token else "disabled")}
