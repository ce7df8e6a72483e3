"""The figures: learning curves, losses by shape, and the data. Each takes values and returns a Figure."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from tinystories.visualization.recording import OBJECTIVES, UNITS, Recording, Trial, best_of, front_of

# Okabe & Ito's palette, told apart with every common colour blindness.
# Source: Okabe & Ito 2008, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, VERMILION, GREY = "#0072B2", "#E69F00", "#D55E00", "#8c8c8c"
INK, FAINT, MUTED = "#222222", "#ebebeb", "#5f5f5f"
SIZES = ListedColormap(colormaps["viridis"](np.linspace(0, 0.88, 256)))  # without the yellow, lost on white
BEST: dict[str, Any] = {"color": VERMILION, "linewidth": 3, "marker": "o", "markersize": 4.5, "zorder": 5}
STOPPED: dict[str, Any] = {
    "color": GREY,
    "alpha": 0.6,
    "linewidth": 1,
    "marker": "o",
    "markersize": 4,
    "markevery": [-1],
    "zorder": 2,
}
LAST_POINTS: dict[str, dict[str, Any]] = {
    "diverged": {"color": INK, "marker": "x", "linestyle": "", "zorder": 6},
    "failed": {"color": INK, "marker": "s", "linestyle": "", "zorder": 6},
}


def curves_figure(recording: Recording) -> Figure:
    """Validation loss over cost: completed trials coloured by size, others faded, rungs as vertical lines."""
    figure, axes = _figure(8.8, 4.8)
    sizes = [trial.non_embedding_parameters for trial in recording.trials if trial.status == "completed"]
    norm = LogNorm(min(sizes) / 1.1, max(sizes) * 1.1) if sizes else Normalize()
    for trial in recording.trials:
        if trial.curve:
            _draw_curve(axes, trial, recording, norm)
    axes.set(xscale="log", yscale="log", ylabel="validation loss [nat/token]")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.06)  # room for the names of the rungs
    _format_loss(axes.yaxis)
    _format_cost(axes, recording)
    _mark_rungs(axes, recording)
    if math.isfinite(recording.bits_per_nat):
        _add_bits_per_byte(axes, recording.bits_per_nat)
    _add_curves_legend(axes, recording)
    if sizes:
        _add_size_bar(figure, axes, norm)
    axes.set_title(f"{recording.name}: {len(recording.trials)} trials, {len(sizes)} run to the end", loc="left")
    return figure


def shapes_figure(recording: Recording) -> Figure:
    """Best loss by depth and width, written into the cells; grey where no trial ran to the end."""
    depths = sorted({trial.depth for trial in recording.trials})
    widths = sorted({trial.width for trial in recording.trials})
    figure, axes = _figure(2.6 + 1.25 * max(len(widths), 3), 1.9 + 0.85 * max(len(depths), 2))
    losses = [trial.best_val_loss for trial in recording.trials if trial.status == "completed"]
    norm = Normalize(min(losses, default=0), max(losses, default=1))
    for row, depth in enumerate(depths):
        for column, width in enumerate(widths):
            here = [trial for trial in recording.trials if (trial.depth, trial.width) == (depth, width)]
            _draw_cell(axes, row, column, here, recording, norm)
    axes.set_xticks(range(len(widths)), [str(width) for width in widths])
    axes.set_yticks(range(len(depths)), [str(depth) for depth in depths])
    axes.set(xlim=(-0.5, len(widths) - 0.5), ylim=(-0.5, len(depths) - 0.5), xlabel="width", ylabel="depth")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(f"{recording.name}: best validation loss [nat/token] by shape", loc="left", pad=22)
    note = f"Budget: {short_number(recording.budget)} {UNITS[recording.axis]}. Grey: ended at this share of it."
    axes.text(0, 1.02, note, transform=axes.transAxes, va="bottom", fontsize=8.5, color=MUTED)
    return figure


def front_figure(recording: Recording) -> Figure:
    """Best loss over size or compute of the trials that ran to the end, and the line of those that none beats."""
    figure, axes = _figure(7.2, 4.4)
    completed = [trial for trial in recording.trials if trial.status == "completed"]
    front = front_of(completed)
    axes.scatter([t.size for t in completed], [t.best_val_loss for t in completed], color=GREY, s=22, zorder=3)
    sizes, losses = [trial.size for trial in front], [trial.best_val_loss for trial in front]
    axes.step(sizes, losses, where="post", color=VERMILION, linewidth=1.5, zorder=4)
    axes.scatter(sizes, losses, color=VERMILION, s=34, zorder=5)
    for trial in front:
        axes.annotate(
            f"{trial.depth}x{trial.width}, {trial.heads}",
            (trial.size, trial.best_val_loss),
            xytext=(0, -6),  # below, where no trial can be
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
            color=MUTED,
        )
    axes.set(xscale="log", xlabel=OBJECTIVES[recording.size], ylabel="best validation loss [nat/token]")
    axes.margins(x=0.12, y=0.1)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    _format_loss(axes.yaxis)
    buys, rival = ("compute", "cheaper") if recording.size == "flops" else ("size", "smaller")
    title = f"{recording.name}: what {buys} buys; depth x width, heads of those that no {rival} one beats"
    axes.set_title(title, loc="left", fontsize=11)
    return figure


def data_figure(title: str, lengths: np.ndarray, counts: np.ndarray, bytes_per_token: dict[str, float]) -> Figure:
    """What the models read.

    Args:
        title: over the figure.
        lengths: of the training stories. [token]
        counts: how often each token id occurs in them.
        bytes_per_token: by split.
    """
    figure = Figure(figsize=(10.5, 3.3), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.2, 1.2, 0.8])
    _draw_lengths(left, lengths)
    _draw_frequencies(middle, counts)
    bars = right.bar(list(bytes_per_token), list(bytes_per_token.values()), color=[BLUE, ORANGE], width=0.6)
    right.bar_label(bars, fmt="%.2f", padding=2)
    right.margins(y=0.12)
    right.set_ylabel("UTF-8 bytes per token")
    right.set_title("What a token holds", loc="left", fontsize=11)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def short_number(value: float) -> str:
    """A number as people write it: 400k, 2M, 1.5B; from 1e12 on as 3e+13."""
    for scale, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if scale <= value < 1e12:
            return f"{value / scale:.3g}{suffix}"
    return f"{value:.3g}"


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _draw_lengths(axes: Axes, lengths: np.ndarray) -> None:
    """A histogram up to the 99.5th percentile: a few very long stories would squeeze the rest."""
    longest = max(float(np.percentile(lengths, 99.5)), 2.0)
    axes.hist(
        lengths, bins=list(np.linspace(0, longest, 50)), weights=np.full(len(lengths), 1 / len(lengths)), color=BLUE
    )
    median = float(np.median(lengths))
    axes.axvline(median, color=VERMILION, linewidth=1.5)
    axes.text(0.97, 0.95, f"median {median:.0f}", color=VERMILION, transform=axes.transAxes, ha="right", va="top")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(xlabel="story length [token]", ylabel="share of the stories")
    axes.set_title("How long stories are", loc="left", fontsize=11)


def _draw_frequencies(axes: Axes, counts: np.ndarray) -> None:
    frequencies = np.sort(counts[counts > 0])[::-1] / counts.sum()
    axes.loglog(np.arange(1, len(frequencies) + 1), frequencies, color=BLUE, linewidth=2)
    axes.text(0.05, 0.06, f"{len(frequencies)} of {len(counts)} tokens occur", transform=axes.transAxes)
    axes.set(xlabel="rank of the token", ylabel="share of the text")
    axes.set_title("How common tokens are", loc="left", fontsize=11)


def _draw_curve(axes: Axes, trial: Trial, recording: Recording, norm: Normalize) -> None:
    costs, losses = zip(*trial.curve, strict=True)
    if trial is recording.best:
        axes.plot(costs, losses, **BEST)
    elif trial.status == "completed":
        axes.plot(costs, losses, color=SIZES(norm(trial.non_embedding_parameters)), linewidth=1.8, zorder=4)
    else:
        axes.plot(costs, losses, **STOPPED)
    if style := LAST_POINTS.get(trial.status):
        axes.plot(costs[-1:], losses[-1:], **style)


def _mark_rungs(axes: Axes, recording: Recording) -> None:
    for rung, continuing in zip(recording.rungs, recording.continuing, strict=True):
        cost = recording.cost_at(rung)
        axes.axvline(cost, color=BLUE, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            f"rung: {continuing}",
            (cost, 0.99),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            va="top",
            fontsize=8.5,
            color=BLUE,
        )


def _format_cost(axes: Axes, recording: Recording) -> None:
    """Ticks where trials are compared: the first evaluation, the rungs, the full budget."""
    numbers = sorted({1, *recording.rungs, recording.evaluations})
    axes.xaxis.set_major_locator(FixedLocator([recording.cost_at(number) for number in numbers]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"budget spent, in {UNITS[recording.axis]} (log scale)")


def _format_loss(axis: Any) -> None:
    axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _add_bits_per_byte(axes: Axes, bits_per_nat: float) -> None:
    def to_bits(loss: Any) -> Any:
        return loss * bits_per_nat

    def to_nats(bits: Any) -> Any:
        return bits / bits_per_nat

    right = axes.secondary_yaxis("right", functions=(to_bits, to_nats))
    right.set_ylabel("the same in bits per byte")
    _format_loss(right.yaxis)


def _add_size_bar(figure: Figure, axes: Axes, norm: Normalize) -> None:
    bar = figure.colorbar(ScalarMappable(norm, SIZES), ax=axes, pad=0.02, aspect=30)
    bar.set_label("parameters without embeddings")
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.outline.set_visible(False)


def _add_curves_legend(axes: Axes, recording: Recording) -> None:
    handles = []
    if best := recording.best:
        handles += axes.plot([], [], label=f"best: {best.shape} ({best.best_val_loss:.3f})", **BEST)
    statuses = {trial.status for trial in recording.trials if trial.curve}
    for status, style in {"stopped": STOPPED, **LAST_POINTS}.items():
        if status in statuses:
            handles += axes.plot([], [], label=status, **style)
    axes.legend(handles=handles, loc="lower left", fontsize=9, facecolor="white", edgecolor="none", framealpha=0.9)


def _draw_cell(axes: Axes, row: int, column: int, here: Sequence[Trial], recording: Recording, norm: Normalize) -> None:
    """One shape; a loss at part of the budget does not compare, so it gets no colour of the scale."""
    completed = best_of(trial for trial in here if trial.status == "completed")
    fill = colormaps["viridis_r"](norm(completed.best_val_loss)) if completed else to_rgba(FAINT)
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=fill, edgecolor="white"))
    if completed:
        is_best = completed is recording.best
        weight = "bold" if is_best else "normal"
        _write_cell(axes, row, column, completed, f"heads {completed.heads}", color=_ink_on(fill), weight=weight)
        if is_best:
            frame = Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=VERMILION)
            frame.set_linewidth(2.5)
            axes.add_patch(frame)
    elif stopped := best_of(here):
        detail = f"heads {stopped.heads}, at {stopped.cost / recording.budget:.0%}"
        _write_cell(axes, row, column, stopped, detail, color=MUTED, style="italic")


def _ink_on(fill: tuple[float, float, float, float]) -> str:
    """Dark or white letters, by the luma of what is under them. Source: ITU-R BT.601."""
    red, green, blue, _ = fill
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else INK


def _write_cell(axes: Axes, row: int, column: int, trial: Trial, detail: str, **style: Any) -> None:
    axes.text(column, row + 0.02, f"{trial.best_val_loss:.3f}", ha="center", va="bottom", fontsize=12, **style)
    axes.text(column, row - 0.06, detail, ha="center", va="top", fontsize=8, **style)
