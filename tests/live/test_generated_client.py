"""A client that openapi-python-client writes from the document, against the running API."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.processes import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
DOCUMENT = ROOT / "docs/openapi.json"


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Where the client's package is; writing it may not even warn."""
    directory = tmp_path_factory.mktemp("client")
    programs = Path(sys.executable).parent
    line = [programs / "openapi-python-client", "generate", "--path", DOCUMENT, "--meta", "none"]
    line += ["--fail-on-warning", "--output-path", directory / "market_client"]
    # It formats what it has written with ruff, which it looks for there.
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(line, check=True, env=environment, capture_output=True)
    sys.path.insert(0, str(directory))
    yield directory / "market_client"
    sys.path.remove(str(directory))


@pytest.fixture(scope="module")
def calls(generated):
    """The client's functions, by the operations' names."""
    found = {}
    for path in (generated / "api").rglob("*_*.py"):
        if path.name != "__init__.py":
            name = ".".join(path.relative_to(generated.parent).with_suffix("").parts)
            found[path.stem] = importlib.import_module(name)
    return found


@pytest.fixture
def clients(calls, api):
    """Clients of the running API: without a key, and with one of every scope."""
    package = importlib.import_module("market_client")
    keyed = package.AuthenticatedClient(base_url=api.url, token=api.key("read", "run", "admin"))
    with package.Client(base_url=api.url) as anonymous, keyed:
        yield SimpleNamespace(anonymous=anonymous, keyed=keyed)


def test_every_operation_is_written(calls):
    paths = json.loads(DOCUMENT.read_text())["paths"].values()
    names = {o["operationId"] for item in paths for m, o in item.items() if m != "parameters"}
    assert set(calls) == names


def test_it_reads_the_market(calls, clients):
    page = calls["get_data"].sync(client=clients.anonymous, limit=3)
    assert [type(row).__name__ for row in page.data] == ["MarketRow"] * 3
    assert page.data[0].id == "BTC"
    assert page.pagination.returned == 3
    following = calls["get_data"].sync(
        client=clients.anonymous, limit=3, cursor=page.pagination.next_cursor
    )
    assert [row.rank for row in [*page.data, *following.data]] == [1, 2, 3, 4, 5, 6]
    detail = calls["get_data_by_id"].sync("BTC", client=clients.anonymous)
    assert {found.source for found in detail.observations} >= {"coingecko", "coinpaprika"}
    explained = calls["get_data_explain"].sync("BTC", client=clients.anonymous)
    assert explained.price_usd == detail.price_usd
    history = calls["get_data_history"].sync("BTC", client=clients.anonymous)
    assert history.data[0].observed_at.tzinfo is not None
    assert calls["get_news"].sync(client=clients.anonymous, limit=1).data[0].title


def test_it_reads_what_was_done(calls, clients):
    runs = calls["get_runs"].sync(client=clients.anonymous, source="coinpaprika").runs
    run = calls["get_runs_by_id"].sync(runs[0].run_id, client=clients.anonymous)
    assert run.steps[0].stage == "fetch"
    compared = calls["get_compare_runs"].sync(
        client=clients.anonymous, run1_id=runs[-1].run_id, run2_id=runs[0].run_id
    )
    assert compared.comparison.source == "coinpaprika"
    assert calls["get_drift"].sync(client=clients.anonymous).data[0].occurrences >= 1
    assert calls["get_quarantine"].sync(client=clients.anonymous).data[0].field == "symbol"
    assert calls["get_anomalies"].sync(client=clients.anonymous).page == 1
    assert calls["get_stats"].sync(client=clients.anonymous).total_coins > 0
    assert len(calls["get_sources"].sync(client=clients.anonymous).sources) == 4
    assert calls["get_health"].sync(client=clients.anonymous).database_connected is True
    assert calls["get_root"].sync(client=clients.anonymous).name == "kasparro"


def test_it_starts_and_cancels_a_run(calls, clients):
    body = importlib.import_module("market_client.models").TriggerBody(sources=["csv"])
    started = calls["post_etl_run"].sync(client=clients.keyed, body=body)
    assert [(run.source, run.status) for run in started.runs] == [("csv", "queued")]
    run_id = started.runs[0].run_id
    assert calls["post_runs_cancel"].sync(run_id, client=clients.keyed).status == "cancelled"
    again = calls["post_runs_cancel"].sync(run_id, client=clients.keyed)
    assert (again.status, again.title) == (409, "Conflict")


def test_it_reads_refusals(calls, clients):
    refused = calls["post_etl_run"].sync(client=clients.anonymous)
    assert (refused.status, type(refused).__name__) == (401, "Problem")
    wrong = calls["get_data"].sync(client=clients.anonymous, ticker="BTC", page=1, offset=1)
    assert set(wrong.errors.additional_properties) == {"page", "offset"}
