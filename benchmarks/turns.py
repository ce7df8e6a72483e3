"""Processes that take turns on one machine: both ends of the pipe between the benchmark and a contender.

A contender starts, warms up and waits; for every line on its stdin it trains for one window and answers with a line
of JSON. So only one computes at a time, and a noisy minute of the machine hits all of them alike.
Nothing here imports torch: Linux begins a process's `ru_maxrss` at the peak of its parent, which has to stay small.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CONTENDERS = Path(__file__).with_name("contenders.py")
WARM_UP = 2
"""Steps before the first window, after those that compile."""
SLOW = 60
"""A contender whose single step takes longer has a first window only, which is one step. [s]"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one contender is to train, and how."""

    contender: str
    """A function of contenders.py."""
    dtype: str
    """Precision of the matrix products: float32, bfloat16, or auto where the contender chooses by itself."""
    compiled: bool
    """Whether it compiles."""
    depth: int
    """Number of layers."""
    width: int
    """Size of the residual stream."""
    heads: int
    """Number of attention heads."""
    vocab_size: int
    """Ids are below this number. [token]"""
    context: int
    """Length of a sequence. [token]"""
    batch_size: int
    """Sequences per step."""
    device: str
    """cpu or cuda."""
    threads: int
    """CPU threads."""
    tokens: str
    """File of random ids, uint16."""
    window: float
    """Length of a window, which is at least one step. [s]"""
    started: float = 0.0
    """When the process was started, as `time.time` counts; `Process` sets it. [s]"""

    @property
    def tokens_per_step(self) -> int:
        """Tokens in one step. [token]"""
        return self.batch_size * self.context


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a contender answers when it has warmed up."""

    dtype: str
    """Precision of its matrix products."""
    first_step: float
    """Time from the start of its process to the end of its first step. [s]"""
    ready: float
    """Time from the start of its process to the end of its warm-up. [s]"""
    tokens: int
    """What it has trained on by then. [token]"""
    slow: bool
    """Whether a step takes longer than `SLOW`."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """What a contender answers after a window."""

    tokens: int
    """What it has trained on in the window. [token]"""
    seconds: float
    """How long that took. [s]"""
    peak_memory_bytes: int
    """Most memory that it has held since its start: on a GPU in tensors, on a CPU in all. [byte]"""


class ProcessError(Exception):
    """A contender's process has ended instead of answering."""


class Process:
    """A contender's process as the benchmark sees it; the end of the `with` block ends it.

    Args:
        job: what it is to do.
        environment: its environment variables.
        log: file that takes all that it prints.
    """

    def __init__(self, job: Job, *, environment: dict[str, str], log: Path) -> None:
        self._log = log
        command = [sys.executable, str(CONTENDERS), json.dumps(asdict(replace(job, started=time.time())))]
        with open(log, "w", encoding="utf-8") as stderr:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment, encoding="utf-8"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def go(self) -> dict[str, Any]:
        """Let it have its turn; its answer.

        Raises:
            ProcessError: it ended; the message is the last line that it printed.
        """
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # `answer` knows why
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Its next answer; the first comes without being asked for.

        Raises:
            ProcessError: it ended; the message is the last line that it printed.
        """
        assert self._process.stdout
        if line := self._process.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            return answer
        status = self._process.wait()
        lines = self._log.read_text(encoding="utf-8").strip().splitlines()
        raise ProcessError(lines[-1] if lines else f"ended with status {status}")


def say(**answer: object) -> None:
    """The contender's side of `Process.answer`. `sys.stdout` is left to libraries that print."""
    print(json.dumps(answer), file=sys.__stdout__, flush=True)


def paced(
    job: Job, *, dtype: str, settling: int, synchronize: Callable[[], None], peak_memory: Callable[[], int]
) -> Iterator[None]:
    """Yields whenever a training step is due, and answers in between; ends when stdin does.

    Args:
        job: what is being trained.
        dtype: precision that the contender has chosen.
        settling: first steps that take longer because they compile.
        synchronize: waits until the device has done all it was told to.
        peak_memory: as in `Window`.
    """
    seconds = yield from _warm_up(job, dtype, settling, synchronize)
    steps = 1
    for _ in sys.stdin:
        steps = max(1, round(steps * job.window / seconds))
        seconds = yield from _timed(steps, synchronize)
        say(tokens=steps * job.tokens_per_step, seconds=seconds, peak_memory_bytes=peak_memory())


def _warm_up(job: Job, dtype: str, settling: int, synchronize: Callable[[], None]) -> Generator[None, None, float]:
    """The first steps, fewer of them if they are slow; what the last one took. [s]"""
    first = seconds = 0.0
    for step in range(1, settling + WARM_UP + 1):
        seconds = yield from _timed(1, synchronize)
        first = first or time.time() - job.started
        if step > settling and seconds > SLOW:
            break
    ready = time.time() - job.started
    tokens = step * job.tokens_per_step
    say(dtype=dtype, first_step=first, ready=ready, tokens=tokens, slow=seconds > SLOW)
    return seconds


def _timed(steps: int, synchronize: Callable[[], None]) -> Generator[None, None, float]:
    """So many steps; what they took together. [s]"""
    started = time.perf_counter()
    for _ in range(steps):
        yield
    synchronize()
    return time.perf_counter() - started
