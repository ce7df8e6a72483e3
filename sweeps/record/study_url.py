"""The URL of an Optuna study on a local disk."""

from pathlib import Path

from sqlalchemy import URL


def study_url(file: Path) -> str:
    """Names a SQLite file, whatever its path holds: a `?` pasted into a URL would cut it off, a `%20` be a space."""
    return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)
