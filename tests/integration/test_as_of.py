"""The market table as of a moment: the same answer before and after later runs."""

import json
import threading
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import text

from tasks.pipeline import ageing
from tasks.store import links, publication, purges
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration


@pytest.fixture
def source():
    return ScriptedConnector(
        pages=[[coin("bitcoin", "65000", symbol="BTC", name="Bitcoin", rank=1), coin("zeta", "2")]]
    )


@pytest.fixture
def other():
    return ScriptedConnector(name="coinpaprika")


@pytest.fixture
def bench(settings, source, other):
    with workbench(settings, source, other) as bench:
        yield bench


@pytest.fixture
def client(api):
    return api.client


def _now(bench):
    return bench.one("select clock_timestamp() as now").now


def _body(client, moment=None, **query):
    """The bytes of a list, without what is about the request itself."""
    if moment is not None:
        query["as_of"] = moment.isoformat()
    response = client.get("/data", query_string=query)
    assert response.status_code == 200, response.text
    head, _, tail = response.data.partition(b',"request_id":')
    return head + tail[tail.index(b',"pagination":') : tail.index(b',"meta":')]


def _change(bench, source, round_):
    """A run that changes a price, brings a coin and gives a ticker to another owner."""
    source.pages = [
        [
            coin("bitcoin", str(60000 + round_), symbol="BTC", name="Bitcoin", rank=1),
            coin(f"new-{round_}", "1", symbol="ZET", name=f"New {round_}", rank=10 + round_),
            coin("zeta", "2.5", at="2026-01-02T00:00:00Z"),
        ]
    ]
    return bench.run()


def test_an_answer_as_of_a_moment_is_byte_identical_after_later_runs(bench, source, client):
    bench.run()
    moments, bodies = [], []
    for round_ in range(3):
        moments.append(_now(bench))
        bodies.append(_body(client, moments[-1]))
        _change(bench, source, round_)
    assert [_body(client, moment) for moment in moments] == bodies
    assert len(set(bodies)) == 3


def test_the_table_as_of_now_is_the_live_table(bench, source, client):
    bench.run()
    _change(bench, source, 1)
    assert _body(client, _now(bench)) == _body(client)


def test_every_filter_sort_and_page_works_on_the_past(bench, source, client):
    bench.run()
    moment = _now(bench)
    ways = [
        {"ticker": "BTC"},
        {"symbol": "zet"},
        {"name": "bit"},
        {"min_price": "10"},
        {"sort": "-price_usd"},
        {"sort": "ticker"},
        {"fields": "id,price_usd"},
        {"limit": "1", "offset": "1"},
        {"end_date": moment.isoformat()},
    ]
    before = [_body(client, moment, **way) for way in ways]
    assert before == [_body(client, **way) for way in ways]
    _change(bench, source, 1)
    assert [_body(client, moment, **way) for way in ways] == before


def test_the_past_can_be_walked_by_cursor_while_runs_go_on(bench, source, client):
    source.pages = [[coin(f"c{n}", str(n + 1), symbol=f"C{n}", rank=n + 1) for n in range(7)]]
    bench.run()
    query = {"as_of": _now(bench).isoformat(), "limit": 3}
    seen = []
    for round_ in count():
        page = client.get("/data", query_string=query).json
        seen += [row["id"] for row in page["data"]]
        if page["pagination"]["next_cursor"] is None:
            break
        query["cursor"] = page["pagination"]["next_cursor"]
        source.pages = [[coin(f"c{n}", "9", symbol=f"C{n}", rank=7 - n + round_) for n in range(7)]]
        bench.run()
    assert seen == [f"C{n}" for n in range(7)]


