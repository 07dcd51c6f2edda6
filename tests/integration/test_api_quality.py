"""Drift, quarantine and injected failures from the vendor's answer to the operator, over HTTP."""

from contextlib import contextmanager
from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import select

from tasks import bootstrap
from tasks.core import failpoints
from tasks.core.settings import load_settings
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import create_server, environment
from tasks.store.tables import AuditEntry
from tests.support.api import exact, running
from tests.support.engine import ListPublisher, Workbench

pytestmark = pytest.mark.integration

COINS = 500


@pytest.fixture(scope="module")
def server():
    config = SimulatorConfig(
        coins=COINS, coingecko_coins=COINS, coinpaprika_tickers=10, csv_rows=1, moving=False
    )
    with create_server(config) as server:
        yield server


@pytest.fixture
def system(settings, server, monkeypatch, tmp_path):
    """The API over the simulated market; the work that it sends for is done when a test says so."""
    variables = environment(server.url, str(tmp_path / "csv"))
    for name, value in (variables | {"SOURCES": "coingecko,coinpaprika"}).items():
        monkeypatch.setenv(name, value)

    @contextmanager
    def started(**values):
        """Start the API anew, with these settings."""
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        built = bootstrap.build(load_settings(), role="api")
        parts = {"connectors": built.connectors, "http_client": built.http_client}
        with running(built.settings, publisher=ListPublisher(), **parts) as api:
            yield _Operator(api)

    yield SimpleNamespace(started=started, simulator=server.simulator)
    server.simulator.reset()


class _Operator:
    """Somebody with a key, and the workers."""

    def __init__(self, api):
        self.api = api
        self.key = {"X-API-Key": api.key("read", "run")}
        self.bench = Workbench(
            api.dependencies, api.dependencies.publisher, dict(api.dependencies.connectors)
        )

    def get(self, path):
        return exact(self.api.get(path, headers=self.key))

    def post(self, path, body=None, **headers):
        return self.api.post(path, headers=self.key | headers, json=body)

    def run(self, **body):
        """Start a run and wait for it."""
        started = self.post("/etl/run", {"sources": ["coingecko"], **body})
        assert started.status_code == 202, started.text
        self.bench.drain()
        return self.get(started.headers["Location"])

    def prices(self):
        rows = self.get("/data?source=coingecko&limit=200&sort=rank")
        found = rows["data"]
        while cursor := rows["pagination"]["next_cursor"]:
            rows = self.get(f"/data?source=coingecko&limit=200&sort=rank&cursor={cursor}")
            found += rows["data"]
        return {row["coin_id"]: row["price_usd"] for row in found}

    def tables(self):
        names = ("quotes", "quote_history", "rejections", "etl_runs", "audit_log", "assets")
        return [self.bench.rows(f"select * from {name} order by 1, 2, 3") for name in names]  # noqa: S608

    def audited(self):
        with self.api.transaction() as session:
            return [
                (entry.action, entry.actor[:4], entry.detail)
                for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.audit_id))
                if not entry.action.startswith("run.")
            ]


def test_a_renamed_price_is_loaded_whole_and_is_one_open_drift_until_it_is_accepted(system):
    with system.started() as operator:
        assert operator.run()["status"] == "success"
        before = operator.prices()
        unpriced = {coin for coin, price in before.items() if price is None}
        system.simulator.advance(100)
        system.simulator.fail(
            "coingecko", "rename_field", field="current_price", to="currentPrice", times=None
        )
        run = operator.run()
        assert (run["status"], run["records_failed"]) == ("success", 0)
        after = operator.prices()
        assert len(after) == COINS
        assert {coin for coin, price in after.items() if price is None} <= unpriced
        sent = operator.bench.rows(
            "select external_id, payload ->> 'currentPrice' as price from raw_coingecko"
            " where run_id = :id and payload -> 'currentPrice' <> 'null'",
            id=run["run_id"],
        )
        assert all(after[row.external_id] == Decimal(row.price) for row in sent)
        assert len(sent) > COINS * 0.9
        assert sum(after[coin] != before[coin] for coin in before) > COINS / 2
        (drift,) = operator.get("/drift?status=open")["data"]
        assert (drift["source"], drift["run_id"]) == ("coingecko", run["run_id"])
        (match,) = drift["fuzzy_matches"]
        assert (match["expected"], match["found"]) == ("current_price", "currentPrice")
        assert (drift["missing_fields"], drift["extra_fields"]) == ([], [])
        assert drift["confidence_score"] == 1
        assert [event["drift_id"] for event in run["drift_events"]] == [drift["drift_id"]]
        assert operator.post(f"/drift/{drift['drift_id']}/accept").json["status"] == "accepted"
        system.simulator.advance(100)
        assert operator.run()["drift_events"] == []
        assert operator.get("/drift?status=open")["data"] == []


