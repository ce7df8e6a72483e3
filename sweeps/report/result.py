"""The result of a sweep, in tables and sentences."""

import math
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import get_args

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.limits import Limits
from sweeps.record.folder import RunFolder
from sweeps.record.tables import Result, Status, front, ranked, second_objective
from sweeps.report.confirmed import Confirmed, confirmed, verdict
from sweeps.report.live import COLOURS
from sweeps.report.numbers import count, hours, loss, money, rate
from sweeps.spec.recipe import SHAPE
from sweeps.spec.schema import Objective, Spec

LEADERS = 10
"""Rows of the leaderboard."""


def leaderboard(best: Sequence[Result], price: Limits, searched: Sequence[str] = ()) -> Table:
    """Trials in their order, the lowest loss in bold; fits into 80 columns while only the shape is searched.

    Args:
        searched: names of the searched parameters, a column each; those of the recipe take the room of val_bpb.
    """
    priced = price.cost_per_hour is not None
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    more = [name for name in searched if name not in SHAPE]
    chosen, bits = (*SHAPE, *more), () if more else ("val_bpb",)
    names = (*SHAPE, *(name.replace("_", "\n") for name in more))
    measured = ("params", "tokens", "best_val_loss", *bits, "cost" if priced else "GPU-h")
    for heading in ("trial", *names, *measured, "status"):
        table.add_column(heading, justify="left" if heading == "status" else "right", no_wrap=True)
    for result in best:
        table.add_row(
            result.trial_id,
            *(_cell(result, name) for name in chosen),
            count(result.parameters),
            count(result.tokens),
            loss(result.best_val_loss),
            *(loss(getattr(result, name)) for name in bits),
            money(price.cost(result.gpu_hours)) if priced else hours(result.gpu_hours),
            Text(result.status, style=COLOURS[result.status]),
            style="bold" if result is ranked(best)[0] else "",
        )
    return table


def _cell(result: Result, name: str) -> str:
    """A parameter's value; empty where the row has none."""
    value = {**asdict(result), **getattr(result, "searched", {})}.get(name, "")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def compromise(best: Sequence[Result], objective: Objective) -> str:
    """The ends of the front, in one sentence."""
    what = {"parameters": "parameters", "flops": "FLOPs"}[objective]
    ends = " to ".join(
        f"{result.shape} ({count(second_objective(result, objective))} {what}, "
        f"best_val_loss {loss(result.best_val_loss)} nat/token)"
        for result in (best[0], best[-1])
    )
    return f"{len(best)} shapes have the lowest loss of all with as few {what}: from {ends}."


def confirmation(groups: Sequence[Confirmed]) -> Table:
    """The confirmed configurations by their mean over new seeds."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("depth", "width", "heads", "rate", "params", "mean best_val_loss", "95 % interval", "seeds"):
        table.add_column(heading, justify="right")
    for group in groups:
        result = group.results[0]
        table.add_row(
            *(str(getattr(result, name)) for name in ("depth", "width", "heads")),
            rate(result.learning_rate),
            count(result.parameters),
            loss(group.mean),
            f"± {loss(group.half_width)}" if math.isfinite(group.half_width) else "",
            f"{len(group.losses)} of {len(group.results)}",
        )
    return table


def conclusion(results: Sequence[Result], *, replayed: bool = False) -> str:
    """The best shape, in one sentence."""
    search = [result for result in results if result.stage == "search"]
    leaders = ranked(search)
    if not leaders:
        reason = "the recorded curves hold none" if replayed else "see the error column of results.csv"
        return f"No trial gave a usable loss: {reason}."
    best = leaders[0]
    statuses = Counter(result.status for result in search)
    ends = ", ".join(f"{statuses[status]} {status}" for status in get_args(Status) if statuses[status])
    return (
        f"Best of {len(search)} trials ({ends}): {best.shape}, {count(best.parameters)} parameters, "
        f"with best_val_loss {loss(best.best_val_loss)} nat/token after {count(best.tokens)} tokens."
    )


def fairness(spec: Spec, *, replayed: bool) -> str:
    """How widths were given their learning rates, and what trials were compared at, in a sentence."""
    if replayed:
        return f"Compared at equal {spec.axis}; learning rates as they were when the curves were recorded."
    if "scale_learning_rate" in spec.space.parameters:
        return f"Compared at equal {spec.axis}; whether learning rates are scaled by width is searched."
    scaled = spec.trial.scale_learning_rate
    searched = spec.space.parameters.get("learning_rate")
    rate = "searched jointly with the shape" if searched else "one for all shapes"
    follows = "scaled by width" if scaled else "not scaled by width, so widths that it suits are favoured"
    if searched and not scaled:
        follows = "not scaled by width"
    return f"Compared at equal {spec.axis}; learning rate {rate}, {follows}."


def show_ranking(
    spec: Spec, results: Sequence[Result], console: Console, price: Limits, *, replayed: bool = False
) -> int:
    """Leaderboard, the best shape in a sentence, and what it was compared at; returns the exit status."""
    usable = bool(ranked(results))
    best = front(results, spec.pareto) if spec.pareto else ranked(results)[:LEADERS]
    if usable:
        console.print(leaderboard(best, price, tuple(spec.space.parameters)))
    console.print(conclusion(results, replayed=replayed), style="bold", soft_wrap=True)
    if usable:
        console.print(fairness(spec, replayed=replayed), soft_wrap=True)
    searched = sum(result.stage == "search" for result in results)
    if spec.run_cap > spec.trials == searched:
        console.print(f"All {searched} configurations of the space have been tried; run_cap {spec.run_cap} is more.")
    if spec.pareto and best:
        console.print(compromise(best, spec.pareto), style="bold", soft_wrap=True)
    if groups := confirmed(results):
        console.print(confirmation(groups))
        console.print(verdict(groups, spec.confirm.seeds if spec.confirm else 2), style="bold", soft_wrap=True)
    return 0 if usable else 1


def show_result(spec: Spec, results: Sequence[Result], folder: RunFolder, console: Console, price: Limits) -> int:
    """The ranking, and where everything is; returns the exit status."""
    name = os.path.relpath(folder.root)
    status = show_ranking(spec, results, console, price)
    console.print(f"All trials: {name}/results.csv, curves.csv; log: {name}/sweep.log", soft_wrap=True)
    if status:
        return status
    quoted = shlex.quote(name)
    console.print(f"Export the best: python sweeps/export.py {quoted} --out models/best", soft_wrap=True)
    console.print(f"Pictures: python -m tinystories.visualization.visualize {quoted}", soft_wrap=True)
    return status
