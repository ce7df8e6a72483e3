"""One process has a run folder at a time, and one owner names its files."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.record.folder import RunFolder

ODD = ["what?", "50%", "%20", "a#b", "two words", "[red]", "grüße", "line\nbreak", "'quoted\""]


def test_a_run_folder_belongs_to_one_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sweeps.record.folder import RunFolder\n"
        "RunFolder(Path(sys.argv[1])).locked().__enter__()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with RunFolder(tmp_path).locked():
        other = subprocess.run(command, capture_output=True, text=True)

    assert "another process is running this sweep; wait for it" in other.stderr
    assert subprocess.run(command).returncode == 0, "it is free again"


@pytest.mark.parametrize("name", ODD)
def test_a_folder_of_any_name_can_be_held(tmp_path: Path, name: str) -> None:
    folder = RunFolder(tmp_path / name)
    with folder.locked():
        assert folder.root.is_dir()


def test_every_file_has_a_name_of_its_own_in_the_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    names = [name for name, owner in vars(RunFolder).items() if isinstance(owner, property)]
    files = [getattr(folder, name) for name in names]

    assert len(set(files)) == len(files) >= 10
    assert {file.parent for file in files} == {tmp_path}
