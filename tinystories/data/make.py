"""Makes a data folder unless it is there already; it appears whole, or stays as it was."""

from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tinystories import storage, terminal
from tinystories.data.build import Recipe, build
from tinystories.data.dataset import DESCRIPTION, TOKENIZER, TRAIN, VALID, describe, open_dataset
from tinystories.staging import locked, staged


def make(recipe: Recipe, folder: Path) -> tuple[dict[str, Any], bool]:
    """Make the dataset unless it is there already; returns what dataset.json says, and whether it is new.

    The folder appears whole, or stays as it was. Runs for the same folder wait for each other.

    Raises:
        OSError: the disk is full, or a file cannot be read.
        ValueError: the folder holds anything but a dataset, or a source is not what it should be.
    """
    folder = folder.resolve()
    if Path.cwd().is_relative_to(folder):
        raise ValueError(f"{folder} holds the working folder; name another folder")
    with locked(folder):
        if _is_current(folder, recipe):
            return describe(folder), False
        _require_replaceable(folder)
        with storage.named(folder), staged(folder) as aside, _progress() as progress:
            return build(recipe, aside, progress), True


def _is_current(folder: Path, recipe: Recipe) -> bool:
    """Whether the folder holds what the recipe would make; reads only inputs that were touched since."""
    try:
        open_dataset(folder)
    except (FileNotFoundError, ValueError):
        return False
    description = describe(folder)
    if (description["tokenizer"], description.get("seed")) != (str(recipe.tokenizer), recipe.seed):
        return False
    for use, group in recipe.sources().items():
        records = description.get("sources", {}).get(use, [])
        if len(group) != len(records):
            return False
        if not all(source.unchanged(record) for source, record in zip(group, records, strict=True)):
            return False
    return True


def _require_replaceable(folder: Path) -> None:
    """Refuse to replace anything but a dataset, whole or damaged, or an empty folder."""
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    strange = names - {TRAIN, VALID, TOKENIZER, DESCRIPTION}
    if strange or (names and DESCRIPTION not in names):
        raise ValueError(f"{folder} holds other files ({', '.join(sorted(strange or names))}); name another folder")


def _progress() -> Progress:
    console = terminal.console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
