"""A sweep goes on in its folder on other hardware, unless that changes what its trials are compared by."""

from pathlib import Path

import pytest
import yaml

from sweeps.record import claim
from sweeps.record.tables import RunFolder
from sweeps.spec import load

from ..examples import minimal

HARDWARE = [{"cpus_per_trial": 2}, {"trials_per_gpu": 2}]


def begun(root: Path, budget: dict[str, str]) -> RunFolder:
    folder = RunFolder(root)
    folder.spec.write_text(yaml.safe_dump(minimal(trial=budget)), encoding="utf-8")
    return folder


@pytest.mark.parametrize("change", HARDWARE)
def test_a_sweep_by_tokens_goes_on_with_another_share_of_the_machine(tmp_path: Path, change: dict[str, int]) -> None:
    budget = {"tokens": "20k"}

    claim.check_spec(begun(tmp_path, budget), load.parse(minimal(trial=budget, **change)))


@pytest.mark.parametrize("change", HARDWARE)
def test_a_sweep_by_seconds_does_not(tmp_path: Path, change: dict[str, int]) -> None:
    budget = {"seconds": "60"}

    with pytest.raises(ValueError, match=f"holds another sweep: {next(iter(change))} is"):
        claim.check_spec(begun(tmp_path, budget), load.parse(minimal(trial=budget, **change)))


def test_a_sweep_of_another_version_is_told_as_that(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.spec.write_text(yaml.safe_dump(minimal(early_terminate={"type": "of old"})), encoding="utf-8")

    with pytest.raises(ValueError, match=r"holds a sweep of another version .*'of old'.*; give another --name"):
        claim.check_spec(folder, load.parse(minimal()))
