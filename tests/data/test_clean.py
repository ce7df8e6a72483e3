import numpy as np
import pytest

from tinystories.data.clean import defect, first_occurrences, held_out, repair, story_key


@pytest.mark.parametrize(
    ("found", "repaired"),
    [
        ("He said, â€œPlease.â€\x9d", "He said, “Please.”"),
        ("He said, â€œPlease.â€ \n\nShe ran.", "He said, “Please.” \n\nShe ran."),
        ("â€œYes!â€", "“Yes!”"),
        ("Sorry, I canâ€™t.", "Sorry, I can’t."),
        ("The cafÃ© was open.", "The café was open."),
        ("A line.\r\nAnother.\r\n", "A line.\nAnother."),
        ("A line.\rAnother.\r", "A line.\nAnother."),
        ("A line.\r\r\nAnother.\r\r\n", "A line.\nAnother."),
        ("A page.\fAnother.\vA line.\u2028The last.", "A page.\nAnother.\nA line.\nThe last."),
    ],
)
def test_wrongly_decoded_text_is_repaired(found: str, repaired: str) -> None:
    assert repair(found) == repaired


@pytest.mark.parametrize(
    "text",
    [
        'Plain "quotes", dashes - and tabs\t.',
        "“Curly” quotes, it’s fine… — said José, ‘really’.",
        "An ellipsis … and a ﬁ ligature &amp; an entity.",
        "日本の話。🎉!",
    ],
)
def test_correct_text_is_left_as_it_is(text: str) -> None:
    assert repair(text) == text


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        ("", "empty"),
        ("A bell\x07 rang.", "damaged"),
        ("A broken \ufffd sign.", "damaged"),
        ("A hidden\x9d sign.", "damaged"),
        ("Half \ud83c an emoji.", "damaged"),
        ("They all went to the", "truncated"),
        ("They went home,", "truncated"),
        ("They went home.", None),
        ('She said, "Yes!"', None),
        ("She said, “Yes!” \n", None),
        ("It was over…", None),
        ("All slept.\n\nThe End", None),
    ],
)
def test_defects_are_named(story: str, reason: str | None) -> None:
    assert defect(story) == reason


def test_key_sees_letters_and_digits_only() -> None:
    assert story_key("Tom has 2 cats!", 0) == story_key("tom, HAS 2 cats.", 0)
    assert story_key("Straße", 0) == story_key("STRASSE", 0)
    assert len({story_key(story, 0) for story in ("Tom has 2 cats", "Tom has 3 cats", "Tim has 2 cats")}) == 3
    assert story_key("Tom", 0) != story_key("Tom", 1)
    assert 0 <= story_key("Tom", 0) < 2**64


def test_first_of_equal_keys_is_kept() -> None:
    keys = np.array([7, 3, 7, 5, 3, 9], dtype=np.uint64)
    assert first_occurrences(keys).tolist() == [True, True, False, True, False, True]


def test_held_out_choice_depends_on_the_stories_and_not_on_their_order() -> None:
    keys = np.random.default_rng(0).integers(2**64, size=1000, dtype=np.uint64)
    chosen = held_out(keys, 10)
    assert chosen.sum() == 10
    assert set(keys[::-1][held_out(keys[::-1], 10)]) == set(keys[chosen])
    longer = np.concatenate([keys, keys[:100] ^ np.uint64(1)])
    assert len(set(longer[held_out(longer, 10)]) & set(keys[chosen])) >= 5
