"""Feeds over the real client and a real server."""

from types import SimpleNamespace

import pytest

from tasks.domain.records import Rejection
from tasks.sources.http import HttpLimits, RequestsHttpClient
from tasks.sources.rss import Rss
from tests.support import upstreams
from tests.support.clocks import FakeClock
from tests.support.fetching import context_of, outcomes_of, pages_of, settings_of
from tests.support.gates import RecordingGate
from tests.support.upstreams import answer

RSS = Rss()
FEED = (
    b"\n<?xml version='1.0'?><rss version='2.0'><channel><title>Feed</title>"
    b"<item><title>\xc4rger</title><guid>https://a.example/1</guid></item></channel></rss>"
)


@pytest.fixture
def reader():
    clock = FakeClock().clock()
    with upstreams.running_upstream() as upstream:
        http = RequestsHttpClient("rss", clock, gate=RecordingGate(), limits=HttpLimits())

        def run(*paths, checkpoint=None):
            settings = settings_of("rss", urls=tuple(f"{upstream.url}/{path}" for path in paths))
            return list(
                pages_of(RSS, context_of(settings, clock, http=http, checkpoint=checkpoint))
            )

        yield SimpleNamespace(upstream=upstream, run=run)
        http.close()


def test_a_feed_is_read_with_its_charset_and_asked_for_changes_the_next_time(reader):
    content_type = {"Content-Type": "application/rss+xml; charset=iso-8859-1", "ETag": '"7"'}
    reader.upstream.will(answer(FEED, **content_type), answer(b"", 304))
    first = reader.run("a")
    (entry,) = outcomes_of(RSS, first)
    assert entry.title == "Ärger"
    (second,) = reader.run("a", checkpoint=first[-1].checkpoint)
    assert (second.status, second.unchanged_count) == (304, 1)
    assert [asked.headers["If-None-Match"] for asked in reader.upstream.asked] == [None, '"7"']


def test_a_feed_that_is_gone_does_not_keep_the_other_from_loading(reader):
    reader.upstream.will(answer(b"no", 404), answer(FEED))
    gone, entry = outcomes_of(RSS, reader.run("a", "b"))
    assert isinstance(gone, Rejection)
    assert "404" in gone.reason
    assert entry.title
