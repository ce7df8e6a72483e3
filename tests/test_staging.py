import multiprocessing
import os
from pathlib import Path

import pytest

from tinystories.staging import locked, staged


def add_one(target: Path, rounds: int) -> None:
    for _ in range(rounds):
        with locked(target):
            count = int(target.read_text(encoding="utf-8"))
            target.write_text(str(count + 1), encoding="utf-8")


def test_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with staged(target) as aside:
        (aside / "file").write_text("new", encoding="utf-8")
        assert not target.exists()
    assert (target / "file").read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_error_leaves_the_old_folder_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "file").write_text("old", encoding="utf-8")
    with pytest.raises(FileNotFoundError), staged(target) as aside:
        (aside / "nowhere" / "file").write_text("new", encoding="utf-8")
    assert (target / "file").read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_old_folder_is_replaced_whole_and_leftovers_are_removed(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for name in ("folder", ".folder.partial", ".folder.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stale").write_text("stale", encoding="utf-8")
    with staged(target) as aside:
        (aside / "file").write_text("new", encoding="utf-8")
    assert [path.name for path in target.iterdir()] == ["file"]
    assert list(tmp_path.iterdir()) == [target]


def test_old_folder_comes_back_when_a_run_was_killed_between_two_renames(tmp_path: Path) -> None:
    target, old = tmp_path / "folder", tmp_path / ".folder.old"
    old.mkdir()
    (old / "file").write_text("old", encoding="utf-8")
    with pytest.raises(FileNotFoundError), staged(target) as aside:
        (aside / "nowhere" / "file").write_text("new", encoding="utf-8")
    assert (target / "file").read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_lock_keeps_processes_apart_and_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "count"
    target.write_text("0", encoding="utf-8")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=add_one, args=(target, 30)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert target.read_text(encoding="utf-8") == "90"
    assert list(tmp_path.iterdir()) == [target]


def test_leftover_that_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".folder.partial").write_text("a file", encoding="utf-8")
    with pytest.raises(NotADirectoryError), staged(tmp_path / "folder"):
        raise AssertionError("the block must not begin")
    assert not (tmp_path / "folder").exists()


def test_files_follow_the_umask_whatever_a_library_gave_them(tmp_path: Path) -> None:
    """safetensors writes files that only their owner can read."""
    import torch  # here, as other tests start processes that import this module
    from safetensors.torch import save_file

    before = os.umask(0o027)
    try:
        with staged(tmp_path / "folder") as aside:
            (aside / "deep").mkdir()
            save_file({"a": torch.zeros(2)}, aside / "deep" / "model.safetensors")
            (aside / "run").touch()
            (aside / "run").chmod(0o700)
    finally:
        os.umask(before)

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "folder").rglob("*")}
    assert modes == {"deep": 0o750, "model.safetensors": 0o640, "run": 0o740}


def test_all_is_on_the_disk_before_the_folder_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")).name, (tmp_path / "folder").exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    with staged(tmp_path / "folder") as aside:
        (aside / "deep").mkdir()
        (aside / "deep" / "file").write_text("new", encoding="utf-8")

    assert sorted(synced[:-1]) == [(".folder.partial", False), ("deep", False), ("file", False)]
    assert synced[-1] == (tmp_path.name, True)


def test_lock_that_was_left_behind_by_a_kill_is_free(tmp_path: Path) -> None:
    (tmp_path / ".folder.lock").touch()
    with locked(tmp_path / "folder"):
        pass
    assert list(tmp_path.iterdir()) == []
