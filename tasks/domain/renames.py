"""Which new fields are old ones under another name."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from rapidfuzz import fuzz

from tasks.domain.shapes import Field, Measured, Seen, Shape, parent

SIMILARITY_PCT = 70.0
_AMBIGUOUS_PCT = 5.0
_DIGITS = re.compile(r"\d+")
_SEPARATORS = re.compile(r"[^a-z0-9]+")


class Match(NamedTuple):
    """A field that goes by another name now; both are paths."""

    expected: str
    found: str
    similarity_pct: float

    @property
    def ends(self) -> frozenset[str]:
        """Return both names."""
        return frozenset((self.expected, self.found))


def find(measured: Measured, accepted: Shape) -> list[Match]:
    """Pair the fields that are gone with the new ones, the most alike first."""
    new = [path for path in measured.fields if path not in accepted.fields]
    if not new:
        return []
    gone = [
        path
        for path in accepted.fields
        if measured.fields.get(path, Seen()).present < measured.holders(path)
    ]
    alike = sorted(
        (
            Match(path, name, round(similarity, 1))
            for path in gone
            for name in new
            if _may_be(measured, accepted.fields[path], path, name)
            and (similarity := similarity_pct(path, name)) >= _least_pct(accepted, path)
        ),
        key=lambda match: (-match.similarity_pct, match.expected, match.found),
    )
    return _unambiguous(alike)


def _least_pct(accepted: Shape, path: str) -> float:
    """A field that may be absent, or a key among data, is renamed in case and separators only."""
    is_certain = accepted.fields[path].required and parent(path) not in accepted.open
    return SIMILARITY_PCT if is_certain else 100.0


def _unambiguous(alike: Sequence[Match]) -> list[Match]:
    """Take the best pairs; of two names as good for one field, neither: one would be wrong."""
    taken: list[Match] = []
    used: set[str] = set()
    for match in alike:
        floor = match.similarity_pct - _AMBIGUOUS_PCT
        left = [other for other in alike if not used & other.ends and other.similarity_pct > floor]
        rivals = [other for other in left if len(other.ends & match.ends) == 1]
        if not rivals and not used & match.ends:
            taken.append(match)
            used |= match.ends
    return taken


def _may_be(measured: Measured, field: Field, path: str, name: str) -> bool:
    """Two names of one field stand in the same object, never together, and hold the same types.

    Nor do they differ in a number: what changed in 24 hours is not what changed in 7 days.
    """
    if parent(path) != parent(name) or _DIGITS.findall(path) != _DIGITS.findall(name):
        return False
    last, found = path.rpartition(".")[2], name.rpartition(".")[2]
    if any({last, found} <= keys for keys in measured.together.get(parent(path), ())):
        return False
    types = measured.fields[name].types
    return not types or not field.types or bool(types & set(field.types))


def similarity_pct(one: str, other: str) -> float:
    """Return how alike two names are, 0 to 100; case and separators do not count."""
    return fuzz.ratio(_bare(one), _bare(other))


def _bare(path: str) -> str:
    return _SEPARATORS.sub("", path.rpartition(".")[2].lower())
