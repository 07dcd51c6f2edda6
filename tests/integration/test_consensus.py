from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.support.market import asset, load, quote, uses

pytestmark = pytest.mark.integration

IN_2024 = datetime(2024, 5, 1, tzinfo=UTC)


def _bitcoin(session, price, *, source="coingecko", **fields):
    ids = {"coingecko": "bitcoin", "coinpaprika": "btc-bitcoin"}
    load(session, source, [quote(ids.get(source, "BTC"), "BTC", "Bitcoin", price, **fields)])
    return asset(session, source, ids.get(source, "BTC"))


def test_two_fresh_prices_give_their_midpoint_and_an_old_file_changes_nothing(session):
    _bitcoin(session, "65000")
    _bitcoin(session, "65010", source="coinpaprika")
    found = _bitcoin(session, "45000.50", source="csv", at=IN_2024)
    assert str(found.price_usd) == "65005"
    assert found.sources == ["coingecko", "coinpaprika", "csv"]
    assert found.sources_used == ["coingecko", "coinpaprika"]
    assert uses(session)["csv", "BTC"] == "stale"
    assert found.wire_id == "BTC"


def test_an_old_file_that_came_first_gives_way_to_a_fresh_price(session):
    stale = _bitcoin(session, "45000.50", source="csv", at=IN_2024)
    assert stale.price_usd == Decimal("45000.50")
    assert stale.confidence == Decimal("0.18")
    found = _bitcoin(session, "65000")
    assert (found.price_usd, found.source, found.coin_id) == (65000, "coingecko", "bitcoin")


def test_one_of_three_at_ten_times_the_price_is_an_outlier(session):
    _bitcoin(session, "65000")
    _bitcoin(session, "65010", source="coinpaprika")
    found = _bitcoin(session, "650000", source="csv")
    assert found.price_usd == 65005
    assert uses(session)["csv", "BTC"] == "outlier"