@pytest.fixture
def spoilt(system):
    """One item of 500 costs more than the source's rule lets through."""
    system.simulator.fail(
        "coingecko", "bad_item", field="current_price", value=10**12, item=7, page=1, times=None
    )
    with system.started(COINGECKO_MAX_PRICE_USD="1000000000") as operator:
        run = operator.run()
        assert (run["status"], run["records_processed"], run["records_failed"]) == (
            "partial",
            COINS - 1,
            1,
        )
        assert run["rejections"] == {"range": 1}
        (rejection,) = operator.get("/quarantine?state=open")["data"]
        operator.rejection, operator.run_id = rejection, run["run_id"]
        yield operator


def test_one_bad_item_of_500_waits_with_all_that_is_known_of_it(spoilt):
    found = spoilt.rejection
    assert (found["source"], found["run_id"]) == ("coingecko", spoilt.run_id)
    assert (found["field"], found["rule"]) == ("price_usd", "range")
    assert found["reason"] == "price_usd is above 1000000000"
    assert '"current_price":1000000000000' in found["payload"]
    assert len(spoilt.prices()) == COINS - 1


def test_what_the_rule_still_refuses_stays_open(spoilt):
    answer = spoilt.post("/quarantine/replay", {"source": "coingecko"}).json
    assert (answer["loaded"], answer["rejected"], answer["remaining"]) == (0, 1, 1)
    assert [outcome["status"] for outcome in answer["replayed"]] == ["refused"]


def test_a_replay_loads_the_item_once_and_twice_changes_nothing(spoilt, system):
    number = spoilt.rejection["rejection_id"]
    with system.started(COINGECKO_MAX_PRICE_USD="10000000000000") as operator:
        answer = operator.post("/quarantine/replay", {"ids": [number]}).json
        assert (answer["status"], answer["loaded"], answer["remaining"]) == ("replayed", 1, 0)
        (outcome,) = answer["replayed"]
        run = operator.get(f"/runs/{outcome['run_id']}")
        assert (run["trigger"], run["status"], run["records_processed"]) == ("replay", "success", 1)
        assert operator.prices()[spoilt.rejection["external_id"]] == Decimal(10**12)
        assert [row["state"] for row in operator.get("/quarantine")["data"]] == ["replayed"]
        before = operator.tables()
        again = operator.post("/quarantine/replay", {"ids": [number]})
        assert (again.status_code, again.json["loaded"], again.json["replayed"]) == (200, 0, [])
        assert operator.tables() == before
        ((action, actor, detail),) = operator.audited()
        assert (action, actor, detail["ids"]) == ("quarantine.replay", "key:", [number])


def test_what_is_discarded_stays_so_and_somebody_did_it(spoilt, system):
    number = spoilt.rejection["rejection_id"]
    selection = {"rule": "range", "run_id": spoilt.run_id, "field": "price_usd"}
    answer = spoilt.post("/quarantine/discard", selection).json
    assert (answer["discarded"], answer["ids"], answer["remaining"]) == (1, [number], 0)
    again = spoilt.post("/quarantine/discard", selection)
    assert (again.status_code, again.json["discarded"]) == (200, 0)
    assert spoilt.run(full_refresh=True)["status"] == "partial"
    (row,) = spoilt.get("/quarantine")["data"]
    assert (row["state"], row["occurrences"]) == ("discarded", 2)
    assert spoilt.audited() == [("quarantine.discard", "key:", {"ids": [number]})]


def test_a_source_that_works_is_named_and_nothing_is_replayed(spoilt, system):
    number = spoilt.rejection["rejection_id"]
    with system.started(COINGECKO_MAX_PRICE_USD="10000000000000") as operator:
        started = operator.post("/etl/run", {"sources": ["coingecko"]}).json["runs"][0]
        answer = operator.post("/quarantine/replay", {"ids": [number]})
        assert (answer.status_code, answer.json["active_run_id"]) == (409, started["run_id"])
        assert [row["state"] for row in operator.get("/quarantine")["data"]] == ["open"]


