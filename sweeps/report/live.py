"""What a running sweep shows: a live view on a terminal, a line a trial elsewhere."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.policy import stopping
from sweeps.record.spending import SECONDS, Meter
from sweeps.record.tables import Result, Status, ranked
from sweeps.report.numbers import count, duration, hours, loss, money, share, speed
from sweeps.spec.schema import Spec
from sweeps.sweep import Running, Sweep
from tinystories.metrics import Metrics

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
        self._shown = 0
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
        ended, total = len(self._sweep.results), self._sweep.spec.trials_in_all
        for _, result in self._sweep.ended[self._shown :]:
            self._console.print(f"[{ended}/{total}] {_ending(result)}", soft_wrap=True)
        self._shown = len(self._sweep.ended)

    def utilisation(self) -> str:
        """How much of the slots' time went into training, once the run has ended."""
        wall = self._ended - self._started
        if self._busy_at_start is None:
            return f"Took {duration(wall)}."
        available = self._slots * (wall - STARTUP_SECONDS)
        busy = (self._sweep.busy_seconds - self._busy_at_start) / available
        tail = sum(self._ended - moment for moment, _ in self._sweep.ended[-self._slots :]) / available
        return (
            f"Took {duration(wall)}; after the first {STARTUP_SECONDS} s "
            f"the {self._slots} slots were training {share(busy)} of the time "
            f"and had no trial left for {share(tail)}."
        )

    def _view(self) -> Group:
        sweep = self._sweep
        done, expected = _trainings(sweep)
        lines: list[RenderableType] = [
            Text.assemble((sweep.spec.name, "bold"), f"  {budget(sweep.spec)}"),
            _counts(sweep),
            _spent(sweep),
            Padding(ProgressBar(total=expected, completed=min(done, expected), width=60), 0),
            Text(f"elapsed {duration(sweep.meter.seconds)}, {self._time_left()}", style="dim"),
        ]
        leaders = ranked(sweep.results.values())
        if leaders:
            lines.append(Text.assemble("best so far  ", (_best(leaders[0]), "bold green")))
        return Group(*lines, _running(sweep.running.values(), sweep.spec))

    def _time_left(self) -> str:
        done, expected = _trainings(self._sweep)
        if not done:
            return "workers are starting"
        seconds = sum(record.seconds for record in _last(self._sweep)) / done * max(0, expected - done) / self._slots
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
    unit = {"tokens": "tokens", "flops": "FLOPs", "seconds": "seconds"}[spec.axis]
    return f"{spec.trials} trials of {count(spec.trial['budget'])} {unit}"


def _last(sweep: Sweep) -> list[Result | Metrics]:
    """What every trial has spent so far."""
    return [*_ended(sweep), *(trial.metrics for trial in sweep.running.values() if trial.metrics)]


def _trainings(sweep: Sweep) -> tuple[float, float]:
    """Full trainings that a sweep has taken, and is expected to take."""
    spec = sweep.spec
    expected = sum(stretch.trials * stretch.share(spec) for stretch in stopping.stretches(spec))
    done = sum(getattr(record, spec.axis) for record in _last(sweep)) / spec.budget
    return done, expected + spec.trials_in_all - spec.trials


def _spent(sweep: Sweep) -> Text:
    axis, full = sweep.spec.axis, sweep.spec.budget
    done, expected = _trainings(sweep)
    taken = f"spent {count(done * full)} of about {count(expected * full)} {axis}"
    return Text(f"{taken}; {spent(sweep.meter)}", style="dim")


def spent(meter: Meter) -> str:
    """Hours, GPU-hours and money that a sweep has taken, and what it may take, in a sentence."""
    budget = meter.budget
    taken = [
        (duration(meter.seconds), budget.hours and duration(SECONDS * budget.hours)),
        (f"{hours(meter.gpu_hours)} GPU-hours", budget.gpu_hours),
    ]
    if budget.cost_per_hour is not None:
        taken.append((f"a cost of {money(budget.cost(meter.gpu_hours))}", budget.money))
    parts = [f"{amount} of {allowed}" if allowed else amount for amount, allowed in taken]
    return f"In all its runs: {', '.join(parts)}."


def _ended(sweep: Sweep) -> list[Result]:
    """Trials that have ended and do not go on."""
    return [result for trial_id, result in sweep.results.items() if trial_id not in sweep.running]


def _counts(sweep: Sweep) -> Text:
    statuses = Counter(result.status for result in _ended(sweep))
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
            loss(metrics.val_loss) if metrics else "",
            speed(metrics.tokens_per_second) if metrics else "",
        )
    return table


def _best(result: Result) -> str:
    return f"{result.shape}: best_val_loss {loss(result.best_val_loss)} nat/token (trial {result.trial_id})"


def _ending(result: Result) -> str:
    if result.status == "failed":
        return f"{result.trial_id} failed: {result.shape}: {result.error}"
    measured = f", val_loss {loss(result.val_loss)}" if math.isfinite(result.val_loss) else ""
    return f"{result.trial_id} {result.status}: {result.shape}{measured}"
