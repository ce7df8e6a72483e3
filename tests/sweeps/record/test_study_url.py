from pathlib import Path

import optuna
import pytest

from sweeps.record.study_url import study_url

from ..examples import ODD_NAMES


@pytest.mark.parametrize("name", ["plain", *ODD_NAMES])
def test_a_study_lands_in_its_own_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    optuna.create_study(study_name="sweep", storage=study_url(folder / "optuna.db"))

    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.db")] == [Path(name, "optuna.db")]
    assert optuna.load_study(study_name="sweep", storage=study_url(folder / "optuna.db")).trials == []
