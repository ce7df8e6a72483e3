"""A file that people write for `wandb sweep` is taken, and what of it means nothing here is said."""

from pathlib import Path

import pytest

from sweeps.run import main
from sweeps.spec import load
from sweeps.spec.parameters import Choice, Range
from sweeps.spec.schema import Spec
from sweeps.spec.space import Limits

GRID = """
program: train.py
command: ["${env}", python3, "${program}", "${args}"]
project: some-models
entity: us
description: all of it
method: grid
metric: {name: validation/loss, goal: minimize, target: 1.5}
early_terminate: {type: hyperband, max_iter: 9, s: 2, strict: false}
parameters:
  seed: {value: 1901}
  depth: {values: [1, 2]}
  width: {values: [32, 64]}
  heads: {values: [2, 4]}
  batch_size: {values: [8, 16]}
"""
BAYES = """
name: mixed
method: bayes
run_cap: 12
metric: {name: val_loss, goal: minimize}
parameters:
  depth: {distribution: int_uniform, min: 1, max: 4}
  width: {distribution: q_uniform, min: 32, max: 96, q: 32}
  heads: {distribution: categorical, values: [1, 2, 4]}
  learning_rate: {distribution: log_uniform_values, min: !!float 1e-4, max: 1e-2}
  warmup: {distribution: uniform, min: 0.0, max: 0.1}
  context: {value: 64}
  dtype: {values: [float32, bfloat16]}
early_terminate: {type: hyperband, min_iter: 3, eta: 3, strict: true}
"""
NESTED = """
method: random
metric: {goal: minimize, name: val_bpb}
parameters:
  model:
    parameters:
      depth: {values: [1, 2]}
      width: {values: [32, 64]}
      more: {parameters: {heads: {values: [2, 4]}}}
  training:
    parameters:
      learning_rate: {min: 0.0002, max: 0.002}
      batch_size: {value: 8}
"""


def loaded(folder: Path, text: str, *overrides: str) -> Spec:
    (folder / "some-file.yaml").write_text(text, encoding="utf-8")
    return load.load(folder / "some-file.yaml", overrides)[0]


def test_a_grid_with_a_command_is_taken(tmp_path: Path) -> None:
    spec = loaded(tmp_path, GRID)

    assert (spec.name, spec.project, spec.method, spec.metric) == ("some-file", "some-models", "grid", "val_loss")
    assert (spec.run_cap, spec.trials, spec.rungs) == (16, 16, (1, 3))
    assert (spec.trial.seed, "seed" in spec.space.parameters) == (1901, False)
    assert (spec.axis, spec.budget) == ("tokens", 1e6)
    assert spec.notes == (
        "program, command, entity, description, metric.target mean nothing here",
        "metric validation/loss is taken for val_loss",
        "trial gives no budget, so it is tokens: 1M",
        "early_terminate.strict is taken as true, as trials are compared at every rung",
    )


def test_a_search_over_shape_and_recipe_is_taken(tmp_path: Path) -> None:
    spec = loaded(tmp_path, BAYES, "trial.tokens=200k")

    assert spec.space.parameters == {
        "depth": Range(low=1, high=4),
        "width": Range(low=32, high=96, step=32),
        "heads": Choice(values=(1, 2, 4)),
        "learning_rate": Range(low=1e-4, high=1e-2, log=True),
        "warmup": Range(low=0.0, high=0.1),
        "dtype": Choice(values=("bfloat16", "float32")),
    }
    assert (spec.trial.context, spec.budget, spec.rungs, spec.notes) == (64, 200_000, (3,), ())


def test_groups_are_flattened(tmp_path: Path) -> None:
    spec = loaded(tmp_path, NESTED)

    assert list(spec.space.parameters) == ["depth", "width", "heads", "learning_rate"]
    assert (spec.trial.batch_size, spec.metric, spec.run_cap) == (8, "val_bpb", 20)
    assert "run_cap is not given, so there are 20 trials" in spec.notes


def test_a_grid_has_as_many_trials_as_its_limits_leave(tmp_path: Path) -> None:
    spec = loaded(tmp_path, GRID, "limits.max_head_dim=16")

    assert spec.space.limits == Limits(max_head_dim=16)
    assert spec.run_cap == 2 * (2 + 1) * 2


def test_constants_alone_are_one_configuration(tmp_path: Path) -> None:
    text = "{method: grid, parameters: {depth: {value: 1}, width: {value: 32}, heads: {value: 2}}}"

    assert loaded(tmp_path, text).trials == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{method: grid, parameters: {n_layer: {values: [2]}, n_embd: {values: [64]}, n_head: {values: [4]}}}",
            "parameters: n_layer, n_embd, n_head are called depth, width, heads here; rename",
        ),
        ("parameters: {lr: {min: 0.1, max: 1}}", "parameters: lr is called learning_rate here; rename"),
        (GRID + "  heads: {values: [1]}\n", "line 16: 'heads' is given twice"),
        (NESTED + "      depth: {values: [4]}\n", "depth stands twice under parameters; keep one"),
        (GRID + "trial: {seed: 3}\n", "seed stands under both parameters and trial; keep one"),
        (GRID.replace("minimize", "maximize"), "metric.goal 'maximize': losses are minimised; write minimize"),
        ("method: grid\nparameters: {depth: {min: 1, max: 2}, width: {value: 8}}", "heads stands under neither"),
        ("method: bayes", "the sweep has no 'parameters'"),
        ("method: bayes\nparameters: {model: {parameters: 3}}", "parameters.model.parameters 3 must be a mapping"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        loaded(tmp_path, text)

    assert "\n" not in str(caught.value)


def test_what_means_nothing_is_said_in_one_line_and_the_sweep_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.yaml").write_text(GRID, encoding="utf-8")

    assert main(["grid.yaml", "--dry-run", "--set", "trial.tokens=200k"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith(
        "grid.yaml: program, command, entity, description, metric.target mean nothing here; metric"
    )
    assert said.err.count("\n") == 1
    assert "16 trials of 200k tokens" in said.out
