"""What losses at several learning rates say: where each curve has its best rate, and how far apart these are."""

import io
import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tinystories import storage
from tinystories.visualization.charts import BLUE, ORANGE, VERMILION

WITHIN = 2.0
"""Largest factor between the best rates at which the claim holds: a step of the grid."""
FIGURE_LOSS = 1.0
"""The figure shows losses up to this far above the worst curve's least, for rates that fail would flatten the rest.
[nat/token]"""

Losses = dict[float, float]
"""Validation loss by base rate, infinite where a run diverged; ascending rates. [nat/token]"""


def best(losses: Losses) -> float:
    """The rate on the grid with the least loss."""
    return min(losses, key=losses.__getitem__)


def optimum(losses: Losses) -> float | None:
    """Rate of least loss: of a parabola over log(rate) through the best rate on the grid and its two neighbours.

    None if the best rate has no neighbour on one side; that rate itself if a neighbour diverged.
    """
    rates = list(losses)
    place = rates.index(best(losses))
    if place in (0, len(rates) - 1):
        return None
    around = rates[place - 1 : place + 2]
    if not all(math.isfinite(losses[rate]) for rate in around):
        return rates[place]
    curvature, slope, _ = np.polyfit(np.log(around), [losses[rate] for rate in around], 2)
    return math.exp(-slope / (2 * curvature))


def ratio(losses: Losses, reference: Losses) -> float | None:
    """The optimum over that of the reference; None if one is not inside the grid."""
    ours, theirs = optimum(losses), optimum(reference)
    return ours / theirs if ours and theirs else None


def verdict(losses: Losses, reference: Losses) -> str:
    """A sentence on whether the optima are within the factor that was claimed."""
    factor = ratio(losses, reference)
    if factor is None:
        return "Undecided: a best rate is at the edge of the grid; give more --rates on that side."
    apart = max(factor, 1 / factor)
    word = "Holds" if apart <= WITHIN else "Does not hold"
    return f"{word}: with scaling the best rates are a factor of {apart:.2f} apart; at most {WITHIN:g} was claimed."


def tables(curves: dict[str, Losses], *, reference: str) -> str:
    """Two Markdown tables: losses by rate, and each curve's best rate against that of the reference."""
    rows = [["base rate", *curves]]
    for rate in curves[reference]:
        rows.append([f"{rate:.3g}", *(_cell(losses, rate) for losses in curves.values())])
    summary = [["", "best rate", "fitted", f"over {reference}'s", f"costs at the best rate of {reference}"]]
    for name, losses in curves.items():
        fitted, factor = optimum(losses), ratio(losses, curves[reference])
        loss = losses[best(curves[reference])] - min(losses.values())
        found = "at the edge" if fitted is None else f"{fitted:.2g}", "-" if factor is None else f"{factor:.2f}"
        summary.append([name, f"{best(losses):.3g}", *found, f"{loss:.3f}"])
    return f"{_markdown(rows)}\n\n{_markdown(summary)}"


def _cell(losses: Losses, rate: float) -> str:
    if not math.isfinite(losses[rate]):
        return "diverged"
    return f"**{losses[rate]:.3f}**" if rate == best(losses) else f"{losses[rate]:.3f}"


def _markdown(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def write_figure(curves: dict[str, Losses], path: Path, *, title: str) -> None:
    """Write the loss against the base rate, a line a curve, a star on its best rate."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for (name, losses), colour in zip(curves.items(), (BLUE, ORANGE, VERMILION), strict=True):
        axes.plot(list(losses), list(losses.values()), "o-", color=colour, markersize=4, label=name)
        axes.plot(best(losses), min(losses.values()), "*", color=colour, markersize=13)
    rates = list(next(iter(curves.values())))
    axes.set(xscale="log", xlabel="base learning rate", ylabel="validation loss [nat/token]")
    axes.set_ylim(top=min(axes.get_ylim()[1], max(min(losses.values()) for losses in curves.values()) + FIGURE_LOSS))
    axes.set_xticks(rates, [f"{rate:.3g}" for rate in rates])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    axes.set_title(title, loc="left", fontsize=11)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    storage.write(str(path), buffer.getvalue())
