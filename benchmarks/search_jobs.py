"""The searches of search.py, spread over processes; finished ones can be kept in a file and are not run again."""

import json
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import search_contenders as contenders
import syne_contenders
from curve_tables import load
from simulation import Searcher, Simulation, Step

from tinystories.config import Axis

CONTENDERS: dict[str, type[Searcher]] = {
    "random": contenders.Random,
    "random + ASHA": contenders.RandomHalving,
    "top-3": contenders.Top3,
    "TPE": contenders.Tpe,
    "Ray": contenders.Ray,
    "Syne Tune ASHA": syne_contenders.SyneTune,
    "Syne Tune ASHACQR": syne_contenders.SyneTuneCqr,
    "ours": contenders.Ours,
}
NEEDS = {"Ray": "ray", "Syne Tune ASHA": "syne_tune", "Syne Tune ASHACQR": "syne_tune"}
"""Packages without which a contender cannot run."""


@dataclass(frozen=True)
class Job:
    """One search."""

    table: str
    axis: Axis
    workers: int
    contender: str
    budget: float
    """[full training]"""
    seed: int


@dataclass(frozen=True)
class Outcome:
    """A finished search."""

    job: Job
    steps: list[Step]
    spent: float
    """When it ended: less than the budget where the table had no more. [full training]"""
    seconds: float
    """CPU time of the search. [s]"""


def run(job: Job, data: Path) -> Outcome:
    """Do one search.

    Args:
        data: folder of the tables' files.
    """
    warnings.simplefilter("ignore")  # of libraries about their own future; a process does nothing else
    table = load(job.table, job.axis, data)
    started = time.process_time()
    contender = CONTENDERS[job.contender](table, seed=job.seed, budget=job.budget)
    simulation = Simulation(table, contender, workers=job.workers, budget=job.budget)
    steps = simulation.run()
    return Outcome(job, steps, simulation.spent, time.process_time() - started)


def outcomes(jobs: list[Job], *, data: Path, processes: int, kept: Path | None) -> Iterator[Outcome]:
    """The outcomes of all jobs, in their order.

    Args:
        jobs: none twice.
        data: folder of the tables' files.
        processes: that work at the same time.
        kept: file of finished searches, a line of JSON each: read where it is, and added to.
    """
    finished = {outcome.job: outcome for outcome in _read(kept)} if kept and kept.exists() else {}
    fresh = _run([job for job in jobs if job not in finished], data, processes)
    for job in jobs:
        if job in finished:
            yield finished[job]
            continue
        outcome = next(fresh)
        if kept:
            _append(kept, outcome)
        yield outcome


def _run(jobs: list[Job], data: Path, processes: int) -> Iterator[Outcome]:
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # the new processes inherit it
    with multiprocessing.get_context("spawn").Pool(processes, _leave_interrupts) as pool:
        yield from pool.imap(_run_here, ((job, data) for job in jobs), chunksize=4)


def _leave_interrupts() -> None:
    """Ctrl-C ends the parent, which ends its processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_here(task: tuple[Job, Path]) -> Outcome:
    return run(*task)


def _read(kept: Path) -> Iterable[Outcome]:
    for line in kept.read_text(encoding="utf-8").splitlines():
        raw = json.loads(line)
        steps = [(spent, regret) for spent, regret in raw["steps"]]
        yield Outcome(Job(*raw["job"]), steps, raw["spent"], raw["seconds"])


def _append(kept: Path, outcome: Outcome) -> None:
    with open(kept, "a", encoding="utf-8") as file:
        file.write(json.dumps({**asdict(outcome), "job": astuple(outcome.job)}) + "\n")
