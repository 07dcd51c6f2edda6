"""How much a load makes PostgreSQL look at: so many rows for each item, whatever is known."""

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session

from tasks.store import linking, migrate
from tests.support.market import load, quote

pytestmark = pytest.mark.integration

BATCH = 2 * linking.MANY
MOST_ROWS_AN_ITEM = 150
_EXPLAINED = ("select", "with", "insert", "update", "delete")


@pytest.fixture
def engine(databases):
    """A database that is thrown away: its statistics would mislead other tests."""
    with databases.empty() as url:
        migrate.upgrade(url)
        engine = create_engine(url)
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
            found[name] = _rows(cursor.fetchone()[0][0]["Plan"])
            cursor.execute("rollback to savepoint before")

    return found


def _rows(node):
    removed = sum(rows for name, rows in node.items() if name.startswith("Rows Removed"))
    own = (node["Actual Rows"] + removed) * node["Actual Loops"]
    return own + sum(map(_rows, node.get("Plans", ())))


def _load(engine, looked_at, source, prefix, first, price="1", count=BATCH):
    coins = range(first, first + count)
    quotes = [
        quote(f"{prefix}{n}", f"S{n}", f"Coin number {n}", price, rank=n + 1, age=-float(price))
        for n in coins
    ]
    with Session(engine) as session, session.begin():
        load(session, source, quotes)
    worst = max(looked_at, key=looked_at.get)
    rows, statement = looked_at[worst] / count, worst[:200]
    assert rows <= MOST_ROWS_AN_ITEM, statement
    looked_at.clear()


def test_the_first_batches_of_a_first_run_do_not_look_at_all_before_them(engine, looked_at):
    """No statistics have been gathered by then but those that a load asks for."""
    _load(engine, looked_at, "coingecko", "", 0, count=linking.MANY)
    _load(engine, looked_at, "coingecko", "", linking.MANY, count=4 * linking.MANY)


def test_a_load_looks_at_so_many_rows_for_each_item(engine, looked_at):
    _load(engine, looked_at, "coingecko", "", 0)
    _load(engine, looked_at, "coingecko", "", BATCH)
    with engine.begin() as connection:
        connection.execute(text("analyze"))  # as the server does by itself before long
    _load(engine, looked_at, "coinpaprika", "x-", BATCH // 2)
    _load(engine, looked_at, "coinpaprika", "x-", 3 * BATCH // 2)
    _load(engine, looked_at, "coingecko", "", 0, price="1.5")
    _load(engine, looked_at, "coinpaprika", "x-", BATCH // 2, price="1.5")
