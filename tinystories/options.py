"""A command line whose errors are one line, and the types of its options."""

import argparse
import os
from pathlib import Path
from typing import NoReturn

from tinystories.terminal import WRONG_INPUT, one_line


class Parser(argparse.ArgumentParser):
    """`ArgumentParser` that says what is wrong, without the usage of all options before it."""

    def error(self, message: str) -> NoReturn:
        """Print one line, and exit with status 2."""
        self.exit(WRONG_INPUT, f"error: {one_line(message)}\n")


def path(text: str) -> Path:
    """The type of an option that names a local file or folder; `~` is the home folder wherever it is written.

    Raises:
        argparse.ArgumentTypeError: an empty text, or the home folder of nobody.
    """
    return Path(location(text))


def location(text: str) -> str:
    """The type of an option that names a path, as `path` does, or a URI.

    Raises:
        argparse.ArgumentTypeError: an empty text, or the home folder of nobody.
    """
    if not text:
        raise argparse.ArgumentTypeError("is empty; allowed: a path")
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise argparse.ArgumentTypeError(f"{text!r}: no such user; a name that begins with ~ is written ./{text}")
    return expanded
