"""Both vendors' connectors over the real client and a real server that speaks as they do."""

import json
from decimal import Decimal
from types import SimpleNamespace

import msgspec
import pytest

from tasks.core.errors import (
    PermanentError,
    RateLimitedError,
    TransientError,
    UnreadablePageError,
)
from tasks.core.schedules import parse_schedule
from tasks.core.settings import SourceSettings
from tasks.domain.records import Item, Quote, Rejection
from tasks.sources import coinpaprika
from tasks.sources.base import FetchContext, Page
from tasks.sources.coingecko import CoinGecko
from tasks.sources.coinpaprika import CoinPaprika
from tasks.sources.http import HttpLimits, RequestsHttpClient
from tests.support import upstreams
from tests.support.clocks import FakeClock
from tests.support.gates import RecordingGate
from tests.support.upstreams import answer

KEY = "not-a-real-key"
SCHEDULE = parse_schedule("3600")


@pytest.fixture
def vendor():
    clock, gate = FakeClock(), RecordingGate()
    with upstreams.running_upstream() as upstream:
        http = RequestsHttpClient("vendor", clock.clock(), gate=gate, limits=HttpLimits())

        def context(checkpoint=None, **settings):
            settings = {"name": "vendor", "schedule": SCHEDULE, "base_url": upstream.url} | settings
            return FetchContext(
                settings=SourceSettings(**settings),
                http=http,
                clock=clock.clock(),
                checkpoint=checkpoint or {},
            )

        yield SimpleNamespace(upstream=upstream, context=context, gate=gate, clock=clock)
        http.close()


def coins(first, count, *, at="2026-11-20T11:00:00.000Z"):
    return [
        {"id": f"coin-{number}", "symbol": "c", "name": "Coin", "last_updated": at}
        for number in range(first, first + count)
    ]


def sent(document):
    return answer(json.dumps(document, indent=1).encode())


def walk(connector, context):
    """Fetch as a run does; returns the pages."""
    pages, cursor = [], None
    while True:
        fetched = connector.fetch(context, cursor)
        pages.extend(fetched.pages)
        cursor = fetched.next_cursor
        if cursor is None:
            return pages
        cursor = json.loads(json.dumps(cursor))


def ids(page):
    return [coin["id"] for coin in json.loads(page.body)]


def test_coingecko_is_read_page_by_page_to_a_short_one(vendor):
    vendor.upstream.will(
        sent(coins(0, 250, at="2026-11-20T11:30:00.000Z")),
        sent(coins(250, 249)),
        sent(coins(499, 3)),
    )
    pages = walk(CoinGecko(), vendor.context())
    assert [page.item_count for page in pages] == [250, 249, 3]
    assert [page.checkpoint for page in pages] == [
        {"newest": "2026-11-20T11:30:00Z", "pages": number} for number in (1, 2, 3)
    ]
    assert pages[0].body == json.dumps(json.loads(pages[0].body), indent=1).encode()
    assert pages[0].fetched_at == vendor.clock.clock().now()
    asked = vendor.upstream.asked
    assert [request.path for request in asked] == ["/coins/markets"] * 3
    assert [request.query["page"] for request in asked] == [["1"], ["2"], ["3"]]
    assert asked[0].query["per_page"] == ["250"]
    assert asked[0].query["vs_currency"] == ["usd"]


def test_coingecko_ends_at_an_empty_page(vendor):
    vendor.upstream.will(sent(coins(0, 250)), sent([]))
    assert [page.item_count for page in walk(CoinGecko(), vendor.context())] == [250, 0]


@pytest.mark.parametrize(
    ("max_coins", "counts", "per_page"),
    [(100, [100], "100"), (250, [250], "250"), (300, [250, 50], "250"), (500, [250, 250], "250")],
)
def test_coingecko_stops_at_the_asked_number_of_coins(vendor, max_coins, counts, per_page):
    vendor.upstream.will(sent(coins(0, int(per_page))), sent(coins(250, 250)))
    pages = walk(CoinGecko(), vendor.context(max_coins=max_coins))
    assert [page.item_count for page in pages] == counts
    assert [len(ids(page)) for page in pages] == counts
    assert vendor.upstream.asked[0].query["per_page"] == [per_page]
    assert len(vendor.upstream.asked) == len(counts)


def test_coingecko_that_repeats_a_page_is_not_followed_for_ever(vendor):
    vendor.upstream.will(sent(coins(0, 250)))
    with pytest.raises(UnreadablePageError, match="pages 1 and 2"):
        walk(CoinGecko(), vendor.context())


def test_coingecko_that_never_ends_is_left(vendor):
    vendor.upstream.will(sent(coins(0, 250)))
    with pytest.raises(UnreadablePageError, match="200 pages"):
        CoinGecko().fetch(vendor.context(), {"page": 201, "newest": None, "seen": ""})


