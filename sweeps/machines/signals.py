"""Signals that ask a command to end: Ctrl-C, SIGTERM (docker stop, Slurm) and SIGHUP (a closed terminal).

The first one ends the command in order, and the second one at once. A command ends in order by `KeyboardInterrupt`,
or, where that would leave something half-done (`held`), when it looks at `received` itself.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 30
"""How long an end in order may take before the command ends at once, such as when Ray's processes are gone. [s]"""
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
        self._timer: threading.Timer | None = None
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
        if self._timer:
            self._timer.cancel()

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
        heard = 0
        while numbers := os.read(self._heard, 1):
            if numbers[0] not in SIGNALS:
                continue
            heard += 1
            if heard == 1:
                self._timer = threading.Timer(PATIENCE, self._end_at_once, (numbers[0],))
                self._timer.daemon = True
                self._timer.start()
            else:
                self._end_at_once(self.received or numbers[0])
        os.close(self._heard)

    def _end_at_once(self, number: int) -> None:
        """Kill all processes below this one, then end it."""
        for process in _descendants():
            with suppress(psutil.Error):
                process.kill()
        cursor = SHOW_CURSOR if os.isatty(self._terminal) else b""
        with suppress(OSError):  # the terminal has been closed
            os.write(self._terminal, cursor + f"Ended at once. {self._resume}\n".encode(errors="replace"))
        os._exit(128 + number)


def _descendants() -> list[psutil.Process]:
    """Processes below this one, stopped first, so that none starts another meanwhile."""
    found: list[psutil.Process] = []
    while new := [process for process in psutil.Process().children(recursive=True) if process not in found]:
        for process in new:
            found.append(process)
            with suppress(psutil.Error):
                process.suspend()
    return found


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
            _current.install()  # Ray has replaced the handler of SIGTERM
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
