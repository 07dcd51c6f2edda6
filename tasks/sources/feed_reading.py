"""Feeds of every format as entries: RSS 0.9x, 1.0 and 2.0, Atom, JSON Feed.

feedparser knows the zoo; what it is known to trip over is mended before it sees the bytes, and what
it should never see is refused. It is only ever handed bytes: a string it would try to fetch.
"""

import codecs
import io
import re
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple
from xml.sax import SAXException

import msgspec

from tasks.core.errors import UnreadablePageError
from tasks.domain import quality

MAX_BYTES = 10_000_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GUESSES = frozenset(("windows-1252", "iso-8859-2", ""))
_SPOILT = 20
"""A text of which one foreign character in so many is not UTF-8 is still UTF-8."""
_GZIP = b"\x1f\x8b"
_MAX_PROLOG_BYTES = 100_000
_MAX_ENTITIES = 300
"""XHTML defines 253, and some feeds bring them along."""

# All that the library's lenient parser was seen to raise on damaged markup, by class.
_TROUBLE = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, SAXException,
    TypeError, ValueError,
)  # fmt: skip
_ROOT = re.compile(rb"<[A-Za-z_]")
_DECLARED = re.compile(rb"<!ENTITY\s+([^>]{1,2000})>")
_HARMLESS = re.compile(
    rb"""(\w{1,40})\s+(?:"([^"&%<]{0,40}|&#\w{1,8};)"|'([^'&%<]{0,40}|&#\w{1,8};)')\s*"""
)
_PARAMETER = re.compile(rb"%\s*\w{1,40}\s+PUBLIC\s")
# CoinDesk sends an empty one behind the real description, and the last would win.
_EMPTY_DC_DESCRIPTION = re.compile(
    rb"<dc:description(?:\s{0,20}/>|>\s{0,100}</dc:description\s{0,20}>)"
)


