"""How much faster do several small trials on one GPU train together than one alone?

    python benchmarks/packing.py                       # 1, 2, 4 and 8 trials of 4x128 on one GPU
    python benchmarks/packing.py --device cpu --trials 1 2

Every trial is a process of its own, as in a sweep. All warm up, and compile, before the clock starts for all of them.
Prints the tokens per second of all trials together, the median of three windows, as a Markdown table.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import random_tokens
import torch
from rich.progress import track

from tinystories.config import TrialConfig
from tinystories.trainer import Trainer

WINDOWS = 3
VOCABULARY = 4096
meeting: Barrier
"""Where all trials wait for each other; one object for all processes."""
WARM_UP = 5
"""Updates before the first window; compiled code is made before the second of them."""


def main() -> None:
    """Measure every number of trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda", help="default: cuda; cpu: a thread each")
    parser.add_argument("--trials", type=int, nargs="+", default=[1, 2, 4, 8], help="default: 1 2 4 8")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16, help="sequences of 256 tokens (default: 16)")
    parser.add_argument("--seconds", type=float, default=10, help="length of a window (default: 10)")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("argument --device: 'cuda' is not here; allowed: cpu")
    speeds = {count: together(count, options) for count in track(options.trials)}
    alone = speeds[min(speeds)] / min(speeds)
    print("| trials | tokens/s together | over one alone |\n|---|---|---|")
    for count, speed in speeds.items():
        print(f"| {count} | {speed:,.0f} | {speed / alone:.2f} |")


def together(count: int, options: argparse.Namespace) -> float:
    """Speed of so many trials at a time, added up; the median over windows. [token/s]"""
    context = multiprocessing.get_context("spawn")  # a CUDA context does not survive a fork
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder, "tokens.bin")
        random_tokens.write(tokens, VOCABULARY, 2**20)
        runs = [(options, tokens, 1 / count)] * count
        with ProcessPoolExecutor(
            count, mp_context=context, initializer=_meet_at, initargs=(context.Barrier(count),)
        ) as pool:
            windows = list(pool.map(train, runs))
    return statistics.median(map(sum, zip(*windows, strict=True)))


def _meet_at(barrier: Barrier) -> None:
    """Give a process the barrier at which all wait before a window."""
    global meeting
    meeting = barrier


def train(run: tuple[argparse.Namespace, Path, float]) -> list[float]:
    """One trial: its speed in every window. [token/s]"""
    options, path, share = run
    if options.device == "cuda":
        torch.cuda.set_per_process_memory_fraction(share)
    torch.set_num_threads(1)
    trainer = Trainer(
        _config(options), random_tokens.read(path, VOCABULARY), device=options.device, compiled=options.device == "cuda"
    )
    for _ in range(WARM_UP):
        trainer.update()
    speeds = []
    for _ in range(WINDOWS):
        _wait(options.device)
        meeting.wait(timeout=600)
        started, first = time.perf_counter(), trainer.step
        while time.perf_counter() - started < options.seconds:
            for _ in range(5):
                trainer.update()
            _wait(options.device)
        speeds.append((trainer.step - first) * trainer.config.tokens_per_step / (time.perf_counter() - started))
    return speeds


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _config(options: argparse.Namespace) -> TrialConfig:
    return TrialConfig(
        depth=options.depth,
        width=options.width,
        heads=max(1, options.width // 32),
        budget=1e12,
        context=256,
        batch_size=options.batch_size,
    )


if __name__ == "__main__":
    main()
