"""Rows go to a file and come back the same; what is torn or foreign is not taken for rows."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.record.tables import (
    COLUMNS,
    CURVE_COLUMNS,
    confirming_groups,
    curve_line,
    line,
    mean_loss,
    ranked,
    read_curves,
    read_results,
    result_line,
    second_objective,
)

from ..driving import write_results
from ..examples import METRICS, RESULT


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    failed = replace(RESULT, trial_id="0001", status="failed", error='a "quoted", thing', checkpoint="")
    write_results(tmp_path / "results.csv", [RESULT, failed])

    assert read_results(tmp_path / "results.csv") == [RESULT, failed]


def test_other_searched_parameters_come_back_with_their_types(tmp_path: Path) -> None:
    searched = {"batch_size": 8, "beta2": 0.95, "scale_learning_rate": True, "dtype": "float32"}
    write_results(tmp_path / "results.csv", [replace(RESULT, searched=searched)])

    (row,) = read_results(tmp_path / "results.csv")
    assert row.searched == searched
    assert row.identity == (*RESULT.identity, *searched.values())
    header = (tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == ",".join([*COLUMNS, *searched])


def test_a_result_torn_by_a_crash_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    write_results(file, [RESULT])
    whole = file.read_bytes()
    file.write_bytes(whole + whole[-40:-1])

    assert read_results(file) == [RESULT]


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


def test_confirming_trials_are_grouped_by_all_that_was_searched() -> None:
    rows = [
        replace(RESULT, trial_id=str(number), stage="confirm", seed=number, searched={"batch_size": size})
        for number, size in enumerate((8, 16, 8))
    ]
    groups = confirming_groups([RESULT, *rows])

    assert [[row.trial_id for row in group] for group in groups.values()] == [["0", "2"], ["1"]]
    assert mean_loss(rows) == pytest.approx(RESULT.best_val_loss)
    assert mean_loss([*rows, replace(rows[0], status="diverged")]) == math.inf


def test_the_second_objective_is_in_the_row() -> None:
    assert (second_objective(RESULT, "parameters"), second_objective(RESULT, "flops")) == (1000, 1.5e12)


def test_curves_are_read_back_by_trial(tmp_path: Path) -> None:
    later = replace(METRICS, evaluation=2, val_loss=math.inf, diverged=True)
    lines = [line(CURVE_COLUMNS), curve_line("0000", METRICS), curve_line("0001", METRICS), curve_line("0000", later)]
    (tmp_path / "curves.csv").write_text("".join(lines) + "0000,2,20,20", encoding="utf-8")

    assert read_curves(tmp_path / "curves.csv") == {"0000": [METRICS, later], "0001": [METRICS]}


def test_a_row_is_one_line_whatever_its_error_says() -> None:
    assert result_line(replace(RESULT, error='a "quoted", thing')).count("\n") == 1
