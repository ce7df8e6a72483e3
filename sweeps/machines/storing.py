"""A trial's checkpoints on a storage that may not answer for a while: remounted, out of reach, restarting."""

import errno
import logging
import time
from collections.abc import Callable
from typing import TypeVar

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")
MOST = 600.0
"""Longest wait for a storage: longer than a server takes to restart, and a sweep that ends can be resumed. [s]"""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Before the second attempt, and at most between two; each pause is twice as long as the one before. [s]"""
LASTING = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR),
    *(errno.EACCES, errno.EPERM),
}
"""Errors that somebody must mend: a full disk, a wrong place, no permission. All others may pass by themselves: those
that object stores give without a number, and EEXIST, which is what making a folder says of a mount that is gone."""


def waiting_time(patience: float) -> float:
    """How long to wait for a storage before a worker is given up that has not reported for `patience`. [s]"""
    return min(MOST, patience / 3)


def patiently(attempt: Callable[[], Answer], *, seconds: float) -> Answer:
    """The answer of a function that uses a storage; it is called again, after growing pauses, while that may help.

    Args:
        seconds: longest wait.

    Raises:
        OSError: an error that lasts, or one that has not passed by then.
    """
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        try:
            return attempt()
        except OSError as error:
            if error.errno in LASTING:
                raise
            if time.monotonic() + pause > deadline:
                raise OSError(f"{error} (waited {seconds:g} s for it to pass)") from error
            logger.warning("the storage does not serve: %s; next attempt in %g s", error, pause)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
