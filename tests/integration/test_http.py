import gzip
import socket
import tempfile
from mmap import mmap

import pytest
import structlog

from tasks.core.errors import (
    BudgetWaitError,
    PermanentError,
    RateLimitedError,
    TransientError,
    UnavailableError,
    UnreadablePageError,
)
from tasks.sources import json_pages
from tasks.sources.http import HttpLimits, RequestsHttpClient
from tests.support import upstreams
from tests.support.clocks import FakeClock
from tests.support.gates import RecordingGate
from tests.support.upstreams import answer, chunks

KEY = "not-a-real-key"


@pytest.fixture
def upstream():
    with upstreams.running_upstream() as running:
        yield running


@pytest.fixture
def other_upstream():
    with upstreams.running_upstream() as running:
        yield running


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def gate():
    return RecordingGate()


@pytest.fixture
def observed():
    return []


@pytest.fixture
def client(clock, gate, observed):
    limits = HttpLimits(
        deadline_s=20, connect_s=1, silence_s=0.2, body_bytes=100_000, memory_bytes=50_000
    )
    client = RequestsHttpClient(
        "vendor",
        clock.clock(),
        gate=gate,
        limits=limits,
        observe=lambda *seen: observed.append(seen),
    )
    yield client
    client.close()


def test_a_page_comes_back_verbatim_with_lower_case_headers(client, upstream, gate, observed):
    upstream.will(answer(b'[{"id": 1}]\n', ETag="abc"))
    response = client.get(f"{upstream.url}/list", params={"page": 2})
    assert response.status == 200
    assert response.body == b'[{"id": 1}]\n'
    assert response.headers["etag"] == "abc"
    assert response.url == f"{upstream.url}/list"
    assert upstream.asked[0].query == {"page": ["2"]}
    assert upstream.asked[0].headers["User-Agent"].startswith("kasparro/")
    assert gate.events == ["enter", "succeeded"]
    assert [(source, status) for source, status, _ in observed] == [("vendor", 200)]


def test_connections_are_used_again_and_cookies_are_not_kept(client, upstream):
    upstream.will(answer(b"[]", Set_Cookie="track=me"))
    client.get(upstream.url)
    client.get(upstream.url)
    first, second = upstream.asked
    assert first.client == second.client
    assert second.headers["Cookie"] is None


def test_not_modified_is_an_answer(client, upstream):
    upstream.will(answer(b"", 304, length=0))
    response = client.get(upstream.url, headers={"If-None-Match": "abc"})
    assert (response.status, response.body) == (304, b"")
    assert upstream.asked[0].headers["If-None-Match"] == "abc"


