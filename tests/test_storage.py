"""Files appear whole, by path and by URI alike."""

import os
import time
from collections.abc import Callable
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


def test_file_and_then_its_folder_are_on_the_disk_when_it_has_been_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, list[str]]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), sorted(os.listdir(tmp_path))))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    storage.write(str(tmp_path / "a.bin"), b"one")

    (file, before), (folder, after) = synced
    assert (file, before) == (str(tmp_path / before[0]), [Path(file).name])
    assert (folder, after) == (str(tmp_path), ["a.bin"])


def test_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        storage.write(str(tmp_path / "a.bin"), b"one")
    finally:
        os.umask(before)

    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a#b", "a b", "[a]*", "ünï", "a\nb", "~", "a:b"])
def test_odd_names_are_names(tmp_path: Path, name: str) -> None:
    for folder in (str(tmp_path / name), (tmp_path / f"{name} again").as_uri()):
        storage.write(storage.join(folder, "a.bin"), b"one")
        assert storage.read(storage.join(folder, "a.bin")) == b"one"
        assert storage.names(folder) == ["a.bin"]
    assert sorted(storage.folders(str(tmp_path))) == sorted([name, f"{name} again"])


@pytest.mark.parametrize(
    ("location", "joined"),
    [
        ("data", "data/a/b"),
        ("/data/", "/data/a/b"),
        ("/", "/a/b"),
        ("da?ta", "da?ta/a/b"),
        ("s3://bucket/data", "s3://bucket/data/a/b"),
        ("s3://bucket/data/?region=eu&scheme=http", "s3://bucket/data/a/b?region=eu&scheme=http"),
    ],
)
def test_names_are_joined_to_a_path_or_before_a_query(location: str, joined: str) -> None:
    assert storage.join(location, "a", "b") == joined


@pytest.mark.parametrize("location", ["s3://bucket/a", "S3://bucket", "file:///a", "nonsense://a"])
def test_uris_are_told_from_paths(location: str) -> None:
    assert storage.is_uri(location)
    assert not storage.is_uri(f"./{location}")


OPERATIONS: list[Callable[[str], object]] = [
    lambda location: storage.write(location, b""),
    storage.read,
    storage.exists,
    storage.names,
    storage.delete,
    lambda location: storage.copy(location, Path("nowhere")),
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("http://host/a", "http://host/a: http:// is no storage; allowed: a path, file://, s3://, gs://"),
        ("hf://datasets/a/b", "hf://datasets/a/b: hf:// is no storage; allowed: a path, file://"),
        ("file:///a b", "file:///a b: Cannot parse URI"),
        ("file://host/a", "file://host/a: Unsupported hostname"),
    ],
)
def test_uri_that_leads_to_no_store_is_a_value_error_that_names_it(
    operation: Callable[[str], object], uri: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")) as refused:
        operation(uri)
    assert "\n" not in str(refused.value)


def test_store_that_does_not_answer_is_an_os_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "GS_PATIENCE", 1)
    uri = "gs://anonymous@bucket/data?scheme=http&endpoint_override=127.0.0.1%3A9"
    started = time.monotonic()

    with pytest.raises(OSError, match=r"^gs://anonymous@bucket/data") as refused:
        storage.read(uri)

    assert time.monotonic() - started < 30
    assert "\n" not in str(refused.value)
