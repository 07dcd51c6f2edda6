"""Cutting a JSON array into items and pages without decoding or changing a byte of them."""

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from tasks.core.errors import TransientError, UnreadablePageError
from tasks.domain import quality
from tasks.domain.quality import Fault
from tasks.domain.records import Item, Rejection
from tasks.sources.base import Content, Page

T = TypeVar("T")

BOM = b"\xef\xbb\xbf"
BROKEN_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on bytes from outside; the last for arrays nested a thousand deep."""

_ARRAY = re.compile(rb"\s*\[")
# Vendors write the id first; this finds it ten times faster than a decoder that must walk to the
# end of the item. What it does not match, a decoder looks at.
_LEADING_ID = re.compile(rb'\{\s*"id"\s*:\s*"([ !#-\[\]-~]{1,200})"')
# A quotation mark inside a JSON text is escaped, so neither of these can match within one.
_EMPTY_VALUE = re.compile(rb':\s*""')
_WHOLE_RANK = re.compile(rb'(rank"\s*:\s*\d+)\.0+(?=\s*[,}])')
# A message of msgspec's ends in the place: "Expected `str`, got `int` - at `$.symbol`".
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<place>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]*)`")


_UTF8 = codecs.getincrementaldecoder("utf-8")
_PIECE_BYTES = 1 << 20


class _Identified(msgspec.Struct, gc=False):
    id: str


class _Wrapped(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]


class _Stamped(msgspec.Struct, gc=False):
    last_updated: datetime


_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_WRAPPED = msgspec.json.Decoder(_Wrapped)
_IDENTIFIED = msgspec.json.Decoder(_Identified)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STAMPED = msgspec.json.Decoder(_Stamped)


def split(content: Content) -> list[msgspec.Raw]:
    """Cut an array of objects into its items' very bytes, at some 1 µs each; none is copied.

    The array may stand under ``data`` of an object: proxies and people who save answers wrap it
    so. Single items that are not objects stay, to be rejected one by one; an array of nothing but
    such items (a price chart, say) is another kind of answer.

    Raises:
        UnreadablePageError: If there is no such array.
    """
    body = memoryview(content)[len(BOM) if content[: len(BOM)] == BOM else 0 :]
    try:
        # Texts are skipped undecoded below, but PostgreSQL reads all of a stored page.
        _check_text(body)
        found = _ITEMS.decode(body) if is_array(body) else _WRAPPED.decode(body).data
    except BROKEN_JSON as exc:
        begin = quality.shown(bytes(body[:40]))
        raise UnreadablePageError(
            f"The page is not a JSON array of objects: {exc}. It begins {begin}"
        ) from exc
    if found and not any(is_object(item) for item in found):
        raise UnreadablePageError("The page is a JSON array, but none of its items is an object")
    return found


def is_array(content: Content | memoryview) -> bool:
    """Tell whether a text begins as a JSON array does."""
    return _ARRAY.match(content) is not None


def _check_text(body: memoryview) -> None:
    """Decode piece by piece, so that a large answer is not held a second time as text."""
    decoder = _UTF8()
    for start in range(0, len(body), _PIECE_BYTES):
        decoder.decode(body[start : start + _PIECE_BYTES])
    decoder.decode(b"", final=True)


def answered(content: Content) -> list[msgspec.Raw]:
    """Cut an answer that has just come in; asking again may mend one that is broken JSON.

    Raises:
        TransientError: If the body is not JSON at all: broken off or mangled on the way, for which
            the vendor's next answer is the cure.
        UnreadablePageError: If it is JSON of another shape, which is what the vendor means to say.
    """
    try:
        return split(content)
    except UnreadablePageError as exc:
        if type(exc.__cause__) in {msgspec.DecodeError, UnicodeDecodeError}:
            raise TransientError(f"The answer is broken JSON: {exc.__cause__}") from exc
        raise


def verbatim(
    content: Content, raw_items: Sequence[msgspec.Raw], kept: Sequence[msgspec.Raw]
) -> bytes:
    """Return the body of a page that holds the ``kept`` ones of a body's items.

    It is the body itself when that is an array and all of it is kept, else an array of the very
    bytes of the kept items.
    """
    if len(kept) == len(raw_items) and is_array(content):
        return bytes(content)
    return b"[" + b",".join(kept) + b"]"


def is_object(item: msgspec.Raw) -> bool:
    """Tell whether an item is a JSON object."""
    return bytes(memoryview(item)[:1]) == b"{"


def items(page: Page) -> Iterator[Item]:
    """Split a page into items that know when it was fetched, made one at a time.

    Raises:
        UnreadablePageError: At once, not when the first item is asked for.
    """
    raw_items = split(page.body)
    context = {"fetched_at": page.fetched_at}
    return (Item(external_id(payload), payload, context) for payload in map(bytes, raw_items))


def external_id(payload: bytes) -> str | None:
    """Read the text under ``id``; None when there is none, or none that could be stored."""
    match = _LEADING_ID.match(payload)
    if match is not None:
        return match[1].decode("ascii")
    try:
        found = _IDENTIFIED.decode(payload).id
    except BROKEN_JSON:
        return None
    return None if quality.text_fault(found, quality.MAX_ID_CHARS) else found


def decode(decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
    """Decode an item, forgiving what vendors were seen to do or document.

    An empty text stands for a missing value of any type (CoinPaprika's OpenAPI document), and whole
    numbers may be written as ``1.0`` (CoinGecko since 2024, for supplies).

    Raises:
        Exception: Any of :data:`BROKEN_JSON`.
    """
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError:
        return decoder.decode(_WHOLE_RANK.sub(rb"\1", _EMPTY_VALUE.sub(b":null", payload)))


def newest(
    raw_items: Iterable[msgspec.Raw], *, since: str | None, fetched_at: datetime
) -> str | None:
    """Find the newest ``last_updated`` among items and ``since``, passing over wrong dates.

    Returns:
        RFC 3339 text as a checkpoint keeps it; None if there is no date at all.
    """
    latest = None if since is None else datetime.fromisoformat(since)
    for item in raw_items:
        stamp = _stamp(item)
        if stamp is None or quality.date_fault(stamp, fetched_at=fetched_at):
            continue
        latest = stamp if latest is None else max(latest, stamp)
    return None if latest is None else latest.astimezone(UTC).isoformat().replace("+00:00", "Z")


def rejection(item: Item, error: Exception) -> Rejection:
    """Turn msgspec's complaint about an item into the vendor's field and one of our rules."""
    what, place = str(error), ""
    if isinstance(error, msgspec.ValidationError) and (match := _PLACE.match(what)):
        what, place = match["what"], match["place"] or ""
    if match := _MISSING.match(what):
        field = f"{place}.{match['name']}".lstrip(".")
        return quality.rejection(item.external_id, field, Fault("required", "is missing"))
    if not place:
        return quality.rejection(item.external_id, "*", Fault("shape", f"is unusable: {what}"))
    shown = quality.shown(_text_at(item.payload, place))
    return quality.rejection(item.external_id, place, Fault(_rule(what), f"is {shown}: {what}"))


def id_rejection(item: Item) -> Rejection:
    """Say why :func:`external_id` found nothing in an item."""
    try:
        found = _IDENTIFIED.decode(item.payload).id
    except BROKEN_JSON as exc:
        return rejection(item, exc)
    fault = quality.text_fault(found, quality.MAX_ID_CHARS)
    return quality.rejection(None, "id", fault or Fault("required", "was not given with the item"))


def _text_at(payload: bytes, place: str) -> str:
    text = payload
    try:
        for name in place.split("."):
            text = bytes(_MEMBERS.decode(text)[name])
        return text.decode()
    except (*BROKEN_JSON, KeyError):
        # The item is broken in a second way, after the place that was complained of.
        return "?"


def _rule(complaint: str) -> str:
    if complaint.endswith("got `null`"):
        return "required"
    return "date" if "datetime" in complaint else "type"


def _stamp(item: msgspec.Raw) -> datetime | None:
    try:
        stamp = _STAMPED.decode(item).last_updated
    except BROKEN_JSON:
        return None
    return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp
