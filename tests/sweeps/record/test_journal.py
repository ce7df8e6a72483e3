"""The journal: what is written is on the disk, and what cannot be trusted is refused with file and line."""

import json
import os
import random
import re
import resource
from pathlib import Path
from typing import Any

import pytest

from sweeps.events import Began, Completed, Event, Proposed, Spent, to_line
from sweeps.machines.simulated import Clock
from sweeps.record.folder import RunFolder
from sweeps.record.journal import Journal, read
from sweeps.record.record import Record, read_trials
from sweeps.trials import Trials

from ..driving import open_sweep, simulate

EVENTS: list[Event] = [
    Proposed(trial_id="0000", at=1.0, assignment={"depth": 2, "learning_rate": 1e-3}),
    Began(trial_id="0000", at=2.0, gpu_share=0.5),
    Completed(trial_id="0000", at=3.0),
    Spent(at=4.0, seconds=3.0, gpu_seconds=1.5),
]


def written(path: Path, *events: Event) -> Journal:
    journal = Journal(path)
    assert list(journal.open()) == []
    journal.append(*events)
    return journal


def reopened(path: Path) -> list[Event]:
    return [line.event for line in Journal(path).open()]


def refusal(path: Path) -> str:
    """What opening a journal is refused with; reading it beside a running sweep is refused alike."""
    with pytest.raises(ValueError, match=re.escape(str(path))) as refused:
        list(Journal(path).open())
    with pytest.raises(ValueError, match=re.escape(str(refused.value))):
        list(read(path))
    assert "\n" not in str(refused.value)
    return str(refused.value).removeprefix(str(path))


def test_events_come_back_in_order_and_under_the_same_token(tmp_path: Path) -> None:
    journal = written(tmp_path / "journal.jsonl", *EVENTS[:2])
    journal.append(EVENTS[2])
    again = Journal(tmp_path / "journal.jsonl")

    assert [(line.number, line.event) for line in again.open()] == list(enumerate(EVENTS[:3], start=2))
    assert re.fullmatch("[0-9a-f]{6}", journal.token)
    assert again.token == journal.token
    assert [line.event for line in read(tmp_path / "journal.jsonl")] == EVENTS[:3]


def test_the_first_line_names_version_and_token(tmp_path: Path) -> None:
    journal = written(tmp_path / "journal.jsonl")

    head = json.loads((tmp_path / "journal.jsonl").read_text(encoding="utf-8"))
    assert head == {"event": "journal", "version": 1, "token": journal.token}


def test_two_sweeps_have_two_tokens(tmp_path: Path) -> None:
    assert written(tmp_path / "a").token != written(tmp_path / "b").token


def test_without_a_file_events_are_forgotten() -> None:
    journal = Journal(None)
    journal.append(*EVENTS)

    assert list(journal.open()) == []


