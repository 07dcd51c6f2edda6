"""RSS, Atom and JSON Feed: one request for each feed; none can take the others down."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from tasks.core.errors import (
    BudgetSpentError,
    BudgetWaitError,
    CircuitOpenError,
    PermanentError,
    TransientError,
    UnavailableError,
    UnreadablePageError,
)
from tasks.domain import plain_text
from tasks.domain.records import Item, NewsEntry, Rejection
from tasks.sources import feed_entries, feed_reading, parts
from tasks.sources.base import Cursor, FetchContext, Fetched, Page, Response, SourceSpec
from tasks.sources.feed_entries import Surroundings
from tasks.sources.feed_reading import Entry, Feed

_NOT_MODIFIED = 304
_FEED_CHARS = 200
_EMPTY = "not-sent"
"""Header of a page without entries, saying why there is nothing to read."""
_ACCEPT = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.1"
)
# These speak of the source as a whole, not of one feed.
_WHOLE_SOURCE = (BudgetWaitError, BudgetSpentError, CircuitOpenError, UnavailableError)


class FeedState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a feed.

    Attributes:
        etag: Given back as ``If-None-Match``.
        last_modified: Given back as ``If-Modified-Since``.
        digest: Of its body, for servers that know neither.
        entries: How many it had.
        newest: Id and date, as written, of its newest entry.
    """

    etag: str = ""
    last_modified: str = ""
    digest: str = ""
    entries: int = 0
    newest: tuple[str, str] = ("", "")


