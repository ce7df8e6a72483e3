"""Makes a data folder: `python -m tinystories.data.make_dataset`. Stories in; tokens, tokenizer and figures out."""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.table import Table

from tinystories import terminal
from tinystories.data import hub
from tinystories.data.build import MOST_DROPPED, REASONS, Recipe
from tinystories.data.make import make
from tinystories.data.published import VERSIONS, Card, download, published_card
from tinystories.data.sources import BuiltIn, File, Source
from tinystories.data.text import BLANK_LINE, Layout
from tinystories.data.tokenizer import END_OF_TEXT, TokenizerSpec, parse_spec
from tinystories.options import Parser, location, path

GPT_NEO = "EleutherAI/gpt-neo-125M"
TINYSTORIES = "roneneldan/TinyStories"
STORIES = 30_000
VALID_STORIES = 500
"""Enough to tell two models apart, few enough to be evaluated often."""

ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


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
        with ExitStack() as stack:
            recipe = _recipe(options, stack)
            description, new = make(recipe, options.out)
    except KeyboardInterrupt:
        print(f"stopped; {options.out} is as it was before", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        return terminal.refuse(error)
    _report(description, options.out, new)
    for note in _notes(recipe, description):
        print(f"note: {note}", file=sys.stderr)
    return 0


def _parser() -> Parser:
    parser = Parser(prog="python -m tinystories.data.make_dataset", description=__doc__)
    _add_sources(parser)
    _add_reading(parser)
    add = parser.add_argument
    add("--version", choices=VERSIONS, help="download TinyStories as published; the paper's models saw V1")
    add("--raw", type=path, default="data/raw", help="folder of downloaded files (default: %(default)s)")
    add("--out", type=path, default="data/processed", help="data folder (default: %(default)s)")
    add("--tokenizer", help="bpe:N or gpt-neo:N (default: bpe:4096; for built-in stories bpe:1024)")
    add("--vocab-json", type=path, help="GPT-Neo's vocab.json (default: from the hub)")
    add("--merges-txt", type=path, help="GPT-Neo's merges.txt (default: from the hub)")
    add("--seed", type=int, default=0, help="of built-in stories and held-out part (default: 0)")
    return parser


def _add_sources(parser: Parser) -> None:
    """The options that say where stories come from, of which one is taken."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--stories", type=int, metavar="N", help=f"built-in stories, nothing to download (default: {STORIES})"
    )
    source.add_argument(
        "--text",
        nargs="+",
        type=path,
        metavar="FILE",
        help="training stories: .txt with <|endoftext|> between stories; .json, .jsonl, .csv or .parquet with a column "
        "text or story; .gz",
    )
    source.add_argument(
        "--hub",
        type=location,
        nargs="?",
        const=TINYSTORIES,
        metavar="NAME[:CONFIG]",
        help=f"a data set of the Hugging Face hub, or a local folder, streamed (default: {TINYSTORIES})",
    )


def _add_reading(parser: Parser) -> None:
    """The options that say which stories of a source are taken, and how they are found in its files."""
    add = parser.add_argument
    add("--valid", nargs="+", type=path, metavar="FILE", help="validation stories for --text (default: held out)")
    add("--split", metavar="NAME", help="training split of --hub (default: train); validation is its validation split")
    add("--column", metavar="NAME", help="column that holds the stories (default: text or story)")
    add(
        "--separator",
        type=_separator,
        metavar="TEXT",
        help=f"what separates stories of plain text: {BLANK_LINE}, or a text such as '\\n\\n' (default: {END_OF_TEXT})",
    )
    add(
        "--max-dropped",
        type=float,
        default=MOST_DROPPED,
        metavar="SHARE",
        help="share of stories that may be left out as damaged, truncated or repeated (default: %(default)s)",
    )


def _separator(text: str) -> str:
    """A separator as people can write it on a command line, with \\n, \\t and \\\\ for what shells do not pass on."""
    return re.sub(r"\\([nrt\\])", lambda match: ESCAPES[match[1]], text)


def _recipe(options: argparse.Namespace, stack: ExitStack) -> Recipe:
    """What the command line asks for; opens or downloads what it names on the hub."""
    _refuse_idle(options)
    if not (options.text or options.hub):
        stories = STORIES if options.stories is None else options.stories
        return _built_in(stories, options.tokenizer or "bpe:1024", options.seed, VALID_STORIES)
    spec = parse_spec(options.tokenizer or "bpe:4096")
    train, valid, card = _sources(options, stack)
    _refuse_idle_layout(options, [*train, *valid])
    return Recipe(
        train=tuple(train),
        valid=tuple(valid),
        tokenizer=spec,
        gpt_neo=_gpt_neo_files(options, spec),
        seed=options.seed,
        card=card,
        most_dropped=options.max_dropped,
    )


def _sources(options: argparse.Namespace, stack: ExitStack) -> tuple[list[Source], list[Source], Card]:
    """Training and validation stories of --text or --hub, and what is known of their rights."""
    layout = Layout(separator=END_OF_TEXT if options.separator is None else options.separator, column=options.column)
    if options.text:
        return _files(options.text, layout), _files(options.valid or [], layout), Card()
    if options.version:
        paths = download(options.hub, VERSIONS[options.version], options.raw)
        train, valid = (_files([path], layout) for path in paths)
        return train, valid, published_card(options.hub)
    data_set = stack.enter_context(hub.opened(options.hub))
    source = data_set.source(options.split, layout)
    held_out = data_set.validation(source)
    return [source], [held_out] if held_out else [], data_set.card


def _files(paths: list[Path], layout: Layout) -> list[Source]:
    return [File(path, layout) for path in paths]


def _refuse_idle(options: argparse.Namespace) -> None:
    """Refuse options that would be without effect."""
    if options.valid and not options.text:
        raise ValueError("--valid goes with --text")
    if options.split and (not options.hub or options.version):
        raise ValueError("--split goes with --hub, without --version")
    if (options.column or options.separator) and not (options.text or options.hub):
        raise ValueError("--column and --separator go with --text or --hub")
    if options.version and not options.hub:
        raise ValueError("--version goes with --hub")
    if (options.vocab_json or options.merges_txt) and not (options.tokenizer or "").startswith("gpt-neo:"):
        raise ValueError("--vocab-json and --merges-txt go with --tokenizer gpt-neo:N")


def _refuse_idle_layout(options: argparse.Namespace, sources: list[Source]) -> None:
    """Refuse a separator where no source is plain text, and a column where every one is."""
    if options.separator and not any(source.plain for source in sources):
        raise ValueError("--separator goes with plain text; here every story is a record of its own")
    if options.column and all(source.plain for source in sources):
        raise ValueError("--column goes with records; plain text has none")


def _built_in(stories: int, tokenizer: str, seed: int, valid_stories: int) -> Recipe:
    spec = parse_spec(tokenizer)
    if spec.kind != "bpe":
        raise ValueError(f"tokenizer {tokenizer!r}: built-in stories have bpe:N only")
    return Recipe(
        train=(BuiltIn(seed, valid_stories, stories),),
        valid=(BuiltIn(seed, 0, valid_stories),),
        tokenizer=spec,
        card=Card(license="mit"),
    )


def _gpt_neo_files(options: argparse.Namespace, spec: TokenizerSpec) -> tuple[File, ...]:
    """GPT-Neo's vocabulary and merges, as given or from the hub; nothing for another tokenizer."""
    if spec.kind != "gpt-neo":
        return ()
    given = options.vocab_json, options.merges_txt
    if any(given) != all(given):
        raise ValueError("--vocab-json and --merges-txt go together")
    paths = given if all(given) else download(GPT_NEO, ("vocab.json", "merges.txt"), options.raw, kind="model")
    return tuple(map(File, paths))


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
    terminal.console().print(table)
    if description.get("held_out"):
        print(f"validation stories are held out of the training stories, drawn by seed {description['seed']}")
    print(f"{folder}: {'made' if new else 'already there; inputs and settings have not changed'}")


def _notes(recipe: Recipe, description: dict[str, Any]) -> Iterator[str]:
    """What a user may not have meant: plain text that is taken for a single story."""
    for sources, split in ((recipe.train, "train"), (recipe.valid, "valid")):
        for source, found in zip(sources, description[split].get("found", ()), strict=False):
            if source.plain and found == 1:
                yield (
                    f"{source} is one story, as no separator is in it; --separator {BLANK_LINE} cuts it at blank "
                    "lines, and --separator TEXT wherever that text is"
                )


if __name__ == "__main__":
    sys.exit(terminal.run(main))
