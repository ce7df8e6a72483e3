"""A sweep's files and W&B runs, made again from its journal and kept current from then on."""

from sweeps.record import facts
from sweeps.record.folder import RunFolder
from sweeps.record.runs import RunsView
from sweeps.record.study import StudyView
from sweeps.record.tracking import Tracker
from sweeps.record.views import CurvesView, ResultsView, SpentView
from sweeps.sweep import Sweep


def show(sweep: Sweep, folder: RunFolder, tracker: Tracker) -> None:
    """Let all views of a sweep follow it.

    Args:
        tracker: owner of its W&B runs.
    """
    if tracker.mode != "disabled":
        sweep.run_id = tracker.run_id
    facts.write(folder.facts, sweep.spec)
    sweep.record.show_in(
        ResultsView(folder, sweep.trials, sweep.rows),
        CurvesView(folder, sweep.trials),
        SpentView(folder, sweep.trials),
        StudyView(folder.study, sweep.spec, sweep.trials, sweep.rows),
        RunsView(tracker, sweep.trials, sweep.rows, note_closed=sweep.note_closed_run),
    )
