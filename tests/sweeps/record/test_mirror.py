"""The copy in the storage brings a sweep back to a machine that does not have it."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sweeps.machines.simulated import Clock
from sweeps.record import mirror
from sweeps.record.folder import RunFolder
from sweeps.record.mirror import BUNDLE, Mirror

from ..driving import open_sweep, simulate


def test_a_copy_comes_back_to_an_empty_machine(tmp_path: Path) -> None:
    here, there = RunFolder(tmp_path / "here"), RunFolder(tmp_path / "there")
    here.root.mkdir()
    for file in (here.spec, here.origin, here.journal, here.results):
        file.write_text(f"content of {file.name}", encoding="utf-8")
    uri = (tmp_path / "bucket").as_uri()

    Mirror(here, uri).copy()
    Mirror(there, uri).fetch()

    assert {file.name: file.read_text(encoding="utf-8") for file in there.root.iterdir()} == {
        name: f"content of {name}" for name in ("spec.yaml", "origin.json", "journal.jsonl")
    }


def test_a_sweep_that_came_back_has_all_its_tables(tmp_path: Path) -> None:
    clock, changes = Clock(), {"early_terminate": {"type": "screen", "finalists": 1}}
    here, there = RunFolder(tmp_path / "here"), RunFolder(tmp_path / "there")
    simulate(open_sweep(here.root, clock=clock, **changes), clock).close()
    here.spec.write_text("name: tiny", encoding="utf-8")
    uri = (tmp_path / "bucket").as_uri()

    Mirror(here, uri).copy()
    Mirror(there, uri).fetch()
    there_sweep: Any = open_sweep(there.root, clock=clock, **changes)
    there_sweep.close()

    assert there_sweep.policy.left == 0
    for file in (there.results, there.curves):
        assert file.read_bytes() == (here.root / file.name).read_bytes()


def test_a_run_folder_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    here = RunFolder(tmp_path / "here")
    here.root.mkdir()
    here.journal.write_text("{}\n", encoding="utf-8")
    here.spec.write_text("old", encoding="utf-8")
    copy = Mirror(here, (tmp_path / "bucket").as_uri())
    copy.copy()
    here.spec.write_text("new", encoding="utf-8")
    copy.fetch()

    assert here.spec.read_text(encoding="utf-8") == "new"


def test_a_copy_of_version_0_1_is_refused_and_not_begun_anew(tmp_path: Path) -> None:
    bundle = io.BytesIO()
    with tarfile.open(fileobj=bundle, mode="w") as tar:
        for name in ("results.csv", "optuna.db", "spec.yaml"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / BUNDLE).write_bytes(bundle.getvalue())
    there = RunFolder(tmp_path / "there")

    with pytest.raises(ValueError, match=r"bucket/sweep\.tar .*version 0\.1") as refused:
        Mirror(there, str(tmp_path / "bucket")).fetch()
    assert "\n" not in str(refused.value)
    assert not there.root.exists()


def test_without_storage_checkpoints_stay_in_the_run_folder(tmp_path: Path) -> None:
    assert Mirror(RunFolder(tmp_path), None).checkpoints == f"{tmp_path}/checkpoints"


def test_a_storage_that_does_not_answer_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bucket").write_text("a file where a folder should be", encoding="utf-8")
    monkeypatch.setattr(mirror, "INTERVAL", 0)
    unreachable = Mirror(RunFolder(tmp_path / "here"), str(tmp_path / "bucket"))
    unreachable.update()

    with pytest.raises(OSError, match="bucket"):
        unreachable.copy()


def test_machines_share_compiled_code_only_through_a_storage(tmp_path: Path) -> None:
    folder, uri = RunFolder(tmp_path / "here"), (tmp_path / "bucket").as_uri()

    assert Mirror(folder, None).compiled is None
    assert Mirror(folder, uri).compiled == f"{uri}/compiled"
