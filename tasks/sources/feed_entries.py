"""One entry of a feed as a news entry, or why it is none."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from tasks.domain import dates, plain_text, quality
from tasks.domain.records import NewsEntry, Rejection
from tasks.sources.feed_reading import Entry

_TITLE_CHARS = 300
_SUMMARY_CHARS = 2_000
_AUTHOR_CHARS = 200
_ID_CHARS = 300
_URL_CHARS = 2_000
_SHORT_TITLE_CHARS = 120
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)

# Names of a series whose parts a publisher puts under one address, one after the other.
_RECURRING = re.compile(
    r"\b(?:today|daily|this week|weekly|this month|monthly|round-?up|recap|briefing|newsletter)\b",
    re.IGNORECASE,
)
_DATED = re.compile(r"\b(?:19|20)\d\d[-/]?[01]\d(?:[-/]?[0-3]\d)?\b")
_TRACKING = ("utm_", "fbclid", "gclid", "mc_cid", "mc_eid")


class Surroundings(NamedTuple):
    """What the page knows and an entry does not say.

    Attributes:
        feed: Title of the feed, or its host.
        base: Address against which links are resolved; its host tells ids of feeds apart.
        reused: Ids that several different entries of the page carry.
        fetched_at: When the page came in.
    """

    feed: str = ""
    base: str = ""
    reused: frozenset[str] = frozenset()
    fetched_at: datetime | None = None


def reused_ids(entries: Iterable[Entry]) -> frozenset[str]:
    """Return the ids that do not identify: different entries of one page carry them."""
    distinct = {(entry.id, entry.link, entry.title) for entry in entries if entry.id}
    counts = Counter(entry_id for entry_id, _, _ in distinct)
    return frozenset(entry_id for entry_id, count in counts.items() if count > 1)


def news_entry(entry: Entry, surroundings: Surroundings) -> NewsEntry | Rejection:
    """Make a news entry, or say why it cannot be one. Total."""
    text = plain_text.from_markup(entry.summary, max_chars=_SUMMARY_CHARS)
    text = text or plain_text.from_markup(entry.content, max_chars=_SUMMARY_CHARS)
    title = plain_text.from_markup(entry.title, max_chars=_TITLE_CHARS)
    url = address(entry.link, surroundings.base)
    published_at = _published_at(entry, surroundings)
    external_id = _external_id(entry, title, url, published_at, surroundings)
    if not title and not text:
        return Rejection(external_id, "title", "required", "The entry has neither title nor text.")
    author = plain_text.from_markup(
        ", ".join(dict.fromkeys(entry.authors)), max_chars=_AUTHOR_CHARS
    )
    return NewsEntry(
        external_id=external_id,
        feed=surroundings.feed,
        title=title or plain_text.shortened(text, _SHORT_TITLE_CHARS),
        url=url,
        summary=text or None,
        author=author or None,
        published_at=published_at,
    )


def address(link: str, base: str) -> str | None:
    """Return an http address without what only tracks readers; None for anything else."""
    try:
        parts = urlsplit(urljoin(base, link.strip()))
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    if not link.strip() or not is_web:
        return None
    query = parse_qsl(parts.query, keep_blank_values=True)
    kept = [pair for pair in query if not pair[0].lower().startswith(_TRACKING)]
    if len(kept) != len(query):
        parts = parts._replace(query=urlencode(kept))
    url = urlunsplit(parts)
    return url if len(url) <= _URL_CHARS and url.isprintable() and " " not in url else None


def _published_at(entry: Entry, surroundings: Surroundings) -> datetime | None:
    for text in (entry.published, entry.updated, entry.read_published):
        try:
            moment = dates.parse(text)
        except ValueError:
            continue
        if not quality.date_fault(moment, fetched_at=surroundings.fetched_at, not_before=_EARLIEST):
            return moment
    return None


def _external_id(
    entry: Entry,
    title: str,
    url: str | None,
    published_at: datetime | None,
    surroundings: Surroundings,
) -> str:
    own = quality.clean(entry.id)
    key = address(own, "") or own or url
    if not key:
        return f"{_host(surroundings.base)}/{_digest(title, entry.published, entry.summary)}"
    if ":" not in key:
        key = f"{_host(surroundings.base)}/{key}"
    if len(key) > _ID_CHARS or not key.isprintable():
        key = f"{_host(surroundings.base)}/{_digest(key)}"
    if entry.id in surroundings.reused:
        return f"{key}#{_digest(url or '', title)}"
    if published_at is not None and _is_series(key, title, url):
        return f"{key}#{published_at:%Y-%m-%d}"
    return key


def _is_series(key: str, title: str, url: str | None) -> bool:
    """Tell whether the next part will come under the same address; see docs/sources.md."""
    is_address = key.startswith(("http://", "https://"))
    return is_address and bool(_RECURRING.search(title)) and not _DATED.search(f"{key} {url}")


def _host(base: str) -> str:
    try:
        return urlsplit(base).hostname or "feed"
    except ValueError:
        return "feed"


def _digest(*texts: str) -> str:
    joined = "\x00".join(texts).encode("utf-8", "replace")
    return hashlib.blake2b(joined, digest_size=12).hexdigest()
