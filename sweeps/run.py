"""Run a sweep: python sweeps/run.py [SPEC.yaml]. Running the same command again resumes it, or prints the result."""

import argparse
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from tinystories import terminal

if __name__ == "__main__":
    # wandb[sweeps] comes with a package of this name; Ray's workers would find it even where this file does not.
    terminal.require_own_package(Path(__file__).parent)

from sweeps import showing
from sweeps.limits import Limits
from sweeps.machines import cluster, packing, replay, signals
from sweeps.machines.simulated import Clock
from sweeps.policy import samplers
from sweeps.record import claim
from sweeps.record.folder import RunFolder
from sweeps.record.mirror import Mirror
from sweeps.record.tracking import Tracker
from sweeps.report import live, preview, result
from sweeps.report.live import Display
from sweeps.spec import load
from sweeps.spec.corpus import Data, prepare, valid_tokens, vocab_size
from sweeps.spec.schema import Spec
from sweeps.sweep import Sweep
from tinystories import options as types
from tinystories.config import parse_number
from tinystories.models import size
from tinystories.options import Parser

DEMO = Path(__file__).with_name("demo.yaml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    with signals.watched(_to_resume()) as watch:
        try:
            with ExitStack() as stack:
                session = _prepare(options, stack)
                return session if isinstance(session, int) else _run(session, watch)
        except (ValueError, OSError) as error:
            return terminal.refuse(error)
        except KeyboardInterrupt:
            print(f"Stopped. {_to_resume()}", file=sys.stderr)
            return watch.status


def _parser() -> Parser:
    parser = Parser(prog="sweeps/run.py", description=__doc__)
    add = parser.add_argument
    add("spec", nargs="?", type=types.path, default=DEMO, help="the sweep (default: sweeps/demo.yaml)")
    add("--name", help="name of the run folder, runs/NAME (default: the sweep's name)")
    add("--trials", metavar="N", help="number of trials; more than before adds some")
    add("--hours", type=_amount, metavar="H", help="stop after this time, over all runs of the sweep")
    add("--gpu-hours", type=_amount, metavar="H", help="stop when trials have held GPUs for so long (on CPUs: slots)")
    add("--cost-per-hour", type=_amount, metavar="C", help="price of a GPU-hour, for --budget and the leaderboard")
    add("--budget", type=_amount, metavar="M", help="stop when the GPU-hours have cost so much")
    add(
        "--storage",
        type=types.location,
        metavar="URI",
        help="where checkpoints and a copy of the results go (s3://bucket/folder)",
    )
    add("--address", help="a running Ray cluster: host:port or auto (default: this machine alone)")
    add("--dry-run", action="store_true", help="only show which trials would run, and what they cost")
    add("--tokens-per-second", type=_amount, metavar="T", help="for --dry-run: speed of a trial of average size")
    add(
        "--replay", type=types.path, metavar="TABLE", help="recorded curves, a CSV or a run folder, instead of training"
    )
    add("--workers", type=_workers, default=1, metavar="W", help="simulated trials at a time in a replay (default: 1)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="replace an entry of the sweep")
    return parser


def _amount(text: str) -> float:
    try:
        amount = parse_number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not amount > 0:
        raise argparse.ArgumentTypeError(f"{text} must be above 0")
    return amount


def _workers(text: str) -> int:
    workers = _amount(text)
    if workers != int(workers):
        raise argparse.ArgumentTypeError(f"{text} must be a whole number")
    return int(workers)


def _to_resume() -> str:
    return f"To resume: {shlex.join(['python', *sys.argv])}"


@dataclass(frozen=True, kw_only=True)
class Session:
    """Everything that a sweep needs to run, ready."""

    sweep: Sweep
    folder: RunFolder
    tracker: Tracker
    mirror: Mirror
    console: Console
    slot: Any
    slots: int
    started: float
    """When Ray was asked to start (`time.monotonic`). [s]"""


def _prepare(options: argparse.Namespace, stack: ExitStack) -> Session | int:
    """All that can go wrong by the user's doing; an exit status when there is nothing left to run.

    Raises:
        ValueError: an input does not hold. Nothing is left behind.
        OSError: a file or a disk does not serve.
    """
    limits = _limits(options)
    spec, raw = load.load(options.spec, options.set, name=options.name, trials=options.trials)
    if spec.notes:
        print(f"{options.spec.name}: {'; '.join(spec.notes)}.", file=sys.stderr)
    samplers.check(spec)
    vocabulary = vocab_size(spec.data)
    asked, spec = spec, spec.for_vocabulary(vocabulary)
    size.steps(spec.largest_trial(vocabulary), vocabulary)  # refuses a budget that is too short
    if options.dry_run:
        return _preview(options, spec, vocabulary, limits)
    if options.replay:
        return _replay(options, spec, vocabulary, limits)
    folder = RunFolder(Path("runs", spec.name).absolute())
    claim.check_spec(folder, asked)
    location = claim.storage_location(folder, options.storage)
    if options.address:
        cluster.check_answers(options.address)
    data = prepare(spec.data)
    data.check_context(spec.largest_trial(vocabulary).context)
    with claim.removed_on_error(folder.root):
        stack.enter_context(folder.locked())
        mirror = Mirror(folder, location and f"{location}/{spec.name}")
        mirror.fetch()
        claim.require_whole(folder)
        claim.check_spec(folder, asked)
        claim.check_data(folder, data)
        claim.claim(folder, raw, data, location)
        sweep = Sweep(spec, folder, vocab_size=data.vocab_size, checkpoints=mirror.checkpoints, limits=limits)
        sweep.recover()
        if not sweep.policy.left:
            return _finished(sweep, folder)
        return _start(options, sweep, folder, mirror, data, stack)


def _finished(sweep: Sweep, folder: RunFolder) -> int:
    """Make good what a kill cut short, and show the result; returns the exit status."""
    spec = sweep.spec
    runs = [trial for trial in sweep.trials.values() if trial.run_id]
    lacking = any(not trial.run_closed for trial in runs) or (runs and not (folder.root / "wandb").exists())
    showing.show(sweep, folder, _tracker(sweep, folder, spec.wandb if lacking else "disabled"))
    sweep.settle()
    sweep.close()
    return result.show_result(spec, sweep.rows.table(sweep.trials), folder, _console(), sweep.meter.limits)


def _limits(options: argparse.Namespace) -> Limits:
    return Limits(
        hours=options.hours,
        gpu_hours=options.gpu_hours,
        money=options.budget,
        cost_per_hour=options.cost_per_hour,
    )


def _preview(options: argparse.Namespace, spec: Spec, vocabulary: int, limits: Limits) -> int:
    """What the sweep would run and cost; nothing is written. Returns the exit status."""
    preview.show(
        spec,
        vocabulary,
        _console(),
        valid_tokens=valid_tokens(spec.data),
        price=limits,
        tokens_per_second=options.tokens_per_second,
    )
    return 0


def _replay(options: argparse.Namespace, spec: Spec, vocabulary: int, limits: Limits) -> int:
    """The sweep on recorded curves; nothing is written. Returns the exit status."""
    spec = replace(spec, confirm=None)  # a table holds no new seeds
    table, clock, console = replay.read_table(options.replay, spec), Clock(), _console()
    if limits.limited and not all("seconds" in record.costs for record in table.records):
        raise ValueError(f"--replay {options.replay} has no seconds, so --hours, --gpu-hours and --budget mean nothing")
    asked, spec = spec.trials, replace(spec, run_cap=min(spec.run_cap, len(table.records)))
    sweep = Sweep(spec, None, vocab_size=vocabulary, limits=limits, clocks=clock.clocks)
    sweep.take_slots(options.workers, gpu_share=1.0)
    replay.play(sweep, table, workers=options.workers, clock=clock)
    results = sweep.rows.table(sweep.trials)
    status = result.show_ranking(spec, results, console, limits, replayed=True)
    console.print(
        f"Replayed from {len(table.records)} runs of {options.replay} by {options.workers} simulated workers; "
        f"{table.inexact} of {len(results)} trials were answered by the nearest recorded configuration.",
        soft_wrap=True,
    )
    if (left := sweep.policy.left) and (used_up := sweep.meter.used_up):
        console.print(f"{used_up} is used up with {left} trials left.")
    elif table.exhausted and asked > len(results):
        console.print("Every recorded run has been used.")
    if table.invalid:
        console.print(f"Left out: {table.invalid} recorded runs whose shape is not valid within the limits.")
    if table.late:
        console.print(
            f"Not judged at the first rung, as their record begins behind it: {table.late} trials; "
            f"trial.evaluations {spec.evaluations} is more than they have.",
            soft_wrap=True,
        )
    if table.cut_short:
        console.print(f"Trials that ended early, as their record does: {table.cut_short}.")
    return status


def _start(
    options: argparse.Namespace,
    sweep: Sweep,
    folder: RunFolder,
    mirror: Mirror,
    data: Data,
    stack: ExitStack,
) -> Session:
    """Ray, W&B and the sweep's files; from here on only the console reaches the terminal."""
    console = stack.enter_context(_quiet(folder.log))
    started = time.monotonic()
    spec = sweep.spec
    with live.live(console, lambda: "starting Ray ..."):
        cluster.connect(options.address)
        stack.callback(cluster.disconnect)
        slots, gpus = cluster.slots(spec.cpus_per_trial, _trials_per_gpu(spec, data.vocab_size))
        if not mirror.active and not cluster.is_here_alone():
            raise ValueError("the cluster has other nodes: give --storage, a folder or URI that all of them reach")
        tracker = _tracker(sweep, folder, spec.wandb)
        showing.show(sweep, folder, tracker)
    sweep.take_slots(slots, gpu_share=gpus or 1.0)
    from sweeps.machines.worker import SlotConfig, train

    slot = SlotConfig(
        cpus=spec.cpus_per_trial,
        gpus=gpus,
        patience=spec.patience,
        storage=mirror.ray,
        data=data.location,
        stories=data.stories,
        fingerprint=data.fingerprint,
        shared_code=mirror.compiled,
        train=train,
    )
    return Session(
        sweep=sweep,
        folder=folder,
        tracker=tracker,
        mirror=mirror,
        console=console,
        slot=slot,
        slots=slots,
        started=started,
    )


def _tracker(sweep: Sweep, folder: RunFolder, mode: str) -> Tracker:
    """The owner of the sweep's W&B runs."""
    name, project = sweep.spec.name, sweep.spec.project
    return Tracker.open(mode, sweep=name, folder=folder.root, project=project, token=sweep.record.token)


def _trials_per_gpu(spec: Spec, vocab_size: int) -> int:
    """Trials that share a GPU of this cluster; 0 where they train on CPUs."""
    if spec.trials_per_gpu == 0 or not cluster.has_gpus():
        return 0
    return spec.trials_per_gpu or packing.trials_per_gpu(spec, vocab_size, cluster.gpu_bytes())


def _console(file: TextIO | None = None) -> Console:
    """Prints paths and values as they are, brackets and colons included."""
    return Console(file=file, markup=False, emoji=False, highlight=False)


@contextmanager
def _quiet(log: Path) -> Iterator[Console]:
    """Send all that this process and its children print to a log; the console given still reaches the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    terminals = os.dup(1), os.dup(2)
    with open(log, "a", encoding="utf-8") as file, ExitStack() as stack:
        shown = os.dup(1)
        stack.callback(os.close, shown)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True)
        try:
            yield _console(terminal.open_stream(shown, sys.stdout))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, saved in enumerate(terminals, start=1):
                os.dup2(saved, descriptor)
                os.close(saved)


def _run(session: Session, watch: signals.Watch) -> int:
    """Run the trials, then show what came of them; returns the exit status.

    Raises:
        OSError: a disk is full, or the storage cannot be written. What has ended so far is kept.
    """
    from sweeps.machines import tuning

    sweep, console = session.sweep, session.console
    with ExitStack() as ending, Display(console, sweep, slots=session.slots, started=session.started) as view:
        for step in (session.mirror.copy, sweep.close):  # each, whatever another raises
            ending.callback(step)

        def on_step() -> None:
            view.update()
            sweep.record.flush()
            session.mirror.update()

        tuning.run(sweep, session.slot, slots=session.slots, on_step=on_step)
        for trial in sweep.trials.running:  # what a signal has cut short
            sweep.interrupt(trial.trial_id)
        sweep.settle()
    results, limits = sweep.rows.table(sweep.trials), sweep.meter.limits
    status = result.show_result(sweep.spec, results, session.folder, console, limits) if results else 0
    console.print(view.utilisation(), live.spent(sweep.meter), soft_wrap=True)
    for note in (session.tracker.problem, session.tracker.sync_command, session.tracker.url):
        if note:
            console.print(f"W&B: {note}", soft_wrap=True)
    left = sweep.policy.left
    if not left:
        return status
    if used_up := sweep.meter.used_up:
        console.print(f"{used_up} is used up with {left} trials left; a larger one resumes them.")
        return status
    console.print(f"Stopped with {left} trials left. {_to_resume()}", soft_wrap=True)
    return watch.status


if __name__ == "__main__":
    sys.exit(terminal.run(main))
