"""What a sweep costs beyond its training: starting trials, keeping slots busy, the driver's own work.

    python benchmarks/overhead.py --json overhead.json          # half an hour; nothing else should run meanwhile
    python benchmarks/overhead.py --parts driver --methods random --ended 200 500

No trial trains: it sleeps and reports. All parts use the sweep's own code; this machine needs two free cores.

launch   trials that only report, on a local Ray: through our slots, and as Ray documents it (a TorchTrainer.fit() for
         every trial, of which there are few, as each takes longer than 10 s). They take turns; medians over the rounds.
busy     longer trials in our slots: the share of the slots' time in which they trained, from when all slots have a
         trial to when the first finds none left.
driver   simulated slots, without Ray: CPU time for every evaluation reported, in windows of 100 trials that end
         at each number of --ended, and resident memory. Starts, stops and ends of trials are included. With ASHA
         trials report most; with screening each reports once, and the forecasts are asked every time.

With --json, a list of records, one for each row of the tables; `part` says which table.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

import driving
import launching
from rich import box
from rich.console import Console
from rich.table import Table

from sweeps.spec.corpus import Data, prepare
from sweeps.spec.schema import METHODS, StoppingType
from tinystories import storage
from tinystories.data.make_dataset import make_stories

PARTS = ("launch", "busy", "driver")
WINDOW = 100
"""Trials that end between two readings of the driver's meters."""
Record = dict[str, Any]
Measured = TypeVar("Measured")


def main() -> int:
    """Measure the parts one after the other, a table each; the exit status."""
    options, console = _options(), Console()
    measures = {"launch": _launch, "busy": _busy, "driver": _driver}
    records: list[Record] = []
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        for part in options.parts:
            rows = [{"part": part, **row} for row in measures[part](options, Path(folder))]
            console.print(_table(part, rows), *_notes(part, rows), sep="\n", highlight=False)
            records += rows
            if options.json:
                storage.write(str(options.json), (json.dumps(records, indent=1) + "\n").encode())
    return 0


def _launch(options: argparse.Namespace, folder: Path) -> list[Record]:
    """Our slots and the documented pattern, in turns."""
    data = _data(folder)
    ours = partial(launching.ours, trials=options.trials, pause=0.0, data=data)
    documented = partial(launching.documented, trials=options.documented_trials)
    runs: dict[str, list[launching.Launch]] = {"our slots": [], "documented": []}
    for turn in range(options.rounds):
        for name, start in zip(runs, (ours, documented), strict=True):
            place = _new(folder, f"{start.func.__name__}-{turn}")
            run = partial(start, evaluations=options.evaluations, slots=options.slots, folder=place)
            runs[name].append(alone(run, log=place / "log"))
    return [_launch_row(name, launches) for name, launches in runs.items()]


def _launch_row(name: str, launches: list[launching.Launch]) -> Record:
    def median(value: Callable[[launching.Launch], float]) -> float:
        return statistics.median(map(value, launches))

    return {
        "contender": name,
        "trials": len(launches[0].ends),
        "rounds": len(launches),
        "ray_seconds": median(lambda run: run.ray),
        "first_end_seconds": median(lambda run: min(run.ends)),
        "seconds": median(lambda run: run.over),
        "seconds_per_trial": median(lambda run: run.over / len(run.ends)),
        "seconds_per_trial_without_ray": median(lambda run: (run.over - run.ray) / len(run.ends)),
    }


def _busy(options: argparse.Namespace, folder: Path) -> list[Record]:
    place = _new(folder, "busy")
    run = partial(
        launching.ours,
        trials=options.busy_trials,
        evaluations=options.evaluations,
        pause=options.busy_seconds / options.evaluations,
        slots=options.slots,
        data=_data(folder),
        folder=place,
    )
    share, seconds = launching.busy_share(launch := alone(run, log=place / "log"), options.slots)
    return [
        {
            "trials": options.busy_trials,
            "trial_seconds": options.busy_seconds,
            "slots": options.slots,
            "watched_seconds": seconds,
            "busy_share": share,
            "seconds": launch.over,
        }
    ]


