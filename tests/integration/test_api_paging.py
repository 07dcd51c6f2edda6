"""Walking a list by cursor while it changes."""

import random
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from service.schemas.market import SORTS
from service.walks import Walks
from tasks.core.clock import system_clock
from tasks.store import versions
from tasks.store.tables import Asset
from tests.support.api import NOW, add_asset, add_assets, running


def walk(api, query, between=lambda _page: None):
    """Follow the cursors of a list to its end and return the ids in the order given."""
    ids, cursor, number = [], "", 0
    while True:
        page = api.get(f"/data?{query}{cursor}").json
        ids += [row["id"] for row in page["data"]]
        following = page["pagination"]["next_cursor"]
        if following is None:
            return ids
        between(number)
        number += 1
        cursor = f"&cursor={following}"


def test_505_rows_with_equal_times_are_each_given_once_while_all_of_them_are_upserted(api):
    with api.transaction() as session:
        add_assets(session, 505, updated_at=NOW)

    def upsert(number):
        with api.transaction() as session:
            session.execute(update(Asset).values(updated_at=NOW + timedelta(seconds=number + 1)))
            versions.bump(session, "data")

    ids = walk(api, "sort=updated_at&page_size=50", upsert)
    assert sorted(ids) == sorted(f"T{number}" for number in range(1, 506))


@pytest.mark.parametrize("sort", [sign + name for name in SORTS for sign in ("", "-")])
def test_every_sort_is_total_with_nulls_last(api, sort):
    with api.transaction() as session:
        chance = random.Random(3)
        for number in range(23):
            value = chance.choice([None, Decimal(1), Decimal("2.5"), Decimal("1e-12")])
            columns = ("price_usd", "market_cap_usd", "volume_24h_usd", "percent_change_24h")
            rank = chance.choice([None, 1, 2])
            add_asset(session, f"X{number}", rank=rank, **dict.fromkeys(columns, value))
    name = sort.removeprefix("-")
    rows = api.get(f"/data?sort={sort}&limit=100").json["data"]
    keys = [row[name] for row in rows if row[name] is not None]
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    assert all(row[name] is None for row in rows[len(keys) :])
    for size in (1, 4, 22, 23):
        assert walk(api, f"sort={sort}&limit={size}") == [row["id"] for row in rows]


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 2**16),
    sort=st.sampled_from([sign + name for name in SORTS for sign in ("", "-")]),
    size=st.integers(3, 17),
)
def test_whatever_moves_comes_or_goes_each_lasting_row_is_given_once(api, seed, sort, size):
    chance = random.Random(seed)
    with api.transaction() as session:
        session.execute(delete(Asset))
        add_assets(session, 40)

    def disturb(number):
        with api.transaction() as session:
            for _ in range(5):
                session.execute(
                    update(Asset)
                    .where(Asset.wire_id == f"T{chance.randint(1, 35)}")
                    .values(
                        rank=chance.choice([None, chance.randint(1, 60)]),
                        price_usd=Decimal(chance.randint(0, 9)),
                        market_cap_usd=Decimal(chance.randint(0, 9)),
                        updated_at=func.clock_timestamp(),
                    )
                )
            session.execute(delete(Asset).where(Asset.wire_id == f"T{36 + number % 5}"))
            add_asset(session, f"NEW{number}", rank=chance.randint(1, 60))

    ids = walk(api, f"sort={sort}&limit={size}", disturb)
    lasting = [wire_id for wire_id in ids if wire_id in {f"T{n}" for n in range(1, 36)}]
    assert sorted(lasting) == sorted(f"T{number}" for number in range(1, 36))
    assert len(set(ids)) == len(ids)


def test_a_walk_goes_on_by_key_when_its_order_is_no_longer_kept(api):
    with api.transaction() as session:
        add_assets(session, 30)
    clear = api.dependencies.redis.flushall
    assert walk(api, "limit=7", lambda _number: clear()) == [f"T{n}" for n in range(1, 31)]


def test_a_walk_goes_on_by_key_without_redis(settings):
    elsewhere = Walks(_unreachable(), system_clock())
    with running(settings) as api:
        with api.transaction() as session:
            add_assets(session, 12)
        api.app.extensions["kasparro"].walks.close()
        api.app.extensions["kasparro"].walks = elsewhere
        assert walk(api, "limit=5") == [f"T{n}" for n in range(1, 13)]


def _unreachable():
    from service.observability.broker import connect  # noqa: PLC0415

    return connect("redis://127.0.0.1:1/0", is_text=False)


def test_a_cursor_of_another_list_is_refused(api):
    with api.transaction() as session:
        add_assets(session, 30)
    cursor = api.get("/data?limit=3&sort=rank").json["pagination"]["next_cursor"]
    for query in ("sort=-rank", "sort=rank&min_price=1", "sort=rank&source=csv"):
        response = api.get(f"/data?{query}&cursor={cursor}")
        assert response.status_code == 422
        assert "cursor" in response.json["errors"]
    assert api.get(f"/data?limit=3&sort=rank&cursor={cursor}").status_code == 200


@given(place=st.integers(0, 60), letter=st.sampled_from("AZaz09-_="))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_damaged_cursor_is_refused_or_was_not_damaged(api, place, letter):
    with api.transaction() as session:
        if not session.scalar(select(func.count()).select_from(Asset)):
            add_assets(session, 10)
    cursor = api.get("/data?limit=3").json["pagination"]["next_cursor"]
    damaged = cursor[:place] + letter + cursor[place + 1 :]
    response = api.get(f"/data?limit=3&cursor={damaged}")
    assert response.status_code == 422 or damaged.rstrip("=") == cursor


def test_the_link_header_leads_to_the_next_page(api):
    with api.transaction() as session:
        add_assets(session, 5)
    link = api.get("/data?limit=3&min_price=0").headers["Link"]
    url, rel = link.split("; ")
    assert rel == 'rel="next"'
    assert [row["id"] for row in api.get(url.strip("<>")).json["data"]] == ["T4", "T5"]
    assert "Link" not in api.get(url.strip("<>")).headers


def test_a_walk_over_one_sources_observations_stays_with_that_source(api):
    from tests.support.api import add_quote  # noqa: PLC0415

    with api.transaction() as session:
        for number in range(6):
            asset_id = add_asset(session, f"S{number}")
            add_quote(session, asset_id, "csv", rank=number)
            add_quote(session, asset_id, "coingecko", rank=9 - number)
    assert walk(api, "source=csv&limit=4") == [f"S{n}" for n in range(6)]
    assert walk(api, "source=coingecko&limit=4") == [f"S{n}" for n in reversed(range(6))]
