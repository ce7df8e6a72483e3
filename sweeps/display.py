"""What a sweep shows: a live view on a terminal, a line a trial elsewhere, and the result at the end."""

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.budget import SECONDS, Budget, Meter
from sweeps.confirm import Confirmed, confirmed, verdict
from sweeps.results import Result, RunFolder, Status, ranked
from sweeps.spec import Spec
from sweeps.sweep import Running, Sweep

LEADERS = 10
"""Rows of the leaderboard."""
STARTUP_SECONDS = 20
"""Time for Ray and the slots to start, which the report on lost time leaves out. [s]"""
REFRESH_SECONDS = 0.5
COLOURS: dict[Status, str] = {"completed": "green", "stopped": "yellow", "failed": "red", "diverged": "red"}


class Display:
    """Follows a sweep; a context manager around its run.

    Args:
        console: where to write; a live view needs a terminal, else every ended trial is a line.
        sweep: what to show.
        slots: trials at a time.
        started: when Ray was asked to start (`time.monotonic`). [s]
    """

    def __init__(self, console: Console, sweep: Sweep, *, slots: int, started: float) -> None:
        self._console = console
        self._sweep = sweep
        self._slots = slots
        self._started = started
        self._ended = math.nan
        self._busy_at_start: float | None = None
        self._shown = len(sweep.results)
        # Refreshed by `update`, in the thread that changes the sweep.
        self._live = live(console, self._view)
        self._refreshed = 0.0

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended = time.monotonic()
        self._live.stop()

    def update(self) -> None:
        """Refresh the live view, or print the trials that have ended since the last call."""
        now = time.monotonic()
        if self._busy_at_start is None and now - self._started >= STARTUP_SECONDS:
            self._busy_at_start = self._sweep.busy_seconds
        if self._console.is_terminal:
            if now - self._refreshed >= REFRESH_SECONDS:
                self._refreshed = now
                self._live.refresh()
            return
        results = self._sweep.results
        for result in reversed(list(islice(reversed(results.values()), len(results) - self._shown))):
            self._console.print(f"[{len(results)}/{self._sweep.spec.trials_in_all}] {_ended(result)}", soft_wrap=True)
        self._shown = len(results)

    def utilisation(self) -> str:
        """How much of the slots' time went into training, once the run has ended."""
        wall = self._ended - self._started
        if self._busy_at_start is None:
            return f"Took {duration(wall)}."
        available = self._slots * (wall - STARTUP_SECONDS)
        busy = (self._sweep.busy_seconds - self._busy_at_start) / available
        tail = sum(self._ended - moment for moment in self._sweep.ended_at[-self._slots :]) / available
        return (
            f"Took {duration(wall)}; after the first {STARTUP_SECONDS} s "
            f"the {self._slots} slots were training {busy:.0%} of the time "
            f"and had no trial left for {tail:.0%}."
        )

    def _view(self) -> Group:
        sweep = self._sweep
        ended, cap = len(sweep.results), sweep.spec.trials_in_all
        lines: list[RenderableType] = [
            Text.assemble((sweep.spec.name, "bold"), f"  {budget(sweep.spec)}"),
            _counts(sweep),
            _spent(sweep),
            Padding(ProgressBar(total=cap, completed=min(ended, cap), width=60), 0),
            Text(f"elapsed {duration(sweep.meter.seconds)}, {self._time_left()}", style="dim"),
        ]
        leaders = ranked(sweep.results.values())
        if leaders:
            lines.append(Text.assemble("best so far  ", (_best(leaders[0]), "bold green")))
        return Group(*lines, _running(sweep.running.values(), sweep.spec))

    def _time_left(self) -> str:
        ended = [result.seconds for result in self._sweep.results.values() if result.seconds]
        if not ended:
            return "time left: known after the first trial" if self._sweep.busy_seconds else "workers are starting"
        left = max(0, self._sweep.spec.trials_in_all - len(self._sweep.results))
        seconds = sum(ended) / len(ended) * left / self._slots
        return f"about {duration(seconds)} left"


