"""Tokens per second of one training step: ours, and what people would use instead, side by side on one machine.

    python benchmarks/throughput.py                                      # this machine's CPU
    python benchmarks/throughput.py --device cuda --json throughput.json
    python benchmarks/throughput.py --contenders ours gpt2 --shapes 2x64 --vocab 4096 --seconds 5

The contenders, each in a process of its own: ours; the Trainer of transformers (also needs `pip install accelerate`);
gpt2, a plain compiled training step such as nanoGPT's; litgpt where it is installed. They take turns in five rounds of
short windows, and a speed is the median over the windows. With --json, a list of records with these keys:

contender, shape, vocab, dtype, compiled   what was measured; shape is depth x width
tokens_per_second                          speed of training, start-up and compiling excluded
ratio_to_best_peer                         that over the fastest contender that is not ours; null if there is none
peak_fraction                              matrix products in a step, by tinystories.models.size.flops_per_token for
                                           all contenders, as a share of the speed of one large product
peak_memory_bytes                          of tensors on a GPU; on a CPU of the whole process, compiler included
seconds_to_first_step                      from the start of the process to the end of its first step
seconds_to_1m_tokens                       from the start of the process to the end of its warm-up, then what is left
                                           of a million tokens at the median speed; waiting for turns does not count

Compiled code is made anew in every run, unless --compile-cache names a folder that keeps it.
"""

import argparse
import importlib.util
import itertools
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import random_tokens
from comparison import OURS, Record, table, write_figure, write_json
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from turns import SLOW, Job, Process, ProcessError, Start, Window

from tinystories.config import ModelConfig, divisors, parse_number
from tinystories.models.size import flops_per_token

VARIANTS: dict[str, list[tuple[str, bool]]] = {
    OURS: [("auto", False), ("auto", True)],
    "transformers": [("float32", False), ("float32", True), ("bfloat16", False), ("bfloat16", True)],
    "gpt2": [("float32", True), ("bfloat16", True)],
    "litgpt": [("bfloat16", True)],
}
"""The precision of each contender, and whether it compiles."""
DTYPES = ("float32", "bfloat16")
NEEDS = {OURS: [], "transformers": ["transformers", "accelerate"], "gpt2": [], "litgpt": ["litgpt"]}
"""Packages without which a contender cannot run."""
SHAPES = [(2, 64), (4, 128), (8, 256), (4, 768)]
"""Depth and width."""
VOCABULARIES = [4096, 10_000]
CONTEXT = 256
BATCH_SIZE = {"cpu": 16, "cuda": 64}
ROUNDS = 5
TOKENS = 2**24
"""Random ids on disk: so many that few windows hold the end of an epoch."""
MILLION = 1_000_000
MOST_IDS = 2**16
FIGURE = Path("reports/figures/throughput.png")
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it: 128 + SIGINT."""

Shape = tuple[int, int]


def main() -> int:
    """Measure one shape and vocabulary after the other, a table each, then draw the figure; the exit status."""
    options, console = _options(), Console()
    try:
        with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
            return _run(options, Path(folder), console)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED


def _run(options: argparse.Namespace, folder: Path, console: Console) -> int:
    stage = Stage(options, folder)
    try:
        machine = stage.machine()
    except ProcessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for note in _notes(options, machine):
        console.print(note, highlight=False, soft_wrap=True)
    records, failures = _measure(options, stage, console)
    if any(record.ratio_to_best_peer for record in records):
        versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
        write_figure(records, options.figure, machine=f"{machine['name']}, {versions}")
    for failure in failures:
        console.print(f"failed: {failure}", style="red", highlight=False, soft_wrap=True)
    return 1 if failures else 0


def _measure(options: argparse.Namespace, stage: "Stage", console: Console) -> tuple[list[Record], list[str]]:
    """The records of all settings, and what failed; tables and JSON follow the progress."""
    records: list[Record] = []
    failures: list[str] = []
    with _progress(console) as progress:
        task = progress.add_task("", total=len(options.vocab) * len(options.shapes) * stage.turns)
        show = partial(progress.update, task, advance=1, refresh=True)
        for vocab, shape in itertools.product(options.vocab, options.shapes):
            runs, flops_per_second = stage.play(shape, vocab, lambda doing: show(description=doing))
            failures += [f"{run.label}: {run.failure}" for run in runs if run.failure]
            if new := _records([run for run in runs if not run.failure], flops_per_second):
                console.print(table(new, flops_per_second=flops_per_second, windows=ROUNDS))
            records += new
            if options.json:
                write_json(records, options.json)
    return records, failures


class Run:
    """One contender on one setting: its process, and what that has answered so far."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.start: Start
        self.windows: list[Window] = []
        self.failure = ""
        self._process: Process

    @property
    def label(self) -> str:
        """Names the contender and the setting."""
        job = self.job
        kind = f"{job.contender} {job.dtype}{', compiled' if job.compiled else ''}"
        return f"{job.depth}x{job.width}, vocabulary {job.vocab_size:,}: {kind}"

    def warm_up(self, process: Process) -> None:
        """Wait until the process has warmed up."""
        self._process = process
        try:
            self.start = Start(**process.answer())
        except ProcessError as error:
            self.failure = str(error)

    def train(self) -> None:
        """Have one window, unless it failed before, or one is enough as its steps are slow."""
        if self.failure or (self.windows and self.start.slow):
            return
        try:
            self.windows.append(Window(**self._process.go()))
        except ProcessError as error:
            self.failure = str(error)