@pytest.mark.parametrize("verb", ["replay", "discard"])
@pytest.mark.parametrize(
    ("body", "status", "names"),
    [
        (None, 422, "ids"),
        ({"ids": []}, 422, "ids"),
        ({"ids": [0]}, 422, "ids"),
        ({"ids": ["1"]}, 422, "ids"),
        ({"ids": list(range(1, 1002))}, 422, "ids"),
        ({"run_id": "no"}, 422, "run_id"),
        ({"state": "open"}, 422, "state"),
        ({"ids": [999, 998]}, 404, "998, 999"),
        ({"source": "rss_feed"}, 200, "remaining"),
        ({"run_id": str(uuid4())}, 200, "remaining"),
    ],
)
def test_a_selection_is_checked_before_anything_is_done(system, verb, body, status, names):
    with system.started() as operator:
        answer = operator.post(f"/quarantine/{verb}", body)
        assert answer.status_code == status
        assert names in answer.text
        assert operator.audited() == []


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_whoever_may_only_read_decides_nothing(system, verb):
    with system.started() as operator:
        path, body = f"/quarantine/{verb}", {"source": "coingecko"}
        assert operator.api.post(path, json=body).status_code == 401
        reader = {"X-API-Key": operator.api.key("read")}
        assert operator.api.post(path, json=body, headers=reader).status_code == 403


WANTED = {"point": failpoints.BEFORE_LOAD, "type": "validation_error"}


def test_an_administrator_makes_a_run_fail_and_the_next_one_takes_it_up(system):
    with system.started() as operator:
        admin = {"X-API-Key": operator.api.key("run", "admin")}
        started = operator.post("/etl/run", {"sources": ["coingecko"], "failure": WANTED}, **admin)
        operator.bench.drain()
        failed = operator.get(started.headers["Location"])
        assert (failed["status"], failed["options"]["failure"]) == ("failed", WANTED)
        assert failed["error_message"] == "Injected at loading.before_load: validation_error."
        # Whoever tries it again wants it to succeed, and need not be an administrator.
        retried = operator.post(f"/runs/{failed['run_id']}/retry")
        operator.bench.drain()
        child = operator.get(retried.headers["Location"])
        assert child["status"] == "success"
        assert "failure" not in child["options"]


def test_failures_are_for_administrators(system):
    with system.started() as operator:
        answer = operator.post("/etl/run", {"sources": ["coingecko"], "failure": WANTED})
        assert (answer.status_code, "admin" in answer.text) == (403, True)
        assert operator.get("/runs")["runs"] == []


@pytest.mark.parametrize(
    ("failure", "field"),
    [
        ({}, "failure"),
        ({"point": "nowhere"}, "failure.point"),
        ({"type": "kill"}, "failure.type"),
        ({"type": "hold"}, "failure.type"),
        ({"probability": 1.5}, "failure.probability"),
        ({"at_record": 0}, "failure.at_record"),
        ({"seed": "x"}, "failure.seed"),
        ({"where": "here"}, "failure.where"),
        ("all", "failure"),
    ],
)
def test_a_failure_that_cannot_be_is_refused(system, failure, field):
    with system.started() as operator:
        admin = {"X-API-Key": operator.api.key("run", "admin")}
        answer = operator.post("/etl/run", {"failure": failure}, **admin)
        assert answer.status_code == 422
        assert list(answer.json["errors"]) == [field]
        assert field in answer.json["detail"]
        assert operator.get("/runs")["runs"] == []


def test_in_production_nobody_injects_a_failure_unless_it_is_allowed(system):
    with system.started(ENVIRONMENT="production") as operator:
        admin = {"X-API-Key": operator.api.key("run", "admin")}
        answer = operator.post("/etl/run", {"failure": WANTED}, **admin)
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["failure"])
        assert "ALLOW_FAILURE_INJECTION" in answer.json["detail"]
        assert operator.get("/runs")["runs"] == []
    with system.started(ALLOW_FAILURE_INJECTION="true") as operator:
        assert operator.post("/etl/run", {"failure": WANTED}, **admin).status_code == 202
