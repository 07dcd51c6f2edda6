"""Feeds: one request each, and none takes the others down."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.errors import (
    BudgetWaitError,
    PermanentError,
    RateLimitedError,
    TransientError,
    UnreadablePageError,
)
from tasks.domain.records import NewsEntry, Rejection
from tasks.sources import feed_reading
from tasks.sources.base import Page, Response
from tasks.sources.feed_entries import address
from tasks.sources.rss import Rss, feed_key
from tests.support.clocks import FakeClock
from tests.support.fetching import (
    ScriptedHttp,
    context_of,
    outcomes_of,
    pages_of,
    records_of,
    settings_of,
)

RSS = Rss()
A, B, C = (f"https://{name}.example/feed" for name in "abc")
HTML = b"<!doctype html><html><body>Back soon</body></html>"


def entry(title, *, guid="", date="", link="", text=""):
    parts = [f"<title>{title}</title>", f"<link>{link}</link>", f"<pubDate>{date}</pubDate>"]
    parts += [f'<guid isPermaLink="false">{guid}</guid>'] if guid else []
    return f"<item>{''.join(parts)}<description>{text}</description></item>"


def feed(*entries, title="Feed"):
    head = f"<rss version='2.0'><channel><title>{title}</title>"
    return f"{head}{''.join(entries)}</channel></rss>".encode()


def answer(body, url=A, status=200, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(url=url, status=status, headers=named, content=body)


def page(body, *, media_type="application/xml", url=A):
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    return Page(request=url, body=body, media_type=media_type, checkpoint={}, fetched_at=now)


def only(*entries, **surroundings):
    (record,) = records_of(RSS, [page(feed(*entries), **surroundings)])
    return record


class Reader:
    """Runs over scripted feeds that go on from the last run's checkpoint."""

    def __init__(self, answers):
        self.http = ScriptedHttp(answers)
        self.checkpoint = {}

    def run(self):
        settings = settings_of("rss", urls=tuple(self.http.answers))
        clock = FakeClock().clock()
        context = context_of(settings, clock, http=self.http, checkpoint=self.checkpoint)
        pages = list(pages_of(RSS, context))
        self.checkpoint = pages[-1].checkpoint
        return pages


def titles(pages):
    return [record.title for record in records_of(RSS, pages)]


def test_every_feed_is_asked_once():
    reader = Reader({A: answer(feed(entry("one"))), B: answer(feed(entry("two")), B)})
    assert titles(reader.run()) == ["one", "two"]
    assert [url for url, _ in reader.http.asked] == [A, B]


def test_a_feed_that_has_not_changed_is_not_sent_again():
    reader = Reader({A: answer(feed(entry("one")), etag='"v1"', last_modified="Fri")})
    reader.run()
    reader.http.answers[A] = answer(b"", status=304)
    (unchanged,) = reader.run()
    assert unchanged.unchanged_count == 1
    assert list(RSS.parse(unchanged)) == []
    conditions = reader.http.asked[-1][1]
    assert conditions["If-None-Match"] == '"v1"'
    assert conditions["If-Modified-Since"] == "Fri"
    assert reader.run()[0].unchanged_count == 1


def test_a_server_that_knows_no_conditions_is_compared_by_content():
    reader = Reader({A: answer(feed(entry("one")))})
    reader.run()
    (same,) = reader.run()
    assert (same.body, same.unchanged_count) == (b"", 1)
    reader.http.answers[A] = answer(feed(entry("two")))
    assert titles(reader.run()) == ["two"]


def test_a_full_refresh_asks_without_conditions():
    reader = Reader({A: answer(feed(entry("one")), etag='"v1"')})
    reader.run()
    reader.checkpoint = {}
    assert titles(reader.run()) == ["one"]
    assert "If-None-Match" not in reader.http.asked[-1][1]