def test_an_asset_that_was_joined_to_another_stands_in_the_past_only(bench, other, client):
    bench.run()
    apart = [coin("btc-bitcoin", "3", symbol="BTC", name="Something else")]
    other.pages = [apart]
    bench.run("coinpaprika")
    moment = _now(bench)
    before = _body(client, moment)
    with bench.dependencies.transaction() as session:
        gone = session.scalar(
            text("delete from assets where name = 'Something else' returning asset_id")
        )
        publication.append(session, [], closed=[gone])
    assert _body(client, moment) == before
    assert _body(client, _now(bench)) == _body(client)
    assert _body(client) != before


def test_what_grows_old_is_written_down_too(bench, source, client):
    bench.run()
    source.fresh_for_s = 1
    moment = _now(bench)
    before = _body(client, moment)
    assert ageing.age(bench.dependencies) == 2
    assert _body(client, moment) == before
    assert _body(client, _now(bench)) == _body(client)


def test_what_grows_old_waits_for_items_that_are_being_moved(bench, source):
    bench.run()
    source.fresh_for_s = 1
    aged = []
    with bench.dependencies.transaction() as session:
        links.lock(session)
        waiting = threading.Thread(target=lambda: aged.append(ageing.age(bench.dependencies)))
        waiting.start()
        waiting.join(timeout=0.3)
        assert aged == []
    waiting.join(timeout=20)
    assert aged == [2]


def test_a_baseline_changes_no_answer(bench, source, client, monkeypatch):
    monkeypatch.setattr(publication, "BASELINE_ROWS", 1)
    monkeypatch.setattr(publication, "BASELINE_FACTOR", 0)
    bench.run()
    moments, bodies = [], []
    for round_ in range(4):
        _change(bench, source, round_)
        moments.append(_now(bench))
        bodies.append(_body(client, moments[-1]))
        assert bodies[-1] == _body(client)
    assert bench.one("select count(*) as n from asset_baselines").n > 2
    assert [_body(client, moment) for moment in moments] == bodies


def test_who_asks_waits_for_a_publication_under_way(bench, client):
    bench.run()
    ids = [row.asset_id for row in bench.rows("select asset_id from assets")]
    answers = []
    with bench.dependencies.transaction() as session:
        session.execute(text("update assets set price_usd = 7, updated_at = now()"))
        publication.append(session, ids)
        moment = _now(bench)
        asking = threading.Thread(target=lambda: answers.append(_body(client, moment)))
        asking.start()
        asking.join(timeout=0.3)
        assert answers == []
    asking.join(timeout=5)
    assert {row["price_usd"] for row in json.loads(answers[0] + b"}")["data"]} == {7}
    assert answers == [_body(client, moment)]


def test_before_anything_was_published_the_table_is_empty(bench, client):
    moment = _now(bench)
    bench.run()
    assert b'"data":[],"total":0' in _body(client, moment)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"as_of": "2999-01-01"}, "future"),
        ({"as_of": "2015-01-01"}, "730 days"),
        ({"source": "coingecko"}, "leave source out"),
        ({"as_of": "yesterday"}, "Not a valid"),
    ],
)
def test_a_moment_that_cannot_be_answered_for_is_refused_by_name(bench, client, query, words):
    query = {"as_of": _now(bench).isoformat()} | query
    response = client.get("/data", query_string=query)
    assert response.status_code == 422
    assert words in str(response.json["errors"]["as_of"])


def test_a_month_goes_when_a_later_baseline_answers_for_what_is_kept(bench):
    bench.run()
    horizon = _now(bench) - timedelta(days=1)
    with bench.dependencies.transaction() as session:
        for name, first, end in (("202001", "2020-01-01Z", "2020-02-01Z"),):
            session.execute(
                text(
                    f"create table asset_history_{name} partition of asset_history"
                    f" for values from ('{first}') to ('{end}')"
                )
            )
        assert purges.asset_history_partition(session, horizon, 1) == 0
        session.execute(
            text("insert into asset_baselines (valid_from, assets) values ('2020-03-01Z', 0)")
        )
        assert purges.asset_history_partition(session, horizon, 1) == 1
        assert purges.asset_history_partition(session, horizon, 1) == 0
