"""Three feeds about the market's coins: RSS 2.0, Atom and JSON Feed."""

from email.utils import format_datetime
from typing import NamedTuple
from xml.sax.saxutils import escape

import msgspec

from tasks.simulator.answers import Answer, Request, text
from tasks.simulator.market import Market
from tasks.simulator.news import Entry, entries
from tasks.simulator.timeline import iso, moment

PREFIX = "/feeds"
HEADERS = {"Cache-Control": "public, max-age=60"}


class _Feed(NamedTuple):
    title: str
    media_type: str


FEEDS = {
    "wire": _Feed("The Simulated Wire", "application/rss+xml; charset=utf-8"),
    "ledger": _Feed("Ledger & Letters", "application/atom+xml; charset=utf-8"),
    "notes": _Feed("Block Notes", "application/feed+json"),
}


class Feeds:
    """Answers for every feed, in the same bytes until an entry comes, goes or is edited."""

    state: tuple[int, ...] = ()

    def __init__(self, market: Market) -> None:
        """Take the market, whose coins the entries speak of."""
        self._market = market

    def answer(self, request: Request, tick: int) -> Answer:
        """Answer ``/feeds/{name}``."""
        name = request.path.removeprefix(PREFIX).strip("/")
        feed = FEEDS.get(name)
        if feed is None:
            return text("no such feed", status=404, media_type="text/plain; charset=utf-8")
        listed = entries(self._market, name, tick)
        write = {"wire": _rss, "ledger": _atom, "notes": _json_feed}[name]
        body = write(feed.title, f"https://{name}.example/", listed)
        modified = format_datetime(moment(max(e.updated_ms for e in listed)), usegmt=True)
        return Answer(
            body=body, headers={"Content-Type": feed.media_type, "Last-Modified": modified}
        )


def _rss(title: str, home: str, listed: list[Entry]) -> bytes:
    items = "".join(_rss_item(entry) for entry in listed)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<rss xmlns:content="http://purl.org/rss/1.0/modules/content/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" version="2.0">\n<channel>'
        f"<title>{escape(title)}</title><link>{home}</link><description>News</description>"
        f"<lastBuildDate>{_rfc822(listed)}</lastBuildDate>\n{items}</channel>\n</rss>\n"
    ).encode()


def _rss_item(entry: Entry) -> str:
    # The empty elements after the text are what one large vendor really sends.
    return (
        f"<item><title><![CDATA[{entry.title}]]></title><link>{escape(entry.url)}</link>"
        f'<guid isPermaLink="false">{entry.guid}</guid>'
        f"<pubDate>{format_datetime(moment(entry.updated_ms))}</pubDate>"
        f"<description><![CDATA[<p>{entry.summary}</p>]]></description>"
        f"<dc:creator>{escape(entry.author)}</dc:creator><content:encoded/><dc:description/>"
        "</item>\n"
    )


def _rfc822(listed: list[Entry]) -> str:
    return format_datetime(moment(max(entry.updated_ms for entry in listed)))


def _atom(title: str, home: str, listed: list[Entry]) -> bytes:
    newest = iso(max(entry.updated_ms for entry in listed), milliseconds=False)
    items = "".join(_atom_entry(entry) for entry in listed)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">'
        f"<title>{escape(title)}</title><id>{home}</id><updated>{newest}</updated>"
        f'<link rel="self" href="{home}feed"/>\n{items}</feed>\n'
    ).encode()


def _atom_entry(entry: Entry) -> str:
    return (
        f'<entry><title type="text">{escape(entry.title)}</title>'
        f"<id>{entry.guid}</id><link href={_quoted(entry.url)}/>"
        f"<published>{iso(entry.published_ms, milliseconds=False)}</published>"
        f"<updated>{iso(entry.updated_ms, milliseconds=False)}</updated>"
        f"<author><name>{escape(entry.author)}</name></author>"
        f'<summary type="html">{escape(f"<p>{entry.summary}</p>")}</summary></entry>\n'
    )


def _quoted(url: str) -> str:
    return f'"{escape(url)}"'


def _json_feed(title: str, home: str, listed: list[Entry]) -> bytes:
    items = [
        {
            "id": entry.guid,
            "url": entry.url,
            "title": entry.title,
            "content_text": entry.summary,
            "date_published": iso(entry.published_ms, milliseconds=False),
            "date_modified": iso(entry.updated_ms, milliseconds=False),
            "authors": [{"name": entry.author}],
        }
        for entry in listed
    ]
    return msgspec.json.encode(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": title,
            "home_page_url": home,
            "items": items,
        }
    )
