"""How a page's shape deviates from the accepted one.

The rules are those of the contract: fields are matched by likeness from 70 %, confidence is
``(matched + fuzzy) / expected``, and half of the fields missing or three in ten extra are worth a
warning.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tasks.domain import renames
from tasks.domain.renames import Match
from tasks.domain.shapes import Field, Measured, Seen, Shape, decode, measure, parent, rename

MISSING_WARNING = 0.5
EXTRA_WARNING = 0.3
NULL_RATE_RISE = 0.5
"""How much more of a field must be null or absent than usual. The vendors' own pages differ by up
to 0.4: the first page of a market list has hardly a null, its last one many."""
MIN_ITEMS_FOR_RATES = 20
"""A share of fewer items than these says nothing."""
_SHOWN_PARTS = 5


class Deviation(NamedTuple):
    """What is different about one item: the field's path, and the rest of the sentence."""

    field: str
    reason: str


class Finding(NamedTuple):
    """What is different.

    Attributes:
        confidence: ``(matched + fuzzy) / expected`` fields, 0 to 1.
        missing: Required fields that are gone; without those found under another name.
        extra: Fields nobody accepted; without those that are another field's new name.
        matches: Fields under another name.
        type_changes: By field, ``{"accepted": [...], "found": [...]}``.
        null_rate_changes: By field, ``{"accepted": rate, "found": rate}``.
        warnings: Sentences.
        overlay: What to merge into the accepted shape so that all this is accepted.
    """

    confidence: float
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    matches: tuple[Match, ...]
    type_changes: Mapping[str, Mapping[str, Sequence[str]]]
    null_rate_changes: Mapping[str, Mapping[str, float]]
    warnings: tuple[str, ...]
    overlay: Shape

    @property
    def is_structural(self) -> bool:
        """Tell a change of the contract from a mere change of how often a field is filled."""
        return bool(self.missing or self.extra or self.matches or self.type_changes)

    @property
    def elements(self) -> frozenset[str]:
        """Return each deviation as text without its figures: what makes two findings the same."""
        return frozenset(
            (
                *(f"missing {path}" for path in self.missing),
                *(f"extra {path}" for path in self.extra),
                *(f"renamed {match.expected} {match.found}" for match in self.matches),
                *(f"type {path} {change['found']}" for path, change in self.type_changes.items()),
                *(f"nulls {path}" for path in self.null_rate_changes),
            )
        )

    @property
    def fingerprint(self) -> str:
        """Return the same text for the same deviations, however many items show them."""
        listed = "\n".join(sorted(self.elements))
        return hashlib.blake2b(listed.encode(), digest_size=16).hexdigest()


def summary(finding: Finding) -> str:
    """Say in one line what is different."""
    parts = (
        *(f"{m.expected} is now {m.found}" for m in finding.matches),
        *(f"{path} is missing" for path in finding.missing),
        *(f"{path} is new" for path in finding.extra),
        *(f"{path} is {'/'.join(c['found'])}" for path, c in finding.type_changes.items()),
        *(f"{path} is null in {c['found']:.0%}" for path, c in finding.null_rate_changes.items()),
    )
    shown = "; ".join(parts[:_SHOWN_PARTS])
    return shown if len(parts) <= _SHOWN_PARTS else f"{shown}; and {len(parts) - _SHOWN_PARTS} more"


def examine(payloads: Iterable[bytes], accepted: Shape) -> Finding | None:
    """Compare a page's items with the accepted shape.

    Args:
        payloads: Items as JSON text, accepted renames undone.
        accepted: The baseline.

    Returns:
        None when there is nothing to say.
    """
    rows = decode(payloads)
    if not rows:
        return None
    measured, matches = measure(rows, accepted.nests), list[Match]()
    # A renamed object is looked into once its name is known, and may hold renamed fields.
    while found := renames.find(measured, accepted):
        matches += found
        for row in rows:
            for match in found:
                rename(row, match.found, match.expected)
        measured = measure(rows, accepted.nests)
    return _finding(measured, accepted, tuple(matches))


