"""One trace through API, broker and workers: real processes that export to a real collector."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli.embedded import valkey
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.server import create_server, environment
from tests.support import processes, web
from tests.support.collector import Collector, Seen, collecting, drawn

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
def variables(database_url, redis_url, collector, tmp_path: Path) -> Iterator[dict[str, str]]:
    config = SimulatorConfig(coins=1000, coingecko_coins=1000, coinpaprika_tickers=10, csv_rows=1)
    with create_server(config) as simulator:
        yield environment(simulator.url, str(tmp_path / "csv")) | {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SOURCES": "coingecko",
            "API_AUTH": "off",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        }


def test_a_run_of_the_clock_is_one_trace_from_the_tick_on(variables, collector, tmp_path: Path):
    variables["COINGECKO_SCHEDULE"] = "2"
    with (
        processes.running(["-m", "service.cli", "beat"], variables, tmp_path / "beat.log"),
        processes.worker(variables, tmp_path / "worker.log"),
    ):
        processes.wait_until(
            lambda: any(span.name == "load" for span in collector.spans),
            timeout_s=60,
            what="a run has been loaded",
        )
    (load, *_) = [span for span in collector.spans if span.name == "load"]
    spans = collector.of(load.trace_id)
    assert {"kasparro.start_due_run", "queue run", "fetch", "transform"} <= {s.name for s in spans}
    assert [span.name for span in spans if not span.parent_id] == ["kasparro.start_due_run"]


def test_a_run_is_one_trace_from_the_request_to_the_last_load(variables, collector, tmp_path: Path):
    port = valkey.free_port(0)
    api = ["-m", "service.cli", "api", "--port", str(port)]
    with (
        processes.worker(variables, tmp_path / "worker.log"),
        processes.running(api, variables, tmp_path / "api.log"),
    ):
        processes.wait_until(
            lambda: web.is_ok(port, "/health/live"), timeout_s=40, what="the API answers"
        )
        caller = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        (run,) = web.ask(port, "/etl/run", method="POST", headers=caller).json()["runs"]
        path = f"/runs/{run['run_id']}"
        processes.wait_until(
            lambda: web.ask(port, path).json()["status"] == "success",
            timeout_s=60,
            what="the run has ended",
        )
        pages = set(range(1, web.ask(port, path).json()["pages"] + 1))
    spans = collector.of(TRACE)  # all of them: both programs have ended in order
    print(drawn(spans))  # noqa: T201 - for who asks to see it, with pytest -s

    names = {span.name for span in spans}
    assert {"POST /etl/run", "queue run", "kasparro.fetch.coingecko", "GET coingecko"} <= names
    assert {"fetch", "transform", "kasparro.transform", "load", "kasparro.load"} <= names
    assert {"SELECT", "INSERT", "UPDATE"} <= names

    (root,) = [span for span in spans if span.name == "POST /etl/run"]
    assert root.parent_id == CALLER
    known = {span.span_id for span in spans}
    assert [span for span in spans if span is not root and span.parent_id not in known] == []
    assert {"kasparro-api", "kasparro-worker"} == {span.service for span in spans}

    for stage in ("fetch", "transform", "load"):
        done = [span for span in spans if span.name == stage]
        assert {span.facts["run_id"] for span in done} == {run["run_id"]}
        assert {page for span in done for page in _pages(span)} == pages, stage
    assert not [span for span in spans if span.failed]

    calls = [span for span in spans if span.name == "GET coingecko"]
    assert len(calls) >= len(pages)
    assert all("?" not in span.facts["url.full"] for span in calls)


def _pages(span: Seen) -> range | list[int]:
    """Return what was worked on: a fetch takes one page and may read on."""
    first = span.facts["pages"][0]
    is_fetch = span.name == "fetch"
    return range(first, first + span.facts["finished.pages"]) if is_fetch else span.facts["pages"]
