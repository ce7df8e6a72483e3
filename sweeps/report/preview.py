"""What a sweep would do, before anything is spent: needs neither Ray nor torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from sweeps.limits import SECONDS, Limits
from sweeps.policy import stopping
from sweeps.policy.proposals import Proposals
from sweeps.record.folder import RunFolder
from sweeps.record.tables import read_curves
from sweeps.report import live
from sweeps.report.numbers import count, duration, flops, hours, money, rate
from sweeps.spec.recipe import Assignment
from sweeps.spec.schema import Spec
from tinystories.config import TrialConfig
from tinystories.metrics import Metrics
from tinystories.models import size


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What trials take."""

    flops: float
    """Of training."""
    tokens: float
    """Trained on."""
    seconds: float
    """Of one slot, evaluations included. [s]"""

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            flops=self.flops + other.flops, tokens=self.tokens + other.tokens, seconds=self.seconds + other.seconds
        )

    def __mul__(self, factor: float) -> "Cost":
        return Cost(flops=self.flops * factor, tokens=self.tokens * factor, seconds=self.seconds * factor)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a sweep: what it is, how many trials it expects, and what they cost together."""

    name: str
    trials: float
    cost: Cost


def show(
    spec: Spec,
    vocab_size: int,
    console: Console,
    *,
    valid_tokens: int,
    price: Limits,
    tokens_per_second: float | None = None,
) -> None:
    """Print the trials that would be drawn, what each costs in full, and what the sweep is expected to cost.

    Args:
        vocab_size: of the data. [token]
        valid_tokens: size of the validation text. [token]
        price: of a GPU-hour; what the sweep may take is not looked at.
        tokens_per_second: training speed of a trial of average size; None: measured, else assumed.
    """
    proposals = _first_proposals(spec)
    configs = [spec.trial_config(proposal) for proposal in proposals]
    speed, source = _speed(spec, configs, vocab_size, tokens_per_second)
    costs = [cost(config, vocab_size, valid_tokens, speed) for config in configs]
    endings = [ending(config, vocab_size, valid_tokens, speed) for config in configs]
    console.print(f"{spec.name}: {live.budget(spec)}", style="bold")
    console.print(_trials_table(proposals, configs, list(map(add, costs, endings)), vocab_size))
    console.print()
    console.print(_parts_table(parts(spec, costs, endings), spec, price))
    console.print(
        f"{_expectation(spec)}{_sharing(spec)}A time is that of one slot, at {flops(speed)} FLOP/s: {source}.",
        soft_wrap=True,
    )


def _first_proposals(spec: Spec) -> list[Assignment]:
    """The configurations that a sweep would begin with; without results, later ones are as uninformed as the first."""
    policy, proposals = Proposals(spec), []
    for place in range(spec.trials):
        proposals.append(policy.propose())
        policy.begin(f"{place:04d}", proposals[-1])
    return proposals


def _expectation(spec: Spec) -> str:
    """What the numbers of trials are, where they may come out otherwise."""
    if spec.early_terminate and spec.early_terminate.type != "screen":
        more = "; with two objectives, some more" if spec.pareto else ""
        return f"Trials are those that ASHA is expected to train so far if they come in no order{more}. "
    if spec.early_terminate and spec.forecasts:
        return (
            "More than the finalists may be promoted: those with a fair chance to end best, and as forecasts change. "
        )
    return ""


def _sharing(spec: Spec) -> str:
    """What a GPU-hour is, where the cluster will say how many trials share a GPU."""
    return "" if spec.trials_per_gpu is not None else "GPU-hours are those of one trial a GPU; several may share it. "


def _trials_table(
    proposals: Sequence[Assignment], configs: Sequence[TrialConfig], costs: Sequence[Cost], vocab_size: int
) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("trial", *proposals[0], "parameters", "FLOPs", "tokens", "time"):
        table.add_column(heading, justify="right")
    for place, (proposal, config, full) in enumerate(zip(proposals, configs, costs, strict=True)):
        table.add_row(
            f"{place:04d}",
            *(rate(value) if isinstance(value, float) else str(value) for value in proposal.values()),
            count(size.parameters(config.model(vocab_size))),
            flops(full.flops),
            count(full.tokens),
            duration(full.seconds),
        )
    return table


def _parts_table(parts: Sequence[Part], spec: Spec, price: Limits) -> Table:
    priced = price.cost_per_hour is not None
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("expected")
    for heading in ("trials", "tokens", "FLOPs", "time", "GPU-hours", *(("cost",) if priced else ())):
        table.add_column(heading, justify="right")
    for part in (*parts, _total(parts)):
        gpu_hours = part.cost.seconds / SECONDS / (spec.trials_per_gpu or 1)
        table.add_row(
            part.name,
            f"{part.trials:.1f}".removesuffix(".0"),
            count(part.cost.tokens),
            flops(part.cost.flops),
            duration(part.cost.seconds),
            hours(gpu_hours),
            *((money(price.cost(gpu_hours)),) if priced else ()),
        )
    return table


def cost(config: TrialConfig, vocab_size: int, valid_tokens: int, speed: float) -> Cost:
    """Of a full trial: its training, and its evaluations as far as they read the sample.

    A budget in seconds pays for evaluations too, so that less of it is left for training.

    Args:
        speed: training FLOPs in a second.
    """
    per_token = size.flops_per_token(config.model(vocab_size))
    sample = min(size.evaluation_tokens(config, vocab_size), valid_tokens)
    evaluated = size.EVALUATION_COST * config.evaluations * sample
    tokens = size.training_tokens(config, vocab_size, speed)
    if config.axis == "seconds":
        tokens = max(0.0, tokens - evaluated)
    return Cost(flops=tokens * per_token, tokens=tokens, seconds=(tokens + evaluated) * per_token / speed)


def ending(config: TrialConfig, vocab_size: int, valid_tokens: int, speed: float) -> Cost:
    """Of what the last evaluation of a full trial takes besides: it reads the whole validation text too.

    Nothing if that is no more than the sample. Arguments are those of `cost`.
    """
    more = 0 if size.evaluation_tokens(config, vocab_size) >= valid_tokens else valid_tokens
    per_token = size.flops_per_token(config.model(vocab_size))
    return Cost(flops=0, tokens=0, seconds=size.EVALUATION_COST * more * per_token / speed)


def parts(spec: Spec, costs: Sequence[Cost], endings: Sequence[Cost]) -> list[Part]:
    """The stretches between a sweep's rungs, and its confirmation.

    Args:
        costs: of full trials like those of the sweep, up to their last evaluation.
        endings: of what their last evaluation takes besides.
    """
    mean, last = (reduce(add, each) * (1 / len(each)) for each in (costs, endings))
    found = []
    for stretch in stopping.stretches(spec):
        one = mean * stretch.share(spec) + last * (stretch.end == spec.evaluations)
        found.append(Part(name=f"to evaluation {stretch.end}", trials=stretch.trials, cost=one * stretch.trials))
    if spec.confirm:
        confirming = spec.trials_in_all - spec.trials
        found.append(Part(name="confirm", trials=confirming, cost=(mean + last) * confirming))
    return found


def _trained(metrics: Metrics) -> float:
    """Training speed before an evaluation, without the time that evaluating takes. [FLOP/s]"""
    return metrics.tokens_per_second * metrics.flops / metrics.tokens


def _total(parts: Sequence[Part]) -> Part:
    trials = sum(part.trials for part in parts if part.name in (parts[0].name, "confirm"))
    return Part(name="total", trials=trials, cost=reduce(add, (part.cost for part in parts)))


def _speed(
    spec: Spec, configs: Sequence[TrialConfig], vocab_size: int, tokens_per_second: float | None
) -> tuple[float, str]:
    """Training speed [FLOP/s], and where it is from."""
    if tokens_per_second is not None:
        per_token = fmean(size.flops_per_token(config.model(vocab_size)) for config in configs)
        return tokens_per_second * per_token, f"as {tokens_per_second:,g} tokens/s of a trial of average size"
    folder = RunFolder(Path("runs", spec.name))
    measured = [_trained(curve[-1]) for curve in read_curves(folder.curves).values() if curve[-1].tokens_per_second > 0]
    if measured:
        return fmean(measured), f"the mean of {len(measured)} trials in {folder.root}"
    return (
        size.CORE_FLOPS_PER_SECOND * spec.cpus_per_trial,
        "assumed of a CPU core; measured once a trial has run, or given as --tokens-per-second",
    )
