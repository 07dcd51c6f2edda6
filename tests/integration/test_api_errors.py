"""What goes wrong, on the wire."""

import pytest
from sqlalchemy import text

from tests.support.api import add_asset, running

MEMBERS = [
    "type",
    "title",
    "status",
    "detail",
    "instance",
    "request_id",
    "code",
    "message",
    "errors",
]


def test_an_unknown_path_is_a_problem_document(still_api):
    response = still_api.get("/nope", headers={"X-Request-ID": "req-9"})
    body = response.json
    assert (response.status_code, response.mimetype) == (404, "application/problem+json")
    assert list(body) == MEMBERS
    assert (body["type"], body["instance"]) == ("urn:kasparro:problem:not-found", "/nope")
    assert body["status"] == body["code"] == 404
    assert body["request_id"] == response.headers["X-Request-ID"] == "req-9"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/data", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/runs", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/etl/run", {"POST", "OPTIONS"}),
        ("GET", "/assets/links", {"POST", "OPTIONS"}),
        ("GET", "/assets/links/csv/bitcoin", {"DELETE", "OPTIONS"}),
        ("TRACE", "/health", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(still_api, method, path, allowed):
    response = still_api.client.open(path, method=method)
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == allowed
    assert response.mimetype == "application/problem+json"


@pytest.mark.parametrize(
    "given", ["", "a b", "x" * 129, "line\\nbreak", "ünï", "<script>", "a;drop table"]
)
def test_a_request_id_that_is_not_sane_is_replaced(still_api, given):
    answered = still_api.get("/health/live", headers={"X-Request-ID": given})
    assert answered.headers["X-Request-ID"] != given
    assert len(answered.headers["X-Request-ID"]) == 36


@pytest.mark.parametrize("path", ["/data", "/nope", "/health/live", "/docs", "/data?page=0"])
def test_every_answer_names_its_request_and_its_time(still_api, path):
    headers = still_api.get(path).headers
    assert headers["X-Request-ID"]
    assert headers["Server-Timing"].startswith("total;dur=")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Cache-Control" in headers
    assert "Content-Security-Policy" in headers


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc"])
def test_a_page_takes_no_arguments_either(still_api, method, path):
    response = still_api.client.open(f"{path}?bogus=1", method=method)
    assert response.status_code == (422 if method == "GET" else 405)


def test_a_body_that_is_no_object_is_named_as_such(api):
    response = api.post("/etl/run", headers={"X-API-Key": api.key("run")}, json=[])
    assert response.status_code == 422
    assert list(response.json["errors"]) == ["body"]


def test_what_nobody_else_says_is_kept_by_no_cache(still_api):
    assert still_api.client.options("/data").headers["Cache-Control"] == "no-store"
    assert still_api.client.options("/data").headers["Allow"]


def test_a_failure_of_ours_tells_nothing_of_its_cause(api):
    with api.transaction() as session:
        add_asset(session)
        session.execute(text("alter table assets rename column price_usd to secret_column"))
    response = api.get("/data")
    assert response.status_code == 500
    for leak in ("price_usd", "select", "psycopg2", "Traceback", "sqlalche"):
        assert leak not in response.text


def test_without_a_database_reads_say_when_to_come_back(settings, databases):
    with running(settings) as api:
        end_database(api)
        response = api.get("/data")
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        assert api.get("/health/live").status_code == 200
        assert api.get("/health/ready").status_code == 503
        health = api.get("/health")
        assert (health.status_code, health.json["status"]) == (503, "unhealthy")
        assert (health.json["database"], health.json["database_connected"]) == (
            "unavailable",
            False,
        )
        assert "etl_database_up 0.0" in api.get("/metrics").text
        key = {"X-API-Key": "ksp_0123456789ab_x"}
        trigger = api.post("/etl/run", headers=key)
        assert trigger.status_code == 503
        assert "Retry-After" in trigger.headers


def end_database(api):
    """Make the API's database refuse every connection, those it has included."""
    with api.dependencies.engine.connect() as connection:
        name = connection.scalar(text("select current_database()"))
    server = api.dependencies.engine.url.set(database="postgres")
    from sqlalchemy import create_engine  # noqa: PLC0415

    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'alter database "{name}" allow_connections false'))
        connection.execute(
            text("select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"),
            {"name": name},
        )
    engine.dispose()


def test_not_ready_before_the_schema_is_the_newest(api):
    assert api.get("/health/ready").json["status"] == "ready"
    with api.transaction() as session:
        session.execute(text("update alembic_version set version_num = '0001'"))
    response = api.get("/health/ready")
    assert (response.status_code, response.json["schema_revision"]) == (503, "0001")


def test_ready_beside_a_later_release_that_has_migrated_already(api):
    with api.transaction() as session:
        session.execute(text("update alembic_version set version_num = 'of a later release'"))
    assert api.get("/health/ready").status_code == 200
