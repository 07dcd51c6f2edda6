"""How well items are told apart: the resolver of the pipeline over labelled pairs.

A precision says little without the number of ``different`` pairs it was measured on, so the errors
themselves are part of the report. Only labelled pairs count; any other link is unknown, not wrong.
"""

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO, cast

from tasks.core.errors import InvalidInputError
from tasks.domain.identity import ItemFacts, weigh
from tasks.domain.resolution import resolve

Row = Mapping[str, str]
SMALL_RANK = 2000
"""The best-known coins, where a wrong price is seen by most."""


@dataclass(frozen=True)
class Pair:
    """Two items and whether they are one asset, with why the label was given."""

    left: str
    right: str
    same: bool
    evidence: str
    notes: str


@dataclass(frozen=True)
class Score:
    """Figures of a subset of the pairs; shares are of the ``same`` pairs.

    Attributes:
        precision: None if nothing labelled was linked.
        recall: Linked ``same`` pairs; None without any such pair.
        unresolved_share: Left item linked to nothing.
        another_share: Left item linked to another right item only.
        several_share: Left item linked to more than one right item.
    """

    same: int
    different: int
    linked_same: int
    linked_different: int
    precision: float | None
    recall: float | None
    unresolved_share: float | None
    another_share: float | None
    several_share: float | None


@dataclass(frozen=True)
class Evaluation:
    """Scores by subset, and every pair that was decided against its label.

    Attributes:
        links: Links made, labelled or not.
        wrong: ``different`` pairs that were linked.
        missed: ``same`` pairs that were not.
    """

    links: int
    scores: Mapping[str, Score]
    wrong: tuple[Mapping[str, Any], ...]
    missed: tuple[Mapping[str, Any], ...]


class _Universe:
    def __init__(self, source: str, path: Path) -> None:
        self.source = source
        self.rows = {row["id"]: row for row in _rows(path, {"id", "symbol", "name"})}
        self.items = {key: _facts(source, row) for key, row in self.rows.items()}

    def row(self, external_id: str) -> Row:
        return self.rows.get(external_id, {})


def evaluate(pairs: Path, left: Path, right: Path) -> Evaluation:
    """Link the items of two sources and compare the links with labels.

    Args:
        pairs: CSV with ``<left source>_id, <right source>_id, label`` and, if known,
            ``evidence`` and ``notes``; the names of the sources are taken from there.
        left: CSV, plain or gzip, with ``id, symbol, name`` and, if known, ``contracts``,
            ``rank`` or ``market_cap_rank``, ``price_usd`` and ``price_date``.
        right: The same, and ``name_source``: anything but ``capture`` is not the vendor's word.

    Raises:
        InvalidInputError: If a file lacks a column.
    """
    sources, labelled = _pairs(pairs)
    universes = (_Universe(sources[0], left), _Universe(sources[1], right))
    links = set(_links(*universes))
    return Evaluation(
        links=len(links),
        scores={
            name: _score([pair for pair in labelled if belongs(pair, universes[1])], links)
            for name, belongs in _SUBSETS.items()
        },
        wrong=tuple(
            _error(pair, universes, links)
            for pair in labelled
            if not pair.same and (pair.left, pair.right) in links
        ),
        missed=tuple(
            _error(pair, universes, links)
            for pair in labelled
            if pair.same and (pair.left, pair.right) not in links
        ),
    )


def _is_captured(pair: Pair, right: _Universe) -> bool:
    return right.row(pair.right).get("name_source", "capture") == "capture"


def _is_well_known(pair: Pair, right: _Universe) -> bool:
    rank = _whole(right.row(pair.right).get("rank"))
    return _is_captured(pair, right) and rank is not None and rank <= SMALL_RANK


_SUBSETS: Mapping[str, Callable[[Pair, _Universe], bool]] = {
    "all": lambda _pair, _right: True,
    "captured": _is_captured,
    "captured, not list only": lambda pair, right: (
        _is_captured(pair, right) and pair.evidence != "second source"
    ),
    f"captured, rank <= {SMALL_RANK}": _is_well_known,
}


