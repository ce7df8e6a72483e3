"""A sweep is resumed in its folder on other hardware, unless that changes what its trials are compared by."""

from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from sweeps.record import claim
from sweeps.record.folder import RunFolder
from sweeps.record.journal import Journal
from sweeps.spec import load

from ..driving import write_results
from ..examples import RESULT, minimal

HARDWARE = [{"cpus_per_trial": 2}, {"trials_per_gpu": 2}]


def begun(root: Path, budget: dict[str, str]) -> RunFolder:
    folder = RunFolder(root)
    folder.spec.write_text(yaml.safe_dump(minimal(trial=budget)), encoding="utf-8")
    assert list(Journal(folder.journal).open()) == []
    return folder


@pytest.mark.parametrize("change", HARDWARE)
def test_a_sweep_by_tokens_is_resumed_with_another_share_of_the_machine(tmp_path: Path, change: dict[str, int]) -> None:
    budget = {"tokens": "20k"}

    claim.check_spec(begun(tmp_path, budget), load.parse(minimal(trial=budget, **change)))


@pytest.mark.parametrize("change", HARDWARE)
def test_a_sweep_by_seconds_is_not(tmp_path: Path, change: dict[str, int]) -> None:
    budget = {"seconds": "60"}

    with pytest.raises(ValueError, match=f"holds another sweep: {next(iter(change))} is"):
        claim.check_spec(begun(tmp_path, budget), load.parse(minimal(trial=budget, **change)))


def test_a_sweep_of_another_version_is_told_as_that(tmp_path: Path) -> None:
    folder = begun(tmp_path, {"tokens": "20k"})
    folder.spec.write_text(yaml.safe_dump(minimal(early_terminate={"type": "of old"})), encoding="utf-8")

    with pytest.raises(ValueError, match=r"holds a sweep of another version .*'of old'.*; give another --name"):
        claim.check_spec(folder, load.parse(minimal()))


def test_a_sweep_that_is_only_said_otherwise_goes_on(tmp_path: Path) -> None:
    folder = begun(tmp_path, {"tokens": "20k"})

    claim.check_spec(folder, load.parse(minimal(trial={"evaluations": 9, "tokens": 20_000, "seed": 0}, method="bayes")))


def test_what_differs_is_told_in_words(tmp_path: Path) -> None:
    folder = begun(tmp_path, {"tokens": "20k"})
    other = minimal(
        trial={"tokens": "40k"}, early_terminate={}, parameters={**minimal()["parameters"], "depth": {"values": [3]}}
    )

    with pytest.raises(
        ValueError, match=r"holds another sweep: .*parameters.depth is 1, 2 there and 3 here; .*"
    ) as caught:
        claim.check_spec(folder, load.parse(other))
    assert "trial.tokens is 20,000 there and 40,000 here" in str(caught.value)
    assert not any(python in str(caught.value) for python in ("(", "{", "="))


@pytest.mark.parametrize("left", ["results.csv", "optuna.db"])
def test_a_run_folder_of_version_0_1_is_refused_in_one_line(tmp_path: Path, left: str) -> None:
    folder = RunFolder(tmp_path)
    folder.spec.write_text(yaml.safe_dump(minimal()), encoding="utf-8")
    write_results(tmp_path / left, [RESULT])

    with pytest.raises(
        ValueError, match=r"no journal\.jsonl: version 0\.1 began it, .*; or give another --name$"
    ) as refused:
        claim.check_spec(folder, load.parse(minimal()))
    assert "\n" not in str(refused.value)
    assert str(folder.root) in str(refused.value)


@pytest.mark.parametrize("content", ["", "[", "[]\n", "3\n"])
def test_a_damaged_copy_of_the_sweep_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    folder = begun(tmp_path, {"tokens": "20k"})
    folder.spec.write_text(content, encoding="utf-8")

    with pytest.raises(ValueError, match=r"spec\.yaml: (not YAML|a sweep is a mapping)"):
        claim.check_spec(folder, load.parse(minimal()))


@pytest.mark.parametrize("content", ["", "\udcff", "[]", "{}", "3", "null", '{"storage": 3}'])
def test_a_damaged_record_of_where_checkpoints_are_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    folder = begun(tmp_path, {"tokens": "20k"})
    folder.origin.write_bytes(content.encode("utf-8", "surrogateescape"))

    with pytest.raises(ValueError, match=r"origin\.json is damaged; restore the file, or give another --name$"):
        claim.storage_location(folder, None)


@pytest.mark.parametrize("content", [b"", b'{"event": "jour', bytes(4096)])
def test_an_emptied_journal_does_not_begin_again_over_results(tmp_path: Path, content: bytes) -> None:
    folder = begun(tmp_path, {"tokens": "20k"})
    write_results(folder.results, [RESULT])
    folder.journal.write_bytes(content)

    with pytest.raises(ValueError, match=r"journal\.jsonl has no whole line; restore the file"):
        claim.check_spec(folder, load.parse(minimal(trial={"tokens": "20k"})))
    assert folder.journal.read_bytes() == content


def test_a_kill_before_the_journal_was_begun_is_no_other_version(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.spec.write_text(yaml.safe_dump(minimal()), encoding="utf-8")

    claim.check_spec(folder, load.parse(minimal()))
    with pytest.raises(ValueError, match=r"holds another sweep: (run_cap|trial)"):
        claim.check_spec(folder, load.parse(minimal(trial={"tokens": "90k"})))


def fail_to_start(root: Path, *, meanwhile: Path | None = None) -> None:
    with suppress(ValueError), claim.removed_on_error(root):
        root.mkdir(parents=True)
        (root / "sweep.log").write_text("", encoding="utf-8")
        if meanwhile:
            meanwhile.mkdir()
        raise ValueError("it cannot")


def test_a_start_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    fail_to_start(tmp_path / "runs/a")

    assert list(tmp_path.iterdir()) == []


def test_a_start_that_fails_leaves_the_folders_of_other_sweeps(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    fail_to_start(tmp_path / "before/a")
    fail_to_start(tmp_path / "runs/a", meanwhile=tmp_path / "runs/b")

    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["before", "runs", "runs/b"]


@pytest.mark.parametrize("lost", ["spec.yaml", "origin.json"])
def test_a_journal_of_an_unknown_sweep_is_refused(tmp_path: Path, lost: str) -> None:
    folder = begun(tmp_path, {"tokens": "20k"})
    folder.origin.write_text("{}", encoding="utf-8")
    claim.require_whole(folder)
    (tmp_path / lost).unlink()

    with pytest.raises(ValueError, match=f"{lost} is missing; restore the file"):
        claim.require_whole(folder)
