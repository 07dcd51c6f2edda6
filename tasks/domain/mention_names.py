"""The names by which a text may speak of an asset; why so few, see :mod:`tasks.domain.mentions`."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.domain import names
from tasks.domain.mention_words import ACRONYMS, COMMON_WORDS, DOUBTFUL_NAMES

NAME_RANK = 500
"""An asset links by its name only from this rank up."""
SHORTEST_NAME = 3
WORD = re.compile(r"[^\W_]+")
_PLAIN = COMMON_WORDS | names.GENERIC_WORDS
_PREVIOUS = re.compile(r"\s*\((?:prev\.|formerly|ex-)[^)]*\)\s*$", re.IGNORECASE)
_SUFFIXES = frozenset(["network", "protocol", "dao", "finance", "hub"])
_SHORTEST_STEM = 4


class Subject(NamedTuple):
    """An asset as news may name it; ``standing`` is its rank, None for one that has none."""

    asset_id: int
    ticker: str
    name: str
    standing: int | None
    owns_ticker: bool

    def is_within(self, rank: int) -> bool:
        """Tell whether it has this rank or a better one."""
        return self.standing is not None and self.standing <= rank


class Name(NamedTuple):
    """A name, folded and as written; a doubtful one needs to stand out as a name."""

    subject: Subject
    words: tuple[str, ...]
    written: tuple[str, ...]
    doubtful: bool


def by_first_word(subjects: Iterable[Subject]) -> dict[str, list[Name]]:
    """Return the names that may link, by their first word, longest first."""
    rivals: dict[tuple[str, ...], list[Name]] = {}
    full = [name for subject in subjects for name in _full_name(subject)]
    for name in full:
        rivals.setdefault(name.words, []).append(name)
    for name in full:
        for stem in _stem(name):
            if stem.words not in rivals:
                rivals[stem.words] = [stem]
    found: dict[str, list[Name]] = {}
    for shared in rivals.values():
        for name in _standing_for(shared):
            found.setdefault(name.words[0], []).append(name)
    for candidates in found.values():
        candidates.sort(key=lambda name: -len(name.words))
    return found


def _full_name(subject: Subject) -> Iterable[Name]:
    if not subject.is_within(NAME_RANK):
        return
    written = tuple(WORD.findall(_PREVIOUS.sub("", subject.name)))
    name = _name(subject, written)
    # Copies ("Wrapped Bitcoin") stay: they cover the name they contain.
    if name is not None:
        yield name


def _stem(name: Name) -> Iterable[Name]:
    """Yield "Lido" for "Lido DAO": the name as people shorten it."""
    if len(name.words) == 2 and name.words[1] in _SUFFIXES:  # noqa: PLR2004 - a word and its suffix
        stem = _name(name.subject, name.written[:1])
        if stem is not None and len(stem.words[0]) >= _SHORTEST_STEM and not stem.doubtful:
            yield stem


def _name(subject: Subject, written: tuple[str, ...]) -> Name | None:
    words = tuple(word.casefold() for word in written)
    if not words or all(word.isdigit() for word in words):
        return None
    if len(words) > 1:
        return Name(subject, words, written, doubtful=all(w in _PLAIN for w in words))
    if len(words[0]) < SHORTEST_NAME or words[0] in COMMON_WORDS or written[0] in ACRONYMS:
        return None
    return Name(subject, words, written, doubtful=words[0] in DOUBTFUL_NAMES)


def _standing_for(shared: Sequence[Name]) -> Sequence[Name]:
    """Return the one asset that a name stands for, if there is one."""
    if len(shared) == 1:
        return shared
    owners = [name for name in shared if name.subject.owns_ticker]
    return owners if len(owners) == 1 else ()