def test_the_newest_date_never_goes_back_and_ignores_wrong_ones(vendor):
    odd = [{"last_updated": "2031-01-01T00:00:00Z"}, {"last_updated": None}, {"id": "x"}, 5]
    odd += [{"last_updated": "2026-11-20T11:00:00"}]
    vendor.upstream.will(sent(odd))
    (page,) = walk(CoinGecko(), vendor.context({"newest": "2026-11-20T11:59:00Z"}))
    assert page.checkpoint["newest"] == "2026-11-20T11:59:00Z"
    (page,) = walk(CoinGecko(), vendor.context())
    assert page.checkpoint["newest"] == "2026-11-20T11:00:00Z"


def test_a_page_without_any_date_leaves_the_newest_open(vendor):
    vendor.upstream.will(sent([]))
    (page,) = walk(CoinGecko(), vendor.context())
    assert page.checkpoint == {"newest": None, "pages": 1}


@pytest.mark.parametrize(
    ("plan", "header"), [("demo", "x-cg-demo-api-key"), ("pro", "x-cg-pro-api-key"), ("public", "")]
)
def test_coingecko_gets_the_key_in_the_header_of_the_plan(vendor, plan, header):
    vendor.upstream.will(sent([]))
    walk(CoinGecko(), vendor.context(plan=plan, api_key=KEY if header else ""))
    headers = vendor.upstream.asked[0].headers
    assert {name for name, text in headers.items() if text == KEY} == (
        {header} if header else set()
    )
    assert "key" not in str(vendor.upstream.asked[0].query)


@pytest.mark.parametrize(
    ("plan", "host"), [("demo", "pro-api.coingecko.com"), ("pro", "api.coingecko.com")]
)
def test_a_key_is_not_sent_to_the_host_of_another_plan(vendor, plan, host):
    context = vendor.context(plan=plan, api_key=KEY, base_url=f"https://{host}/api/v3")
    with pytest.raises(PermanentError, match="COINGECKO_PLAN") as raised:
        CoinGecko().fetch(context, None)
    assert KEY not in str(raised.value)
    assert vendor.gate.events == []


REFUSALS = [
    (
        CoinGecko,
        429,
        b'{"status":{"error_code":429,"error_message":"Slow"}}',
        RateLimitedError,
        "Slow",
    ),
    (
        CoinGecko,
        200,
        b'{"status":{"error_code":429,"error_message":"Slow"}}',
        RateLimitedError,
        "Slow",
    ),
    (CoinGecko, 403, b"error code: 1015", RateLimitedError, "1015"),
    (CoinGecko, 200, b"Throttled", RateLimitedError, "Throttled"),
    (CoinGecko, 403, b"<html><title>You are being rate limited</title>", RateLimitedError, "rate"),
    (
        CoinGecko,
        400,
        b'{"error_code":10010,"status":{"error_message":"host"}}',
        PermanentError,
        "COINGECKO_PLAN",
    ),
    (
        CoinGecko,
        400,
        b'{"status":{"error_code":10011}}',
        PermanentError,
        "demo key was sent to the pro",
    ),
    (CoinGecko, 401, b'{"status":{"error_code":10002}}', PermanentError, "COINGECKO_API_KEY"),
    (
        CoinGecko,
        401,
        b'{"error":{"status":{"error_code":10012,"error_message":"Old"}}}',
        PermanentError,
        "Old",
    ),
    (CoinGecko, 401, b"", PermanentError, "COINGECKO_API_KEY"),
    (
        CoinGecko,
        403,
        b"<!DOCTYPE html><title>Access denied</title>",
        PermanentError,
        "Access denied",
    ),
    (CoinGecko, 422, b'{"error":"Missing parameter vs_currency"}', PermanentError, "vs_currency"),
    (CoinGecko, 404, b'{"error":"coin not found"}', PermanentError, "COINGECKO_BASE_URL"),
    (CoinGecko, 500, b'{"status":500,"error":"Internal Server Error"}', TransientError, "Internal"),
    (CoinGecko, 200, b'{"status":500,"error":"Internal Server Error"}', TransientError, "Internal"),
    (CoinGecko, 504, b"<!DOCTYPE html><title>Gateway time-out</title>", TransientError, "time-out"),
    (CoinGecko, 200, b"<!DOCTYPE html><title>Hello\n there</title>", TransientError, "Hello there"),
    (CoinGecko, 200, b"", TransientError, "did not answer with data"),
    (CoinGecko, 200, b'[{"id": "bit', TransientError, "broken JSON"),
    (CoinGecko, 200, b'[{"id": "\xff"}]', TransientError, "broken JSON"),
    (CoinGecko, 200, b"{}", UnreadablePageError, "not a JSON array"),
    (CoinGecko, 200, b"[[1641499200000, 38257.2]]", UnreadablePageError, "none of its items"),
    (CoinGecko, 200, b'"Throttled"', RateLimitedError, "Throttled"),
    (
        CoinPaprika,
        402,
        b'{"error":"not allowed in this plan"}',
        PermanentError,
        "the plan does not",
    ),
    (
        CoinPaprika,
        400,
        b'{"error":"not allowed in this plan"}',
        PermanentError,
        "the plan does not",
    ),
    (CoinPaprika, 403, b'{"error":"bad key"}', PermanentError, "COINPAPRIKA_API_KEY"),
    (CoinPaprika, 404, b'{"error":"id not found"}', PermanentError, "id not found"),
    (CoinPaprika, 429, b'{"error":"Too many requests"}', RateLimitedError, "Too many"),
    (
        CoinPaprika,
        200,
        b'{"error":"you have reached maximum request limit"}',
        RateLimitedError,
        "limit",
    ),
    (CoinPaprika, 500, b'{"error":"oops"}', TransientError, "oops"),
]


