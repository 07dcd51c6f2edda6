"""Lists by rank: exactly in order, although the index knows ranks by their blocks only."""

import random
from types import SimpleNamespace

import pytest
from sqlalchemy import event, insert, text

from service.walks import Walks
from tasks.store.tables import RANK_BLOCK, QuoteRow
from tests.support.api import NOW, add_assets

pytestmark = pytest.mark.integration

ASSETS = 40 * RANK_BLOCK
PAGE = 50


@pytest.fixture(scope="module")
def api(api_apart):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Walks, "pin", lambda *_: None)  # so that pages go on by key
        yield api_apart


@pytest.fixture(scope="module")
def market(api):
    """Ranks in no order, some of them twice, some missing; a source that knows every third."""
    chance = random.Random(7)
    ranks = [None if n % 50 == 0 else max(1, n - n % 2) for n in range(ASSETS)]
    chance.shuffle(ranks)
    with api.transaction() as session:
        add_assets(session, ASSETS)
        session.execute(
            text("update assets set rank = (cast(:ranks as int[]))[asset_id]"), {"ranks": ranks}
        )
        rows = session.execute(text("select asset_id, wire_id, rank from assets")).all()
        seen = [row for row in rows if row.asset_id % 3 == 0]
        session.execute(insert(QuoteRow), [_quote(row) for row in seen])
    with api.dependencies.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("vacuum analyze"))
    return SimpleNamespace(all=_ordered(rows), seen=_ordered(seen))


def _quote(row):
    return {
        "source": "coingecko",
        "external_id": row.wire_id,
        "asset_id": row.asset_id,
        "symbol": row.wire_id,
        "name": row.wire_id,
        "rank": row.rank,
        "observed_at": NOW,
        "digest": b"d",
    }


def _ordered(rows):
    by_rank = sorted(rows, key=lambda row: (row.rank is None, row.rank, row.asset_id))
    return [row.wire_id for row in by_rank]


def _walked(api, query):
    ids, cursor = [], ""
    while True:
        answer = api.get(f"/data?limit=200{query}{cursor}")
        assert answer.status_code == 200, answer.json
        page = answer.json
        ids += [row["id"] for row in page["data"]]
        if page["pagination"]["next_cursor"] is None:
            return ids
        cursor = f"&cursor={page['pagination']['next_cursor']}"


def test_a_walk_by_key_gives_every_asset_in_the_order_of_ranks(api, market):
    assert _walked(api, "") == market.all
    assert _walked(api, "&sort=rank") == market.all


def test_a_walk_over_a_source_does_so_too(api, market):
    assert _walked(api, "&source=coingecko") == market.seen


def test_offsets_and_falling_ranks_keep_the_order(api, market):
    middle = ASSETS // 2
    page = api.get(f"/data?limit={PAGE}&offset={middle}").json["data"]
    assert [row["id"] for row in page] == market.all[middle : middle + PAGE]
    ranks = [row["rank"] for row in api.get(f"/data?sort=-rank&limit={PAGE}").json["data"]]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("source", ["", "&source=coingecko"])
@pytest.mark.parametrize("depth", [0, ASSETS // 4])
def test_a_page_looks_at_the_rows_of_its_blocks_only(api, market, source, depth):
    assert market.all
    cursor = ""
    if depth:
        first = api.get(f"/data?limit={PAGE}&offset={depth}{source}").json
        cursor = f"&cursor={first['pagination']['next_cursor']}"
    statements = []
    reader = api.app.extensions["kasparro"].reader

    @event.listens_for(reader, "before_cursor_execute")
    def _note(_connection, _cursor, statement, parameters, *_rest):
        statements.append((statement, parameters))

    assert len(api.get(f"/data?limit={PAGE}&count=none{source}{cursor}").json["data"]) == PAGE
    event.remove(reader, "before_cursor_execute", _note)
    listing = [entry for entry in statements if "rank_block" in entry[0]]
    assert listing
    with reader.connect() as connection:
        for statement, parameters in listing:
            plan = connection.exec_driver_sql(
                f"explain (analyze, format json) {statement}", parameters
            ).scalar_one()
            assert _looked_at(plan[0]["Plan"]) <= 8 * RANK_BLOCK


def _looked_at(node):
    """Rows that scans handed on or threw away."""
    own = 0
    if "Scan" in node["Node Type"]:
        removed = sum(rows for name, rows in node.items() if name.startswith("Rows Removed"))
        own = (node["Actual Rows"] + removed) * node["Actual Loops"]
    return own + sum(map(_looked_at, node.get("Plans", ())))
