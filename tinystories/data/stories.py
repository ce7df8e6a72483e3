"""The built-in stories: an endless seeded stream in the language of a small child.

After the recipe of TinyStories (Eldan & Li 2023, arXiv:2305.07759, section 2): every story is built around a noun,
a verb and an adjective drawn for it, and has some of a few features (a moral, a twist, a bad ending, ...).

A story is a template (tinystories.data.lexicon) expanded in a world. The template language has two marks:
    {name}      a phrase, expanded anew at each use, or a fact of the world, drawn once and then fixed;
                written with a capital ({Name}) its first letter becomes one
    [a|b|c]     one of the alternatives; one that opens with `fact?` can only be taken when the world has that fact,
                and is then preferred to those without such a condition
A blank line separates paragraphs.
"""

import itertools
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from tinystories.data.lexicon import (
    FEATURES,
    IRREGULAR_VERBS,
    LISTS,
    PARAGRAPH_BREAKS,
    PHRASES,
    PLOTS,
    PRONOUNS,
    TABLES,
)

T = TypeVar("T")
_TOKEN = re.compile(r"[\[\]|]|\{[^{}]*\}|[^\[\]|{}]+")
_CONDITION = re.compile(r"\s*([a-z]+)\? ")
_SPARE_SPACE = re.compile(r" +(?=[ .,!?])")
_ARTICLE_BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aeiou]|honest)")
_CHILD_SHARE = 0.6
"""Share of the stories that are about children; the others are about animals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """One story and what it was made from."""

    text: str
    """The story, paragraphs separated by one or two line feeds."""
    noun: str
    """The noun that it is built around."""
    verb: str
    """The verb that it is built around; it stands in the text in one of its `verb_forms`."""
    adjective: str
    """The adjective that it is built around."""
    plot: str
    """Name of its plot."""
    facts: Mapping[str, str]
    """All that was drawn for it, such as `hero`, `toy`, `toy.made`, `spot`; features are "yes" or ""."""


def generate_stories(seed: int, count: int | None = None) -> Iterator[str]:
    """Stories 0, 1, 2, ... of a seed; endless without a count.

    The first stories do not depend on how many are asked for.
    """
    indices = itertools.count() if count is None else range(count)
    return (generate_story(seed, index) for index in indices)


def generate_story(seed: int, index: int) -> str:
    """Story number `index` of a seed: a pure function, the same in every process."""
    return compose(seed, index).text


def compose(seed: int, index: int) -> Story:
    """Story number `index` of a seed, with what it was made from."""
    world = World(random.Random(f"{seed}/{index}"))
    name = world.pick(tuple(PLOTS))
    plot = PLOTS[name]
    paragraphs = [_tidy(_compile(text)(world)) for text in plot.text.strip().split("\n\n")]
    text = world.pick(PARAGRAPH_BREAKS).join(paragraphs)
    return Story(
        text=text,
        noun=world[plot.noun],
        verb=world[plot.verb].split()[0],
        adjective=world[plot.adjective],
        plot=name,
        facts=dict(world),
    )


def verb_forms(verb: str) -> tuple[str, str, str]:
    """Base, past and -ing form of a verb."""
    if verb in IRREGULAR_VERBS:
        past, ing = IRREGULAR_VERBS[verb].split()
        return verb, past, ing
    stem = verb.removesuffix("e")
    past = f"{verb[:-1]}ied" if re.search("[^aeiou]y$", verb) else f"{stem}ed"
    return verb, past, f"{stem}ing"


class World(dict[str, str]):
    """The facts of one story: each drawn when it is first mentioned, and fixed from then on.

    The features and the hero are drawn at once; the hero's pronouns are also known as `he`, `him`, `his`, `himself`.
    `toy` draws a row of the table "toy" and sets `toy` and a fact for each other column (`toy.made`, ...);
    `toy2` draws another row; `spot` draws one of the values listed in another fact (`place.spots`);
    `act.past` and `act.ing` inflect the first word of `act`.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._random = rng.random
        self._taken: dict[str, list[Row]] = {}
        for feature, share in FEATURES.items():
            self[feature] = "yes" if self._random() < share else ""
        self["animal"] = "" if self._random() < _CHILD_SHARE else "yes"
        self._draw("hero")
        for pronoun in ("he", "him", "his", "himself"):
            self[pronoun] = self[f"hero.{pronoun}"]

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each equally likely."""
        # random() is the one method whose sequence Python keeps from version to version.
        return options[int(self._random() * len(options))]

    def __missing__(self, key: str) -> str:
        entity, _, field = key.partition(".")
        if field in ("past", "ing"):
            verb, *rest = self[entity].split(" ")
            _, past, ing = verb_forms(verb)
            self[key] = " ".join([past if field == "past" else ing, *rest])
        else:
            self._draw(entity)
        return self[key]

    def _draw(self, entity: str) -> None:
        kind = entity.rstrip("23456789")
        if kind in ("hero", "friend"):
            kind = "beast" if self["animal"] else "child"
        rows = [{"": value} for value in self[LISTS[kind]].split(", ")] if kind in LISTS else _rows(kind)
        taken = self._taken.setdefault(kind, [])
        row = self.pick([row for row in rows if row not in taken])
        taken.append(row)
        for column, value in row.items():
            self[f"{entity}.{column}" if column else entity] = _compile(value)(self) if "{" in value else value


Row = dict[str, str]
"""A row of a table, by column; the first column's name is empty."""


