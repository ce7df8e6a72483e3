"""W&B's runs after a driver was killed: what the journal knows, W&B gets, and once."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeps.events import RunClosed
from sweeps.record import claim
from sweeps.record.folder import RunFolder
from sweeps.record.journal import read
from sweeps.record.runs import RunsView
from sweeps.record.tracking import Tracker
from sweeps.spec import load
from sweeps.spec.corpus import prepare
from sweeps.sweep import Sweep

from ..driving import begin, open_sweep, pause, report, train_to_its_end
from ..processes import finish, start, write_spec
from .wandb_driver import sweep, written
from .wandb_server import KEY, WandbServer

OPEN = """
from sweeps import showing
from sweeps.record.folder import RunFolder
from sweeps.spec import load
from sweeps.sweep import Sweep
from tests.sweeps.driving import VOCABULARY, begin, report
from tests.sweeps.examples import minimal

folder = RunFolder(Path("runs/demo"))
folder.root.mkdir(parents=True, exist_ok=True)
spec = load.parse(minimal(early_terminate=None, run_cap=2))
demo = Sweep(spec, folder, vocab_size=VOCABULARY, checkpoints=str(folder.checkpoints))
tracker = open_tracker()
showing.show(demo, folder, tracker)

def evaluate(trial, first, last):
    for evaluation in range(first, last + 1):
        report(demo, trial, evaluation, 2.0)

def die():
    os.kill(os.getpid(), 9)
"""
CLOSE = "demo.close()"
ALL = list(range(1, 10))
"""The evaluations of a whole trial."""


def drive(folder: Path, *parts: str, **variables: str) -> Any:
    """A process of the sweep; one whose last part says so dies."""
    code = "\n".join([OPEN, *map(textwrap.dedent, parts)])
    return sweep(folder, code, status=-9 if code.rstrip().endswith("die()") else 0, **variables)


@pytest.fixture
def server() -> Iterator[WandbServer]:
    server = WandbServer()
    yield server
    server.close()


def online(server: WandbServer) -> dict[str, str]:
    """With rows sent every 2 s, which is 15 s unless set."""
    return {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "2"}


def closings(folder: Path) -> list[str]:
    return [
        line.event.trial_id for line in read(folder / "runs/demo/journal.jsonl") if isinstance(line.event, RunClosed)
    ]


KILLED_AT_ONCE = "evaluate(begin(demo), 1, 9); die()"
"""W&B takes longer to open the run."""
WAIT_FOR_TWO_ROWS = """
trial = begin(demo)
evaluate(trial, 1, 2)
import urllib.request
while json.load(urllib.request.urlopen(os.environ["WANDB_BASE_URL"])) < 2:
    time.sleep(0.05)