def deviation(payload: bytes, accepted: Shape) -> Deviation | None:
    """Say what is different about one item, renames undone; the first thing of several."""
    rows = decode([payload])
    found = _finding(measure(rows, accepted.nests), accepted, ()) if rows else None
    if found is None:
        return None
    for path in found.missing:
        return Deviation(path, "is missing")
    for path in found.extra:
        return Deviation(path, "is a field that nobody accepted")
    for path, change in found.type_changes.items():
        return Deviation(path, f"is of the type {', '.join(change['found'])}")
    return None


def _finding(measured: Measured, accepted: Shape, matches: Sequence[Match]) -> Finding | None:
    expected = [p for p, field in accepted.fields.items() if field.required and measured.holders(p)]
    missing = tuple(path for path in expected if _is_missing(measured, accepted, path))
    extra = tuple(_extra(measured, accepted))
    types = dict(_type_changes(measured, accepted))
    rates = dict(_rate_changes(measured, accepted, missing))
    if not (missing or extra or matches or types or rates):
        return None
    count = max(len(expected), 1)
    found = Finding(
        confidence=round((len(expected) - len(missing)) / count, 4),
        missing=missing,
        extra=extra,
        matches=tuple(matches),
        type_changes=types,
        null_rate_changes=rates,
        warnings=tuple(_warnings(len(missing), len(extra), count)),
        overlay=accepted,
    )
    return found._replace(overlay=_overlay(found, measured, accepted))


def _is_missing(measured: Measured, accepted: Shape, path: str) -> bool:
    count = measured.fields.get(path, Seen()).present
    return count * 2 < measured.holders(path) if accepted.is_table else count == 0


def _extra(measured: Measured, accepted: Shape) -> list[str]:
    return [
        path
        for path, seen in measured.fields.items()
        if path not in accepted.fields
        and parent(path) not in accepted.open
        and (not accepted.is_table or seen.present * 2 > measured.items)
    ]


def _type_changes(
    measured: Measured, accepted: Shape
) -> Iterable[tuple[str, Mapping[str, Sequence[str]]]]:
    for path, field in accepted.fields.items():
        found = measured.fields.get(path, Seen()).types
        if field.types and not found.issubset(field.types):
            yield path, {"accepted": list(field.types), "found": sorted(found)}


def _rate_changes(
    measured: Measured, accepted: Shape, missing: Sequence[str]
) -> Iterable[tuple[str, Mapping[str, float]]]:
    for path, field in accepted.fields.items():
        holders, seen = measured.holders(path), measured.fields.get(path, Seen())
        if path in missing or holders < MIN_ITEMS_FOR_RATES or accepted.is_table:
            continue
        absent = holders - seen.present if field.required else 0
        rate = (seen.nulls + absent) / holders
        if rate > field.null_rate + NULL_RATE_RISE:
            yield path, {"accepted": field.null_rate, "found": round(rate, 4)}


def _warnings(missing: int, extra: int, expected: int) -> Iterable[str]:
    for count, word, limit in (
        (missing, "missing", MISSING_WARNING),
        (extra, "extra", EXTRA_WARNING),
    ):
        if count and count / expected >= limit:
            yield (
                f"{count} fields are {word} where {expected} are expected "
                f"({count / expected:.0%}; warning from {limit:.0%})"
            )


def _overlay(found: Finding, measured: Measured, accepted: Shape) -> Shape:
    fields: dict[str, Field] = {}
    for path in (*found.missing, *found.type_changes, *found.null_rate_changes):
        known = accepted.fields[path]
        types = found.type_changes.get(path, {}).get("found", ())
        rate = found.null_rate_changes.get(path, {}).get("found", known.null_rate)
        is_required = known.required and path not in found.missing
        fields[path] = Field(tuple(sorted({*known.types, *types})), is_required, rate)
    for path in found.extra:
        types = sorted(measured.fields[path].types)
        fields[path] = Field(tuple(types), required=False, null_rate=1.0)
    if not accepted.is_table:
        renamed = {match.found: match.expected for match in found.matches}
        return Shape(fields=fields, renamed=renamed)
    for match in found.matches:
        known = accepted.fields[match.expected]
        fields[match.expected] = Field(known.types, required=False, null_rate=known.null_rate)
        fields[match.found] = Field(known.types, required=False, null_rate=known.null_rate)
    return Shape(fields=fields)
