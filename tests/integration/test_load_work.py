"""How much a load makes PostgreSQL look at: so many rows for each item, whatever is known."""

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from tasks.store import linking, migrate
from tasks.store.session import create_database_engine
from tests.support.market import load, quote

pytestmark = pytest.mark.integration

BATCH = 2 * linking.MANY
PAGE = 250
MOST_ROWS_AN_ITEM = 150
_EXPLAINED = ("select", "with", "insert", "update", "delete")


@pytest.fixture
def engine(databases):
    """A database that is thrown away: its statistics would mislead other tests."""
    with databases.empty() as url:
        migrate.upgrade(url)
        engine = create_database_engine(url, application_name="load", statement_timeout_s=20)
        yield engine
        engine.dispose()


@pytest.fixture
def looked_at(engine):
    """Rows the executor handed on or threw away, by statement; each is tried before it runs."""
    found = {}

    @event.listens_for(engine, "before_cursor_execute")
    def _note(_connection, cursor, statement, parameters, *_rest):
        name = " ".join(statement.split())
        if name.lower().startswith(_EXPLAINED):
            cursor.execute("savepoint before")
            cursor.execute(f"explain (analyze, format json) {statement}", parameters)
            rows = _rows(cursor.fetchone()[0][0]["Plan"])
            found[name] = max(rows, found.get(name, 0))
            cursor.execute("rollback to savepoint before")

    return found


def _rows(node):
    removed = sum(rows for name, rows in node.items() if name.startswith("Rows Removed"))
    own = (node["Actual Rows"] + removed) * node["Actual Loops"]
    return own + sum(map(_rows, node.get("Plans", ())))


def _load(engine, looked_at, source, prefix, coins, price="1"):
    quotes = [
        quote(f"{prefix}{n}", f"S{n}", f"Coin number {n}", price, rank=n + 1, age=-float(price))
        for n in coins
    ]
    with Session(engine) as session, session.begin():
        load(session, source, *(quotes[n : n + PAGE] for n in range(0, len(quotes), PAGE)))
    worst = max(looked_at, key=looked_at.get)
    rows, statement = looked_at[worst] / len(coins), worst[:200]
    assert rows <= MOST_ROWS_AN_ITEM, statement
    looked_at.clear()


def test_the_first_load_leaves_statistics_of_what_it_has_founded(engine, looked_at):
    """Of none, the second one takes the links of a source for two, and reads them for each item."""
    _load(engine, looked_at, "coingecko", "", range(linking.MANY))
    known = "select relname, reltuples from pg_class where relname in ('assets', 'asset_links')"
    with engine.begin() as connection:
        rows = dict(map(tuple, connection.execute(text(known))))
    assert rows == {"assets": linking.MANY, "asset_links": linking.MANY}


def test_a_load_looks_at_so_many_rows_for_each_item(engine, looked_at):
    low, high = range(BATCH), range(BATCH, 2 * BATCH)
    across, beyond = range(BATCH // 2, 3 * BATCH // 2), range(3 * BATCH // 2, 5 * BATCH // 2)
    _load(engine, looked_at, "coingecko", "", low)
    _load(engine, looked_at, "coingecko", "", high)
    with engine.begin() as connection:
        connection.execute(text("analyze"))  # as the server does by itself before long
    _load(engine, looked_at, "coinpaprika", "x-", across)
    _load(engine, looked_at, "coinpaprika", "x-", beyond)
    _load(engine, looked_at, "coingecko", "", low, price="1.5")
    _load(engine, looked_at, "coinpaprika", "x-", across, price="1.5")
