"""Answers that need not be sent again, and smaller ones."""

import gzip

import pytest

from tasks.store import versions
from tests.support.api import add_asset, add_assets

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
