"""Signals that ask a command to end: Ctrl-C, SIGTERM (docker stop, Slurm) and SIGHUP (a closed terminal).

The first one ends the command in order, and the second one at once. A command ends in order by `KeyboardInterrupt`,
or, where that would leave something half-done (`held`), when it looks at `received` itself.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 30
"""How long an end in order may take before the command ends at once. [s]"""
PATIENCE_WITHOUT_RAY = 3
"""The same once Ray's processes have ended, as where Slurm sends SIGTERM to them too: Tune would wait for ever. [s]"""
POLL_SECONDS = 0.5
RAY = ("raylet", "gcs_server")
"""What a local Ray cannot live without."""
SHOW_CURSOR = b"\x1b[?25h"
"""A live view hides the cursor of a terminal (ECMA-48, DECTCEM)."""


class Watch:
    """What signals have asked of this process.

    Args:
        resume: the line printed when the command ends at once.
    """

    def __init__(self, resume: str) -> None:
        self.received: int | None = None
        self._resume = resume
        self._held = False
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self._ray: list[psutil.Process] = []
        # A thread hears of signals too, as the main one may hang in a library that never returns to Python.
        self._heard, self._speak = os.pipe()
        self._terminal = os.dup(2)

    @property
    def status(self) -> int:
        """Exit status after the signal, as shells have it."""
        return 128 + (self.received or signal.SIGINT)

    def install(self) -> None:
        """Handle the signals, all but those that the caller ignores (nohup); libraries may have changed that since."""
        for number in SIGNALS:
            if self._before[number] is not signal.SIG_IGN:
                signal.signal(number, self._handle)

    def start(self) -> None:
        """Begin to listen; call it once."""
        os.set_blocking(self._speak, False)
        signal.set_wakeup_fd(self._speak, warn_on_full_buffer=False)
        self.install()
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def stop(self) -> None:
        """Leave signals to those that had them before."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._speak)  # ends the thread

    def ray_has_started(self) -> None:
        """Handle the signals again, as Ray has its own idea of SIGTERM, and learn which processes Ray needs."""
        self.install()
        self._ray = [process for process in psutil.Process().children() if process.name() in RAY]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nothing be interrupted within.

        Raises:
            KeyboardInterrupt: at the end, if a signal came meanwhile.
        """
        with self.polled():
            yield
        if self.received:
            raise KeyboardInterrupt

    @contextmanager
    def polled(self) -> Iterator[None]:
        """Let nothing be interrupted within; what is done there looks at `received`."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = number
            if not self._held:
                raise KeyboardInterrupt

    def _listen(self) -> None:
        """End at once when a second signal comes, or nothing of an end in order."""
        if self._heard_of(timeout=None) is None:
            return
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            number = self._heard_of(timeout=POLL_SECONDS)
            if number is None:
                return
            if number:
                break
            if not all(_alive(process) for process in self._ray):
                deadline = min(deadline, time.monotonic() + PATIENCE_WITHOUT_RAY)
        self._end_at_once()

    def _heard_of(self, timeout: float | None) -> int | None:
        """The next signal; 0 if there is none in time [s], None when the watch has ended."""
        while select.select([self._heard], [], [], timeout)[0]:
            content = os.read(self._heard, 1)
            if not content:
                os.close(self._heard)
                return None
            if content[0] in SIGNALS:
                return content[0]
        return 0

    def _end_at_once(self) -> None:
        """Kill all processes below this one, then end it."""
        for process in _descendants():
            with suppress(psutil.Error):
                process.kill()
        cursor = SHOW_CURSOR if os.isatty(self._terminal) else b""
        with suppress(OSError):  # the terminal has been closed
            os.write(self._terminal, cursor + f"Ended at once. {self._resume}\n".encode(errors="replace"))
        os._exit(self.status)


def _descendants() -> list[psutil.Process]:
    """Processes below this one, stopped first, so that none starts another meanwhile."""
    found: list[psutil.Process] = []
    while new := [process for process in psutil.Process().children(recursive=True) if process not in found]:
        for process in new:
            found.append(process)
            with suppress(psutil.Error):
                process.suspend()
    return found


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


_current: Watch | None = None
"""Signals are a process's, and so is who watches them."""


@contextmanager
def watched(resume: str) -> Iterator[Watch]:
    """Watch the signals while a command runs."""
    global _current
    _current = watch = Watch(resume)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()
        _current = None


@contextmanager
def while_ray_starts() -> Iterator[None]:
    """Let Ray start undisturbed, and its processes survive what a closed terminal sends to all of them.

    Raises:
        KeyboardInterrupt: at the end, if a signal came meanwhile; Ray crashes if one comes in between.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # which children inherit
    try:
        if _current is None:
            yield
            return
        with _current.held():
            yield
            _current.ray_has_started()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def given_to_tune() -> Iterator[None]:
    """Interrupt nothing while Tune runs; `tell_tune` lets it end in order."""
    if _current is None:
        yield
        return
    with _current.polled():
        yield


def tell_tune() -> None:
    """Ask Tune to end in order, by the signal that it listens to for that, if the command has been asked to.

    To be called when Tune runs, which is when it listens.
    """
    if _current is not None and _current.received is not None:
        signal.raise_signal(signal.SIGUSR1)
