"""A command line whose errors are one line."""

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """`ArgumentParser` that says what is wrong, without the usage of all options before it."""

    def error(self, message: str) -> NoReturn:
        """Print one line, and exit with status 2."""
        self.exit(2, f"error: {message}\n")