def _driver(options: argparse.Namespace, folder: Path) -> list[Record]:
    rows: list[Record] = []
    moments = [moment for ended in options.ended for moment in (ended - WINDOW, ended)]
    for method, rule in itertools.product(options.methods, options.rules):
        place = _new(folder, f"{method}-{rule}")
        run = partial(driving.drive, method=method, rule=rule, moments=moments)
        readings = alone(partial(run, slots=options.simulated_slots, folder=place), log=place / "log")
        rows += _driver_rows(method, rule, readings)
    return rows


def _driver_rows(method: str, rule: str, readings: list[driving.Reading]) -> Iterator[Record]:
    for before, after in zip(readings[::2], readings[1::2], strict=True):
        reports = after.reports - before.reports
        yield {
            "method": method,
            "rule": rule,
            "ended": after.ended,
            "cpu_ms_per_report": 1e3 * (after.cpu - before.cpu) / reports,
            "cpu_ms_per_trial": 1e3 * (after.cpu - before.cpu) / WINDOW,
            "reports_per_second": reports / (after.wall - before.wall),
            "memory_mb": after.memory / 1e6,
        }


def alone(run: Callable[[], Measured], *, log: Path) -> Measured:
    """Call in a fresh process, which prints into a log: Ray's settings and memory of one run are not those of another.

    Raises:
        Exception: whatever the call raised.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_print_into, initargs=(log,)) as pool:
        return pool.submit(run).result()


def _print_into(log: Path) -> None:
    with open(log, "a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _new(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir()
    return place


def _data(folder: Path) -> Data:
    """A little data, which every slot opens and no trial reads."""
    return prepare(str(make_stories(folder / "data", stories=300, valid_stories=5, tokenizer="bpe:300")))


def _table(part: str, rows: list[Record]) -> Table:
    """The records as they are."""
    table = Table(title=part, title_justify="left", box=box.SIMPLE)
    names = [name for name in rows[0] if name != "part"]
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in names))
    return table


def _cell(value: str | int | float) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if value < 10 else f"{value:,.1f}"
    return value if isinstance(value, str) else f"{value:,}"


def _notes(part: str, rows: list[Record]) -> Iterator[str]:
    """What the rows say of each other."""
    if part == "launch":
        ours, documented = (row["seconds_per_trial"] for row in rows)
        yield f"A trial as documented takes {documented / ours:.0f} times as long as one in our slots, all included."
    if part == "driver":
        for method, rule in dict.fromkeys((row["method"], row["rule"]) for row in rows):
            costs = {row["ended"]: row for row in rows if (row["method"], row["rule"]) == (method, rule)}
            first, last = min(costs), max(costs)
            trial, report = (costs[last][key] / costs[first][key] for key in ("cpu_ms_per_trial", "cpu_ms_per_report"))
            yield (
                f"{method}, {rule}: at {last:,} ended trials a trial costs {trial:.2f} times as much as at {first:,}, "
                f"a report {report:.2f} times."
            )


def _options() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    add("--slots", type=_count, default=2, help="trials at a time on Ray, a CPU each (default: 2)")
    add("--evaluations", type=_count, default=3, help="reports of a trial on Ray (default: 3)")
    add("--trials", type=_count, default=200, help="launch: through our slots (default: 200)")
    add("--documented-trials", type=_count, default=6, help="launch: as documented (default: 6)")
    add("--rounds", type=_count, default=3, help="launch: runs of each (default: 3)")
    add("--busy-trials", type=_count, default=14, help="busy: how many (default: 14)")
    add("--busy-seconds", type=_count, default=30, help="busy: length of one (default: 30)")
    add("--ended", type=_ended, nargs="+", default=[1000, 5000], help="driver: rising numbers (default: 1000 5000)")
    add("--simulated-slots", type=_count, default=256, help="driver: trials at a time (default: 256)")
    add("--methods", nargs="+", choices=METHODS, default=["random", "bayes"], help="driver: default: both")
    add("--rules", nargs="+", choices=get_args(StoppingType), default=["asha", "screen"], help="driver: default: both")
    add("--json", type=Path, help="file for the records")
    options = parser.parse_args()
    if any(later - earlier < WINDOW for earlier, later in itertools.pairwise(options.ended)):
        parser.error(f"argument --ended: each number must be at least {WINDOW} above the one before")
    return options


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _ended(text: str) -> int:
    if (ended := _count(text)) <= WINDOW:
        raise argparse.ArgumentTypeError(f"{text} must be above {WINDOW}")
    return ended


if __name__ == "__main__":
    sys.exit(main())
