"""Does bfloat16 training reach the loss of float32? Three seeds of each, on the same text.

    python benchmarks/precision.py --data data/processed

Prints the validation loss of every run as a Markdown table, and compares what precision changes with what seeds do.
"""

import argparse
import statistics
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Literal, get_args

import torch
from rich.progress import track

from tinystories.config import TrialConfig, parse_number
from tinystories.data.dataset import open_dataset
from tinystories.trainer import Trainer

SEEDS = (0, 1, 2)
Precision = Literal["float32", "bfloat16"]
DTYPES: tuple[Precision, ...] = get_args(Precision)


def main() -> None:
    """Train every seed in both precisions, one process a core, one thread each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/processed"), help="data folder")
    parser.add_argument("--tokens", type=parse_number, default=600e3, help="budget of every run (default: 600k)")
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--processes", type=int, default=2, help="runs at a time (default: 2)")
    options = parser.parse_args()
    kinds = [(dtype, seed) for seed in SEEDS for dtype in DTYPES]
    with ProcessPoolExecutor(options.processes) as pool:
        runs = pool.map(train, [(options, *kind) for kind in kinds])
        losses = dict(zip(kinds, track(runs, total=len(kinds)), strict=True))
    print(f"| seed | {' | '.join(DTYPES)} | difference |\n|---|---|---|---|")
    differences = []
    for seed in SEEDS:
        plain, short = (losses[dtype, seed] for dtype in DTYPES)
        differences.append(short - plain)
        print(f"| {seed} | {plain:.4f} | {short:.4f} | {short - plain:+.4f} |")
    noise = statistics.stdev(losses["float32", seed] for seed in SEEDS)
    print(f"\nmean difference {statistics.mean(differences):+.4f}, spread of float32 over seeds (sd) {noise:.4f}")


def train(run: tuple[argparse.Namespace, Precision, int]) -> float:
    """Final validation loss of one run. [nat/token]"""
    options, dtype, seed = run
    torch.set_num_threads(1)
    config = TrialConfig(
        depth=options.depth,
        width=options.width,
        heads=max(1, options.width // 32),
        seed=seed,
        budget=options.tokens,
        context=256,
        batch_size=8,
        evaluations=1,
        dtype=dtype,
    )
    *_, last = Trainer(config, open_dataset(options.data), device=options.device).run()
    return last.val_loss


if __name__ == "__main__":
    main()
