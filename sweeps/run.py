"""Run a sweep: python sweeps/run.py [SPEC.yaml]. Running the same command again goes on, or prints the result."""

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
from typing import Any

from rich.console import Console

from sweeps import showing
from sweeps.limits import Limits
from sweeps.machines import cluster, packing, replay
from sweeps.machines.simulated import Clock
from sweeps.record import claim
from sweeps.record.folder import RunFolder
from sweeps.record.mirror import Mirror
from sweeps.record.tracking import Tracker
from sweeps.report import live, preview, result
from sweeps.report.live import Display
from sweeps.spec import load
from sweeps.spec.corpus import Data, prepare, vocab_size
from sweeps.spec.schema import Spec
from sweeps.sweep import Sweep
from tinystories.config import parse_number
from tinystories.models import size
from tinystories.options import Parser

DEMO = Path(__file__).with_name("demo.yaml")
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        with ExitStack() as stack:
            session = _prepare(options, stack)
            return session if isinstance(session, int) else _run(session)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"Stopped; to resume: {_command()}", file=sys.stderr)
        return INTERRUPTED


def _parser() -> Parser:
    parser = Parser(prog="sweeps/run.py", description=__doc__)
    add = parser.add_argument
    add("spec", nargs="?", type=Path, default=DEMO, help="the sweep (default: sweeps/demo.yaml)")
    add("--name", help="name of the run folder, runs/NAME (default: the sweep's name)")
    add("--trials", metavar="N", help="number of trials; more than before adds some")
    add("--hours", type=_amount, metavar="H", help="stop after this time, over all runs of the sweep")
    add("--gpu-hours", type=_amount, metavar="H", help="stop when trials have held GPUs for so long (on CPUs: slots)")
    add("--cost-per-hour", type=_amount, metavar="C", help="price of a GPU-hour, for --budget and the leaderboard")
    add("--budget", type=_amount, metavar="M", help="stop when the GPU-hours have cost so much")
    add("--storage", metavar="URI", help="where checkpoints and a copy of the results go (s3://bucket/folder)")
    add("--address", help="a running Ray cluster: host:port or auto (default: this machine alone)")
    add("--dry-run", action="store_true", help="only show which trials would run, and what they cost")
    add("--tokens-per-second", type=_amount, metavar="T", help="for --dry-run: speed of a trial of average size")
    add("--replay", type=Path, metavar="TABLE", help="recorded curves, a CSV or a run folder, instead of training")
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


def _command() -> str:
    return shlex.join(["python", *sys.argv])


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
    vocabulary = vocab_size(spec.data)
    spec = spec.for_vocabulary(vocabulary)
    size.steps(spec.largest_trial(vocabulary), vocabulary)  # refuses a budget that is too short
    if options.dry_run:
        preview.show(spec, vocabulary, Console(), price=limits, tokens_per_second=options.tokens_per_second)
        return 0
    if options.replay:
        return _replay(options, spec, vocabulary, limits)
    folder = RunFolder(Path("runs", spec.name).absolute())
    claim.check_spec(folder, spec)
    location = claim.storage_location(folder, options.storage)
    if options.address:
        cluster.check_answers(options.address)
    data = prepare(spec.data)
    data.check_context(spec.largest_trial(vocabulary).context)
    with claim.removed_on_error(folder.root):
        stack.enter_context(folder.locked())
        mirror = Mirror(folder, location and f"{location}/{spec.name}")
        mirror.fetch()
        claim.check_spec(folder, spec)
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
    tracker = _tracker(sweep, folder)
    if not tracker.has_lost_runs:
        tracker.mode = "disabled"
    showing.show(sweep, folder, tracker)
    sweep.settle()
    sweep.close()
    return result.show_result(spec, sweep.rows.table(sweep.trials), folder, Console(), sweep.meter.limits)


def _limits(options: argparse.Namespace) -> Limits:
    return Limits(
        hours=options.hours,
        gpu_hours=options.gpu_hours,
        money=options.budget,
        cost_per_hour=options.cost_per_hour,
    )


def _replay(options: argparse.Namespace, spec: Spec, vocabulary: int, limits: Limits) -> int:
    """The sweep on recorded curves; nothing is written. Returns the exit status."""
    spec = replace(spec, confirm=None)  # a table holds no new seeds
    table, clock, console = replay.read_table(options.replay, spec), Clock(), Console()
    if limits.limited and not all("seconds" in record.costs for record in table.records):
        raise ValueError(f"--replay {options.replay} has no seconds, so --hours, --gpu-hours and --budget mean nothing")
    wanted, spec = spec.trials, replace(spec, run_cap=min(spec.run_cap, len(table.records)))
    sweep = Sweep(spec, None, vocab_size=vocabulary, checkpoints="", limits=limits, clocks=clock.clocks)
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
    if table.exhausted and len(results) < wanted:
        console.print("Every recorded run has been used.")
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
        tracker = _tracker(sweep, folder)
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


def _tracker(sweep: Sweep, folder: RunFolder) -> Tracker:
    """The owner of the sweep's W&B runs."""
    spec = sweep.spec
    return Tracker.open(spec.wandb, sweep=spec.name, folder=folder.root, project=spec.project, token=sweep.record.token)


def _trials_per_gpu(spec: Spec, vocab_size: int) -> int:
    """Trials that share a GPU of this cluster; 0 where they train on CPUs."""
    if spec.trials_per_gpu == 0 or not cluster.has_gpus():
        return 0
    return spec.trials_per_gpu or packing.trials_per_gpu(spec, vocab_size, cluster.gpu_bytes())


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
        for trial in sweep.trials.running:  # what Ctrl-C has cut short
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
    console.print(f"Stopped with {left} trials left; to resume: {_command()}", soft_wrap=True)
    return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