def test_proxies_of_the_environment_are_not_used(client, upstream, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    upstream.will(answer())
    assert client.get(upstream.url).status == 200


@pytest.mark.parametrize("trouble", [answer(b"oops", 500), upstreams.reset, upstreams.silence])
def test_a_short_trouble_is_tried_again_and_every_try_takes_a_call(
    client, upstream, clock, gate, trouble
):
    upstream.will(trouble, answer(b"[1]"))
    assert client.get(upstream.url).body == b"[1]"
    assert gate.events == ["enter", "failed", "enter", "succeeded"]
    assert len(clock.slept) == 1
    assert 0.5 <= clock.slept[0] <= 1


def test_a_lasting_trouble_is_given_up_after_three_tries(client, upstream, clock, gate, observed):
    upstream.will(answer(b"oops", 502))
    with structlog.testing.capture_logs() as logs, pytest.raises(TransientError) as raised:
        client.get(f"{upstream.url}/list?token={KEY}")
    assert not isinstance(raised.value, RateLimitedError)
    assert raised.value.context == {"source": "vendor", "status": 502}
    assert gate.events == ["enter", "failed"] * 3
    assert sum(clock.slept) < 5
    assert [status for _, status, _ in observed] == [502] * 3
    assert [log["event"] for log in logs] == ["upstream_call_retried"] * 2 + [
        "upstream_call_given_up"
    ]
    assert KEY not in repr(logs) + str(raised.value)


def test_no_try_begins_after_the_deadline(client, upstream, clock):
    clock.tick_s = 7
    upstream.will(answer(b"oops", 500))
    with pytest.raises(TransientError):
        client.get(upstream.url)
    assert len(upstream.asked) == 1


def test_a_server_that_drips_meets_the_deadline(client, upstream, clock, gate):
    clock.tick_s = 1
    upstream.will(chunks(*[b"x"] * 200))
    with pytest.raises(TransientError, match="in time"):
        client.get(upstream.url)
    assert gate.events == ["enter", "failed"]


@pytest.mark.parametrize(
    "broken",
    [
        answer(b'[{"id"', length=100),
        chunks(b'[{"id"', ends=False),
        answer(gzip.compress(b"[1, 2, 3]" * 50)[:40], content_encoding="gzip", length=80),
        answer(b"no gzip at all", content_encoding="gzip"),
    ],
    ids=["short body", "no last chunk", "short gzip", "false gzip"],
)
def test_a_body_that_breaks_off_is_never_taken_for_whole(client, upstream, broken):
    upstream.will(broken)
    with pytest.raises(TransientError):
        client.get(upstream.url)


def test_nobody_listening_is_transient(client, gate, observed):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(TransientError, match="could not be reached"):
        client.get(f"http://127.0.0.1:{port}/")
    assert gate.events == ["enter", "failed"] * 3
    assert {status for _, status, _ in observed} == {0}


@pytest.mark.parametrize(
    "body", [b"x" * 100_001, gzip.compress(b"0" * 50_000_000)], ids=["plain", "bomb"]
)
def test_a_body_beyond_the_limit_is_refused_at_once(client, upstream, gate, body):
    encoding = {"content_encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    upstream.will(answer(body, **encoding))
    with pytest.raises(PermanentError, match="100000 bytes"):
        client.get(upstream.url)
    assert gate.events == ["enter", "succeeded"]


@pytest.mark.parametrize("size", [0, 1, 49_999, 50_000, 50_001, 100_000])
def test_a_body_of_any_size_comes_back_and_a_large_one_is_not_held(client, upstream, size):
    body = (b"0123456789" * 10_000)[:size]
    upstream.will(answer(body))
    response = client.get(upstream.url)
    assert response.body == body
    assert isinstance(response.content, mmap) == (size > 50_000)


def test_the_last_bytes_of_a_large_body_are_there(client, upstream):
    """They come alone, and a file that is mapped must hold them as well."""
    whole = b"x" * 65_536 + b"end"
    upstream.will(chunks(whole[:65_536], whole[65_536:]))
    assert client.get(upstream.url).body == whole


def test_a_full_disk_is_no_fault_of_the_source(client, upstream, gate, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    upstream.will(answer(b"x" * 60_000))
    with pytest.raises(UnavailableError, match="TMPDIR"):
        client.get(upstream.url)
    assert gate.events == ["enter", "succeeded"]


def test_an_array_in_a_file_is_cut_as_one_in_memory(client, upstream):
    items = [b'{"id":"coin-%d","name":"\xc3\xa9"}' % n for n in range(3_000)]
    upstream.will(answer(b" [" + b", ".join(items) + b"]"))
    content = client.get(upstream.url).content
    assert isinstance(content, mmap)
    assert [bytes(item) for item in json_pages.answered(content)] == items


def test_a_compressed_body_is_unpacked(client, upstream):
    upstream.will(answer(gzip.compress(b"[1]" * 30_000), content_encoding="gzip"))
    assert client.get(upstream.url).body == b"[1]" * 30_000


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, {}, 60),
        (429, {"retry_after": "119"}, 119),
        (429, {"retry_after": "2.5"}, 2.5),
        (429, {"retry_after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30),
        (429, {"retry_after": "Thu, 19 Nov 2026 12:00:30 GMT"}, 1),
        (429, {"retry_after": "Fri, 20 Nov 2026 12:00:30 -0000"}, 30),
        (429, {"retry_after": "1e9"}, 3600),
        (429, {"retry_after": "-5"}, 1),
        (429, {"retry_after": "inf"}, 60),
        (429, {"retry_after": "soon"}, 60),
        (503, {"retry_after": "7"}, 7),
    ],
)
def test_a_rate_limit_freezes_the_source_and_is_not_tried_again(
    client, upstream, gate, status, headers, wait_s
):
    upstream.will(answer(b"slow down", status, **headers))
    with pytest.raises(RateLimitedError) as raised:
        client.get(upstream.url)
    assert raised.value.retry_after_s == wait_s
    assert gate.events == ["enter", "succeeded", f"freeze {wait_s:g}"]


def test_a_busy_server_without_a_date_is_an_ordinary_trouble(client, upstream, gate):
    upstream.will(answer(b"", 503))
    with pytest.raises(TransientError):
        client.get(upstream.url)
    assert gate.events == ["enter", "failed"] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 302])
def test_a_refusal_is_permanent_and_no_fault_of_the_network(client, upstream, gate, status):
    upstream.will(answer(b"no", status))
    with pytest.raises(PermanentError, match=f"answered {status}"):
        client.get(upstream.url)
    assert gate.events == ["enter", "succeeded"]