class Entry(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An entry in its feed's words; all texts as they came, markup included.

    Attributes:
        id: guid, id or rdf:about.
        published: The date as written; ``updated`` likewise.
        read_published: ISO; what the feed library makes of a date in a language of its own.
    """

    id: str = ""
    link: str = ""
    title: str = ""
    summary: str = ""
    content: str = ""
    authors: list[str] = []
    published: str = ""
    updated: str = ""
    read_published: str = ""
    tags: list[str] = []


class Feed(NamedTuple):
    """A feed: its title and address as it says, and its entries."""

    title: str
    link: str
    entries: list[Entry]


def read(body: bytes, *, media_type: str, url: str) -> Feed:
    """Read a feed of any format.

    Args:
        body: Verbatim.
        media_type: ``Content-Type`` of the answer; its charset counts as RFC 3023 says.
        url: Where it came from.

    Raises:
        UnreadablePageError: If it is no feed, or one that is not safe to read.
    """
    body = _inflated(body)
    if len(body) > MAX_BYTES:
        raise UnreadablePageError(f"The feed is larger than {MAX_BYTES // 10**6} MB")
    stripped = body.lstrip(b" \t\r\n\xef\xbb\xbf")
    if stripped[:1] == b"{":
        return _read_json(stripped)
    import feedparser  # noqa: PLC0415 - dear, and only feeds need it

    document = _safe(_as_utf8(body, media_type))
    try:
        parsed = feedparser.parse(
            io.BytesIO(document),
            response_headers={
                "content-type": "application/xml; charset=utf-8",
                "content-location": url,
            },
            resolve_relative_uris=False,
            sanitize_html=False,
        )
        entries = [_entry(entry) for entry in parsed["entries"]]
    except _TROUBLE as exc:
        raise UnreadablePageError(f"The feed cannot be read: {type(exc).__name__}") from exc
    if not parsed["version"] and not entries:
        raise UnreadablePageError(f"This is not a feed. It begins {quality.shown(body[:60])}")
    return Feed(_text(parsed["feed"], "title"), _text(parsed["feed"], "link"), entries)


def _inflated(body: bytes) -> bytes:
    """Undo a compression that the server did not declare, no further than the size limit."""
    if not body.startswith(_GZIP):
        return body
    try:
        return zlib.decompressobj(wbits=31).decompress(body, MAX_BYTES + 1)
    except zlib.error as exc:
        raise UnreadablePageError("The feed is compressed and broken") from exc


def _as_utf8(body: bytes, media_type: str) -> bytes:
    """Decode as the byte-order mark, the header, the declaration or the bytes themselves say."""
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            # RFC 7303: the mark counts more than what anybody says about the bytes.
            text = body[len(mark) :].decode(encoding, "replace")
            body, media_type = text.encode("utf-8", "replace"), "application/xml; charset=utf-8"
            break
    from feedparser.encodings import convert_to_utf8  # noqa: PLC0415 - as above

    result: dict[str, Any] = {}
    headers = {"content-type": media_type} if media_type else {}
    try:
        # A line before the XML declaration is against the rules and common.
        document = convert_to_utf8(headers, body.lstrip(b" \t\r\n"), result)
    except (ValueError, LookupError) as exc:
        raise UnreadablePageError("The feed names a character encoding nobody knows") from exc
    if result["encoding"] not in _GUESSES:
        return bytes(document)
    # The last resort fits any bytes. A spoilt character must not spoil all the others.
    text = body.decode("utf-8", "replace")
    foreign = sum(not character.isascii() for character in text)
    if text.count("\ufffd") * _SPOILT >= foreign:
        return bytes(document)
    return text.encode()


def _safe(document: bytes) -> bytes:
    """Replace what stands before the root element by what of it is harmless."""
    root = _ROOT.search(document)
    if root is None:
        raise UnreadablePageError(f"This is not a feed. It begins {quality.shown(document[:60])}")
    prolog, rest = document[: root.start()], document[root.start() :]
    if len(prolog) > _MAX_PROLOG_BYTES:
        raise UnreadablePageError("The feed has a suspiciously long prolog; it is refused")
    entities = b"\n".join(_entities(prolog))
    doctype = b"<!DOCTYPE feed [\n" + entities + b"\n]>\n" if entities else b""
    head = b"<?xml version='1.0' encoding='utf-8'?>\n" + doctype
    return head + _EMPTY_DC_DESCRIPTION.sub(b"", rest)


def _entities(prolog: bytes) -> Iterable[bytes]:
    """Give the declarations that only name a character or a few words; refuse all that do more."""
    declared = _DECLARED.findall(prolog)
    if len(declared) != prolog.count(b"<!ENTITY") or len(declared) > _MAX_ENTITIES:
        raise UnreadablePageError("The feed declares entities nobody needs; it is refused")
    for declaration in declared:
        match = _HARMLESS.fullmatch(declaration)
        if match is not None:
            value = match[2] if match[2] is not None else match[3].replace(b'"', b"&#34;")
            yield b'<!ENTITY %s "%s">' % (match[1], value)
        elif not _PARAMETER.match(declaration):
            raise UnreadablePageError(
                "The feed declares entities made of other entities or files; it is refused"
            )


def _entry(entry: dict[str, Any]) -> Entry:
    content = dict.get(entry, "content") or []
    moment = dict.get(entry, "published_parsed") or dict.get(entry, "updated_parsed")
    authors = [_text(author, "name") for author in dict.get(entry, "authors") or []]
    return Entry(
        id=_text(entry, "id"),
        link=_text(entry, "link"),
        title=_text(entry, "title"),
        summary=_text(entry, "summary"),
        content=next((text for part in content if (text := _text(part, "value"))), ""),
        authors=[name for name in (*authors, _text(entry, "author")) if name][: len(authors) or 1],
        published=_text(entry, "published"),
        updated=_text(entry, "updated"),
        read_published="{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*moment[:6]) if moment else "",
        tags=[_text(tag, "term") for tag in dict.get(entry, "tags") or []],
    )


def _text(fields: dict[str, Any], name: str) -> str:
    # FeedParserDict answers for missing keys with others, and warns; dict does neither.
    value = dict.get(fields, name)
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else ""


class _JsonAuthor(msgspec.Struct):
    name: str | None = None


class _JsonEntry(msgspec.Struct):
    id: str | int | float | None = None
    url: str | None = None
    external_url: str | None = None
    title: str | None = None
    summary: str | None = None
    content_html: str | None = None
    content_text: str | None = None
    date_published: str | None = None
    date_modified: str | None = None
    author: _JsonAuthor | None = None
    authors: list[_JsonAuthor] | None = None
    tags: list[str] | None = None


class _JsonFeed(msgspec.Struct):
    version: str
    items: list[msgspec.Raw]
    title: str | None = None
    home_page_url: str | None = None


def _read_json(body: bytes) -> Feed:
    try:
        feed = msgspec.json.decode(body, type=_JsonFeed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise UnreadablePageError(f"This is JSON, but not a JSON Feed: {exc}") from exc
    if "jsonfeed.org" not in feed.version:
        raise UnreadablePageError("This is JSON, but it does not say it is a JSON Feed")
    entries = [_json_entry(raw) for raw in feed.items]
    return Feed(feed.title or "", feed.home_page_url or "", entries)


def _json_entry(raw: msgspec.Raw) -> Entry:
    try:
        item = msgspec.json.decode(raw, type=_JsonEntry, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Entry()  # An entry without a word is rejected by itself.
    authors = [*(item.authors or []), *([item.author] if item.author else [])]
    return Entry(
        id="" if item.id is None else str(item.id),
        link=item.url or item.external_url or "",
        title=item.title or "",
        summary=item.summary or "",
        # Plain text may hold characters that would be markup.
        content=item.content_html or _escaped(item.content_text or ""),
        authors=[author.name for author in authors if author.name],
        published=item.date_published or "",
        updated=item.date_modified or "",
        tags=item.tags or [],
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
