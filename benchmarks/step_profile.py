"""Where the time of a float32 training step on a CPU goes, and what it could not be faster than.

    python benchmarks/step_profile.py --shape 4x128

Prints a Markdown table: the time of matrix products, of attention and of all else; the speed that the same products
would allow by themselves at the measured peak of the machine; and the largest single entries.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import random_tokens
import torch
from torch.profiler import ProfilerActivity, profile

from tinystories.config import TrialConfig
from tinystories.models.size import flops_per_token
from tinystories.trainer import Trainer

PRODUCTS = ("aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm", "aten::baddbmm")
STEPS = 5
LARGEST = 8
SIDE = 2048


def main() -> None:
    """Train a few steps under PyTorch's profiler."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="4x128", help="depth x width (default: 4x128)")
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--batch-size", type=int, default=16, help="sequences of 256 tokens (default: 16)")
    parser.add_argument("--compiled", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(options, Path(folder))
        for _ in range(4):
            trainer.update()
        before = _peak()
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for _ in range(STEPS):
                trainer.update()
        peak = max(before, _peak())
    times = {event.key: event.self_cpu_time_total / 1e3 / STEPS for event in profiler.key_averages()}
    _show(trainer, times, peak)


def _show(trainer: Trainer, times: dict[str, float], peak: float) -> None:
    """Print the groups, the floor and the largest entries; times are of one step. [ms]"""
    groups: dict[str, float] = defaultdict(float)
    for name, milliseconds in times.items():
        kind = "attention" if "scaled_dot_product" in name else "matrix products" if name in PRODUCTS else "all else"
        groups[kind] += milliseconds
    total = sum(groups.values())
    tokens = trainer.config.tokens_per_step
    floor = peak / flops_per_token(trainer.model.config)
    print("| of one step | ms | share |\n|---|---|---|")
    for kind, milliseconds in sorted(groups.items(), key=lambda entry: -entry[1]):
        print(f"| {kind} | {milliseconds:.1f} | {milliseconds / total:.0%} |")
    print(
        f"\n{1e3 * tokens / total:,.0f} tokens/s under the profiler; peak {peak / 1e9:.0f} GFLOP/s of a large product"
    )
    print(f"floor: {floor:,.0f} tokens/s, if all FLOPs ran at the peak and nothing else took time\n")
    for name, milliseconds in sorted(times.items(), key=lambda entry: -entry[1])[:LARGEST]:
        print(f"{milliseconds:8.1f} ms  {name[:80]}")


def _peak() -> float:
    """Speed of a large float32 product, the best of several. [FLOP/s]"""
    left, right = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - started)
    return 2 * SIDE**3 / min(seconds)


def _trainer(options: argparse.Namespace, folder: Path) -> Trainer:
    depth, _, width = options.shape.partition("x")
    tokens = folder / "tokens.bin"
    random_tokens.write(tokens, options.vocab, 2**20)
    config = TrialConfig(
        depth=int(depth),
        width=int(width),
        heads=max(1, int(width) // 32),
        budget=1e12,
        context=256,
        batch_size=options.batch_size,
        dtype="float32",
    )
    return Trainer(config, random_tokens.read(tokens, options.vocab), device="cpu", compiled=options.compiled)


if __name__ == "__main__":
    main()
