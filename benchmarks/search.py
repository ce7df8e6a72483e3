"""How good is the best model after a budget? Ways to search, compared on recorded learning curves.

    python benchmarks/search.py --data ../shared/data/bench
    python benchmarks/search.py --tables gemstones --axes flops --seeds 10 --workers 8 --picture search.png
    python benchmarks/search.py --contenders random ours --simulations done.jsonl --json search.json

Workers on a virtual clock train what a contender proposes; the recorded run nearest to it among those not taken yet
answers, each one trial only. The budget counts the reported evaluations of all workers, in full trainings; what is
under way does not count yet. Regret: the lowest loss seen, minus the best final loss of the table, over the same of the
median final loss; 0 is the best. A search that has used up a table keeps its regret. search_contenders.py says what the
contenders are, curve_tables.py what the tables are. With --json, a list of records with these keys:

table, axis, workers, contender   what was compared; axis is what is spent: tokens, flops or seconds
budget                            for all trials together [full training]
regret_median, regret_q1, regret_q3, seeds   over that many searches that differ in their seed
"""

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from curve_tables import SOURCES, load
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from search_jobs import CONTENDERS, NEEDS, Job, Outcome, outcomes
from search_report import Record, Setting, sentences, table, write_json, write_picture

from tinystories.config import AXES, Axis

DATA = Path("../shared/data/bench")
COUNTS = {2: "two-point", 3: "three-point"}
PICTURED = 8
"""Workers of the picture; where there are none with so many, the first number given."""
WIDTH = 120
"""Columns that a table needs at least."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it: 128 + SIGINT."""

Place = tuple[str, Axis]


def main() -> int:
    """Search all tables, one after the other; the exit status."""
    options, console = _options(), Console()
    console.width = max(console.width, WIDTH)
    places = list(_places(options, console))
    if missing := [name for name in CONTENDERS if not _installed(name)]:
        console.print(f"not installed here, and left out: {', '.join(missing)}", highlight=False)
    if not places:
        print("error: none of the tables is here; see --data", file=sys.stderr)
        return 2
    try:
        settings = _search(options, places, console)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    if options.picture:
        workers = PICTURED if PICTURED in options.workers else options.workers[0]
        write_picture([setting for setting in settings if setting.workers == workers], options.budgets, options.picture)
    return 0


def _places(options: argparse.Namespace, console: Console) -> Iterator[Place]:
    """The tables that are here, with their axes."""
    for name in options.tables:
        for axis in (axis for axis in SOURCES[name].evaluations if axis in options.axes):
            try:
                load(name, axis, options.data)
            except FileNotFoundError as error:
                console.print(f"{name} is left out: no file {error.filename}", highlight=False)
                break
            yield name, axis


def _search(options: argparse.Namespace, places: list[Place], console: Console) -> list[Setting]:
    """All searches; tables, sentences and JSON follow the progress."""
    jobs = {(*place, workers): _jobs(*place, workers, options) for place in places for workers in options.workers}
    every = [job for group in jobs.values() for job in group]
    results = outcomes(every, data=options.data, processes=options.jobs, kept=options.simulations)
    settings: list[Setting] = []
    records: list[Record] = []
    spent = dict.fromkeys(options.contenders, 0.0)
    started = time.monotonic()
    with _progress(console) as progress:
        task = progress.add_task("", total=len(every))
        for (name, axis, workers), group in jobs.items():
            progress.update(task, description=f"{name}, {axis}, {workers} workers")
            found: dict[str, list[Outcome]] = {contender: [] for contender in options.contenders}
            for job in group:
                outcome = next(results)
                found[job.contender].append(outcome)
                spent[job.contender] += outcome.seconds
                progress.advance(task)
            note = _note(name, axis, options.data)
            settings.append(Setting(table=name, axis=axis, workers=workers, note=note, outcomes=found))
            _show(settings[-1], options.budgets, console)
            records += settings[-1].records(options.budgets)
            if options.json:
                write_json(records, options.json)
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in spent.items())
    console.print(f"{len(every):,} searches in {time.monotonic() - started:.0f} s; CPU: {times}", highlight=False)
    return settings


def _jobs(name: str, axis: Axis, workers: int, options: argparse.Namespace) -> list[Job]:
    """The searches of one setting; one of the largest budget holds all smaller ones, unless it depends on it."""
    longest = [max(options.budgets)]
    return [
        Job(name, axis, workers, contender, budget, seed)
        for contender in options.contenders
        for budget in (options.budgets if CONTENDERS[contender].per_budget else longest)
        for seed in _seeds(options, CONTENDERS[contender].most_seeds)
    ]


def _show(setting: Setting, budgets: list[float], console: Console) -> None:
    console.print(table(setting, budgets))
    for sentence in sentences(setting, budgets):
        console.print(sentence, highlight=False, soft_wrap=True)
    console.print()


def _note(name: str, axis: Axis, data: Path) -> str:
    found = load(name, axis, data)
    count = found.spec.evaluations
    curves = f"{COUNTS[count]} curves" if count in COUNTS else f"curves of {count} points"
    size = f"{len(found.records)} runs, {curves}, a full training is {found.spec.budget:.4g} {axis}"
    return f"{size}; {found.note}" if found.note else size


def _progress(console: Console) -> Progress:
    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.description}"), console=console, transient=True)


def _installed(contender: str) -> bool:
    return contender not in NEEDS or importlib.util.find_spec(NEEDS[contender]) is not None


def _seeds(options: argparse.Namespace, most: int | None) -> range:
    first: int = options.first_seed
    return range(first, first + min(options.seeds, most or options.seeds))


def _options() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = [name for name in CONTENDERS if _installed(name)]
    cores = os.cpu_count() or 1
    parser.add_argument("--data", type=Path, default=DATA, help=f"folder of the tables' files (default: {DATA})")
    parser.add_argument("--tables", nargs="+", choices=list(SOURCES), default=list(SOURCES), help="default: all here")
    parser.add_argument("--axes", nargs="+", choices=AXES, default=AXES, help="default: all that a table has")
    parser.add_argument("--contenders", nargs="+", choices=here, default=here, help="default: all installed ones")
    parser.add_argument("--workers", nargs="+", type=_count, default=[1, 8, 64], help="default: 1 8 64")
    parser.add_argument("--budgets", nargs="+", type=_budget, default=[5, 10, 20, 50], help="default: 5 10 20 50")
    parser.add_argument("--seeds", type=_count, default=30, help="searches of each (default: 30)")
    parser.add_argument(
        "--first-seed", type=int, default=0, help="fresh seeds for a choice made on others (default: 0)"
    )
    parser.add_argument("--jobs", type=_count, default=cores, help=f"processes (default: {cores})")
    parser.add_argument("--json", type=Path, help="file for the records")
    parser.add_argument("--picture", type=Path, help="file for the picture, a PNG")
    parser.add_argument(
        "--simulations", type=Path, help="file of finished searches: not run again, and added to; to resume a run"
    )
    return parser.parse_args()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _budget(text: str) -> float:
    try:
        budget = float(text)
    except ValueError:
        budget = 0
    if not 3 <= budget < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 3 on, which top-3 needs")
    return budget


if __name__ == "__main__":
    sys.exit(main())
