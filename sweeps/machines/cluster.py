"""The way to Ray: a cluster of this machine alone, or one that runs already."""

import ipaddress
import math
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from sweeps.machines import access, signals

NO_ANSWER = "--address {}: no Ray cluster answers there; give host:port, or auto on one of its nodes"
ANSWER_SECONDS = 25
"""How long a cluster may take to answer. [s]"""
GPU_SECONDS = 1800
"""How long the first GPU node of an autoscaled cluster may take to start. [s]"""

SLOT_BYTES = 900 * 2**20
"""Control processes of one slot, all on the head (measured). [byte]"""

SETTINGS = {
    # Tune's own result files, tables and metric checks: the sweep's files and view replace them.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Nothing is restored from Tune's snapshots, so they need not be frequent. [s]
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    # How soon a dead Train worker is noticed; the default is 2 s. [s]
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # One helper process less per slot (190 MB); a preempted worker is met like a dead one.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # A GPU node that the autoscaler has still to start takes minutes. [s]
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(GPU_SECONDS),
    # Relative paths mean the same in a worker as in the driver.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # `signals` hears of Ctrl-C, and tells Tune.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


def connect(address: str | None) -> None:
    """Start Ray on this machine, or join a running cluster.

    Args:
        address: host:port of a cluster's head, or auto; None starts a local one.

    Raises:
        OSError: a local Ray would listen to other machines.
        KeyboardInterrupt: a signal came meanwhile.
        ValueError: no cluster answers there.
    """
    os.environ.update(SETTINGS)
    os.environ.update(access.closed() | access.own_address() if address is None else access.of_cluster())
    import ray

    with signals.while_ray_starts():
        if address is None:
            ray.init(address="local", log_to_driver=False)
            _require_loopback()
        else:
            ray.init(address=address, log_to_driver=False, runtime_env={"env_vars": SETTINGS})


def _require_loopback() -> None:
    """Fail rather than serve the network, should a later Ray take its address from elsewhere."""
    import ray

    listens_at = ray.util.get_node_ip_address()
    if not ipaddress.ip_address(listens_at).is_loopback:
        ray.shutdown()
        raise OSError(f"Ray {ray.__version__} listens at {listens_at}, where other machines reach it; nothing was run")


def disconnect() -> None:
    """Leave the cluster; one that `connect` started ends."""
    import ray

    ray.shutdown()


def check_answers(address: str) -> None:
    """Ask a cluster whether it is well, in a process that can be given up on.

    Raises:
        ValueError: it does not answer within `ANSWER_SECONDS`.
    """
    if address != "auto":
        _check_listens(address)
    where = [] if address == "auto" else ["--address", address]
    ray = str(Path(sys.executable).with_name("ray"))
    try:
        healthy = (
            subprocess.run(
                [ray, "health-check", *where],
                env={**os.environ, **access.of_cluster()},
                timeout=ANSWER_SECONDS,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            ).returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        healthy = False
    if not healthy:
        raise ValueError(NO_ANSWER.format(address))


def _check_listens(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5):
            pass
    except (OSError, ValueError, OverflowError):
        raise ValueError(NO_ANSWER.format(address)) from None


def is_here_alone() -> bool:
    """Whether the cluster is this machine and stays so: no other node, and no autoscaler that may start one."""
    import ray

    alive = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    return alive == [ray.get_runtime_context().get_node_id()] and not _possible()


def has_gpus() -> bool:
    """Whether a node has a GPU, or one that the autoscaler may start."""
    import ray

    return "GPU" in {**ray.cluster_resources(), **_possible()}


def gpu_bytes() -> int:
    """Memory of the cluster's smallest GPU; waits for the first one if the autoscaler has still to start it. [byte]

    Raises:
        ValueError: none came within half an hour, or PyTorch cannot use one of them.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    @ray.remote(num_cpus=0, num_gpus=0.01)
    def measure() -> int:
        import torch

        return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0

    here = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]
    places = [{"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)} for node in here] or [{}]
    try:
        smallest = min(ray.get([measure.options(**place).remote() for place in places], timeout=GPU_SECONDS))
    except ray.exceptions.GetTimeoutError:
        raise ValueError(f"no GPU came within {GPU_SECONDS} s; --set trials_per_gpu=0 trains on CPUs") from None
    if not smallest:
        raise ValueError(
            "PyTorch cannot use a GPU that Ray counts: see its driver; --set trials_per_gpu=0 trains on CPUs"
        )
    return smallest


def slots(cpus_per_trial: int, trials_per_gpu: int) -> tuple[int, float]:
    """How many trials the cluster runs at a time, and the share of a GPU of each; what the autoscaler may add counts.

    Args:
        trials_per_gpu: trials that share a GPU; 0: they need none.

    Raises:
        ValueError: not one trial fits.
    """
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fitting_now = sum(_fitting(node, cpus_per_trial, trials_per_gpu) for node in alive)
    count = max(fitting_now, _fitting(_possible(), cpus_per_trial, trials_per_gpu))
    if count < 1:
        wanted = "a GPU with cpus_per_trial" if trials_per_gpu else "cpus_per_trial"
        found = {key: value for key, value in ray.cluster_resources().items() if key in ("CPU", "GPU")}
        raise ValueError(f"{wanted} {cpus_per_trial}: no node has that much; the whole cluster has {found}")
    count = max(1, min(count, _held_by_head()))
    # Ray counts in ten-thousandths; rounded up, the last trial of a GPU would not fit.
    return count, math.floor(10_000 / trials_per_gpu) / 10_000 if trials_per_gpu else 0.0


def _fitting(resources: dict[str, float], cpus: int, trials_per_gpu: int) -> int:
    """Trials that fit into these resources."""
    by_cpu = int(resources.get("CPU", 0) // cpus)
    return min(by_cpu, int(resources.get("GPU", 0)) * trials_per_gpu) if trials_per_gpu else by_cpu


def _held_by_head() -> int:
    """Slots whose control processes fit into the head's memory, as Ray counts it."""
    import ray

    from sweeps.machines.slot import HEAD

    heads = [node["Resources"] for node in ray.nodes() if HEAD in node["Resources"]]
    return int(heads[0]["memory"] // SLOT_BYTES)


def _possible() -> dict[str, Any]:
    """Resources of the cluster once the autoscaler has started all that it may; empty without one."""
    import ray

    return ray._private.state.state.get_max_resources_from_cluster_config() or {}
