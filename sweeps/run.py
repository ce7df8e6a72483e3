"""Run a sweep: python sweeps/run.py [SPEC.yaml]. Running the same command again goes on, or prints the result."""

import argparse
import json
import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from sweeps import cluster, plan
from sweeps import spec as specs
from sweeps.data import Data, prepare, vocab_size
from sweeps.display import Display, conclusion, duration, leaderboard
from sweeps.mirror import Mirror
from sweeps.results import Result, RunFolder, ranked, read_results
from sweeps.spec import Spec
from sweeps.sweep import Sweep
from sweeps.tracking import Tracker
from tinystories import storage
from tinystories.models import size

DEMO = Path(__file__).with_name("demo.yaml")
STARTUP_SECONDS = 20
"""Time for Ray and the slots to start, which the report on lost time leaves out. [s]"""
FREE_TO_CHANGE = (
    "run_cap",
    "cpus_per_trial",
    "gpus_per_trial",
    "keep_checkpoints",
    "max_failures",
    "patience",
)
"""Keys that may differ when a sweep is continued, because no result depends on them; W&B's may too."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    with ExitStack() as stack:
        try:
            session = _prepare(options, stack)
        except (ValueError, OSError) as error:
            stack.close()
            print(f"error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return INTERRUPTED
        return session if isinstance(session, int) else _run(session)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sweeps/run.py", description=__doc__)
    add = parser.add_argument
    add("spec", nargs="?", type=Path, default=DEMO, help="the sweep (default: sweeps/demo.yaml)")
    add("--name", help="name of the run folder, runs/NAME (default: the sweep's name)")
    add("--trials", metavar="N", help="number of trials; more than before adds some")
    add("--hours", type=_hours, metavar="H", help="stop after this time, over all runs of the sweep")
    add("--storage", metavar="URI", help="where checkpoints and a copy of the results go (s3://bucket/folder)")
    add("--address", help="a running Ray cluster: host:port or auto (default: this machine alone)")
    add("--dry-run", action="store_true", help="only show which trials would run, and what they cost")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="replace an entry of the sweep")
    return parser


def _hours(text: str) -> float:
    hours = float(text)
    if not hours > 0:
        raise argparse.ArgumentTypeError(f"{text} must be above 0")
    return hours


@dataclass(frozen=True, kw_only=True)
class Session:
    """Everything that a sweep needs to run, ready."""

    sweep: Sweep
    tracker: Tracker
    mirror: Mirror
    console: Console
    slot: Any
    slots: int
    started: float
    """When Ray was asked to start (`time.monotonic`). [s]"""


def _prepare(options: argparse.Namespace, stack: ExitStack) -> Session | int:
    """All that can go wrong by the user's doing; an exit status when there is nothing left to run."""
    named = [f"{key}={value}" for key, value in (("name", options.name), ("run_cap", options.trials)) if value]
    spec, raw = specs.load(options.spec, [*options.set, *named])
    if options.dry_run:
        plan.show(spec, vocab_size(spec.data), Console())
        return 0
    data = prepare(spec.data)
    size.steps(spec.largest_trial(), data.vocab_size)  # refuses a budget that is too short
    folder = RunFolder(Path("runs", spec.name).absolute())
    mirror = Mirror(folder, options.storage and f"{options.storage.rstrip('/')}/{spec.name}")
    mirror.fetch()
    _check_same(folder, spec, data)
    with _removed_on_error(folder.root):
        stack.enter_context(folder.locked())
        storage.write(str(folder.spec), yaml.safe_dump(raw, sort_keys=False).encode())
        storage.write(str(folder.data), json.dumps(data.identity).encode())
        results = read_results(folder.results)
        if len(results) >= spec.trials:
            return _show_result(results, folder, Console())
        return _start(options, spec, folder, mirror, data, stack)


@contextmanager
def _removed_on_error(root: Path) -> Iterator[None]:
    """Leave no folder behind that only a failed start has made."""
    existed = root.exists()
    try:
        yield
    except BaseException:
        if not existed:
            shutil.rmtree(root, ignore_errors=True)
        raise


def _check_same(folder: RunFolder, spec: Spec, data: Data) -> None:
    """Refuse a run folder that another sweep, or other data, has been using."""
    if not folder.spec.exists():
        return
    earlier = specs.parse(yaml.safe_load(folder.spec.read_text()))
    for entry in fields(Spec):
        old, new = getattr(earlier, entry.name), getattr(spec, entry.name)
        if entry.name not in (*FREE_TO_CHANGE, "wandb", "project", "data") and old != new:
            raise ValueError(
                f"{folder.root} holds another sweep: {entry.name} is {old} there and {new} here; give another --name"
            )
    if folder.data.exists():
        before = json.loads(folder.data.read_text())
        if before["fingerprint"] != data.identity["fingerprint"]:
            raise ValueError(
                f"{data.location} (tokenizer {data.identity['tokenizer']}) is not the data that {folder.root} was "
                f"begun with: {before['location']} (tokenizer {before['tokenizer']}); give another --name"
            )


