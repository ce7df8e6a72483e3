"""What a sweep would do, before anything is spent: needs neither Ray nor torch."""

import itertools
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sweeps.display import budget, duration, number
from sweeps.results import RunFolder, read_results
from sweeps.search import preview
from sweeps.spec import Spec
from tinystories.config import TrialConfig
from tinystories.models import size

ASSUMED_FLOPS_PER_SECOND = 2e10
"""Training speed assumed of one CPU core until a trial of the sweep has been measured. [FLOP/s]"""


def show(spec: Spec, vocab_size: int, console: Console) -> None:
    """Print the trials that would be drawn, with size and cost.

    Args:
        vocab_size: of the data. [token]
    """
    speed, source = _speed(spec)
    console.print(f"{spec.name}: {budget(spec)}", style="bold")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("trial", *spec.space.parameters, "parameters", "FLOPs", "tokens", "time"):
        table.add_column(heading, justify="right")
    total_flops = total_seconds = 0.0
    for proposal in preview(spec):
        config = spec.trial_config(proposal.assignment)
        flops, tokens, seconds = cost(config, vocab_size, speed)
        total_flops, total_seconds = total_flops + flops, total_seconds + seconds
        table.add_row(
            proposal.trial_id,
            *(f"{value:.3g}" if isinstance(value, float) else str(value) for value in proposal.assignment.values()),
            number(size.parameters(config.model(vocab_size))),
            f"{flops:.1e}",
            number(tokens),
            duration(seconds),
        )
    console.print(table)
    share = expected_share(spec)
    console.print(
        f"All trials in full: {total_flops:.1e} FLOPs, {duration(total_seconds)} of one slot. "
        f"With early stopping about {share:.0%} of that: {duration(share * total_seconds)}."
    )
    console.print(f"Times at {speed:.1e} FLOP/s: {source}. Later trials will follow what earlier ones show.")


def cost(config: TrialConfig, vocab_size: int, speed: float) -> tuple[float, float, float]:
    """FLOPs, tokens and seconds of a full trial.

    Args:
        speed: training FLOPs in a second.
    """
    per_token = size.flops_per_token(config.model(vocab_size))
    tokens = {
        "tokens": config.budget,
        "flops": config.budget / per_token,
        "seconds": config.budget * speed / per_token,
    }[config.axis]
    return tokens * per_token, tokens, tokens * per_token / speed


def expected_share(spec: Spec) -> float:
    """Share of the full budget that trials use on average if each rung lets 1/eta of them pass."""
    if not spec.early_terminate:
        return 1.0
    stations = (0, *spec.rungs, spec.evaluations)
    stretches = itertools.pairwise(stations)
    used = sum((end - start) / spec.early_terminate.eta**rung for rung, (start, end) in enumerate(stretches))
    return used / spec.evaluations


def _speed(spec: Spec) -> tuple[float, str]:
    folder = RunFolder(Path("runs", spec.name))
    measured = [r.flops / r.seconds for r in read_results(folder.results) if r.seconds > 0]
    if measured:
        return sum(measured) / len(measured), f"the mean of {len(measured)} trials in {folder.root}"
    return (
        ASSUMED_FLOPS_PER_SECOND * spec.cpus_per_trial,
        "assumed of a CPU core; measured once a trial has run",
    )
