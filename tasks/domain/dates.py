"""Dates as files and feeds write them, read into aware UTC.

A date without a zone is taken as UTC, which is what exports of market data mean. Day and month in
figures are read only in an order that is proven; a wrong guess would be off by months and silent.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

# Epochs by the number of their whole digits: 2001 to 2286, in seconds … nanoseconds.
_EPOCH_DIGITS = {10: 0, 13: 3, 16: 6, 19: 9}
_EPOCH = re.compile(r"(\d{10}|\d{13}|\d{16}|\d{19})(?:\.(\d+))?", re.ASCII)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
        start=1,
    )
}
_MONTH = r"(?P<name>[a-z]{3,9})\.?"
_YEAR = r"(?P<year>\d{4}|\d{2})"
_TIME = (
    r"(?:[,\s]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?"
    r"\s*(?P<half>am|pm)?\s*(?P<zone>[+-]\d{2}:?\d{2}|[a-z]{1,4})?)?"
)
_WEEKDAY = r"(?:[a-z]{3,9},?\s+)?"
_FLAGS = re.IGNORECASE | re.ASCII
_NAMED = (
    re.compile(
        rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})(?:[snrt][tdh])?,?\s+{_YEAR}{_TIME}", _FLAGS
    ),
    re.compile(
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})(?:[\s-]|\.\s*){_MONTH}[\s,-]\s*{_YEAR}{_TIME}", _FLAGS
    ),
)
_FIGURES = re.compile(
    rf"(?P<first>\d{{1,2}})(?P<mark>[/.-])(?P<other>\d{{1,2}})(?P=mark){_YEAR}{_TIME}", _FLAGS
)
# ``2023-08-02 10:29:14.984399 +0000 UTC`` (Go) and ``2013-04-28 00:00:00 UTC`` (exports).
_ISO_TAIL = re.compile(r"\s+(?:(?P<offset>[+-]\d{2}:?\d{2})(?:\s+[A-Z]{3,4})?|UTC|GMT|Z)$")
_ISO = re.compile(r"\d{4}[-/.]?\d{2}(?:[-/.]?\d{2}.*)?", re.ASCII)
# RFC 822 names these; any other abbreviation is somebody's local custom.
_ZONES = {"ut": 0, "utc": 0, "gmt": 0, "z": 0}
_ZONES |= {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}
_DOTTED = "dmy"
"""Countries that write dates with dots put the day first; none puts the month first."""


@lru_cache(maxsize=4096)
def parse(text: str, *, order: str = "") -> datetime:
    """Read a date in any of the shapes this module knows.

    Args:
        text: As written.
        order: ``dmy`` or ``mdy``: what the rest of the file proves about dates like ``05/01/2025``;
            empty when it proves nothing.

    Raises:
        ValueError: With a sentence without its subject: not a date, or one of two.
    """
    text = text.strip()
    moment = _epoch(text) or _iso(text) or _named(text)
    if moment is not None:
        return moment
    match = _FIGURES.fullmatch(text)
    if match is None:
        raise ValueError("is not a date in a known form")
    day, month = _day_and_month(match, order)
    return _assembled(match, day, month)


def proven_order(texts: Iterable[str]) -> str:
    """Return the order of day and month that dates in figures prove; empty when they prove none.

    A single day above 12 proves it for all; dates that prove both orders prove none.
    """
    proofs = set()
    for text in texts:
        match = _FIGURES.fullmatch(text.strip())
        if match is None:
            continue
        if int(match["first"]) > 12:  # noqa: PLR2004 - months of a year
            proofs.add("dmy")
        if int(match["other"]) > 12:  # noqa: PLR2004
            proofs.add("mdy")
    return proofs.pop() if len(proofs) == 1 else ""


def _day_and_month(match: re.Match[str], order: str) -> tuple[int, int]:
    first, other = int(match["first"]), int(match["other"])
    if not order and match["mark"] == ".":
        order = _DOTTED
    if not order and max(first, other) > 12:  # noqa: PLR2004 - months of a year
        order = "dmy" if first > other else "mdy"
    if not order and first != other:
        raise ValueError(
            "may have the day or the month first, and nothing in the file proves which"
        )
    return (first, other) if order == "dmy" else (other, first)


def _epoch(text: str) -> datetime | None:
    match = _EPOCH.fullmatch(text)
    if match is None:
        return None
    scale = _EPOCH_DIGITS[len(match[1])]
    microseconds = int((match[1] + "000000")[:16]) if scale != 0 else int(match[1]) * 10**6
    if scale == 0 and match[2]:
        microseconds += int(match[2][:6].ljust(6, "0"))
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _iso(text: str) -> datetime | None:
    if not _ISO.fullmatch(text):
        return None
    if len(text) > 4 and text[4] in "/.":  # noqa: PLR2004 - behind the year
        text = text[:10].replace(text[4], "-") + text[10:]
    text = _ISO_TAIL.sub(lambda match: match["offset"] or "+00:00", text)
    try:
        return _utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _named(text: str) -> datetime | None:
    for pattern in _NAMED:
        match = pattern.fullmatch(text)
        month = _MONTHS.get(match["name"][:3].lower()) if match else None
        if match and month:
            return _assembled(match, int(match["day"]), month)
    return None


def _assembled(match: re.Match[str], day: int, month: int) -> datetime:
    year, hour = int(match["year"]), int(match["hour"] or 0)
    # Two figures mean this century: there was nothing to quote in the last one.
    year += 2000 if len(match["year"]) == 2 else 0  # noqa: PLR2004
    half = (match["half"] or "").lower()
    if half and not 1 <= hour <= 12:  # noqa: PLR2004 - hours of half a day
        raise ValueError("is not a date in a known form")
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    clock = (hour, int(match["minute"] or 0), int(match["second"] or 0))
    zone = _zone(match["zone"])
    try:
        return _utc(datetime(year, month, day, *clock, tzinfo=zone))
    except (ValueError, OverflowError) as exc:
        raise ValueError("is not a day of the calendar") from exc


def _zone(text: str | None) -> timezone:
    if not text:
        return UTC
    if text[0] in "+-":
        sign, digits = (-1 if text[0] == "-" else 1), text[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        if offset >= timedelta(days=1):
            raise ValueError("names a time zone nobody defines")
        return timezone(sign * offset)
    if text.lower() not in _ZONES:
        raise ValueError("names a time zone nobody defines")
    return timezone(timedelta(hours=_ZONES[text.lower()]))


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