def _start(
    options: argparse.Namespace, spec: Spec, folder: RunFolder, mirror: Mirror, data: Data, stack: ExitStack
) -> Session:
    """Ray, W&B and the sweep's state; from here on only the console reaches the terminal."""
    console = stack.enter_context(_quiet(folder.log))
    started = time.monotonic()
    with console.status("starting Ray ..."):
        cluster.connect(options.address)
        stack.callback(cluster.disconnect)
        slots, gpus = cluster.slots(spec.cpus_per_trial, spec.gpus_per_trial)
        if options.address and not options.storage and not cluster.is_here_alone():
            raise ValueError("the cluster has other nodes: give --storage, a folder or URI that all of them reach")
        tracker = Tracker.open(spec.wandb, sweep=spec.name, folder=folder.root, project=spec.project)
    sweep = Sweep(
        spec,
        folder,
        vocab_size=data.vocab_size,
        tracker=tracker,
        checkpoints=mirror.checkpoints,
        hours=options.hours,
    )
    from sweeps.worker import SlotConfig

    slot = SlotConfig(
        cpus=spec.cpus_per_trial,
        gpus=gpus,
        patience=spec.patience,
        storage=options.storage or str(folder.ray),
        data=data.location,
        stories=data.stories,
        fingerprint=data.identity["fingerprint"],
    )
    return Session(
        sweep=sweep, tracker=tracker, mirror=mirror, console=console, slot=slot, slots=slots, started=started
    )


@contextmanager
def _quiet(log: Path) -> Iterator[Console]:
    """Send all that this process and its children print to a log; the console given still reaches the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    terminals = os.dup(1), os.dup(2)
    with open(log, "a") as file, os.fdopen(os.dup(1), "w") as terminal:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True)
        try:
            yield Console(file=terminal)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, saved in enumerate(terminals, start=1):
                os.dup2(saved, descriptor)
                os.close(saved)


def _run(session: Session) -> int:
    """Run the trials, then show what came of them; returns the exit status."""
    from sweeps import tuning

    sweep, console = session.sweep, session.console

    with Display(console, sweep, slots=session.slots) as display:

        def on_step() -> None:
            display.update()
            session.mirror.update()

        try:
            tuning.run(sweep, session.slot, slots=session.slots, on_step=on_step)
        except OSError as error:
            console.print(f"error: {error}; when that is mended, run the same command to go on", soft_wrap=True)
            return 2
        finally:
            sweep.save_seconds()
            session.tracker.close()
            session.mirror.update(force=True)
    results = list(sweep.results.values())
    status = _show_result(results, sweep.folder, console) if results else 0
    _show_notes(session)
    if sweep.done:
        return status
    left = sweep.spec.trials - len(sweep.results)
    if sweep.out_of_time:
        console.print(f"The time is up with {left} trials left; a larger --hours goes on.")
        return status
    console.print(f"Stopped with {left} trials left; to go on: {shlex.join(['python', *sys.argv])}")
    return INTERRUPTED


def _show_result(results: list[Result], folder: RunFolder, console: Console) -> int:
    """Leaderboard, the best shape in a sentence, where everything is; returns the exit status."""
    name = os.path.relpath(folder.root)
    if ranked(results):
        console.print(leaderboard(results))
    console.print(conclusion(results), style="bold", soft_wrap=True)
    console.print(f"All trials: {name}/results.csv, curves.csv; log: {name}/sweep.log", soft_wrap=True)
    if not ranked(results):
        return 1
    console.print(f"Export the best: python sweeps/export.py {name} --out models/best", soft_wrap=True)
    console.print(f"Pictures: python -m tinystories.visualization.visualize {name}", soft_wrap=True)
    return 0


def _show_notes(session: Session) -> None:
    wall = time.monotonic() - session.started
    training = max(1e-9, wall - STARTUP_SECONDS) * session.slots
    session.console.print(
        f"Took {duration(wall)}; after the first {STARTUP_SECONDS} s the {session.slots} slots were training "
        f"{min(1.0, session.sweep.busy_seconds / training):.0%} of the time."
    )
    for note in (
        session.tracker.problem,
        session.tracker.sync_command and f"W&B: {session.tracker.sync_command}",
    ):
        if note:
            session.console.print(note, soft_wrap=True)
    if session.tracker.url:
        session.console.print(f"W&B: {session.tracker.url}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
