"""What a running sweep shows on a terminal and in a pipe."""

import io
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from sweeps.limits import Limits
from sweeps.policy.verdicts import Resume
from sweeps.record.folder import RunFolder
from sweeps.report.live import STARTUP_SECONDS, Display
from sweeps.spec import load
from sweeps.sweep import Sweep

from ..examples import METRICS, minimal

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def begun(folder: Path, **changes: Any) -> Sweep:
    """A sweep of four trials without early stopping."""
    spec = load.parse(minimal(early_terminate=None, **changes))
    return Sweep(spec, RunFolder(folder), vocab_size=100, limits=Limits(cost_per_hour=2.0))


def begin(sweep: Sweep) -> str:
    """Let the next trial run; returns its name."""
    decision = sweep.next()
    assert isinstance(decision, Resume)
    return decision.trial_id


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=terminal, width=120, height=40, markup=False, highlight=False), written


def train(sweep: Sweep, *, error: str = "", **measured: Any) -> None:
    """Run the next trial to its end, or to an error."""
    trial_id = begin(sweep)
    if error:
        sweep.fail(trial_id, error)
    else:
        sweep.report(trial_id, replace(METRICS, **measured), "")


def test_in_a_pipe_every_ended_trial_is_a_line(tmp_path: Path) -> None:
    sweep = begun(tmp_path)
    shown, written = console(terminal=False)
    with Display(shown, sweep, slots=1, started=time.monotonic()) as view:
        view.update()
        train(sweep, evaluation=9, val_loss=2.5)
        view.update()
        view.update()
        train(sweep, error="no [/] memory [red] here")
        view.update()
    first, second = written.getvalue().splitlines()

    assert first.startswith("[1/4] 0000 completed: depth ")
    assert first.endswith("val_loss 2.5000")
    assert second.endswith("no [/] memory [red] here")
    assert not CONTROL.search(written.getvalue())


def test_a_terminal_shows_the_sweep_and_is_clean_afterwards(tmp_path: Path) -> None:
    sweep = begun(tmp_path)
    train(sweep, evaluation=9, val_loss=2.5, best_val_loss=2.25, tokens=20_000, seconds=10.0)
    running = begin(sweep)
    sweep.report(running, replace(METRICS, evaluation=3, val_loss=3.125, tokens_per_second=12_345.0), "")
    shown, written = console(terminal=True)
    with Display(shown, sweep, slots=2, started=time.monotonic()) as view:
        view.update()
        text = CONTROL.sub("", written.getvalue())

    assert "4 trials of 20k tokens" in text
    assert "1 completed  1 running" in text
    assert "best_val_loss 2.2500 nat/token (trial 0000)" in text
    assert re.search(rf"{running} .* 3/9 +3\.1250 +12,345", text)
    assert "a cost of 0.0" in text
    assert "\x1b[?25h" in written.getvalue()  # the cursor is back


def test_the_report_on_lost_time_leaves_out_the_start(tmp_path: Path) -> None:
    sweep = begun(tmp_path)
    shown, _ = console(terminal=False)
    with Display(shown, sweep, slots=1, started=time.monotonic()) as short:
        short.update()
    with Display(shown, sweep, slots=1, started=time.monotonic() - STARTUP_SECONDS - 10) as long:
        long.update()
        train(sweep, evaluation=9, seconds=5.0)

    assert re.fullmatch(r"Took 0:0\d\.", short.utilisation())
    assert re.search(r"the 1 slots were training \d\d% of the time and had no trial left for 0%", long.utilisation())
