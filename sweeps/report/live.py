"""What a running sweep shows: a live view on a terminal, a line a trial elsewhere."""

import math
import time
from collections import Counter
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.limits import SECONDS
from sweeps.policy import stopping
from sweeps.record.spending import Meter
from sweeps.report.numbers import count, duration, hours, money, share
from sweeps.spec.recipe import SHAPE
from sweeps.spec.schema import Spec
from sweeps.sweep import Sweep
from sweeps.trials import State, Trial, ranked

STARTUP_SECONDS = 20
"""Time for Ray and the slots to start, which the report on lost time leaves out. [s]"""
REFRESH_SECONDS = 0.5
COLOURS: dict[State, str] = {
    "completed": "green",
    "paused": "yellow",
    "stopped": "yellow",
    "failed": "red",
    "diverged": "red",
    "running": "cyan",
}


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
            self._busy_at_start = self._sweep.trials.seconds
        if self._console.is_terminal:
            if now - self._refreshed >= REFRESH_SECONDS:
                self._refreshed = now
                self._live.refresh()
            return
        ended = sum(not trial.unfinished for trial in self._sweep.trials.values())
        total = self._sweep.spec.trials_in_all
        for _, trial in self._sweep.ended[self._shown :]:
            self._console.print(f"[{ended}/{total}] {self._ending(trial)}", soft_wrap=True)
        self._shown = len(self._sweep.ended)

    def utilisation(self) -> str:
        """How much of the slots' time went into training, once the run has ended."""
        wall = self._ended - self._started
        if self._busy_at_start is None:
            return f"Took {duration(wall)}."
        available = self._slots * (wall - STARTUP_SECONDS)
        busy = (self._sweep.trials.seconds - self._busy_at_start) / available
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
        leaders = ranked(sweep.trials.values())
        if leaders:
            lines.append(Text.assemble("best so far  ", (self._best(leaders[0]), "bold green")))
        return Group(*lines, self._running())

    def _time_left(self) -> str:
        done, expected = _trainings(self._sweep)
        if not done:
            return "workers are starting"
        seconds = self._sweep.trials.seconds / done * max(0, expected - done) / self._slots
        return f"about {duration(seconds)} left"

    def _running(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for heading in ("trial", "depth", "width", "heads", "evaluation", "val_loss", "tokens/s"):
            table.add_column(heading, justify="right")
        for trial in self._sweep.trials.running:
            config, metrics = self._sweep.rows.config(trial), trial.metrics
            table.add_row(
                trial.trial_id,
                *(str(getattr(config, name)) for name in SHAPE),
                f"{trial.evaluation}/{self._sweep.spec.evaluations}",
                f"{metrics.val_loss:.4f}" if metrics else "",
                f"{metrics.tokens_per_second:,.0f}" if metrics else "",
            )
        return table

    def _best(self, trial: Trial) -> str:
        return f"{self._shape(trial)}: best_val_loss {trial.best_loss:.4f} nat/token (trial {trial.trial_id})"

    def _ending(self, trial: Trial) -> str:
        said = f"{trial.trial_id} {trial.state}: {self._shape(trial)}"
        if trial.state == "failed" or trial.metrics is None:
            return f"{said}: {trial.error}"
        return f"{said}, val_loss {trial.metrics.val_loss:.4f}"

    def _shape(self, trial: Trial) -> str:
        config = self._sweep.rows.config(trial)
        return ", ".join(f"{name} {getattr(config, name)}" for name in SHAPE)


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
    return f"{spec.trials} trials of {count(spec.budget)} {unit}"


def _trainings(sweep: Sweep) -> tuple[float, float]:
    """Full trainings that a sweep has taken, and is expected to take."""
    spec = sweep.spec
    expected = sum(stretch.trials * stretch.share(spec) for stretch in stopping.stretches(spec))
    reached = (trial.metrics for trial in sweep.trials.values() if trial.metrics)
    done = sum(getattr(metrics, spec.axis) for metrics in reached) / spec.budget
    return done, expected + spec.trials_in_all - spec.trials


def _spent(sweep: Sweep) -> Text:
    axis, full = sweep.spec.axis, sweep.spec.budget
    done, expected = _trainings(sweep)
    taken = f"spent {count(done * full)} of about {count(expected * full)} {axis}"
    return Text(f"{taken}; {spent(sweep.meter)}", style="dim")


def spent(meter: Meter) -> str:
    """Hours, GPU-hours and money that a sweep has taken, and what it may take, in a sentence."""
    limits = meter.limits
    taken = [
        (duration(meter.seconds), limits.hours and duration(SECONDS * limits.hours)),
        (f"{hours(meter.gpu_hours)} GPU-hours", limits.gpu_hours),
    ]
    if limits.cost_per_hour is not None:
        taken.append((f"a cost of {money(limits.cost(meter.gpu_hours))}", limits.money))
    parts = [f"{amount} of {allowed}" if allowed else amount for amount, allowed in taken]
    return f"In all its runs: {', '.join(parts)}."


def _counts(sweep: Sweep) -> Text:
    states = Counter(trial.state for trial in sweep.trials.values())
    parts = [(f"{states[state]} {state}", colour) for state, colour in COLOURS.items() if states[state]]
    return Text("  ").join(Text(text, style=style) for text, style in parts)
