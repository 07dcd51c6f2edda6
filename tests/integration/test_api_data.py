"""The market table through HTTP."""

from decimal import Decimal

import pytest

from tests.support import api


@pytest.fixture
def app(settings):
    return api.make_app(settings)


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def session(app):
    with app.extensions["kasparro"].dependencies.session_factory.begin() as session:
        yield session


def test_a_price_keeps_every_stored_digit(app, client):
    with app.extensions["kasparro"].dependencies.transaction() as session:
        api.add_asset(session, price_usd=Decimal("1.2e-10"), market_cap_usd=Decimal("0.0"))
    row = api.exact(client.get("/data?ticker=BTC"))["data"][0]
    assert row["price_usd"] == Decimal("1.2e-10")
    assert row["market_cap_usd"] == 0
    assert row["volume_24h_usd"] is None
