"""Answers that need not be sent again, and smaller ones."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from threading import Event

import pytest
from sqlalchemy import text

from tasks.store import versions
from tests.support.api import add_asset, add_assets, add_news, add_quote, exact, running

PATHS = ("/data", "/data/BTC", "/stats", "/runs", "/news")


@pytest.mark.parametrize("path", PATHS)
def test_who_has_this_version_gets_304_until_the_data_changes(api, path):
    with api.transaction() as session:
        add_asset(session)
    first = api.get(path)
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*", f'{tag[:-1]}-gzip"'):
        again = api.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == tag
    assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    with api.transaction() as session:
        for topic in ("data", "runs", "news"):
            versions.bump(session, topic)
    changed = api.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


@pytest.mark.parametrize(("path", "status"), [("/data/NOPE", 404), ("/data?bogus=1", 422)])
def test_any_version_will_not_do_where_there_is_none(still_api, path, status):
    assert still_api.get(path, headers={"If-None-Match": "*"}).status_code == status


def test_a_tag_belongs_to_one_address_and_one_format(api):
    with api.transaction() as session:
        add_asset(session)
    tags = [
        api.get(path).headers["ETag"] for path in ("/data", "/data?limit=1", "/data?format=csv")
    ]
    tags.append(api.get("/data", headers={"Accept": "text/csv"}).headers["ETag"])
    assert len(set(tags)) == 4


def test_a_cached_answer_is_about_the_request_that_asked(api):
    with api.transaction() as session:
        add_assets(session, 3)
    first, second = (api.get("/data?limit=2", headers={"X-Request-ID": f"r{n}"}) for n in (1, 2))
    assert (first.json["request_id"], second.json["request_id"]) == ("r1", "r2")
    assert first.json["data"] == second.json["data"]
    assert first.json["pagination"] == second.json["pagination"]
    assert first.headers["Link"] == second.headers["Link"]


def test_the_cache_shows_a_new_version_at_once(api):
    with api.transaction() as session:
        add_asset(session)
    assert api.get("/data").json["total"] == 1
    with api.transaction() as session:
        add_asset(session, "ETH")
    assert api.get("/data").json["total"] == 2


def test_a_body_is_compressed_for_who_can_read_it(api):
    with api.transaction() as session:
        add_assets(session, 50)
    plain = api.get("/data")
    packed = api.get("/data", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.vary
    assert b'"T1"' in gzip.decompress(packed.data)
    assert len(packed.data) < len(plain.data) / 3
    assert packed.headers["ETag"] != plain.headers["ETag"]
    refused = api.get("/data", headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "Content-Encoding" not in refused.headers


def test_an_export_is_compressed_as_it_is_written(api):
    with api.transaction() as session:
        add_assets(session, 50)
    packed = api.get("/data?format=csv", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.data).count(b"\r\n") == 51


def metric(api, start):
    """The value of the first sample that begins so; 0 without one."""
    lines = [line for line in api.get("/metrics").text.splitlines() if line.startswith(start)]
    return float(lines[0].split()[-1]) if lines else 0


@pytest.mark.parametrize("path", ["/data", "/data?format=ndjson&limit=10"])
def test_an_answer_given_at_the_door_is_like_the_first_one(api, path):
    with api.transaction() as session:
        add_assets(session, 60)
    by_flask = (
        'flask_http_request_duration_seconds_count{method="GET",status="200",url_rule="/data"}'
    )
    before = metric(api, by_flask)
    first, second = api.get(path), api.get(path)
    assert metric(api, by_flask) == before + 1  # the second one came from the door
    own = {"X-Request-ID", "Server-Timing", "RateLimit", "Content-Length"}
    names = set(first.headers.keys())
    assert names == set(second.headers.keys())
    for name in names - own:
        assert first.headers[name] == second.headers[name]


def test_what_is_given_at_the_door_is_counted_with_the_rest(api):
    def answered(code):
        return metric(api, f'api_requests_total{{code="{code}",endpoint="/stats",method="GET"}}')

    before = answered(200), answered(304)
    tag = api.get("/stats").headers["ETag"]
    for _ in range(3):
        assert api.get("/stats", headers={"If-None-Match": tag}).status_code == 304
    assert (answered(200), answered(304)) == (before[0] + 1, before[1] + 3)


def test_a_kept_answer_is_packed_for_each_request_anew(api):
    with api.transaction() as session:
        add_assets(session, 60)
    api.get("/data")
    for name in ("one", "two"):
        headers = {"Accept-Encoding": "gzip", "X-Request-ID": name}
        packed = api.get("/data", headers=headers)
        body = json.loads(gzip.decompress(packed.data))
        assert (body["request_id"], body["meta"]["request_id"]) == (name, name)
        assert len(body["data"]) == 50
        assert len(packed.data) < 6000
        again = api.get("/data", headers={"If-None-Match": packed.headers["ETag"]})
        assert again.status_code == 304


def test_a_kept_answer_lets_nobody_in(settings):
    with running(replace(settings, api_auth="required")) as api:
        key = {"X-API-Key": api.key("read")}
        tags = [api.get("/data", headers=key).headers["ETag"] for _ in range(2)]
        assert tags[0] == tags[1]
        assert api.get("/data").status_code == 401
    with running(settings) as api:
        assert [api.get("/data").status_code for _ in range(2)] == [200, 200]
        assert api.get("/data", headers={"X-API-Key": "ksp_unknown_key"}).status_code == 401
        assert api.get("/data", headers={"Authorization": "Bearer junk"}).status_code == 401


def test_no_answer_is_older_than_its_request_however_many_ask_at_once(api):
    committed, stopped, wrong = [0], Event(), []

    def ask():
        client = api.app.test_client()
        while not stopped.is_set():
            at_least = committed[0]
            total = client.get("/data?limit=1").json["total"]
            if total < at_least:
                wrong.append((total, at_least))

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        for number in range(1, 31):
            with api.transaction() as session:
                add_asset(session, f"N{number}")
            committed[0] = number
        stopped.set()
        for future in asking:
            future.result()
    assert wrong == []


LISTS = (
    "/data",
    "/data?limit=2&offset=1",
    "/data?symbol=t1",
    "/data?ticker=T2&fields=id,name",
    "/data?name=t%25oken&sort=-price_usd",
    "/data?name=token&min_price=0.2&max_price=1e3&count=exact",
    "/data?start_date=2026-01-01&end_date=2026-02-01&sort=-updated_at",
    "/data?source=coingecko&sort=ticker",
    "/data?source=rss",
    "/data?format=ndjson&limit=3",
    "/news?source=rss",
    "/news?ticker=T1&format=ndjson&limit=2",
    "/drift?source=csv",
    "/anomalies?status=open",
    "/quarantine?source=csv",
)


def fill(api):
    with api.transaction() as session:
        add_assets(session, 5)
        add_quote(session, add_asset(session, name="t%oken"), "coingecko")
        add_news(session)


def grow(api):
    with api.transaction() as session:
        add_asset(session, "T7", name="Token 7", rank=0, price_usd=Decimal("0.30"))
        add_news(session, "Down")
        versions.bump(session, "runs")


def told(answer):
    """What an answer says about the data."""
    if not answer.is_json:
        return answer.text
    about = {"request_id", "api_latency_ms", "meta"}
    facts = {name: value for name, value in exact(answer).items() if name not in about}
    facts["pagination"].pop("next_cursor")  # the first page of a walk has another name in it
    return facts


@pytest.mark.parametrize("path", LISTS)
def test_a_list_of_new_data_is_made_at_the_door_as_flask_makes_it(api, path):
    fill(api)
    by_flask = 'flask_http_request_duration_seconds_count{method="GET",status="200",url_rule="'
    by_flask += path.partition("?")[0] + '"}'
    before = api.get(path)
    grow(api)
    asked = metric(api, by_flask)
    after = api.get(path, headers={"Accept": "application/json, x/y"})
    assert metric(api, by_flask) == asked  # the door has made it
    with api.app.extensions["kasparro"].reader.connect() as connection:
        prepared = text("select count(*) from pg_prepared_statements where name like 'kasparro%'")
        assert connection.scalar(prepared) >= 2  # the version's, and the rows'
    assert after.headers["ETag"] != before.headers["ETag"]
    with running(api.dependencies.settings) as fresh:
        expected = fresh.get(path, headers={"Accept": "application/json, x/y"})
    assert told(after) == told(expected)
    own = {"X-Request-ID", "Server-Timing", "RateLimit", "Content-Length", "Link"}
    names = set(expected.headers.keys())
    assert names == set(after.headers.keys())
    for name in names - own:
        assert after.headers[name] == expected.headers[name]
    tag = {"If-None-Match": after.headers["ETag"], "Accept": "application/json, x/y"}
    assert api.get(path, headers=tag).status_code == 304


def test_what_accept_likes_decides_at_the_door_as_well(api):
    fill(api)
    api.get("/data")
    wished = [api.get("/data", headers={"Accept": accept}) for accept in ("text/csv", "x/y", "*/*")]
    types = [(answer.status_code, answer.mimetype) for answer in wished]
    assert types == [
        (200, "text/csv"),
        (406, "application/problem+json"),
        (200, "application/json"),
    ]


def test_a_moment_is_looked_at_each_time(api):
    fill(api)
    url = "/data?as_of=2020-01-01"
    assert [api.get(url).status_code for _ in range(2)] == [422, 422]


def test_a_pooler_that_changes_connections_is_noticed(api):
    fill(api)
    first = api.get("/data")
    with api.app.extensions["kasparro"].reader.connect() as connection:
        connection.execute(text("deallocate all"))
    grow(api)
    for _ in range(2):
        assert api.get("/data").json["total"] == first.json["total"] + 1


def test_connections_that_were_lost_are_replaced_unnoticed(api):
    for path in ("/data", "/stats", "/data/BTC", "/sources"):
        assert api.get(path).status_code in {200, 404}
    with api.dependencies.engine.connect() as connection:
        ended = connection.execute(
            text(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where application_name = 'kasparro-api-reads' and datname = current_database()"
            )
        ).scalar_one()
    assert ended >= 1
    for path in ("/data", "/stats", "/data/BTC", "/sources"):
        assert api.get(path).status_code in {200, 404}
