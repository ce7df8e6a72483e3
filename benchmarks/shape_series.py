"""Do larger models reach lower loss than smaller ones at the same tokens? A depth and a width series, three seeds.

    python benchmarks/shape_series.py                       # built-in stories
    python benchmarks/shape_series.py --data data/processed

Prints mean and range over the seeds, as a Markdown table.
"""

import argparse
import statistics
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from rich.progress import track

from tinystories.config import TrialConfig, parse_number
from tinystories.data.dataset import open_dataset
from tinystories.data.make_dataset import make_stories
from tinystories.models.size import parameters
from tinystories.trainer import Trainer

SERIES = {"depth": [(1, 64), (2, 64), (4, 64), (8, 64)], "width": [(2, 16), (2, 32), (2, 64), (2, 128)]}
"""(depth, width) of each series; 4 heads everywhere."""
SEEDS = (0, 1, 2)


def main() -> None:
    """Train every shape with every seed, one process a core, one thread each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="data folder (default: built-in stories)")
    parser.add_argument("--tokens", type=parse_number, default=600e3, help="budget of every run (default: 600k)")
    parser.add_argument("--processes", type=int, default=2, help="runs at a time (default: 2)")
    options = parser.parse_args()
    data = options.data or make_stories("data/series", stories=16_000, valid_stories=100, tokenizer="bpe:1024")
    shapes = sorted({shape for series in SERIES.values() for shape in series}, reverse=True)
    runs = [(data, *shape, seed, options.tokens) for shape in shapes for seed in SEEDS]
    with ProcessPoolExecutor(options.processes) as pool:
        losses = dict(zip(runs, track(pool.map(train, runs), total=len(runs)), strict=True))
    vocab_size = open_dataset(data).vocab_size
    for name, series in SERIES.items():
        print(f"\n| {name} series | parameters | mean val_loss | range over {len(SEEDS)} seeds |\n|---|---|---|---|")
        for depth, width in series:
            seeds = [losses[data, depth, width, seed, options.tokens] for seed in SEEDS]
            size = parameters(_config(depth, width, 0, options.tokens).model(vocab_size))
            mean = statistics.mean(seeds)
            print(f"| {depth} x {width} | {size:,} | {mean:.3f} | {min(seeds):.3f} to {max(seeds):.3f} |")


def train(run: tuple[Path, int, int, int, float]) -> float:
    """Final validation loss of one run. [nat/token]"""
    data, depth, width, seed, tokens = run
    torch.set_num_threads(1)
    *_, last = Trainer(_config(depth, width, seed, tokens), open_dataset(data), device="cpu").run()
    return last.val_loss


def _config(depth: int, width: int, seed: int, tokens: float) -> TrialConfig:
    return TrialConfig(
        depth=depth, width=width, heads=4, seed=seed, budget=tokens, context=128, batch_size=8, evaluations=1
    )


if __name__ == "__main__":
    main()
