"""Makes a data folder: `python -m tinystories.data.make_dataset`. Stories in; tokens, tokenizer and figures out."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from tinystories.data.build import REASONS, Recipe, build
from tinystories.data.dataset import DESCRIPTION, TOKENIZER, TRAIN, VALID, describe, open_dataset
from tinystories.data.sources import VERSIONS, BuiltIn, File, download
from tinystories.data.tokenizer import parse_spec
from tinystories.options import Parser
from tinystories.staging import locked, staged

GPT_NEO = "EleutherAI/gpt-neo-125M"
TINYSTORIES = "roneneldan/TinyStories"
STORIES = 30_000
VALID_STORIES = 500
"""Enough to tell two models apart, few enough to be evaluated often."""


def make(recipe: Recipe, folder: Path) -> tuple[dict[str, Any], bool]:
    """Make the dataset unless it is there already; returns what dataset.json says, and whether it is new.

    The folder appears whole, or stays as it was. Runs for the same folder wait for each other.

    Raises:
        ValueError: the folder holds anything but a dataset, or a source is not what it should be.
    """
    folder = folder.resolve()
    if Path.cwd().is_relative_to(folder):
        raise ValueError(f"{folder} holds the working folder; name another folder")
    with locked(folder):
        if _is_current(folder, recipe):
            return describe(folder), False
        _require_replaceable(folder)
        with staged(folder) as aside, _progress() as progress:
            return build(recipe, aside, progress), True


def make_stories(
    folder: str | Path,
    *,
    stories: int = STORIES,
    tokenizer: str = "bpe:1024",
    seed: int = 0,
    valid_stories: int = VALID_STORIES,
) -> Path:
    """Make a dataset of built-in stories, unless the folder holds that very one; returns the folder.

    The validation stories depend on the seed alone, so datasets of different length can be compared.

    Args:
        stories: training stories.
        tokenizer: bpe:N; GPT-Neo's needs files and so the command line.

    Raises:
        ValueError: an unknown tokenizer, no stories, or a folder that holds something else.
    """
    make(_built_in(stories, tokenizer, seed, valid_stories), Path(folder))
    return Path(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 0 made or already there, 2 wrong input, 130 stopped by Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        description, new = make(_recipe(options), options.out)
    except KeyboardInterrupt:
        print(f"stopped; {options.out} is as it was before", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print("error:", *str(error).split(), file=sys.stderr)
        return 2
    _report(description, options.out, new)
    return 0


def _parser() -> Parser:
    parser = Parser(prog="python -m tinystories.data.make_dataset", description=__doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--stories", type=int, metavar="N", help=f"built-in stories, nothing to download (default: {STORIES})"
    )
    source.add_argument(
        "--text",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="training stories: .txt with <|endoftext|> between stories, .jsonl or .parquet with text or story",
    )
    source.add_argument(
        "--hub",
        nargs="?",
        const=TINYSTORIES,
        metavar="REPOSITORY",
        help=f"download from the Hugging Face hub: {TINYSTORIES} (default), or a copy with the same file names",
    )
    parser.add_argument(
        "--valid", nargs="+", type=Path, metavar="FILE", help="validation stories for --text (default: held out)"
    )
    parser.add_argument("--version", choices=VERSIONS, help="for --hub (default: V1, the paper's)")
    parser.add_argument("--raw", type=Path, default="data/raw", help="downloads (default: %(default)s)")
    parser.add_argument("--out", type=Path, default="data/processed", help="data folder (default: %(default)s)")
    parser.add_argument("--tokenizer", help="bpe:N or gpt-neo:N (default: bpe:4096; for built-in stories bpe:1024)")
    parser.add_argument("--vocab-json", type=Path, help="GPT-Neo's vocab.json (default: from the hub)")
    parser.add_argument("--merges-txt", type=Path, help="GPT-Neo's merges.txt (default: from the hub)")
    parser.add_argument("--seed", type=int, default=0, help="of built-in stories and held-out part (default: 0)")
    return parser


def _recipe(options: argparse.Namespace) -> Recipe:
    """What the command line asks for; downloads what it names on the hub."""
    _refuse_idle(options)
    if not (options.text or options.hub):
        stories = STORIES if options.stories is None else options.stories
        return _built_in(stories, options.tokenizer or "bpe:1024", options.seed, VALID_STORIES)
    spec = parse_spec(options.tokenizer or "bpe:4096")
    if options.hub:
        train, valid = ([path] for path in download(options.hub, VERSIONS[options.version or "V1"], options.raw))
    else:
        train, valid = options.text, options.valid or []
    return Recipe(
        train=tuple(map(File, train)),
        valid=tuple(map(File, valid)),
        tokenizer=spec,
        gpt_neo=_gpt_neo_files(options) if spec.kind == "gpt-neo" else (),
        seed=options.seed,
    )


def _refuse_idle(options: argparse.Namespace) -> None:
    """Refuse options that would be without effect."""
    if options.valid and not options.text:
        raise ValueError("--valid goes with --text")
    if options.version and not options.hub:
        raise ValueError("--version goes with --hub")
    if (options.vocab_json or options.merges_txt) and not (options.tokenizer or "").startswith("gpt-neo:"):
        raise ValueError("--vocab-json and --merges-txt go with --tokenizer gpt-neo:N")


def _built_in(stories: int, tokenizer: str, seed: int, valid_stories: int) -> Recipe:
    spec = parse_spec(tokenizer)
    if spec.kind != "bpe":
        raise ValueError(f"tokenizer {tokenizer!r}: built-in stories have bpe:N only")
    return Recipe(
        train=(BuiltIn(seed, valid_stories, stories),), valid=(BuiltIn(seed, 0, valid_stories),), tokenizer=spec
    )


def _gpt_neo_files(options: argparse.Namespace) -> tuple[File, ...]:
    """GPT-Neo's vocabulary and merges, as given or from the hub."""
    given = options.vocab_json, options.merges_txt
    if any(given) != all(given):
        raise ValueError("--vocab-json and --merges-txt go together")
    paths = given if all(given) else download(GPT_NEO, ("vocab.json", "merges.txt"), options.raw, kind="model")
    return tuple(map(File, paths))


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
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _report(description: dict[str, Any], folder: Path, new: bool) -> None:
    """Print what the dataset holds, as a table."""
    splits = {"training": description["train"], "validation": description["valid"]}
    table = Table(f"{description['tokenizer']} ({description['vocab_size']:,} tokens)")
    for split in splits:
        table.add_column(split, justify="right")
    for name in ("stories", "tokens", "bytes", "bytes_per_token", "repaired"):
        table.add_row(name.replace("_", " "), *(f"{split[name]:,}" for split in splits.values()))
    for reason in REASONS:
        table.add_row(f"removed: {reason}", *(f"{split['removed'][reason]:,}" for split in splits.values()))
    Console().print(table)
    print(f"{folder}: {'made' if new else 'already there; inputs and settings have not changed'}")


if __name__ == "__main__":
    sys.exit(main())