def test_an_event_is_on_the_disk_when_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synchronised after its last byte."""
    journal = written(tmp_path / "journal.jsonl")
    synchronised = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synchronised.append(os.fstat(descriptor).st_size))
    journal.append(EVENTS[0])

    assert synchronised == [(tmp_path / "journal.jsonl").stat().st_size]


def test_a_torn_last_line_is_dropped_for_good(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written(path, *EVENTS)
    whole = path.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in range(1, last + 1):
        path.write_bytes(whole[:-cut])
        assert [line.event for line in read(path)] == EVENTS[:-1], "who reads beside leaves it out"
        assert path.read_bytes() == whole[:-cut], "and changes nothing"
        assert reopened(path) == EVENTS[:-1]
        Journal(path).append(EVENTS[-1])
        assert path.read_bytes() == whole


def test_a_journal_of_a_torn_first_line_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    for start in ("", '{"event": "journal", "ver'):
        path.write_text(start, encoding="utf-8")
        assert list(read(path)) == []
        assert reopened(path) == []
        assert json.loads(path.read_text(encoding="utf-8"))["version"] == 1


def test_a_disk_that_is_full_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    """Whatever is written next stands on a line of its own."""
    path = tmp_path / "journal.jsonl"
    journal = written(path, *EVENTS[:1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            journal.append(EVENTS[1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.append(EVENTS[1])

    assert reopened(path) == EVENTS[:2]


@pytest.mark.parametrize("number", [2, 3, 5])
@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"event": "began"}', b"null", b"\x00" * 50])
def test_any_other_damage_is_refused_with_file_and_line(tmp_path: Path, number: int, damage: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    written(path, *EVENTS)
    lines = path.read_bytes().splitlines()
    lines[number - 1] = damage
    path.write_bytes(b"\n".join(lines) + b"\n")

    said = refusal(path)
    assert said.startswith(f", line {number}: ")
    assert said.endswith("; restore the file, or give another --name")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"event": "journal", "version": 2, "token": "abc"}, "version 2, but this program reads version 1"),
        ({"event": "journal", "token": "abc"}, "version None, but this program reads version 1"),
        ({"event": "journal", "version": 1}, "token"),
        ({"event": "journal", "version": 1, "token": ["../x"]}, "token"),
        ([], "a journal begins with its version"),
        ({"event": "began"}, "a journal begins with its version"),
    ],
)
def test_a_journal_of_another_version_is_refused(tmp_path: Path, head: Any, message: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(head) + "\n" + to_line(EVENTS[0]) + "\n", encoding="utf-8")

    said = refusal(path)
    assert said.startswith(", line 1: ")
    assert message in said


@pytest.mark.parametrize("name", ["../../x", "/etc", "0001/..", "", "a"])
def test_a_trial_that_names_another_folder_is_refused(tmp_path: Path, name: str) -> None:
    """It would be deleted as its checkpoints."""
    folder, victim = RunFolder(tmp_path / "runs/tiny"), tmp_path / "x"
    victim.mkdir()
    folder.root.mkdir(parents=True)
    written(folder.journal, Proposed(trial_id=name, at=0.0, assignment={"depth": 1, "width": 16, "heads": 1}))

    with pytest.raises(ValueError, match=r"journal\.jsonl, line 2: trial_id .* is not four digits or more"):
        open_sweep(folder.root)
    assert victim.exists()


def test_an_event_that_cannot_follow_is_refused_with_its_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    written(folder.journal, *EVENTS[:3], EVENTS[1])
    message = r"journal\.jsonl, line 5: trial 0000 is completed and cannot become running"

    with pytest.raises(ValueError, match=message):
        Record(folder, trials=Trials(), follow=lambda event: None).open()
    with pytest.raises(ValueError, match=message):
        read_trials(folder)


@pytest.mark.parametrize("assignment", [{}, {"depth": "deep", "width": 16, "heads": 1}, {"colour": 1}])
def test_a_configuration_that_is_none_of_this_sweep_is_refused_with_its_line(
    tmp_path: Path, assignment: dict[str, Any]
) -> None:
    folder = RunFolder(tmp_path)
    written(folder.journal, Proposed(trial_id="0000", at=0.0, assignment=assignment))

    with pytest.raises(ValueError, match=r"journal\.jsonl, line 2: "):
        open_sweep(tmp_path)


def test_whatever_byte_changes_a_journal_opens_or_is_refused_in_one_line(tmp_path: Path) -> None:
    clock = Clock()
    simulate(open_sweep(tmp_path / "whole", clock=clock, confirm={"top": 1, "seeds": 2}), clock).close()
    whole = RunFolder(tmp_path / "whole").journal.read_bytes()
    folder, source = RunFolder(tmp_path / "damaged"), random.Random(0)
    folder.root.mkdir()
    said: list[str] = []
    for _ in range(300):
        damaged = bytearray(whole)
        at = source.randrange(len(whole))
        damaged[at : at + source.randrange(3)] = source.choice([b"", b"\n", b"}", b"x", b"\xff", b'"', b"9"])
        folder.journal.write_bytes(damaged)
        try:
            read_trials(folder)
        except ValueError as error:
            said.append(str(error))
    assert len(said) > 200
    assert all(re.match(rf"{re.escape(str(folder.journal))}, line \d+: [^\n]+$", error) for error in said)