class Stage:
    """Starts the contenders of a setting and lets them take turns.

    Args:
        options: of the command.
        folder: for logs, random tokens and compiled code.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._variants = [
            (name, dtype, compiled)
            for name in options.contenders
            for dtype, compiled in VARIANTS[name]
            if dtype in ("auto", *options.dtypes)
        ]
        self._environment = {
            **os.environ,
            "TORCHINDUCTOR_CACHE_DIR": str(options.compile_cache or folder / "compiled"),
            "OMP_NUM_THREADS": str(options.threads),
            "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0],
        }
        for vocab in options.vocab:
            random_tokens.write(self._tokens(vocab), vocab, TOKENS)

    @property
    def turns(self) -> int:
        """Turns in a setting, one for every start and every window."""
        return len(self._variants) * (1 + ROUNDS)

    def machine(self) -> dict[str, Any]:
        """The name of the machine, and whether it has instructions for bfloat16.

        Raises:
            ProcessError: it has no such device, or torch is missing.
        """
        with self._process(self._peak()) as process:
            return process.answer()

    def play(self, shape: Shape, vocab: int, show: Callable[[str], None]) -> tuple[list[Run], float]:
        """All contenders of a setting, and the speed of a large matrix product between their turns. [FLOP/s]"""
        runs = [Run(self._job(*variant, shape, vocab)) for variant in self._variants]
        speeds = []
        with ExitStack() as stack:
            peak = stack.enter_context(self._process(self._peak()))
            peak.answer()
            for run in runs:
                show(f"{run.label} starts")
                run.warm_up(stack.enter_context(self._process(run.job)))
            for turn, run in itertools.product(range(ROUNDS), runs):
                show(f"{run.label}, window {turn + 1} of {ROUNDS}")
                if run is runs[0]:
                    speeds.append(peak.go()["flops_per_second"])
                run.train()
        return runs, statistics.median(speeds)

    def _process(self, job: Job) -> Process:
        log = self._folder / f"{job.contender}-{job.dtype}-{job.compiled}.log"
        return Process(job, environment=self._environment, log=log)

    def _job(self, contender: str, dtype: str, compiled: bool, shape: Shape, vocab: int) -> Job:
        depth, width = shape
        return Job(
            contender=contender,
            dtype=dtype,
            compiled=compiled,
            depth=depth,
            width=width,
            heads=_heads(width),
            vocab_size=vocab,
            context=CONTEXT,
            batch_size=BATCH_SIZE[self._options.device],
            device=self._options.device,
            threads=self._options.threads,
            tokens=str(self._tokens(vocab)),
            window=self._options.seconds / ROUNDS,
        )

    def _peak(self) -> Job:
        """What measures the machine itself; the setting does not matter to it."""
        return self._job("peak", "auto", False, self._options.shapes[0], self._options.vocab[0])

    def _tokens(self, vocab: int) -> Path:
        return self._folder / f"{vocab}.bin"


def _records(runs: list[Run], flops_per_second: float) -> list[Record]:
    """What the contenders of one setting have reached."""
    speeds = [statistics.median(window.tokens / window.seconds for window in run.windows) for run in runs]
    peers = [speed for run, speed in zip(runs, speeds, strict=True) if run.job.contender != OURS]
    return [
        _record(run, speed, max(peers, default=None), flops_per_second) for run, speed in zip(runs, speeds, strict=True)
    ]


def _record(run: Run, speed: float, best_peer: float | None, flops_per_second: float) -> Record:
    job = run.job
    model = ModelConfig(
        depth=job.depth, width=job.width, heads=job.heads, vocab_size=job.vocab_size, context=job.context
    )
    return Record(
        contender=job.contender,
        shape=f"{job.depth}x{job.width}",
        vocab=job.vocab_size,
        dtype=run.start.dtype,
        compiled=job.compiled,
        tokens_per_second=speed,
        ratio_to_best_peer=speed / best_peer if best_peer else None,
        peak_fraction=speed * flops_per_token(model) / flops_per_second,
        peak_memory_bytes=run.windows[-1].peak_memory_bytes,
        seconds_to_first_step=run.start.first_step,
        seconds_to_1m_tokens=run.start.ready + max(0, MILLION - run.start.tokens) / speed,
        windows=len(run.windows),
    )


def _heads(width: int) -> int:
    """Heads of size 32, or as near above as the width allows."""
    return max(heads for heads in divisors(width) if heads <= max(1, width // 32))


def _progress(console: Console) -> Progress:
    """One line, drawn when it changes: a thread that draws it would take time from what is measured."""
    columns = (BarColumn(20), TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, transient=True, auto_refresh=False)


def _notes(options: argparse.Namespace, machine: dict[str, Any]) -> list[str]:
    """What the reader of the tables has to know."""
    notes = [machine["name"]]
    if missing := [name for name in VARIANTS if not _installed(name)]:
        notes.append(f"not installed here: {', '.join(missing)}")
    if not machine["bfloat16"]:
        notes.append(
            "This CPU has no instructions for bfloat16: those rows are slow, and where a step takes over "
            f"{SLOW} s there is one window, of one step."
        )
    return notes


def _installed(contender: str) -> bool:
    return all(importlib.util.find_spec(package) for package in NEEDS[contender])


def _options() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = [name for name in VARIANTS if _installed(name)]
    cores = os.cpu_count() or 1
    parser.add_argument("--device", choices=list(BATCH_SIZE), default="cpu", help="default: cpu")
    parser.add_argument("--shapes", nargs="+", type=_shape, default=SHAPES, help="such as 2x64: depth x width")
    parser.add_argument("--vocab", nargs="+", type=_vocab, default=VOCABULARIES, help="sizes of the vocabulary")
    parser.add_argument("--contenders", nargs="+", choices=here, default=here, help="default: all installed ones")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES, help="of the others (default: both)")
    parser.add_argument("--threads", type=_count, default=cores, help=f"CPU threads (default: {cores})")
    parser.add_argument("--seconds", type=_seconds, default=20.0, help="for each contender (default: 20)")
    parser.add_argument("--json", type=Path, help="file for the records")
    parser.add_argument("--figure", type=Path, default=FIGURE, help=f"default: {FIGURE}")
    parser.add_argument("--compile-cache", type=Path, help="folder that keeps compiled code (default: none is kept)")
    return parser.parse_args()


def _shape(text: str) -> Shape:
    depth, x, width = text.partition("x")
    if not x:
        raise argparse.ArgumentTypeError(f"{text!r} is not depth x width, such as 4x128")
    return _count(depth), _count(width)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _vocab(text: str) -> int:
    if (size := _count(text)) > MOST_IDS:
        raise argparse.ArgumentTypeError(f"{size} ids are more than {MOST_IDS}, which is what 16 bits hold")
    return size


def _seconds(text: str) -> float:
    try:
        seconds = parse_number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text} must be above 0")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