class Progress(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The cursor: how far this run has come.

    Attributes:
        feeds: Every feed's state, as in the checkpoint.
        waiting: Feeds to ask, in this order.
        deferred: Those among them that failed once and are asked again after the others.
        has_answer: Whether any feed was read in this run.
    """

    feeds: dict[str, FeedState]
    waiting: list[str]
    deferred: list[str] = []
    has_answer: bool = False

    def checkpoint(self) -> dict[str, Any]:
        """Return the JSON that is stored when all up to here is loaded."""
        return {"feeds": msgspec.to_builtins(self.feeds)}


class Rss:
    """The connector of news feeds."""

    spec = SourceSpec(
        name="rss",
        kind="news",
        title="News feeds",
        json_items=False,
        crosses_network=True,
        fresh_for_s=24 * 3600,
        resume_within_s=3600,
        precedence=40,
        incremental=True,
    )

    def fetch(self, context: FetchContext, cursor: Cursor | None) -> Fetched:
        """Ask one feed.

        A feed that fails for the moment is put behind the others and asked once more; one that
        fails for good becomes a rejection (:mod:`tasks.sources.parts`).

        Raises:
            TransientError: If no feed could be read and this was the last to try.
            PermanentError: If no feed is configured, or none can ever be read.
        """
        urls = {feed_key(url): url for url in context.settings.urls}
        progress = _progress(context, cursor, urls)
        if not progress.waiting:
            raise PermanentError("RSS_URLS: no feed is configured")
        key = progress.waiting.pop(0)
        try:
            page = _ask(context, key, urls[key], progress)
        except _WHOLE_SOURCE:
            raise
        except TransientError as exc:
            if not progress.has_answer and not progress.waiting:
                raise
            page = _defer(context, key, progress, exc)
        except PermanentError as exc:
            if not progress.has_answer and not progress.waiting:
                raise
            page = _failed(context, key, progress, exc)
        is_end = not progress.waiting
        return Fetched(pages=(page,), next_cursor=None if is_end else msgspec.to_builtins(progress))

    def parse(self, page: Page) -> Iterable[Item]:
        """Split a feed into entries.

        Raises:
            UnreadablePageError: If the page is no feed, or one that is not safe to read.
        """
        broken = parts.failure(page)
        if broken is not None:
            return iter((broken,))
        if page.status == _NOT_MODIFIED or (not page.body and _EMPTY in page.headers):
            return iter(())
        return _items(page)

    def normalise(self, item: Item) -> NewsEntry | Rejection:
        """Make a news entry of an item, or say why it cannot be one."""
        broken = parts.rejection(item)
        if broken is not None:
            return broken
        try:
            entry = msgspec.json.decode(item.payload, type=Entry)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Rejection(None, "*", "shape", "The item is not an entry of a feed.")
        return feed_entries.news_entry(entry, item.context.get("surroundings") or Surroundings())


def feed_key(url: str) -> str:
    """Return a feed's address as it may be shown: what could be a secret in it is a digest."""
    parts_ = urlsplit(url)
    public = urlunsplit((parts_.scheme, parts_.netloc.rpartition("@")[2], parts_.path, "", ""))
    if public == url:
        return public
    return f"{public}#{hashlib.blake2b(url.encode(), digest_size=4).hexdigest()}"


def _progress(context: FetchContext, cursor: Cursor | None, keys: Iterable[str]) -> Progress:
    if cursor is None:
        known = msgspec.convert(context.checkpoint.get("feeds", {}), dict[str, FeedState])
        return Progress(feeds={key: known[key] for key in keys if key in known}, waiting=list(keys))
    progress = msgspec.convert(cursor, Progress)
    # Settings may have changed between the runs of which this one goes on.
    progress.waiting = [key for key in progress.waiting if key in set(keys)]
    return progress


def _ask(context: FetchContext, key: str, url: str, progress: Progress) -> Page:
    known = progress.feeds.get(key, FeedState())
    response = context.http.get(url, headers=_conditions(known))
    digest = hashlib.blake2b(response.body, digest_size=16).hexdigest()
    if response.status == _NOT_MODIFIED or (known.digest and digest == known.digest):
        if key not in progress.feeds:
            raise PermanentError("It says that nothing has changed to one who has nothing yet")
        progress.has_answer = True
        return _unchanged(context, key, response, progress)
    media_type = response.headers.get("content-type", "")
    try:
        feed = feed_reading.read(response.body, media_type=media_type, url=response.url)
    except UnreadablePageError as exc:
        return _failed(context, key, progress, exc, response)
    progress.has_answer = True
    progress.feeds[key] = _state(response, digest, feed)
    return _page(context, key, response, progress, item_count=len(feed.entries))


def _conditions(known: FeedState) -> Mapping[str, str]:
    headers = {"Accept": _ACCEPT}
    if known.etag:
        headers["If-None-Match"] = known.etag
    if known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    return headers


def _state(response: Response, digest: str, feed: Feed) -> FeedState:
    newest = feed.entries[0] if feed.entries else Entry()
    return FeedState(
        etag=response.headers.get("etag", ""),
        last_modified=response.headers.get("last-modified", ""),
        digest=digest,
        entries=len(feed.entries),
        newest=((newest.id or newest.link)[:300], (newest.published or newest.updated)[:100]),
    )


def _page(
    context: FetchContext, key: str, response: Response, progress: Progress, *, item_count: int
) -> Page:
    return Page(
        request=key,
        status=response.status,
        body=response.body,
        media_type=response.headers.get("content-type", ""),
        headers={
            name: value
            for name in ("etag", "last-modified")
            if (value := response.headers.get(name))
        },
        item_count=item_count,
        checkpoint=progress.checkpoint(),
        fetched_at=context.clock.now(),
    )


def _unchanged(context: FetchContext, key: str, response: Response, progress: Progress) -> Page:
    return Page(
        request=key,
        status=response.status,
        body=b"",
        media_type=response.headers.get("content-type", ""),
        headers={_EMPTY: "unchanged"},
        unchanged_count=progress.feeds[key].entries,
        checkpoint=progress.checkpoint(),
        fetched_at=context.clock.now(),
    )


def _defer(context: FetchContext, key: str, progress: Progress, error: TransientError) -> Page:
    if key in progress.deferred:
        return _failed(context, key, progress, error)
    progress.deferred.append(key)
    progress.waiting.append(key)
    return Page(
        request=key,
        status=0,
        body=b"",
        media_type="",
        headers={_EMPTY: f"asked again after the others: {error}"[:500]},
        checkpoint=progress.checkpoint(),
        fetched_at=context.clock.now(),
    )


def _failed(
    context: FetchContext,
    key: str,
    progress: Progress,
    error: Exception,
    response: Response | None = None,
) -> Page:
    return parts.failed(
        key,
        f"The feed {key} cannot be read: {error}.".replace("..", "."),
        checkpoint=progress.checkpoint(),
        fetched_at=context.clock.now(),
        body=response.body if response else b"",
        media_type=response.headers.get("content-type", "") if response else "",
    )


def _items(page: Page) -> Iterator[Item]:
    base = page.request.partition("#")[0]
    feed = feed_reading.read(page.body, media_type=page.media_type, url=base)
    base = feed_entries.address(feed.link, base) or base
    surroundings = Surroundings(
        feed=plain_text.from_markup(feed.title, max_chars=_FEED_CHARS) or page.request,
        base=base,
        reused=feed_entries.reused_ids(feed.entries),
        fetched_at=page.fetched_at,
    )
    context = {"surroundings": surroundings, "feed": surroundings.feed}
    for entry in feed.entries:
        entry_id = feed_entries.external_id(entry, surroundings)
        yield Item(entry_id, msgspec.json.encode(entry), context)
