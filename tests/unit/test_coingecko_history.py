"""Charts of CoinGecko as points, recorded oddities included."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tasks.core.errors import UnreadablePageError
from tasks.domain.records import Quote, Rejection
from tasks.sources.base import Page
from tasks.sources.coingecko_history import CoinGeckoHistory

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
REQUEST = "GET /coins/weird%20%2Fid/market_chart/range?from=1&to=2"


def _ms(moment):
    return round(moment.timestamp() * 1000)


def _records(body, **fields):
    page = Page(
        **{
            "request": REQUEST,
            "body": body,
            "media_type": "application/json",
            "checkpoint": {},
            "fetched_at": NOW,
        }
        | fields
    )
    connector = CoinGeckoHistory()
    return [connector.normalise(item) for item in connector.parse(page)]


def _chart(*points):
    def series(digits):
        return "[" + ",".join(f"[{_ms(at)},{digits}]" for at in points) + "]"

    return (
        f'{{"prices":{series("0.000000000012345678901234567890")},'
        f'"market_caps":{series("1.5e9")},"total_volumes":{series("0.0")}}}'
    ).encode()


def test_a_point_keeps_every_digit_and_the_coin_its_id():
    (record,) = _records(_chart(NOW - timedelta(hours=1)))
    assert isinstance(record, Quote)
    assert record.external_id == "weird /id"
    assert record.price_usd == Decimal("0.00000000001234567890123456789")
    assert (record.market_cap_usd, record.volume_24h_usd) == (Decimal("1.5e9"), 0)
    assert record.observed_at == NOW - timedelta(hours=1)


def test_the_point_that_is_now_is_left_out_even_where_times_run_backwards():
    grid = [NOW - timedelta(minutes=20), NOW - timedelta(minutes=15)]
    now = [NOW, NOW - timedelta(milliseconds=955)]
    assert [record.observed_at for record in _records(_chart(*grid, *now))] == grid


def test_points_come_in_the_order_of_time():
    moments = [NOW - timedelta(hours=hour) for hour in (1, 3, 2)]
    assert [record.observed_at for record in _records(_chart(*moments))] == sorted(moments)


def test_a_series_that_is_missing_leaves_its_figure_out():
    at = _ms(NOW - timedelta(hours=1))
    (record,) = _records(b'{"prices":[[%d,1.5]]}' % at)
    assert (record.price_usd, record.market_cap_usd, record.volume_24h_usd) == (
        Decimal("1.5"),
        None,
        None,
    )


@pytest.mark.parametrize("point", ["[1,-5]", '[1,"x"]', "[1]", "[99999999999999999,1]"])
def test_a_point_that_cannot_be_true_is_rejected_or_the_page_unreadable(point):
    try:
        records = _records(f'{{"prices":[{point}]}}'.encode(), fetched_at=None)
    except UnreadablePageError:
        return
    assert all(isinstance(record, Rejection) for record in records)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"<html>", b'{"prices":{}}'])
def test_what_is_no_chart_cannot_be_read(body):
    with pytest.raises(UnreadablePageError):
        _records(body)


def test_a_coin_that_was_not_found_has_no_points():
    assert _records(b"{}", status=404) == []
