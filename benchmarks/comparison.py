"""What throughput.py found: its records, and the table, the JSON and the figure of them. No torch, see turns.py."""

import io
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from rich import box
from rich.table import Table

from tinystories import storage
from tinystories.visualization.charts import BLUE, GREY, INK

OURS = "ours"
SHADES = (1.0, 0.55)
"""Opacity of the bars of one vocabulary and of the next."""
ROOM = 1.6
"""Width of a panel in lengths of its longest bar, with room for the text behind the bar."""
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.3}
SHORT = {"float32": "fp32", "bfloat16": "bf16"}


@dataclass(frozen=True, kw_only=True)
class Record:
    """How fast one contender trains one shape; throughput.py says what its fields are."""

    contender: str
    shape: str
    vocab: int
    dtype: str
    compiled: bool
    tokens_per_second: float
    ratio_to_best_peer: float | None
    peak_fraction: float
    peak_memory_bytes: int
    seconds_to_first_step: float
    seconds_to_1m_tokens: float
    windows: int
    """How many windows the speed is the median of; not in the JSON."""

    @property
    def label(self) -> str:
        """Names the contender."""
        return f"{self.contender} {SHORT[self.dtype]}{', compiled' if self.compiled else ''}"


def write_json(records: list[Record], path: Path) -> None:
    """Write the records, the file whole or not at all."""
    rows = [{key: value for key, value in asdict(record).items() if key != "windows"} for record in records]
    storage.write(str(path), json.dumps(rows, indent=1).encode())


def table(records: list[Record], *, flops_per_second: float, windows: int) -> Table:
    """All contenders of one shape and vocabulary, the fastest first, ours in bold.

    Args:
        flops_per_second: speed of a large matrix product. [FLOP/s]
        windows: that a record should be the median of; a star marks those of fewer.
    """
    notes = [f"of peak: of a large matrix product, {flops_per_second / 1e9:,.0f} GFLOP/s"]
    if fewest := min((record.windows for record in records if record.windows < windows), default=0):
        notes.append(f"* {fewest} of {windows} windows, as its steps are slow")
    shown = Table(
        title=f"{records[0].shape}, vocabulary {records[0].vocab:,}",
        caption="\n".join(notes),
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    shown.add_column("contender", no_wrap=True)
    for name in ("tokens\nper s", "× best\npeer", "of\npeak", "memory\n[GB]", "step 1\n[s]", "to 1M\n[s]"):
        shown.add_column(name, justify="right", no_wrap=True)
    for record in sorted(records, key=lambda record: -record.tokens_per_second):
        star = " *" if record.windows < windows else ""
        shown.add_row(record.label + star, *_numbers(record), style="bold green" if record.contender == OURS else None)
    return shown


def _numbers(record: Record) -> list[str]:
    ratio = record.ratio_to_best_peer
    return [
        f"{record.tokens_per_second:,.0f}",
        "" if ratio is None else f"{ratio:.2f}",
        f"{record.peak_fraction:.1%}",
        f"{record.peak_memory_bytes / 1e9:.2f}",
        f"{record.seconds_to_first_step:,.1f}",
        f"{record.seconds_to_1m_tokens:,.0f}",
    ]


def write_figure(records: list[Record], path: Path, *, machine: str) -> None:
    """Write speeds relative to the best peer: a panel a shape, a group of bars a contender, a bar a vocabulary."""
    buffer = io.BytesIO()
    _figure(records, machine).savefig(buffer, format="png", dpi=150)
    storage.write(str(path), buffer.getvalue())


def _figure(records: list[Record], machine: str) -> Figure:
    shapes, vocabularies, labels = (
        list(dict.fromkeys(values))
        for values in zip(*((record.shape, record.vocab, record.label) for record in records), strict=True)
    )
    columns = min(2, len(shapes))
    rows = math.ceil(len(shapes) / columns)
    height = 0.08 + 0.16 * len(vocabularies)  # of a group [inch]
    figure = Figure(figsize=(3 + 4.5 * columns, 1.4 + rows * (0.8 + height * len(labels))), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for panel, shape in zip(panels, shapes, strict=False):
        panel.set_title(shape, loc="left", fontsize=11)
        _draw_panel(panel, [record for record in records if record.shape == shape], labels, vocabularies)
    for panel in panels[len(shapes) :]:
        panel.set_visible(False)
    panels[0].set_xlim(0, ROOM * max(record.ratio_to_best_peer or 0 for record in records))
    figure.suptitle(f"Training speed relative to the best contender that is not ours\n{machine}", fontsize=11)
    figure.legend(handles=_legend(vocabularies), loc="outside lower center", ncols=len(vocabularies), frameon=False)
    return figure


def _draw_panel(axes: Axes, records: list[Record], labels: list[str], vocabularies: list[int]) -> None:
    thickness = 0.8 / len(vocabularies)
    for record in records:
        if record.ratio_to_best_peer is None:
            continue
        rank = vocabularies.index(record.vocab)
        place = labels.index(record.label) + (rank - (len(vocabularies) - 1) / 2) * thickness
        colour = BLUE if record.contender == OURS else GREY
        bar = axes.barh(place, record.ratio_to_best_peer, 0.9 * thickness, color=colour, alpha=_shade(rank))
        text = f"{record.ratio_to_best_peer:.2f}   {record.tokens_per_second:,.0f} tokens/s"
        axes.bar_label(bar, [text], padding=3, fontsize=7.5, color=INK, bbox=PAPER)
    axes.axvline(1, color=INK, linewidth=0.8, linestyle=":", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_yticks(range(len(labels)), labels, fontsize=8.5)
    axes.set_ylim(len(labels) - 0.5, -0.5)


def _shade(rank: int) -> float:
    return SHADES[rank % len(SHADES)]


def _legend(vocabularies: list[int]) -> list[Patch]:
    return [Patch(color=INK, alpha=_shade(rank), label=f"vocabulary {v:,}") for rank, v in enumerate(vocabularies)]
