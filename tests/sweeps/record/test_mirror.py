"""The copy in the storage brings a sweep back to a machine that does not have it."""

from pathlib import Path

import pytest

from sweeps.record import mirror
from sweeps.record.mirror import Mirror
from sweeps.record.tables import RunFolder


def test_a_copy_comes_back_to_an_empty_machine(tmp_path: Path) -> None:
    here, there = RunFolder(tmp_path / "here"), RunFolder(tmp_path / "there")
    here.root.mkdir()
    here.spec.write_text("name: tiny", encoding="utf-8")
    here.curves.write_text("trial_id\n", encoding="utf-8")
    uri = (tmp_path / "bucket").as_uri()

    Mirror(here, uri).copy()
    Mirror(there, uri).fetch()

    assert there.spec.read_text(encoding="utf-8") == "name: tiny"
    assert there.curves.read_text(encoding="utf-8") == "trial_id\n"
    assert not there.results.exists()


def test_a_run_folder_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    here = RunFolder(tmp_path / "here")
    here.root.mkdir()
    here.spec.write_text("old", encoding="utf-8")
    copy = Mirror(here, (tmp_path / "bucket").as_uri())
    copy.copy()
    here.spec.write_text("new", encoding="utf-8")
    copy.fetch()

    assert here.spec.read_text(encoding="utf-8") == "new"


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
