import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinystories.data.dataset import describe, file_hash, fingerprint, open_dataset

VOCAB_SIZE = 1000


def write_folder(folder: Path, train: np.ndarray, valid: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    train.astype(np.uint16).tofile(folder / "train.bin")
    valid.astype(np.uint16).tofile(folder / "valid.bin")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    names = ("train.bin", "valid.bin", "tokenizer.json")
    files: dict[str, dict[str, Any]] = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": file_hash(folder / name)} for name in names
    }
    description = {
        "version": 1,
        "tokenizer": "bpe:1000",
        "vocab_size": VOCAB_SIZE,
        "train": {"tokens": len(train)},
        "valid": {"tokens": len(valid), "bytes": 4 * len(valid)},
        "files": files,
        "fingerprint": fingerprint(files),
    }
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset whose tokens are their own places, so that a window tells where it was cut."""
    return write_folder(tmp_path / "processed", np.arange(1000), np.arange(103))


def test_batch_is_a_pure_function_of_its_arguments(folder: Path) -> None:
    one, other = open_dataset(folder), open_dataset(str(folder))
    for step in (7, 0, 7):
        mine = one.batch(seed=3, step=step, batch_size=4, context=16)
        theirs = other.batch(seed=3, step=step, batch_size=4, context=16)
        np.testing.assert_array_equal(mine, theirs)
    assert not np.array_equal(
        one.batch(seed=3, step=0, batch_size=4, context=16),
        one.batch(seed=4, step=0, batch_size=4, context=16),
    )


def test_batch_targets_are_the_inputs_one_token_ahead(folder: Path) -> None:
    inputs_BL, targets_BL = open_dataset(folder).batch(seed=0, step=5, batch_size=3, context=8)
    assert inputs_BL.shape == targets_BL.shape == (3, 8)
    assert inputs_BL.dtype == targets_BL.dtype == np.int64
    np.testing.assert_array_equal(targets_BL, inputs_BL + 1)


@pytest.mark.parametrize("context", [1, 7, 16, 499, 501, 999])
def test_an_epoch_deals_every_window_once(folder: Path, context: int) -> None:
    dataset = open_dataset(folder)
    count = max(1, 1000 // context - 1)
    for epoch in range(3):
        draws = [dataset.batch(seed=1, step=epoch * count + i, batch_size=1, context=context)[0] for i in range(count)]
        starts = np.sort(np.concatenate(draws)[:, 0])
        assert np.all(np.diff(starts) == context)
        assert starts[0] < context


def test_epochs_differ_in_order_and_in_offset(folder: Path) -> None:
    dataset = open_dataset(folder)
    epochs = [dataset.batch(seed=0, step=step, batch_size=61, context=16)[0][:, 0] for step in range(4)]
    assert len({tuple(starts) for starts in epochs}) == 4
    assert len({starts.min() for starts in epochs}) > 1


@pytest.mark.parametrize("batch_size", [1, 8, 13, 300])
def test_order_of_windows_does_not_depend_on_batch_size(folder: Path, batch_size: int) -> None:
    dataset = open_dataset(folder)
    one_by_one = [dataset.batch(seed=0, step=i, batch_size=1, context=16)[0] for i in range(batch_size)]
    at_once, _ = dataset.batch(seed=0, step=0, batch_size=batch_size, context=16)
    np.testing.assert_array_equal(at_once, np.concatenate(one_by_one))


def test_batch_refuses_a_context_longer_than_the_text(folder: Path) -> None:
    with pytest.raises(ValueError, match="context 1000 is too long: the training text has 1000 tokens"):
        open_dataset(folder).batch(seed=0, step=0, batch_size=1, context=1000)


def test_opening_tells_what_the_folder_holds(folder: Path) -> None:
    dataset = open_dataset(folder, verify=True)
    assert (dataset.vocab_size, dataset.tokenizer, dataset.valid_bytes) == (1000, "bpe:1000", 412)
    assert describe(folder)["fingerprint"] == dataset.fingerprint
    assert dataset.folder == folder


def test_missing_folder_and_file_are_named(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere.*make_dataset"):
        open_dataset(folder.parent / "nowhere")
    (folder / "valid.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"valid.bin is missing.*make_dataset"):
        open_dataset(folder)


def test_truncated_file_is_refused_at_opening(folder: Path) -> None:
    np.arange(10, dtype=np.uint16).tofile(folder / "train.bin")
    with pytest.raises(ValueError, match=r"train.bin has 20 bytes, dataset.json says 2000"):
        open_dataset(folder)


def test_flipped_bytes_are_found_when_asked_to_verify(folder: Path) -> None:
    np.arange(1000, dtype=np.uint16)[::-1].tofile(folder / "train.bin")
    open_dataset(folder)
    with pytest.raises(ValueError, match=r"train.bin is damaged"):
        open_dataset(folder, verify=True)


def test_ids_outside_the_vocabulary_are_found_when_asked_to_verify(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "processed", np.arange(2000), np.arange(50))
    with pytest.raises(ValueError, match="holds token 1999; allowed: below 1000"):
        open_dataset(folder, verify=True)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version": 1}', '{"version": 1, "files": {}}'])
def test_damaged_description_is_refused(folder: Path, content: str) -> None:
    (folder / "dataset.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"dataset.json is damaged"):
        open_dataset(folder)


def test_description_of_another_version_is_refused(folder: Path) -> None:
    description = describe(folder) | {"version": 99}
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(ValueError, match="of another version"):
        open_dataset(folder)


def test_uri_is_copied_once_and_outlives_its_source(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYSTORIES_CACHE", str(tmp_path / "cache"))
    first = open_dataset(folder.as_uri(), verify=True)
    assert first.folder.parent == tmp_path / "cache"
    assert describe(folder.as_uri()) == describe(first.folder)
    stamp = (first.folder / "train.bin").stat().st_mtime_ns
    again = open_dataset(folder.as_uri())
    assert again.folder == first.folder
    assert (again.folder / "train.bin").stat().st_mtime_ns == stamp


def test_changed_remote_folder_is_copied_anew(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSTORIES_CACHE", str(tmp_path / "cache"))
    before = open_dataset(folder.as_uri())
    uri = folder.as_uri()
    shutil.rmtree(folder)
    write_folder(folder, np.arange(500), np.arange(60))
    after = open_dataset(uri)
    assert (len(before.train), len(after.train)) == (1000, 500)
    assert before.batch(seed=0, step=0, batch_size=2, context=8)[0].shape == (2, 8)


def test_half_copied_remote_folder_is_not_used(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSTORIES_CACHE", str(tmp_path / "cache"))
    opened = open_dataset(folder.as_uri()).folder
    half = opened.with_name(f".{opened.name}.partial")
    shutil.move(opened, half)
    (half / "train.bin").write_bytes(b"half")
    assert open_dataset(folder.as_uri(), verify=True).folder == opened
    assert list(opened.parent.iterdir()) == [opened]


def test_missing_or_unknown_uri_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no dataset in file:///"):
        open_dataset((tmp_path / "nowhere").as_uri())
    for uri in ("nonsense://bucket/data", "http://host/data", "hf://datasets/a/b"):
        with pytest.raises(ValueError, match=f"{uri}/dataset.json: .* is no storage; allowed: a path, file://"):
            open_dataset(uri)
