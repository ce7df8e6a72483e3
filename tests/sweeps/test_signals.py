"""How sweeps on a real Ray end when they are asked to, and what they do without a reader."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeps.record.tables import read_curves, read_results
from tinystories.data.make_dataset import make_stories

from . import processes

pytestmark = pytest.mark.slow
SOON = 20
"""How long an end in order may take. [s]"""
AT_ONCE = 5
LONG = {"tokens": "100M", "evaluations": 9000, "context": 32, "batch_size": 4, "dtype": "float32"}
"""A trial that outlasts every test."""
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workplace [red]")
    make_stories(folder / "data/processed", stories=200, valid_stories=5, tokenizer="bpe:300")
    return folder


@pytest.fixture
def begin(workplace: Path) -> Iterator[Callable[[str], "Started"]]:
    """Starts sweeps; what is left of them in the end is killed."""
    started: list[Started] = []

    def start(name: str) -> Started:
        started.append(Started(workplace, name))
        return started[-1]

    yield start
    for sweep in started:
        sweep.look()
        sweep.process.kill()
        sweep.process.communicate()
        for pid in filter(processes.alive, sweep.seen):
            os.kill(pid, signal.SIGKILL)


class Started:
    """A sweep of two long trials, in a process group of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = processes.write_spec(
            folder, name, trial=LONG, run_cap=2, early_terminate=None, wandb="offline", patience=600
        )
        self.root = folder / "runs" / name
        self.seen: dict[int, str] = {}
        self._before = self.evaluations
        self.process = processes.start([self.file], folder=folder)

    @property
    def evaluations(self) -> int:
        return sum(len(curve) for curve in read_curves(self.root / "curves.csv").values())

    def train(self) -> None:
        """Wait until trials have reported."""
        processes.wait_for(lambda: self.process.poll() is not None or self.evaluations > self._before + 2, seconds=120)
        assert self.process.poll() is None, processes.finish(self.process)
        self.look()

    def look(self) -> None:
        self.seen |= processes.descendants(self.process.pid)

    def ended(self, seconds: float) -> tuple[int, str]:
        """Status and output of a sweep that ends in time, with no process left."""
        status, output = processes.finish(self.process, seconds)
        left = {pid: command for pid, command in self.seen.items() if processes.alive(pid)}
        processes.wait_for(lambda: not any(processes.alive(pid) for pid in left), seconds=AT_ONCE)
        return status, output


Begin = Callable[[str], Started]


@pytest.mark.parametrize("number", STATUS)
def test_a_signal_ends_a_sweep_in_order_and_the_same_command_resumes(number: signal.Signals, begin: Begin) -> None:
    """Each of these resumes the sweep that the one before has ended."""
    sweep = begin("signals")
    sweep.train()
    sweep.process.send_signal(number)
    status, output = sweep.ended(SOON)

    assert status == STATUS[number], output
    assert f"Stopped with 2 trials left. To resume: python {processes.RUN} '{sweep.file}'" in output
    assert "Traceback" not in output
    assert "W&B: wandb sync" in output  # closed: its runs are whole
    assert read_results(sweep.root / "results.csv") == []
    for curve in read_curves(sweep.root / "curves.csv").values():
        assert [metrics.evaluation for metrics in curve] == list(range(1, len(curve) + 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_processes_of_a_sweep_ends_it_in_order(number: signal.Signals, begin: Begin) -> None:
    """As Slurm and a closing terminal send it."""
    sweep = begin("group")
    sweep.train()
    os.killpg(sweep.process.pid, number)
    status, output = sweep.ended(SOON)

    assert status == STATUS[number], output
    assert "To resume: python" in output


def test_a_second_signal_ends_a_sweep_at_once(begin: Begin) -> None:
    sweep = begin("twice")
    sweep.train()
    sweep.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    sweep.process.send_signal(signal.SIGINT)
    status, output = sweep.ended(AT_ONCE)

    assert status == 143
    assert output.splitlines()[-1].startswith("Ended at once. To resume: python")


@pytest.mark.parametrize("seconds", [0.3, 1.5, 3, 5])
def test_a_signal_while_ray_starts_ends_a_sweep_in_order(seconds: float, begin: Begin) -> None:
    sweep = begin("early")
    processes.wait_for(lambda: (sweep.root / "sweep.log").exists() or sweep.process.poll() is not None)
    time.sleep(seconds)
    sweep.look()
    sweep.process.send_signal(signal.SIGINT)
    status, output = sweep.ended(SOON)

    assert status == 130, output
    assert "To resume: python" in output


def test_a_sweep_works_on_without_a_reader(workplace: Path) -> None:
    file = processes.write_spec(workplace, "unread", early_terminate=None)
    sweep = processes.start([file], folder=workplace)
    assert sweep.stdout is not None
    sweep.stdout.readline()
    sweep.stdout.close()

    assert sweep.wait(processes.DEADLINE) == 0
    assert {result.status for result in read_results(workplace / "runs/unread/results.csv")} == {"completed"}


def test_a_signal_without_a_reader_keeps_its_status(begin: Begin) -> None:
    """Ctrl-C reaches `tee` too."""
    sweep = begin("tee")
    sweep.train()
    assert sweep.process.stdout is not None
    sweep.process.stdout.close()
    sweep.process.stdout = None  # so that nobody reads what is closed
    sweep.process.send_signal(signal.SIGINT)

    assert sweep.process.wait(SOON) == 130