"""


def test_a_run_whose_end_wandb_missed_is_ended_by_the_next_process_alone(tmp_path: Path) -> None:
    drive(tmp_path, KILLED_AT_ONCE)
    drive(tmp_path, CLOSE)
    closed, runs = closings(tmp_path), written(tmp_path)
    drive(tmp_path, CLOSE)

    last = runs[-1]
    assert (last["tags"], last["exit_code"], [row["evaluation"] for row in last["rows"]]) == (["completed"], [0], ALL)
    assert closed == closings(tmp_path) == ["0000"]
    assert len(written(tmp_path)) == len(runs)


def test_a_run_that_wandb_has_whole_is_noted_while_the_sweep_runs(tmp_path: Path) -> None:
    """Then a kill has nothing to be made good."""
    drive(
        tmp_path,
        """
        evaluate(begin(demo), 1, 9)
        while not demo.trials["0000"].run_closed:
            demo.record.flush()
            time.sleep(0.05)
        die()
        """,
    )

    assert closings(tmp_path) == ["0000"]


@pytest.mark.parametrize("last", [3, 9])
def test_rows_that_a_server_missed_are_added_once(last: int, tmp_path: Path, server: WandbServer) -> None:
    """The trial had ended when the driver was killed, or is resumed."""
    drive(tmp_path, WAIT_FOR_TWO_ROWS, f"evaluate(trial, 3, {last}); die()", **online(server))
    resume = "evaluate(begin(demo), 4, 9)" if last < 9 else ""
    (killed,) = [(run.tags, run.evaluations) for run in server.runs.values()]
    drive(tmp_path, resume, CLOSE, **online(server))

    (run,) = server.runs.values()
    assert killed == (["running"], [1, 2])
    assert (run.tags, run.exit_code, run.evaluations) == (["completed"], 0, ALL)


def test_rows_that_are_on_the_disk_twice_arrive_once(tmp_path: Path, server: WandbServer) -> None:
    on_disk = """
        evaluate(begin(demo), 1, 3)
        while not any(b"val_bpb" in file.read_bytes() for file in Path("runs").rglob("*.wandb")):
            time.sleep(0.05)
        die()
        """
    drive(tmp_path, on_disk)
    drive(tmp_path, "evaluate(begin(demo), 4, 9)", CLOSE)
    upload = """
        import subprocess
        tool = Path(sys.executable).with_name("wandb")
        subprocess.run([tool, "sync", "runs/demo/wandb"], check=True, stdout=sys.stderr)
        """
    sweep(tmp_path, upload, **online(server))

    (run,) = server.runs.values()
    assert [[row["evaluation"] for row in part["rows"]] for part in written(tmp_path)][1] == ALL
    assert (run.tags, run.exit_code, run.evaluations) == (["completed"], 0, ALL)


def test_the_command_of_a_finished_sweep_ends_the_runs_that_wandb_lacks(
    tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write_spec(tmp_path, "demo", wandb="offline", run_cap=1, early_terminate=None, data=str(data_folder))
    spec, raw = load.load(file)
    folder, data = RunFolder(tmp_path / "runs/demo"), prepare(spec.data)
    folder.root.mkdir(parents=True)
    claim.claim(folder, raw, data, None)
    killed = Sweep(spec, folder, vocab_size=data.vocab_size, checkpoints=str(folder.checkpoints))
    killed.run_id = "demo-{}".format
    report(killed, begin(killed), 9, 2.0)

    for _ in range(2):
        status, output = finish(start([file], folder=tmp_path, HOME=str(tmp_path)))
        assert status == 0, output
    (run,) = written(tmp_path)
    assert (run["tags"], [row["evaluation"] for row in run["rows"]]) == (["completed"], [9])
    assert closings(tmp_path) == ["0000"]


class Told(Tracker):
    """A tracker whose answers a test gives; it tells nobody."""

    def __init__(self) -> None:
        """Nothing is opened."""
        self.has_lost_runs = False
        self.ends: list[str] = []
        self.answers: list[str] = []

    def start(self, *arguments: Any, **named: Any) -> None:
        """See `Tracker`."""

    def log(self, *arguments: Any) -> None:
        """See `Tracker`."""

    def end(self, trial_id: str, *arguments: Any) -> None:
        """See `Tracker`."""
        self.ends.append(trial_id)

    def closed(self) -> list[str]:
        """See `Tracker`."""
        given, self.answers = self.answers, []
        return given


def test_the_end_of_a_pause_is_not_taken_for_that_of_the_promoted_trial(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, early_terminate={"type": "screen", "finalists": 1, "looks": 1}, run_cap=1)
    sweep.run_id = str
    tracker = Told()
    sweep.record.show_in(RunsView(tracker, sweep.trials, sweep.rows, note_closed=sweep.note_closed_run))
    name = pause(sweep, 2.0)
    promoted = begin(sweep)
    tracker.answers = [name]
    sweep.record.flush()
    while_it_runs = promoted.run_closed
    train_to_its_end(sweep, promoted, 1.0)
    sweep.record.flush()
    before_wandb_heard = promoted.run_closed
    tracker.answers = [name]
    sweep.record.flush()

    assert tracker.ends == [name, name]
    assert (while_it_runs, before_wandb_heard, promoted.run_closed) == (False, False, True)
