"""What becomes of stories between a source and a data folder."""

from pathlib import Path

import pytest

from tinystories.data.build import MOST_DROPPED, Recipe
from tinystories.data.make import make
from tinystories.data.sources import File
from tinystories.data.tokenizer import parse_spec


def recipe(path: Path, sound: list[str], spoiled: list[str], **options: float) -> Recipe:
    path.write_text("\n<|endoftext|>\n".join([*sound, *spoiled]), encoding="utf-8")
    return Recipe(train=(File(path),), tokenizer=parse_spec("bpe:257"), **options)  # type: ignore[arg-type]


def told(count: int) -> list[str]:
    return [f"Tom saw {number} cats." for number in range(count)]


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        ("A bell\x07 number {} rang.", "30 damaged (control, replacement or half characters)"),
        ("They all {} went to", "30 truncated (no sentence's end at the end)"),
        ("Tom saw 1 cats.", "30 duplicate"),
    ],
)
def test_more_than_a_share_of_dropped_stories_is_an_error_that_says_why(
    tmp_path: Path, spoiled: str, reason: str
) -> None:
    lost = [spoiled.format(number) for number in range(30)]
    few = int(30 / MOST_DROPPED) - 30

    with pytest.raises(ValueError, match="would be dropped") as refused:
        make(recipe(tmp_path / "stories.txt", told(few - 1), lost), tmp_path / "out")

    assert f"30 of {few + 29} training stories in {tmp_path}/stories.txt would be dropped: {reason}" in str(
        refused.value
    )
    assert "allowed: a share of 0.2, or what --max-dropped says" in str(refused.value)
    assert not (tmp_path / "out").exists()
    make(recipe(tmp_path / "stories.txt", told(few), lost), tmp_path / "out")
    make(recipe(tmp_path / "stories.txt", told(5), lost, most_dropped=1.0), tmp_path / "out")


def test_empty_stories_are_not_missed(tmp_path: Path) -> None:
    description, new = make(recipe(tmp_path / "stories.txt", told(20), [""] * 100), tmp_path / "out")

    assert new
    assert description["train"]["removed"]["empty"] >= 99


def test_description_says_how_many_stories_every_source_had(tmp_path: Path) -> None:
    one, other = recipe(tmp_path / "a.txt", told(20), ["x"]), recipe(tmp_path / "b.txt", told(30), [])
    both = Recipe(train=(*one.train, *other.train), tokenizer=one.tokenizer, most_dropped=1)

    description, _ = make(both, tmp_path / "out")

    assert list(description["train"]["found"]) == [21, 30]
