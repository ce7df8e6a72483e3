import json
import os
from pathlib import Path

import pytest

from tinystories.data.sources import BuiltIn, File


def write_lines(path: Path) -> Path:
    path.write_text('{"text": "Tom ran."}\n{"text": "Ana sang."}\n', encoding="utf-8")
    return path


def test_missing_empty_and_unknown_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere.txt is not a file"):
        File(tmp_path / "nowhere.txt")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match=r"empty.txt is empty"):
        File(tmp_path / "empty.txt")
    (tmp_path / "stories.doc").write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match=r"suffix '.doc' is not one of .txt, .json, .jsonl, .csv, .parquet"):
        File(tmp_path / "stories.doc").stories(lambda amount: None)
    with pytest.raises(FileNotFoundError, match=r"is a folder, not a file; a folder of files is read with --hub"):
        File(tmp_path)


def test_file_counts_as_unchanged_while_its_content_is(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "stories.jsonl")
    record = json.loads(json.dumps(File(path).record()))
    assert File(path).unchanged(record)
    os.utime(path, (1, 1))
    assert File(path).unchanged(record)
    path.write_text(path.read_text(encoding="utf-8").replace("Tom", "Tim"), encoding="utf-8")
    assert not File(path).unchanged(record)
    assert not File(path).unchanged({})


def test_built_in_stories_continue_where_another_stretch_ends() -> None:
    def told(start: int, size: int) -> list[str]:
        return list(BuiltIn(3, start, size).stories(lambda amount: None))

    assert told(0, 5) + told(5, 3) == told(0, 8)
    assert BuiltIn(3, 0, 5).unchanged(BuiltIn(3, 0, 5).record())
    assert not BuiltIn(3, 0, 5).unchanged(BuiltIn(4, 0, 5).record())
    with pytest.raises(ValueError, match="0 stories asked for"):
        BuiltIn(3, 0, 0)
