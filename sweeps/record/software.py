"""Which program on which machine ran a sweep, for those who read its results later."""

import hashlib
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = "tinystories-sweeps"
ROOT = Path(__file__).resolve().parents[2]


def describe() -> dict[str, Any]:
    """Version and commit of this program, a hash of all installed packages, host, CPU and GPUs."""
    return {
        "version": metadata.version(PACKAGE),
        "commit": _commit(ROOT),
        "python": platform.python_version(),
        "packages": _packages_hash(),
        "host": platform.node(),
        "cpu": _cpu(),
        "gpus": _lines("nvidia-smi", "--query-gpu=name", "--format=csv,noheader"),
    }


def _commit(root: Path) -> str:
    """The checkout's commit, with a plus sign where files differ from it; empty: it is no checkout."""
    if not (root / ".git").exists():
        return ""
    commit = _lines("git", "-C", str(root), "rev-parse", "HEAD")
    changed = _lines("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    return f"{commit[0]}{'+' if changed else ''}" if commit else ""


def _packages_hash() -> str:
    """Tells environments apart: equal where all packages have equal versions."""
    found = sorted(f"{package.name}=={package.version}" for package in metadata.distributions())
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _lines(*command: str) -> list[str]:
    """What a command prints; nothing where it is not installed or fails."""
    if shutil.which(command[0]) is None:
        return []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