def test_a_judge_sees_every_answer_and_its_word_counts(client, upstream, gate):
    verdicts = {
        b"Throttled": RateLimitedError("slow", retry_after_s=9),
        b"<html>": TransientError("a page"),
        b"{}": UnreadablePageError("odd"),
        b"[]": None,
    }
    upstream.will(*(answer(body) for body in verdicts))

    def judge(response):
        return verdicts[response.body]

    with pytest.raises(RateLimitedError) as raised:
        client.get(upstream.url, judge=judge)
    assert raised.value.retry_after_s == 9
    with pytest.raises(UnreadablePageError):
        client.get(upstream.url, judge=judge)
    assert client.get(upstream.url, judge=judge).body == b"[]"
    assert gate.events == [
        *("enter", "succeeded", "freeze 9"),
        *("enter", "failed", "enter", "succeeded"),
        *("enter", "succeeded"),
    ]


def test_a_key_that_a_source_repeats_is_blanked(client, upstream):
    upstream.will(answer(b"", 401))

    def judge(_response):
        return PermanentError(f"The key {KEY} is unknown")

    with structlog.testing.capture_logs() as logs, pytest.raises(PermanentError) as raised:
        client.get(upstream.url, headers={"Authorization": f"Bearer {KEY}"}, judge=judge)
    assert str(raised.value) == "The key *** is unknown"
    assert KEY not in repr(logs)


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", f"{KEY}\u20ac", f"a\r\nX-Evil: {KEY}"])
def test_a_key_that_is_no_header_is_refused_without_being_shown(client, upstream, gate, key):
    with structlog.testing.capture_logs() as logs, pytest.raises(PermanentError) as raised:
        client.get(upstream.url, headers={"X-Key": key})
    assert KEY not in repr(logs) + repr(raised.value) + repr(raised.value.__cause__)
    assert gate.events == []


@pytest.mark.parametrize("url", ["no scheme", "http://", "ftp://127.0.0.1/x", "http://[::1/x"])
def test_an_address_that_is_none_takes_no_call(client, gate, url):
    with pytest.raises(PermanentError):
        client.get(url)
    assert gate.events == []


def test_a_redirect_is_followed_as_a_call_of_its_own(client, upstream, gate):
    upstream.will(answer(b"", 301, location="/new?x=1"), answer(b"[2]"))
    response = client.get(f"{upstream.url}/old", params={"page": 1}, headers={"X-Key": KEY})
    assert response.body == b"[2]"
    assert response.url == f"{upstream.url}/new"
    assert upstream.asked[1].query == {"x": ["1"]}
    assert upstream.asked[1].headers["X-Key"] == KEY
    assert gate.events == ["enter", "succeeded"] * 2


def test_keys_do_not_follow_a_redirect_to_another_host(client, upstream, other_upstream):
    upstream.will(answer(b"", 307, location=f"{other_upstream.url}/elsewhere"))
    other_upstream.will(answer(b"[3]"))
    keys = {"X-Key": KEY, "Authorization": KEY, "If-None-Match": "abc"}
    assert client.get(upstream.url, headers=keys).body == b"[3]"
    arrived = other_upstream.asked[0].headers
    assert arrived["If-None-Match"] == "abc"
    assert KEY not in str(arrived)


def test_redirects_end(client, upstream):
    upstream.will(answer(b"", 302, location="/again"))
    with pytest.raises(PermanentError, match="redirects more than 3"):
        client.get(upstream.url)
    assert len(upstream.asked) == 4


@pytest.mark.parametrize("location", ["file:///etc/hosts", "http://[::1"])
def test_a_redirect_off_the_web_is_refused(client, upstream, location):
    upstream.will(answer(b"", 302, location=location))
    with pytest.raises(PermanentError, match="address"):
        client.get(upstream.url)


@pytest.mark.parametrize(
    "refusal", [BudgetWaitError("later", retry_after_s=30), UnavailableError("no Redis")]
)
def test_without_leave_no_call_is_made(client, upstream, gate, observed, refusal):
    gate.refusals = [refusal]
    with pytest.raises(type(refusal)):
        client.get(upstream.url)
    assert upstream.asked == observed == []


def test_leave_is_asked_again_before_a_retry(client, upstream, gate):
    gate.refusals = [None, BudgetWaitError("later", retry_after_s=30)]
    upstream.will(answer(b"", 500))
    with pytest.raises(BudgetWaitError):
        client.get(upstream.url)
    assert len(upstream.asked) == 1