@cache
def _rows(table: str) -> list[Row]:
    (_, *columns), *lines = ([cell.strip() for cell in line.split("|")] for line in TABLES[table].strip().splitlines())
    rows = [dict(zip(["", *columns], cells, strict=True)) for cells in lines]
    return [row | (PRONOUNS[row["he"]] if "he" in row else {}) for row in rows]


Expand = Callable[[World], str]
"""A compiled template: tells its text in a world."""


@cache
def _compile(template: str) -> Expand:
    tokens = [*_TOKEN.findall(re.sub(r"\s+", " ", template)), "]"]
    expand = _compile_choice(tokens)
    assert not tokens, f"bracket without partner before {''.join(tokens)!r}"
    return expand


def _compile_choice(tokens: list[str]) -> Expand:
    """Compile and remove the tokens up to the `]` of this level."""
    free: list[Expand] = []
    conditional: list[tuple[str, Expand]] = []
    separator = "|"
    while separator == "|":
        condition = _CONDITION.match(tokens[0])
        if condition:
            tokens[0] = tokens[0][condition.end() :]
            conditional.append((condition[1], _compile_sequence(tokens)))
        else:
            free.append(_compile_sequence(tokens))
        separator = tokens.pop(0)
    if conditional:
        return lambda world: world.pick([part for fact, part in conditional if world[fact]] or free)(world)
    return free[0] if len(free) == 1 else lambda world: world.pick(free)(world)


def _compile_sequence(tokens: list[str]) -> Expand:
    """Compile and remove the tokens up to the next `|` or `]` of this level."""
    parts: list[Expand] = []
    while tokens[0] not in ("|", "]"):
        token = tokens.pop(0)
        if token == "[":
            parts.append(_compile_choice(tokens))
        elif token.startswith("{"):
            parts.append(_slot(token[1:-1]))
        else:
            parts.append(_literal(token))
    return parts[0] if len(parts) == 1 else lambda world: "".join([part(world) for part in parts])


def _literal(text: str) -> Expand:
    return lambda world: text


def _slot(name: str) -> Expand:
    key = name.lower()
    if key != name:
        expand = _slot(key)
        return lambda world: (text := expand(world))[:1].upper() + text[1:]
    if key in PHRASES:
        return lambda world: _compile(PHRASES[key])(world)
    return lambda world: world[key]


def _tidy(paragraph: str) -> str:
    return _ARTICLE_BEFORE_VOWEL.sub(r"\1n ", _SPARE_SPACE.sub("", paragraph).strip())