def live(console: Console, view: Callable[[], RenderableType]) -> Live:
    """A view that goes away at its end; what others print goes where it would go without it."""
    return Live(
        console=console,
        get_renderable=view,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def budget(spec: Spec) -> str:
    """The budget of a trial in words."""
    unit = {"tokens": "tokens", "flops": "FLOPs", "seconds": "seconds"}[spec.trial["axis"]]
    return f"{spec.trials} trials of {number(spec.trial['budget'])} {unit}"


def number(value: float) -> str:
    """A count, short: 1.5M, 20k, 3.2e13."""
    for limit, divisor, suffix in ((1e3, 1, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M"), (1e12, 1e9, "B")):
        if value < limit:
            return f"{value / divisor:.3g}{suffix}"
    return f"{value:.1e}".replace("e+", "e")


def duration(seconds: float) -> str:
    """A time as h:mm:ss, or m:ss below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _spent(sweep: Sweep) -> Text:
    axis = sweep.spec.trial["axis"]
    last = [*sweep.results.values(), *(trial.metrics for trial in sweep.running.values() if trial.metrics)]
    spent_units = sum(getattr(record, axis) for record in last)
    whole = sweep.spec.trials_in_all * sweep.spec.trial["budget"]
    return Text(f"spent {number(spent_units)} of at most {number(whole)} {axis}; {spent(sweep.meter)}", style="dim")


def spent(meter: Meter) -> str:
    """Hours, GPU-hours and money that a sweep has taken, and what it may take, in a sentence."""
    budget = meter.budget
    taken = [
        (duration(meter.seconds), budget.hours and duration(SECONDS * budget.hours)),
        (f"{meter.gpu_hours:.3g} GPU-hours", budget.gpu_hours),
    ]
    if budget.cost_per_hour is not None:
        taken.append((f"a cost of {budget.cost(meter.gpu_hours):.2f}", budget.money))
    parts = [f"{amount} of {allowed}" if allowed else amount for amount, allowed in taken]
    return f"In all its runs: {', '.join(parts)}."


def _counts(sweep: Sweep) -> Text:
    statuses = Counter(result.status for result in sweep.results.values())
    parts = [(f"{statuses[status]} {status}", COLOURS[status]) for status in COLOURS if statuses[status]]
    parts.append((f"{len(sweep.running)} running", "cyan"))
    return Text("  ").join(Text(text, style=style) for text, style in parts)


def _running(trials: Iterable[Running], spec: Spec) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("trial", "depth", "width", "heads", "evaluation", "val_loss", "tokens/s"):
        table.add_column(heading, justify="right")
    for trial in list(trials):
        config, metrics = trial.config, trial.metrics
        table.add_row(
            trial.trial_id,
            *(str(getattr(config, name)) for name in ("depth", "width", "heads")),
            f"{metrics.evaluation if metrics else 0}/{spec.evaluations}",
            f"{metrics.val_loss:.4f}" if metrics else "",
            f"{metrics.tokens_per_second:,.0f}" if metrics else "",
        )
    return table


def _best(result: Result) -> str:
    return f"{result.shape}: {result.best_val_loss:.4f} nat/token (trial {result.trial_id})"


def _ended(result: Result) -> str:
    if result.status == "failed":
        return f"{result.trial_id} failed: {result.shape}: {result.error}"
    return f"{result.trial_id} {result.status}: {result.shape}, val_loss {result.val_loss:.4f}"


def leaderboard(results: Iterable[Result], price: Budget) -> Table:
    """The best trials, best first; fits into 80 columns, unless there is a price."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    cost = () if price.cost_per_hour is None else ("cost",)
    headings = ("trial", "depth", "width", "heads", "params", "tokens", "val_loss", "val_bpb", "GPU-h", *cost, "status")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "status" else "right", no_wrap=True)
    for rank, result in enumerate(ranked(results)[:LEADERS], start=1):
        table.add_row(
            result.trial_id,
            *(str(getattr(result, name)) for name in ("depth", "width", "heads")),
            number(result.parameters),
            number(result.tokens),
            f"{result.val_loss:.4f}",
            f"{result.val_bpb:.4f}",
            f"{result.gpu_hours:.3f}",
            *(f"{price.cost(result.gpu_hours):.2f}" for _ in cost),
            Text(result.status, style=COLOURS[result.status]),
            style="bold" if rank == 1 else "",
        )
    return table


def confirmation(groups: Sequence[Confirmed]) -> Table:
    """The finalists by their mean over new seeds."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("depth", "width", "heads", "rate", "params", "mean val_loss", "95 % interval", "seeds"):
        table.add_column(heading, justify="right")
    for group in groups:
        result = group.results[0]
        table.add_row(
            *(str(getattr(result, name)) for name in ("depth", "width", "heads")),
            f"{result.learning_rate:.2g}",
            number(result.parameters),
            f"{group.mean:.4f}",
            f"± {group.half_width:.4f}",
            f"{len(group.losses)} of {len(group.results)}",
        )
    return table


def conclusion(results: Sequence[Result]) -> str:
    """The best shape, in one sentence."""
    search = [result for result in results if result.stage == "search"]
    leaders = ranked(search)
    if not leaders:
        return "No trial gave a usable loss; see the error column of results.csv."
    best = leaders[0]
    statuses = Counter(result.status for result in search)
    others = ", ".join(f"{count} {status}" for status, count in statuses.items())
    return (
        f"Best of {len(search)} trials ({others}): {best.shape}, {number(best.parameters)} parameters, "
        f"with val_loss {best.best_val_loss:.4f} nat/token after {number(best.tokens)} tokens."
    )


def show_ranking(results: Sequence[Result], console: Console, price: Budget) -> int:
    """Leaderboard, and the best shape in a sentence; returns the exit status."""
    usable = bool(ranked(results))
    if usable:
        console.print(leaderboard(results, price))
    console.print(conclusion(results), style="bold", soft_wrap=True)
    if groups := confirmed(results):
        console.print(confirmation(groups))
        console.print(verdict(groups), style="bold", soft_wrap=True)
    return 0 if usable else 1


def show_result(results: Sequence[Result], folder: RunFolder, console: Console, price: Budget) -> int:
    """The ranking, and where everything is; returns the exit status."""
    name = os.path.relpath(folder.root)
    status = show_ranking(results, console, price)
    console.print(f"All trials: {name}/results.csv, curves.csv; log: {name}/sweep.log", soft_wrap=True)
    if status:
        return status
    console.print(f"Export the best: python sweeps/export.py {name} --out models/best", soft_wrap=True)
    console.print(f"Pictures: python -m tinystories.visualization.visualize {name}", soft_wrap=True)
    return status