@pytest.mark.parametrize(("connector", "status", "body", "error", "words"), REFUSALS)
def test_a_refusal_of_any_shape_becomes_one_clear_sentence(
    vendor, connector, status, body, error, words
):
    vendor.upstream.will(answer(body, status))
    with pytest.raises(error, match=words) as raised:
        connector().fetch(vendor.context(), None)
    assert type(raised.value) is error
    assert "\n" not in str(raised.value)


def test_a_rate_limit_behind_another_status_freezes_the_source(vendor):
    vendor.upstream.will(answer(b"error code: 1015", 403, retry_after="119"))
    with pytest.raises(RateLimitedError) as raised:
        CoinGecko().fetch(vendor.context(), None)
    assert raised.value.retry_after_s == 119
    assert vendor.gate.events[-1] == "freeze 119"


@pytest.mark.parametrize("connector", [CoinGecko, CoinPaprika])
def test_a_wrapped_or_marked_list_is_unwrapped_before_it_is_stored(vendor, connector):
    listed = b'[{"id":"a"} , {"id" : "b"}]'
    vendor.upstream.will(answer(b'{"data": ' + listed + b"}"), answer(b"\xef\xbb\xbf" + listed))
    for _ in range(2):
        (page,) = walk(connector(), vendor.context())
        assert page.body == b'[{"id":"a"},{"id" : "b"}]'


def test_coinpaprika_is_one_answer_cut_into_pages(vendor, monkeypatch):
    monkeypatch.setattr(coinpaprika, "ITEMS_PER_PAGE", 2)
    body = b'[ {"id":"a", "n":1.0},\n{"id":"b"} , {"id":"c"},{"id":"d"},{"id":"e"}]'
    vendor.upstream.will(answer(body))
    fetched = CoinPaprika().fetch(vendor.context(), None)
    assert fetched.next_cursor is None
    assert not isinstance(fetched.pages, (list, tuple))
    pages = list(fetched.pages)
    assert [page.body for page in pages] == [
        b'[{"id":"a", "n":1.0},{"id":"b"}]',
        b'[{"id":"c"},{"id":"d"}]',
        b'[{"id":"e"}]',
    ]
    assert [page.checkpoint["pages"] for page in pages] == [1, 2, 3]
    assert vendor.upstream.asked[0].path == "/tickers"


def test_coinpaprika_with_nothing_is_a_page_with_nothing(vendor):
    vendor.upstream.will(answer(b" []"))
    (page,) = walk(CoinPaprika(), vendor.context())
    assert (page.body, page.item_count) == (b" []", 0)


@pytest.mark.parametrize(("scheme", "header"), [("", KEY), ("Bearer", f"Bearer {KEY}")])
def test_coinpaprika_gets_the_key_with_the_scheme_of_the_settings(vendor, scheme, header):
    vendor.upstream.will(sent([]))
    walk(CoinPaprika(), vendor.context(api_key=KEY, auth_scheme=scheme))
    assert vendor.upstream.asked[0].headers["Authorization"] == header


def test_coinpaprika_without_a_key_sends_none(vendor):
    vendor.upstream.will(sent([]))
    walk(CoinPaprika(), vendor.context())
    assert vendor.upstream.asked[0].headers["Authorization"] is None


def test_a_page_of_unknown_age_has_no_future(vendor):
    (coin,) = coins(1, 1, at="2031-01-01T00:00:00Z")
    body = json.dumps([coin | {"current_price": 1e-12}]).encode()
    page = Page(request="", body=body, media_type="", checkpoint={})
    connector = CoinGecko()
    (quote,) = map(connector.normalise, connector.parse(page))
    assert isinstance(quote, Quote)
    assert quote.price_usd == Decimal("1e-12")


def test_an_item_without_its_id_is_rejected_even_if_it_has_one():
    item = Item(None, msgspec.json.encode(coins(1, 1)[0]))
    assert CoinGecko().normalise(item) == Rejection(
        None, "id", "required", "id was not given with the item"
    )
    assert isinstance(CoinPaprika().normalise(Item(None, b"{}")), Rejection)


def test_an_endlessly_nested_page_is_unreadable():
    page = Page(request="", body=b"[" * 5000 + b"]" * 5000, media_type="", checkpoint={})
    with pytest.raises(UnreadablePageError):
        CoinGecko().parse(page)
