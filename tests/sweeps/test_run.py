"""Whole sweeps on a real local Ray: what the terminal shows, what the files hold, what kills and bad input leave."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import TrialState

from sweeps import run
from sweeps.machines import access
from sweeps.record.folder import RunFolder
from sweeps.record.study_url import study_url
from sweeps.record.tables import Result, read_curves, read_results
from tinystories.data.dataset import Dataset, open_dataset
from tinystories.data.make_dataset import make_stories
from tinystories.trainer import Trainer

from . import processes
from .examples import METRICS
from .processes import descendants, finish, wait_for
from .processes import write_spec as write

EVALUATIONS = 9
"""Evaluations of a full trial."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a little data; every sweep of this module runs there."""
    folder = tmp_path_factory.mktemp("workplace")
    make_stories(folder / "data" / "processed", stories=300, valid_stories=5, tokenizer="bpe:300")
    return folder


@pytest.fixture
def here(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workplace)
    return workplace


def start(folder: Path, file: Path, *arguments: str) -> "subprocess.Popen[str]":
    return processes.start([file, *arguments], folder=folder)


def find(pid: int, name: str) -> list[int]:
    return [child for child, command in descendants(pid).items() if name in command]


def evaluations(root: Path) -> int:
    return sum(len(curve) for curve in read_curves(root / "curves.csv").values())


def study_states(root: Path) -> Counter[TrialState]:
    study = optuna.load_study(study_name="sweep", storage=study_url(root / "optuna.db"))
    return Counter(trial.state for trial in study.trials)


def uninterrupted(root: Path, result: Result, dataset: Dataset) -> list[float]:
    """The losses of the same trial, trained here without any sweep."""
    from sweeps.spec import load

    spec, _ = load.load(root / "spec.yaml")
    assignment = {name: getattr(result, name) for name in ("depth", "width", "heads")}
    return [metrics.val_loss for metrics in Trainer(spec.trial_config(assignment), dataset, device="cpu").run()]


@pytest.mark.slow
def test_a_sweep_with_good_diverging_and_impossible_trials(workplace: Path) -> None:
    """One bad configuration costs its own row and nothing else; the terminal shows the sweep and no more."""
    parameters = {
        "depth": {"values": [1]},
        "width": {"values": [16, 32, 1 << 20]},  # the last needs terabytes
        "heads": {"values": [1, 2]},
        "learning_rate": {"values": [2e-3, 1e4]},
    }
    file = write(
        workplace,
        "mixed",
        parameters=parameters,
        run_cap=12,
        early_terminate={"type": "asha"},
        confirm={"top": 1, "seeds": 2},
    )
    status, output = finish(start(workplace, file))
    results = read_results(workplace / "runs/mixed/results.csv")
    found = Counter(result.status for result in results)

    assert status == 0, output
    assert Counter(result.stage for result in results) == {"search": 12, "confirm": 2}
    assert found["failed"] == 4
    assert found["diverged"] >= 1
    assert found["completed"] >= 1
    assert all("memory" in result.error for result in results if result.status == "failed")
    assert TrialState.RUNNING not in study_states(workplace / "runs/mixed")
    assert [line for line in output.splitlines() if line.startswith("[")][-1].startswith("[14/14]")
    assert "Best of 12 trials" in output
    assert "Confirmed with 2 new seeds" in output
    assert not [line for line in output.splitlines() if "WARNING" in line or "ray::" in line or "Traceback" in line]

    again, printed = finish(start(workplace, file))
    assert again == 0
    assert "Best of 12 trials" in printed


