"""What search.py found: its records, and the table, the sentences, the JSON and the picture of them."""

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich import box
from rich.table import Table
from search_jobs import Outcome
from simulation import regret_at

from tinystories import storage
from tinystories.visualization.charts import BLUE, GREY, INK, ORANGE, VERMILION

OURS, BASE = "ours", "random"
COMPARED = (10.0, 20.0)
"""Budgets of `ours` for which it is asked how much `random` needs. [full training]"""
FLOOR = 1e-3
"""The lowest regret of the picture."""
COLOURS = {"random": GREY, "random + ASHA": INK, "top-3": "#009E73", "TPE": ORANGE, "Ray": VERMILION, "ours": BLUE}
COLOURS |= {"Syne Tune ASHA": "#56B4E9", "Syne Tune ASHACQR": "#CC79A7"}


@dataclass(frozen=True, kw_only=True)
class Record:
    """The regret of one contender after one budget; search.py says what its fields are."""

    table: str
    axis: str
    workers: int
    contender: str
    budget: float
    regret_median: float
    regret_q1: float
    regret_q3: float
    seeds: int


@dataclass(frozen=True, kw_only=True)
class Setting:
    """All outcomes on one table and axis with one number of workers."""

    table: str
    axis: str
    workers: int
    note: str
    outcomes: Mapping[str, Sequence[Outcome]]
    """Finished searches, by contender."""

    def quartiles(self, contender: str, budget: float) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the regret, over the seeds."""
        outcomes = self._with(contender, budget)
        low, median, high = np.percentile([regret_at(outcome.steps, budget) for outcome in outcomes], [25, 50, 75])
        return float(low), float(median), float(high)

    def _with(self, contender: str, budget: float) -> list[Outcome]:
        """Searches that had this budget, or a larger one."""
        outcomes = self.outcomes[contender]
        exact = [outcome for outcome in outcomes if outcome.job.budget == budget]
        return exact or [outcome for outcome in outcomes if outcome.job.budget > budget]

    def used_up(self, contender: str, budget: float) -> bool:
        """Whether most searches ended before the budget, as the table had no more."""
        return float(np.median([outcome.spent for outcome in self._with(contender, budget)])) < budget * (1 - 1e-9)

    def records(self, budgets: Sequence[float]) -> Iterator[Record]:
        """One for each contender and budget."""
        for contender in self.outcomes:
            for budget in budgets:
                low, median, high = self.quartiles(contender, budget)
                yield Record(
                    table=self.table,
                    axis=self.axis,
                    workers=self.workers,
                    contender=contender,
                    budget=budget,
                    regret_median=median,
                    regret_q1=low,
                    regret_q3=high,
                    seeds=len(self._with(contender, budget)),
                )


def write_json(records: Sequence[Record], path: Path) -> None:
    """Write the records, the file whole or not at all."""
    storage.write(str(path), json.dumps([asdict(record) for record in records], indent=1).encode())


def table(setting: Setting, budgets: Sequence[float]) -> Table:
    """Regret of every contender after every budget, ours in bold."""
    workers = f"{setting.workers} worker{'s' if setting.workers > 1 else ''}"
    shown = Table(
        title=f"{setting.table}, {setting.axis}, {workers}: regret, median (quartiles)",
        caption=f"{setting.note}\n* most searches had used up the table before",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    shown.add_column("budget [trainings]", no_wrap=True)
    for budget in budgets:
        shown.add_column(f"{budget:g}", justify="right", no_wrap=True)
    for contender, outcomes in setting.outcomes.items():
        seeds = f", {len({outcome.job.seed for outcome in outcomes})} seeds"
        cells = [_cell(setting, contender, budget) for budget in budgets]
        shown.add_row(contender + seeds, *cells, style="bold green" if contender == OURS else None)
    return shown


def _cell(setting: Setting, contender: str, budget: float) -> str:
    low, median, high = setting.quartiles(contender, budget)
    return f"{median:.3f} ({low:.3f}-{high:.3f}){'*' if setting.used_up(contender, budget) else ' '}"


def sentences(setting: Setting, budgets: Sequence[float]) -> Iterator[str]:
    """Where ours is worse than others, and what `random` needs for the same."""
    if OURS not in setting.outcomes:
        return
    for other in setting.outcomes:
        if worse := [_worse(setting, other, budget) for budget in budgets if _is_worse(setting, other, budget)]:
            yield f"ours is worse than {other} (its median above the other's upper quartile): {'; '.join(worse)}"
    if BASE in setting.outcomes:
        yield from (_ratio(setting, budget, max(budgets)) for budget in COMPARED if budget <= max(budgets))


def _is_worse(setting: Setting, other: str, budget: float) -> bool:
    return setting.quartiles(OURS, budget)[1] > setting.quartiles(other, budget)[2]


def _worse(setting: Setting, other: str, budget: float) -> str:
    ours, high = setting.quartiles(OURS, budget)[1], setting.quartiles(other, budget)[2]
    return f"at {budget:g} {ours:.3f} over {high:.3f}"


def _ratio(setting: Setting, budget: float, end: float) -> str:
    """From which budget on `random` has the median regret that ours has, as multiples of the budgets of ours."""
    goal = setting.quartiles(OURS, budget)[1]
    ours, base = (_since(setting, contender, goal, end) for contender in (OURS, BASE))
    needed = min(base, end)
    said = f"since {base:.3g}" if base < math.inf else f"not by {end:g}"
    ratios = f"{needed / budget:.2f} x {budget:g}, {needed / ours:.2f} x {ours:.3g}"
    return f"ours at {budget:g}: {goal:.3f}, since {ours:.3g}; random: {said} ({ratios})"


def _since(setting: Setting, contender: str, goal: float, end: float) -> float:
    """The first budget with a median regret no larger than a goal; infinite if there is none until the end."""
    outcomes = setting.outcomes[contender]
    tried = {outcome.job.budget for outcome in outcomes}
    if len(tried) == 1:  # searches that know of no budget
        tried = {spent for outcome in outcomes for spent, _ in outcome.steps if spent > 0}
    return next(
        (spent for spent in sorted(tried) if spent <= end and setting.quartiles(contender, spent)[1] <= goal), math.inf
    )


def write_picture(settings: Sequence[Setting], budgets: Sequence[float], path: Path) -> None:
    """Write the regret against the budget, a panel for each setting; lines are medians, bands quartiles."""
    columns = min(3, len(settings))
    rows = math.ceil(len(settings) / columns)
    figure = Figure(figsize=(1 + 3.6 * columns, 1 + 2.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, setting in zip(panels, settings, strict=False):
        _draw(panel, setting, budgets)
    for panel in panels[len(settings) :]:
        panel.set_visible(False)
    handles = {label: line for panel in panels for line, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    storage.write(str(path), buffer.getvalue())


def _draw(axes: Axes, setting: Setting, budgets: Sequence[float]) -> None:
    for contender, outcomes in setting.outcomes.items():
        own = {outcome.job.budget for outcome in outcomes}
        places = sorted(own) if len(own) > 1 else list(np.geomspace(1, max(budgets), 60))
        low, median, high = np.maximum([setting.quartiles(contender, place) for place in places], FLOOR).T
        style: dict[str, Any] = {"color": COLOURS[contender], "zorder": 3 if contender == OURS else 2}
        if len(own) > 1:  # every budget is a search of its own
            style["marker"] = "o"
        axes.plot(places, median, label=contender, linewidth=2.2 if contender == OURS else 1.2, **style)
        axes.fill_between(places, low, high, color=COLOURS[contender], alpha=0.12, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel="budget [full training]", ylabel=f"regret, {FLOOR:g} or more")
    axes.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{setting.table}, {setting.axis}, {setting.workers} workers", loc="left", fontsize=10)
