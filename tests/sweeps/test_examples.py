"""The sweeps that come along run as they are, but for their size, to an exported model."""

import json
from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from sweeps import export
from sweeps import run as command
from sweeps.record.folder import RunFolder
from sweeps.record.study_url import study_url
from sweeps.record.tables import read_results

from . import processes

SMALL = {
    "trial.tokens": "36k",
    "trial.context": "32",
    "data.stories": "400",
    "data.valid_stories": "20",
    "data.tokenizer": "bpe:400",
    "parameters.depth": "{values: [1, 2]}",
    "parameters.width": "{values: [16, 32]}",
    "wandb": "disabled",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demo", "asha"])
def test_a_sweep_that_comes_along_ends_with_an_exported_model(name: str, tmp_path: Path) -> None:
    """screen pauses all and promotes nine and three; ASHA as published promotes a third of each rung."""
    file = Path(command.__file__).with_name(f"{name}.yaml")
    changes = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    status, output = processes.finish(processes.start([file, "--trials", "10", *changes], folder=tmp_path))
    assert status == 0, output

    folder = RunFolder(tmp_path / "runs" / name)
    results = read_results(folder.results)
    kinds = Counter(json.loads(line)["event"] for line in folder.journal.read_text(encoding="utf-8").splitlines())
    study = optuna.load_study(study_name="sweep", storage=study_url(folder.study))
    assert len(results) == len(study.trials) == kinds["proposed"] == 10
    assert kinds["paused"] == kinds["promoted"] + sum(result.status == "stopped" for result in results)
    assert kinds["completed"] == sum(trial.state == TrialState.COMPLETE for trial in study.trials) >= 1
    assert kinds["closed"] == 1
    loss, best = export.export(folder.root, tmp_path / "best")
    assert loss == pytest.approx(best.best_val_loss, abs=export.TOLERANCE)
