"""A cell of a table is a value that a trial can have, or refused."""

from typing import Any

import pytest

from sweeps.spec.recipe import nearest, read_cell


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("depth", "2", 2),
        ("depth", "2.0", 2),
        ("learning_rate", "5e-4", 5e-4),
        ("scale_learning_rate", "True", True),
        ("scale_learning_rate", "false", False),
        ("dtype", "bfloat16", "bfloat16"),
        ("seed", "0", 0),
        ("warmup", "0", 0.0),
    ],
)
def test_a_cell_is_read_as_its_kind(name: str, cell: str, value: Any) -> None:
    assert (read_cell(name, cell), type(read_cell(name, cell))) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "cell", "message"),
    [
        ("heads", "0", "heads 0 must be above 0"),
        ("depth", "1.5", "depth '1.5' must be a whole number"),
        ("depth", "-1", "depth -1 must be above 0"),
        ("depth", "", "depth '' is not a number"),
        ("width", "nan", "width 'nan' is not a number"),
        ("learning_rate", "0", "learning_rate 0.0 must be above 0"),
        ("batch_size", "-4", "batch_size -4 must be above 0"),
        ("scale_learning_rate", "maybe", "scale_learning_rate 'maybe' must be true or false"),
        ("dtype", "int8", "dtype 'int8' is not one of auto"),
    ],
)
def test_what_no_trial_can_have_is_refused(name: str, cell: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_cell(name, cell)


@pytest.mark.parametrize(("name", "meant"), [("n_layer", "depth"), ("dept", "depth"), ("colour", None)])
def test_a_name_is_told_its_nearest(name: str, meant: str | None) -> None:
    assert nearest(name, ("depth", "width")) == meant
