"""Is the best learning rate of a narrow model also the best at width 256? Loss against rate, with and without scaling.

    python benchmarks/learning_rate.py --data data/processed
    python benchmarks/learning_rate.py --json learning_rate.json --picture learning_rate.png
    python benchmarks/learning_rate.py --width 128 --rates 5e-4 1e-3 2e-3 --seeds 2

Trains every rate at both widths, at the narrow one twice: with the rates of `TrialConfig.scale_learning_rate`, by which
one base rate should serve every width, and without. At width 256 the two are the same. Prints Markdown tables, and
whether with scaling the best rates are within a factor of 2.

With --json every run is saved as it ends; the same command goes on from there, and more rates or seeds add to it. The
file is a list of records with the keys `data` (fingerprint), `trial` (fields of TrialConfig) and `val_loss`
[nat/token], which is null for a run that diverged.
"""

import argparse
import io
import json
import math
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track

from tinystories import storage
from tinystories.config import TrialConfig, parse_number
from tinystories.data.dataset import open_dataset
from tinystories.optim import BASE_WIDTH
from tinystories.trainer import Trainer
from tinystories.visualization.charts import BLUE, ORANGE, VERMILION

RATES = [2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3]
HEAD_DIM = 32
"""Size of a head at every width, for attention logits grow with it."""
WITHIN = 2.0
"""Largest factor between the best rates at which the claim holds: a step of the grid."""