@pytest.mark.parametrize(
    "broken",
    [
        TransientError("The feed cannot be reached."),
        RateLimitedError("It asks for fewer calls.", retry_after_s=9),
        PermanentError("It answered 404"),
        answer(HTML),
    ],
    ids=["unreachable", "rate limited", "gone", "no feed"],
)
@pytest.mark.parametrize(
    "order", [(A, B, C), (B, A, C), (B, C, A)], ids=["first", "middle", "last"]
)
def test_one_broken_feed_does_not_keep_the_others_from_loading(broken, order):
    answers = {B: answer(feed(entry("two")), B), C: answer(feed(entry("three")), C), A: broken}
    reader = Reader({url: answers[url] for url in order})
    outcomes = outcomes_of(RSS, reader.run())
    (rejection,) = (found for found in outcomes if isinstance(found, Rejection))
    assert rejection.rule == "unavailable"
    assert A in rejection.reason
    assert {found.title for found in outcomes if isinstance(found, NewsEntry)} == {"two", "three"}
    assert set(reader.checkpoint["feeds"]) == {B, C}


def test_a_feed_that_fails_for_the_moment_is_asked_again_after_the_others():
    recovering = [TransientError("It hung up."), answer(feed(entry("one")))]
    reader = Reader({A: recovering, B: answer(feed(entry("two")), B)})
    outcomes = outcomes_of(RSS, reader.run())
    assert [found.title for found in outcomes] == ["two", "one"]


def test_a_broken_feed_keeps_what_was_known_of_it():
    reader = Reader({A: answer(feed(entry("one")), etag='"v1"'), B: answer(feed(), B)})
    reader.run()
    before = reader.checkpoint["feeds"][A]
    reader.http.answers[A] = answer(HTML)
    (broken, _) = reader.run()
    assert broken.body == HTML
    assert reader.checkpoint["feeds"][A] == before


@pytest.mark.parametrize(
    ("error", "kind"),
    [(TransientError("down"), TransientError), (PermanentError("gone"), PermanentError)],
)
def test_when_no_feed_can_be_read_the_source_cannot_be_reached(error, kind):
    with pytest.raises(kind):
        Reader({A: error}).run()
    with pytest.raises(kind):
        Reader({A: error, B: error}).run()


def test_waiting_for_the_budget_is_not_a_failure_of_the_feed():
    reader = Reader({A: BudgetWaitError(retry_after_s=5), B: answer(feed(entry("two")))})
    with pytest.raises(BudgetWaitError):
        reader.run()


def test_no_feed_at_all_is_said():
    with pytest.raises(PermanentError, match="RSS_URLS"):
        Reader({}).run()


def test_what_could_be_a_secret_in_an_address_is_not_shown():
    private = "https://user:word@a.example/feed?token=abc"
    reader = Reader({private: answer(feed(entry("one")))})
    (read,) = reader.run()
    shown = repr((read.request, read.checkpoint, read.headers))
    assert "abc" not in shown
    assert "word" not in shown
    assert feed_key(A) == A
    assert feed_key(private) != feed_key(private + "d")


def test_the_next_edition_of_a_series_is_an_entry_of_its_own():
    def edition(day):
        link = "https://a.example/news/what-happened-today?utm_source=rss"
        return only(entry("What happened today", guid=link, link=link, date=day)).external_id

    assert edition("Thu, 19 Nov 2026 08:00:00 GMT") != edition("Fri, 20 Nov 2026 08:00:00 GMT")
    assert edition("Fri, 20 Nov 2026 08:00:00 GMT") == edition("Fri, 20 Nov 2026 11:00:00 GMT")


def test_an_edited_entry_is_the_same_entry():
    def article(title, day):
        link = "https://a.example/2026/11/18/orbit-falls-today"
        return only(entry(title, guid="0c1f4dc2-5b5c", link=link, date=day)).external_id

    before = article("Orbit falls today", "Wed, 18 Nov 2026 08:00:00 GMT")
    assert before == article("Orbit falls today, then rises", "Fri, 20 Nov 2026 08:00:00 GMT")


def test_an_id_that_several_entries_share_identifies_none_of_them():
    entries = (entry("one", guid="1", link=A + "/1"), entry("two", guid="1", link=A + "/2"))
    first, second = records_of(RSS, [page(feed(*entries))])
    assert first.external_id != second.external_id


def test_short_ids_of_different_feeds_are_different():
    ids = {only(entry("x", guid="1"), url=url).external_id for url in (A, B)}
    assert ids == {"a.example/1", "b.example/1"}


def test_an_entry_without_id_and_address_is_known_by_what_it_says():
    first, again, other = only(entry("x")), only(entry("x")), only(entry("y"))
    assert first.external_id == again.external_id != other.external_id


