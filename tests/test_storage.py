"""Files appear whole, by path and by URI alike."""

from pathlib import Path

import pytest

from tinystories import storage


@pytest.fixture(params=["path", "uri"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    target = tmp_path / "deep" / "folder"
    return str(target) if request.param == "path" else target.as_uri()


def test_what_is_written_is_read(folder: str, tmp_path: Path) -> None:
    (tmp_path / "deep" / "folder").mkdir(parents=True)
    storage.write(f"{folder}/a.bin", b"one")
    storage.write(f"{folder}/a.bin", b"two")

    assert storage.read(f"{folder}/a.bin") == b"two"
    assert storage.names(folder) == ["a.bin"]


def test_a_folder_is_made_where_it_is_missing(folder: str) -> None:
    storage.write(f"{folder}/a.bin", b"one")

    assert storage.read(f"{folder}/a.bin") == b"one"


def test_files_and_folders_have_their_names(folder: str) -> None:
    storage.write(f"{folder}/b/deep.txt", b"1")
    storage.write(f"{folder}/a.txt", b"2")

    assert (storage.names(folder), storage.folders(folder)) == (["a.txt"], ["b"])


def test_a_missing_folder_has_no_names_and_a_missing_file_is_an_error(folder: str) -> None:
    assert storage.names(folder) == []
    with pytest.raises(FileNotFoundError):
        storage.read(f"{folder}/a.bin")


def test_a_folder_goes_with_all_it_holds(folder: str, tmp_path: Path) -> None:
    storage.write(f"{folder}/a.bin", b"one")
    storage.delete(folder)
    storage.delete(folder)

    assert not (tmp_path / "deep" / "folder").exists()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    storage.write(str(tmp_path / "a.bin"), b"one")
    (tmp_path / "b.bin").mkdir()

    with pytest.raises(OSError, match="directory"):
        storage.write(str(tmp_path / "b.bin"), b"two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.bin"]


def test_a_folder_is_copied_here(folder: str, tmp_path: Path) -> None:
    storage.write(f"{folder}/a.bin", b"one")
    (tmp_path / "copy").mkdir()
    storage.copy(folder, tmp_path / "copy")

    assert (tmp_path / "copy" / "a.bin").read_bytes() == b"one"
