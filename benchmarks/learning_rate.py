"""Is the best learning rate of a narrow model also the best at width 256? Loss against rate, with and without scaling.

    python benchmarks/learning_rate.py --data data/processed
    python benchmarks/learning_rate.py --json learning_rate.json --picture learning_rate.png
    python benchmarks/learning_rate.py --width 128 --rates 5e-4 1e-3 2e-3 --seeds 2

Trains every rate at both widths, at the narrow one twice: with the rates of `TrialConfig.scale_learning_rate`, by which
one base rate should serve every width, and without. At width 256 the two are the same. Prints Markdown tables, and
whether with scaling the best rates are within a factor of 2.

With --json every run is saved as it ends; the same command resumes from there, and more rates or seeds add to it. The
file is a list of records with the keys `data` (fingerprint), `trial` (fields of TrialConfig) and `val_loss`
[nat/token], which is null for a run that diverged. OMP_NUM_THREADS=1 leaves the other cores alone.
"""

import argparse
import json
import math
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from optima import Losses, tables, verdict, write_figure
from rich.console import Console
from rich.progress import track

from tinystories import storage
from tinystories.config import TrialConfig, parse_number
from tinystories.data.dataset import Dataset, open_dataset
from tinystories.device import give_memory_back
from tinystories.optim import BASE_WIDTH
from tinystories.trainer import Trainer

RATES = [2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2]
HEAD_DIM = 32
"""Size of a head at every width, for attention logits grow with it."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it: 128 + SIGINT."""

Runs = dict[TrialConfig, float]
"""Final validation loss of each run; infinite if it diverged. [nat/token]"""


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
    """Train what the JSON file does not hold yet, then report; the exit status: 0, 2 wrong input, 130 Ctrl-C."""
    options = _options()
    curves = [Curve(width=options.width, scaled=scaled) for scaled in (True, False)]
    curves.append(Curve(width=BASE_WIDTH, scaled=True))
    try:
        runs = _train_all(options, curves)
    except KeyboardInterrupt:
        print("stopped; with --json the same command resumes", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    losses = {str(curve): _mean_losses(options, curve, runs) for curve in curves}
    scaled, _, wide = losses
    print(tables(losses, reference=wide), verdict(losses[scaled], losses[wide]), sep="\n\n")
    if options.picture:
        write_figure(losses, options.picture, title=f"depth {options.depth}, {options.tokens:,.0f} tokens a run")
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
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keeps finished runs")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="loss against rate")
    return parser.parse_args()


def _train_all(options: argparse.Namespace, curves: list[Curve]) -> Runs:
    """Loss of every run, those of the JSON file included.

    Raises:
        ValueError: an option out of range, damaged data, or another kind of JSON file.
        OSError: data or JSON file cannot be read or written.
    """
    _check(options)
    dataset = open_dataset(options.data)
    runs = _read(options.json, dataset) if options.json and options.json.exists() else {}
    seeds, rates = range(options.seeds), options.rates
    wanted = [curve.trial(options, rate, seed) for seed in seeds for rate in rates for curve in curves]
    missing = [trial for trial in dict.fromkeys(wanted) if trial not in runs]
    for trial in track(missing, "training", console=Console(stderr=True)):
        runs[trial] = _train(trial, dataset, options.device)
        if options.json:
            _write(options.json, dataset, runs)
    return runs


def _check(options: argparse.Namespace) -> None:
    if options.seeds < 1:
        raise ValueError(f"seeds {options.seeds} must be above 0")
    if options.width == BASE_WIDTH:
        raise ValueError(f"width {BASE_WIDTH} is what others are compared with; give another")


def _train(trial: TrialConfig, dataset: Dataset, device: str) -> float:
    """Final validation loss of one run; infinite if it diverged. [nat/token]"""
    *_, last = Trainer(trial, dataset, device=device).run()
    give_memory_back()
    return math.inf if last.diverged else last.val_loss


def _read(file: Path, dataset: Dataset) -> Runs:
    """The runs that a file holds; all must be of this data."""
    try:
        records = json.loads(file.read_text(encoding="utf-8"))
        losses = [math.inf if run["val_loss"] is None else run["val_loss"] for run in records]
        runs = dict(zip((TrialConfig(**run["trial"]) for run in records), losses, strict=True))
        ours = all(run["data"] == dataset.fingerprint for run in records)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} does not hold runs of this benchmark; name another file") from error
    if not ours:
        raise ValueError(f"{file} holds runs on other data than {dataset.folder}; name another file")
    return runs


def _write(file: Path, dataset: Dataset, runs: Runs) -> None:
    records = [
        {"data": dataset.fingerprint, "trial": asdict(trial), "val_loss": loss if math.isfinite(loss) else None}
        for trial, loss in runs.items()
    ]
    storage.write(str(file), json.dumps(records, indent=1, allow_nan=False).encode())


def _mean_losses(options: argparse.Namespace, curve: Curve, runs: Runs) -> Losses:
    seeds = range(options.seeds)
    return {
        rate: statistics.mean(runs[curve.trial(options, rate, seed)] for seed in seeds)
        for rate in sorted(options.rates)
    }


if __name__ == "__main__":
    sys.exit(main())