def test_a_date_that_cannot_be_or_cannot_be_read_is_left_out():
    for date in ("", "soon", "Fri, 20 Nov 2099 08:00:00 GMT", "Fri, 20 Nov 1899 08:00:00 GMT"):
        assert only(entry("x", date=date)).published_at is None


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://x.example/a?utm_medium=rss&id=1&fbclid=2", "https://x.example/a?id=1"),
        ("/news/a", "https://a.example/news/a"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("ftp://x.example/a", None),
        ("http://[broken", None),
        ("https://x.example/a b", None),
        ("", None),
    ],
)
def test_only_web_addresses_are_kept(link, url):
    assert address(link, A) == url


ROOT = b"<rss version='2.0'><channel><item><title>&x;</title></item></channel></rss>"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        HTML,
        b'{"error": "no"}',
        b'{"version": "1", "items": []}',
        b'{"version": "https://jsonfeed.org/version/1", "items": [' + b"[" * 100_000,
        b'<!DOCTYPE r [<!ENTITY a "aa"><!ENTITY x "&a;&a;">]>' + ROOT,
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + ROOT,
        b'<!DOCTYPE r [<!ENTITY x "' + b"a" * 5_000 + b'">]>' + ROOT,
        ('<!DOCTYPE r [<!ENTITY x SYSTEM "x">]>' + ROOT.decode()).encode("utf-16"),
        b"<!-- " + b"\n" * 200_000 + b"-->" + ROOT,
        b"<?xml version='1.0' encoding='undefined'?>" + ROOT,
        b" " * (feed_reading.MAX_BYTES + 1),
        b"\x1f\x8bnot really",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_no_feed_or_not_safe_to_read_is_refused(body):
    with pytest.raises(UnreadablePageError):
        list(RSS.parse(page(body)))


def test_a_harmless_entity_and_an_old_doctype_are_read():
    doctype = b'<!DOCTYPE rss PUBLIC "-//N//DTD RSS 0.91//EN" "http://n.example/x.dtd" '
    body = doctype + b'[<!ENTITY x "&#233;">]>'
    (record,) = records_of(RSS, [page(body + ROOT)])
    assert record.title == "\u00e9"


def test_a_feed_cut_off_in_the_middle_gives_what_arrived():
    whole = feed(entry("one"), entry("two"))
    assert titles([page(whole[:-80])])[0] == "one"


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ("Ärger".encode("latin-1"), "text/xml; charset=iso-8859-1"),
        ("Ärger".encode(), "application/rss+xml"),
        ("Ärger".encode(), "text/xml"),
        ("Ärger".encode("latin-1"), "application/xml"),
    ],
)
def test_the_charset_of_the_answer_counts(body, media_type):
    document = (
        b"<rss version='2.0'><channel><item><title>" + body + b"</title></item></channel></rss>"
    )
    assert titles([page(document, media_type=media_type)]) == ["Ärger"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_counts_more_than_the_header(encoding):
    document = feed(entry("Ärger")).decode().encode(encoding)
    assert titles([page(document, media_type="text/xml; charset=iso-8859-1")]) == ["Ärger"]


def test_one_spoilt_character_does_not_spoil_the_others():
    document = feed(entry("Ä" * 50 + "#")).replace(b"#", b"\xff")
    assert titles([page(document)]) == ["Ä" * 50 + "\ufffd"]


feed_pieces = st.sampled_from(
    [
        "<rss version='2.0'>", "<channel>", "<item>", "</item>", "<title>", "</title>", "<link>",
        "<guid>", "<pubDate>", "<![CDATA[", "]]>", "&amp;", "&", "<", "<dc:description/>", "x",
        "\n",
        "<feed xmlns='http://www.w3.org/2005/Atom'>", "<entry>", "<content type='html'>",
        "<!DOCTYPE", "<!ENTITY a 'b'>", "<?xml version='1.0'?>", "http://[", "20 Nov 2026", "\x00",
    ]
)  # fmt: skip


@given(st.lists(feed_pieces, max_size=30).map("".join))
@settings(deadline=None)
def test_any_markup_is_entries_or_an_unreadable_page(markup):
    try:
        outcomes = outcomes_of(RSS, [page(markup.encode())])
    except UnreadablePageError:
        return
    assert all(isinstance(found, (NewsEntry, Rejection)) for found in outcomes)