def _links(left: _Universe, right: _Universe) -> Iterator[tuple[str, str]]:
    items = [*left.items.values(), *right.items.values()]
    for group in resolve(items, precedence={left.source: 1, right.source: 2}):
        found = [member.facts for member in group.members]
        for one in found:
            for other in found:
                if (one.source, other.source) == (left.source, right.source):
                    yield one.external_id, other.external_id


def _score(pairs: Iterable[Pair], links: set[tuple[str, str]]) -> Score:
    pairs = list(pairs)
    chosen: dict[str, set[str]] = {}
    for one, other in links:
        chosen.setdefault(one, set()).add(other)
    same = [pair for pair in pairs if pair.same]
    hits = sum((pair.left, pair.right) in links for pair in same)
    wrong = sum((pair.left, pair.right) in links for pair in pairs if not pair.same)
    answers = [(pair.right, chosen.get(pair.left, set())) for pair in same]
    return Score(
        same=len(same),
        different=len(pairs) - len(same),
        linked_same=hits,
        linked_different=wrong,
        precision=_share(hits, hits + wrong),
        recall=_share(hits, len(same)),
        unresolved_share=_share(sum(not found for _, found in answers), len(same)),
        another_share=_share(
            sum(bool(found) and right not in found for right, found in answers), len(same)
        ),
        several_share=_share(sum(len(found) > 1 for _, found in answers), len(same)),
    )


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None


def _error(
    pair: Pair, universes: tuple[_Universe, _Universe], links: set[tuple[str, str]]
) -> dict[str, Any]:
    rows = [side.row(key) for side, key in zip(universes, (pair.left, pair.right), strict=True)]
    items = [
        side.items.get(key) for side, key in zip(universes, (pair.left, pair.right), strict=True)
    ]
    evidence = weigh(items[0], items[1]) if items[0] and items[1] else None
    return {
        "left": pair.left,
        "right": pair.right,
        "left_name": f"{rows[0].get('name')} ({rows[0].get('symbol')})",
        "right_name": f"{rows[1].get('name')} ({rows[1].get('symbol')})",
        "score": evidence and evidence.score,
        "agrees": evidence and evidence.agrees,
        "linked_instead": sorted(right for left, right in links if left == pair.left),
        "notes": pair.notes,
    }


def _pairs(path: Path) -> tuple[tuple[str, str], list[Pair]]:
    rows = list(_rows(path, {"label"}))
    columns = [name for name in (rows[0] if rows else {}) if name.endswith("_id")]
    if len(columns) != 2:  # noqa: PLR2004 - one for each side
        raise InvalidInputError(f"{path.name} needs two columns that end in _id.")
    left, right = columns
    labelled = [
        Pair(
            row[left],
            row[right],
            row["label"] == "same",
            row.get("evidence", ""),
            row.get("notes", ""),
        )
        for row in rows
    ]
    return (left.removesuffix("_id"), right.removesuffix("_id")), labelled


def _rows(path: Path, needed: set[str]) -> Iterator[Row]:
    with _open(path) as file:
        reader = csv.DictReader(file)
        missing = needed - set(reader.fieldnames or ())
        if missing:
            raise InvalidInputError(f"{path.name} lacks the column {', '.join(sorted(missing))}.")
        yield from reader


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8", newline=""))
    return path.open(encoding="utf-8", newline="")


def _facts(source: str, row: Row) -> ItemFacts:
    return ItemFacts(
        source=source,
        external_id=row["id"],
        symbol=row["symbol"],
        name=row["name"],
        rank=_whole(row.get("rank") or row.get("market_cap_rank")),
        price_usd=_exact(row.get("price_usd")),
        observed_at=_moment(row.get("price_date")),
        contracts=row.get("contracts") or None,
    )


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _exact(text: str | None) -> Decimal | None:
    with suppress(InvalidOperation):
        return Decimal(text) if text else None
    return None


def _moment(text: str | None) -> datetime | None:
    with suppress(ValueError):
        found = datetime.fromisoformat(text) if text else None
        return found.replace(tzinfo=found.tzinfo or UTC) if found else None
    return None
