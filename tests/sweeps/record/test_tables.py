"""Rows go to disk whole and come back the same; a crash leaves nothing that cannot be read."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.record.tables import (
    Curves,
    RunFolder,
    append_result,
    drop_torn_row,
    ranked,
    read_curves,
    read_results,
    write_results,
)

from ..examples import METRICS, RESULT


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    failed = replace(RESULT, trial_id="0001", status="failed", error='a "quoted", thing', checkpoint="")
    write_results(tmp_path / "results.csv", [RESULT, failed])

    assert read_results(tmp_path / "results.csv") == [RESULT, failed]


def test_appended_results_come_back_behind_those_that_were_there(tmp_path: Path) -> None:
    failed = replace(RESULT, trial_id="0001", status="failed", error='a "quoted", thing', checkpoint="")
    for result in (RESULT, failed):
        append_result(tmp_path / "results.csv", result)

    assert read_results(tmp_path / "results.csv") == [RESULT, failed]


def test_a_result_torn_by_a_crash_is_not_read_and_can_be_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    append_result(file, RESULT)
    whole = file.read_bytes()
    file.write_bytes(whole + whole[-40:-1])
    assert read_results(file) == [RESULT]

    drop_torn_row(file)
    assert file.read_bytes() == whole


def test_a_trial_without_a_loss_has_empty_cells(tmp_path: Path) -> None:
    write_results(tmp_path / "results.csv", [replace(RESULT, val_loss=math.nan)])

    assert math.isnan(read_results(tmp_path / "results.csv")[0].val_loss)
    assert "nan" not in (tmp_path / "results.csv").read_text(encoding="utf-8")


def test_a_sweep_without_files_is_empty(tmp_path: Path) -> None:
    assert read_results(tmp_path / "results.csv") == []
    assert read_curves(tmp_path / "curves.csv") == {}


def test_foreign_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("a,b\n1,2\n", encoding="utf-8")

    with pytest.raises(ValueError, match="not the columns"):
        read_results(tmp_path / "results.csv")


def test_a_bad_cell_is_refused(tmp_path: Path) -> None:
    write_results(tmp_path / "results.csv", [RESULT])
    text = (tmp_path / "results.csv").read_text(encoding="utf-8").replace(",32,", ",wide,")
    (tmp_path / "results.csv").write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match="bad row"):
        read_results(tmp_path / "results.csv")


def test_full_trials_rank_before_stopped_ones_and_the_rest_not_at_all() -> None:
    stopped = replace(RESULT, trial_id="1", status="stopped", best_val_loss=1.0)
    worse = replace(RESULT, trial_id="2", best_val_loss=2.6)
    others = [replace(RESULT, trial_id=status, status=status) for status in ("failed", "diverged")]  # type: ignore[arg-type]

    assert [result.trial_id for result in ranked([stopped, worse, RESULT, *others])] == ["0000", "2", "1"]


def test_curves_are_read_back_by_trial(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "curves.csv")
    later = replace(METRICS, evaluation=2, val_loss=math.inf, diverged=True)
    curves.append("0000", METRICS)
    curves.append("0001", METRICS)
    Curves(tmp_path / "curves.csv").append("0000", later)

    assert read_curves(tmp_path / "curves.csv") == {"0000": [METRICS, later], "0001": [METRICS]}


def test_a_row_torn_by_a_crash_is_dropped(tmp_path: Path) -> None:
    Curves(tmp_path / "curves.csv").append("0000", METRICS)
    with open(tmp_path / "curves.csv", "a", encoding="utf-8") as file:
        file.write("0000,2,20,20")
    Curves(tmp_path / "curves.csv").append("0001", METRICS)

    assert read_curves(tmp_path / "curves.csv") == {"0000": [METRICS], "0001": [METRICS]}


def test_a_run_folder_belongs_to_one_process(tmp_path: Path) -> None:
    imports = "from pathlib import Path; from sweeps.record.tables import RunFolder"
    code = f"{imports}; RunFolder(Path({str(tmp_path)!r})).locked()"
    with RunFolder(tmp_path).locked():
        other = subprocess.run([sys.executable, "-c", f"{code}.__enter__()"], capture_output=True, text=True)

    assert "another process is running this sweep" in other.stderr