@pytest.fixture
def foreign_ray() -> Iterator[None]:
    """Another Ray on this machine, in which Ray Train's cleaner would look for our actors."""
    code = (
        "import ray; ray.init(address='local', num_cpus=1, include_dashboard=False); print('up', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **access.closed()},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as other:
        assert other.stdout is not None
        while other.stdout.readline() not in ("up\n", ""):
            pass
        yield
        other.communicate("\n")


@pytest.mark.slow
@pytest.mark.usefixtures("foreign_ray")
def test_no_kill_loses_anything(workplace: Path) -> None:
    """Ctrl-C, kill -9 of the driver, of a Train worker and of a slot: every trial ends as if nothing had happened.

    The last two are killed while the finalists train.
    """
    trial = {"tokens": "400k", "context": 32, "batch_size": 4, "dtype": "float32"}
    file = write(workplace, "killed", run_cap=4, trial=trial, early_terminate={"type": "screen", "finalists": 2})
    root = workplace / "runs/killed"

    interrupted = start(workplace, file)
    wait_for(lambda: evaluations(root) >= 2)
    interrupted.send_signal(signal.SIGINT)
    status, output = finish(interrupted)
    assert status == 130
    assert "To resume: python" in output

    before = evaluations(root)
    killed = start(workplace, file)
    wait_for(lambda: evaluations(root) > before)
    killed.kill()
    finish(killed)

    before = evaluations(root)
    last = start(workplace, file)
    wait_for(lambda: len(read_results(root / "results.csv")) == 4)
    for name in ("RayTrainWorker", "ray::ResourceTrainable"):
        wait_for(lambda: evaluations(root) > before and bool(find(last.pid, name)))  # noqa: B023
        os.kill(find(last.pid, name)[0], signal.SIGKILL)
        before = evaluations(root)
    status, output = finish(last)
    assert status == 0, output

    results = read_results(root / "results.csv")
    curves = read_curves(root / "curves.csv")
    dataset = open_dataset(workplace / "data/processed")
    assert sorted(result.trial_id for result in results) == ["0000", "0001", "0002", "0003"]
    assert Counter(result.status for result in results) == {"completed": 2, "stopped": 2}
    assert study_states(root)[TrialState.RUNNING] == 0
    for result in results:
        curve = curves[result.trial_id]
        assert [metrics.evaluation for metrics in curve] == list(range(1, len(curve) + 1))
        expected = uninterrupted(root, result, dataset)[: len(curve)]
        assert [metrics.val_loss for metrics in curve] == pytest.approx(expected, abs=1e-6)

    more = start(workplace, file, "--trials", "5")
    assert finish(more)[0] == 0
    rows = read_results(root / "results.csv")
    assert [replace(row, checkpoint="") for row in rows[:4]] == [replace(row, checkpoint="") for row in results]
    assert [row.trial_id for row in rows[4:]] == ["0004"]


def followed(process: "subprocess.Popen[str]", root: Path) -> int:
    """Wait for a sweep to end well; the most trials seen between their first evaluation and their last but one."""
    most = 0
    while process.poll() is None:
        lengths = [len(curve) for curve in read_curves(root / "curves.csv").values()]
        most = max(most, sum(length < EVALUATIONS for length in lengths))
        time.sleep(0.1)
    status, output = finish(process)
    assert status == 0, output
    return most


@pytest.mark.slow
def test_trials_that_share_a_gpu_end_like_those_that_have_it_alone(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ray takes the number of GPUs from here, and PyTorch what there is; without any, trials fall back to the CPU.
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", json.dumps({"CPU": 2, "GPU": 1}))
    parameters = {"depth": {"values": [1, 2]}, "width": {"values": [16, 32]}, "heads": {"values": [2]}}
    trial = {"tokens": "80k", "context": 32, "batch_size": 4, "dtype": "float32", "evaluations": EVALUATIONS}
    file = write(workplace, "packed", parameters=parameters, trial=trial, trials_per_gpu=2)
    root = workplace / "runs/packed"

    assert followed(start(workplace, file), root) == 2

    curves, results = read_curves(root / "curves.csv"), read_results(root / "results.csv")
    dataset = open_dataset(workplace / "data/processed")
    assert len(results) == 4
    rounding = 1e-3 if torch.cuda.is_available() else 0  # a CPU repeats to the bit
    for result in results:
        packed = [metrics.val_loss for metrics in curves[result.trial_id]]
        assert packed == pytest.approx(uninterrupted(root, result, dataset), rel=rounding, abs=0)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command is refused with."""
    assert run.main(arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    return message


@pytest.fixture
def nothing_left(here: Path) -> Iterator[None]:
    """Runs and data are afterwards what they were before."""
    before = sorted(here.glob("*/*"))
    yield
    assert sorted(here.glob("*/*")) == before


@pytest.mark.usefixtures("nothing_left")
def test_missing_data_are_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(here, "nodata", data="data/elsewhere")

    assert "data/elsewhere" in refused([str(file)], capsys)


@pytest.mark.usefixtures("nothing_left")
def test_corrupt_data_are_refused(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken"
    make_stories(broken, stories=50, valid_stories=5, tokenizer="bpe:300")
    os.truncate(broken / "train.bin", 100)

    assert "train.bin has 100 bytes" in refused([str(write(here, "corrupt", data=str(broken)))], capsys)


@pytest.mark.usefixtures("nothing_left")
def test_a_budget_too_short_for_its_evaluations_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(here, "short", trial={"tokens": 100})

    assert "at least one for each of the 9 evaluations" in refused([str(file)], capsys)


@pytest.mark.usefixtures("nothing_left")
def test_an_address_where_no_cluster_answers_is_refused_in_time(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()

    assert "no Ray cluster answers" in refused([str(write(here, "lost")), "--address", "127.0.0.1:9"], capsys)
    assert time.monotonic() - started < 30


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/x", "hf://datasets/x", "nosuch://x", "s3://", "gs://no bucket/x"])
def test_a_storage_that_is_none_is_refused_in_time(here: Path, uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()

    assert uri in refused([str(write(here, "nowhere")), "--storage", uri], capsys)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("flag", [["--hours", "0"], ["--hours", "soon"], ["--colour"]])
def test_bad_flags_are_one_line(here: Path, flag: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main([str(write(here, "flags")), *flag])

    error = capsys.readouterr().err
    assert (ended.value.code, error.count("\n")) == (2, 1)
    assert flag[0] in error


def earlier_run(here: Path, name: str) -> Path:
    """A run folder as an interrupted sweep of that name leaves it."""
    file = write(here, name)
    folder = RunFolder(here / "runs" / name)
    folder.root.mkdir(parents=True)
    folder.spec.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    folder.origin.write_text(
        '{"location": "data/old", "tokenizer": "bpe:999", "fingerprint": "0", "storage": null}', encoding="utf-8"
    )
    return file


def test_a_folder_that_holds_another_sweep_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    earlier_run(here, "taken")
    message = refused([str(write(here, "taken", trial={"tokens": "90k"}))], capsys)

    assert "runs/taken holds another sweep: trial" in message


def test_data_of_another_tokenizer_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused([str(earlier_run(here, "othertokens"))], capsys)

    assert "tokenizer bpe:300" in message
    assert "begun with: data/old (tokenizer bpe:999)" in message


def test_a_kill_after_the_last_evaluation_is_made_good_without_ray(here: Path) -> None:
    """And so are all views that somebody deleted."""
    from sweeps.policy.verdicts import Resume
    from sweeps.record import claim
    from sweeps.spec import load
    from sweeps.spec.corpus import prepare
    from sweeps.sweep import Sweep

    spec, raw = load.load(write(here, "settled", run_cap=1))
    folder, data = RunFolder(here / "runs/settled"), prepare(None)
    folder.root.mkdir(parents=True)
    claim.claim(folder, raw, data, None)
    sweep = Sweep(spec, folder, vocab_size=data.vocab_size, checkpoints=str(folder.checkpoints))
    decision = sweep.next()
    assert isinstance(decision, Resume)
    sweep.report(decision.trial_id, replace(METRICS, evaluation=9), "")
    lines = folder.journal.read_text(encoding="utf-8").splitlines(keepends=True)
    folder.journal.write_text("".join(lines[:-1]), encoding="utf-8")
    assert '"event": "completed"' in lines[-1]

    for _ in range(2):
        assert run.main([str(here / "settled.yaml")]) == 0
        assert study_states(folder.root) == {TrialState.COMPLETE: 1}
        views = [folder.results, folder.curves, folder.spent, folder.facts, folder.study]
        assert [row.status for row in read_results(folder.results)] == ["completed"]
        for view in views:
            view.unlink()


def test_a_dry_run_loads_neither_ray_nor_torch_and_leaves_nothing(here: Path) -> None:
    file = write(here, "dry", data={"stories": 100, "tokenizer": "bpe:400"})
    code = (
        "import sys; from sweeps import run; status = run.main(sys.argv[1:]); "
        "sys.exit(status or bool({'ray', 'torch', 'wandb'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), "--dry-run"], cwd=here, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.strip()[:4].isdigit()]
    assert len(rows) == 4
    assert not (here / "runs/dry").exists()
    assert not list((here / "data").glob("stories-*"))