Losses = dict[float, float]
"""Validation loss by base rate, mean over the seeds. [nat/token]"""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Runs that differ in base rate and seed alone."""

    width: int
    """Size of the residual stream."""
    scaled: bool
    """Whether rates follow the width."""

    def trial(self, options: argparse.Namespace, rate: float, seed: int) -> TrialConfig:
        """One of its runs."""
        return TrialConfig(
            depth=options.depth,
            width=self.width,
            heads=max(1, self.width // HEAD_DIM),
            budget=options.tokens,
            evaluations=1,
            context=128,
            batch_size=8,
            learning_rate=rate,
            scale_learning_rate=self.scaled,
            seed=seed,
        )

    def __str__(self) -> str:
        if self.width == BASE_WIDTH:
            return f"width {self.width}"
        return f"width {self.width}, {'scaled' if self.scaled else 'not scaled'}"


def main() -> int:
    """Train what the JSON file does not hold yet, then report; the exit status: 0, or 2 for wrong input."""
    options = _options()
    curves = [Curve(width=options.width, scaled=scaled) for scaled in (True, False)]
    curves.append(Curve(width=BASE_WIDTH, scaled=True))
    try:
        runs = _train_all(options, curves)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    losses = {curve: _mean_losses(options, curve, runs) for curve in curves}
    _report(losses)
    if options.picture:
        buffer = io.BytesIO()
        _figure(losses, f"depth {options.depth}, {options.tokens:,.0f} tokens a run").savefig(buffer, dpi=110)
        storage.write(str(options.picture), buffer.getvalue())
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default="data/processed", help="data folder (default: %(default)s)")
    parser.add_argument("--tokens", type=parse_number, default=500e3, help="budget of every run (default: 500k)")
    parser.add_argument(
        "--rates", type=parse_number, nargs="+", default=RATES, metavar="RATE", help=f"default: {RATES}"
    )
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="of every rate (default: 1)")
    parser.add_argument("--width", type=int, default=64, help=f"is compared with {BASE_WIDTH} (default: 64)")
    parser.add_argument("--depth", type=int, default=2, help="of all models (default: 2)")
    parser.add_argument("--processes", type=int, default=2, help="runs at a time, a thread each (default: 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keeps finished runs")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="loss against rate")
    return parser.parse_args()


def _train_all(options: argparse.Namespace, curves: list[Curve]) -> dict[TrialConfig, float]:
    """Loss of every run, those of the JSON file included.

    Raises:
        ValueError: an option out of range, or damaged data.
        OSError: data or JSON file cannot be read or written.
    """
    data = open_dataset(options.data).fingerprint
    records = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    losses = {TrialConfig(**run["trial"]): _loss(run["val_loss"]) for run in records if run["data"] == data}
    seeds, rates = range(options.seeds), options.rates
    wanted = [curve.trial(options, rate, seed) for seed in seeds for rate in rates for curve in curves]
    missing = [trial for trial in wanted if trial not in losses]
    with ProcessPoolExecutor(options.processes) as pool:
        futures = {pool.submit(train, trial, options.data): trial for trial in missing}
        done = track(as_completed(futures), "training", total=len(missing), console=Console(stderr=True))
        for future in done:
            trial, losses[trial] = futures[future], future.result()
            if options.json:
                records.append(_record(data, trial, losses[trial]))
                storage.write(str(options.json), json.dumps(records, indent=1, allow_nan=False).encode())
    return losses


def train(trial: TrialConfig, data: Path) -> float:
    """Final validation loss of one run; infinite if it diverged. [nat/token]"""
    torch.set_num_threads(1)
    *_, last = Trainer(trial, open_dataset(data), device="cpu").run()
    return math.inf if last.diverged else last.val_loss


def _record(data: str, trial: TrialConfig, loss: float) -> dict[str, Any]:
    return {"data": data, "trial": asdict(trial), "val_loss": loss if math.isfinite(loss) else None}


def _loss(recorded: float | None) -> float:
    return math.inf if recorded is None else recorded


def _mean_losses(options: argparse.Namespace, curve: Curve, runs: dict[TrialConfig, float]) -> Losses:
    seeds = range(options.seeds)
    return {
        rate: statistics.mean(runs[curve.trial(options, rate, seed)] for seed in seeds)
        for rate in sorted(options.rates)
    }


def optimum(losses: Losses) -> float | None:
    """Rate of least loss: of a parabola over log(rate) through the best rate and its two neighbours.

    None if the best rate has no neighbour on one side; that rate itself if a neighbour diverged.
    """
    rates = sorted(losses)
    place = rates.index(min(rates, key=losses.__getitem__))
    if place in (0, len(rates) - 1):
        return None
    around = rates[place - 1 : place + 2]
    if not all(math.isfinite(losses[rate]) for rate in around):
        return rates[place]
    curvature, slope, _ = np.polyfit(np.log(around), [losses[rate] for rate in around], 2)
    return math.exp(-slope / (2 * curvature))


def _report(losses: dict[Curve, Losses]) -> None:
    """Losses by rate, then what they say about each curve and about the claim."""
    scaled, _, wide = losses
    print(f"\n| rate | {' | '.join(map(str, losses))} |\n|---|{'---|' * len(losses)}")
    for rate in losses[wide]:
        print(f"| {rate:.3g} | {' | '.join(_cell(curve[rate], min(curve.values())) for curve in losses.values())} |")
    print("\n| | best rate | fitted | fitted, over that of width 256 | loss at the best rate of width 256 |")
    print("|---|---|---|---|---|")
    best = min(losses[wide], key=losses[wide].__getitem__)
    for curve, values in losses.items():
        factor, fitted = _factor(values, losses[wide]), optimum(values)
        row = [
            f"{min(values, key=values.__getitem__):.3g}",
            *("at an edge" if x is None else f"{x:.3g}" for x in (fitted, factor)),
        ]
        print(f"| {curve} | {' | '.join(row)} | {values[best] - min(values.values()):+.3f} |")
    print(f"\n{_verdict(_factor(losses[scaled], losses[wide]))}")


def _cell(loss: float, least: float) -> str:
    if not math.isfinite(loss):
        return "diverged"
    return f"**{loss:.3f}**" if loss == least else f"{loss:.3f}"


def _factor(losses: Losses, others: Losses) -> float | None:
    ours, theirs = optimum(losses), optimum(others)
    return ours / theirs if ours and theirs else None


def _verdict(factor: float | None) -> str:
    if factor is None:
        return "Undecided: a best rate is at the edge of the grid; give more --rates on that side."
    apart = max(factor, 1 / factor)
    word = "Holds" if apart <= WITHIN else "Does not hold"
    return f"{word}: with scaling the best rates are a factor of {apart:.2f} apart; at most {WITHIN:g} was claimed."


def _figure(losses: dict[Curve, Losses], title: str) -> Figure:
    """Loss against base rate, a line a curve; a star on the best rate."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for (curve, values), colour in zip(losses.items(), (BLUE, ORANGE, VERMILION), strict=True):
        finite = {rate: loss for rate, loss in values.items() if math.isfinite(loss)}
        axes.plot(list(finite), list(finite.values()), "o-", color=colour, markersize=4, label=str(curve))
        best = min(values, key=values.__getitem__)
        axes.plot(best, values[best], "*", color=colour, markersize=13)
    rates = list(next(iter(losses.values())))
    axes.set(xscale="log", xlabel="base learning rate", ylabel="validation loss [nat/token]")
    axes.set_xticks(rates, [f"{rate:.3g}" for rate in rates])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    axes.set_title(title, loc="left", fontsize=11)
    return figure


if __name__ == "__main__":
    sys.exit(main())
