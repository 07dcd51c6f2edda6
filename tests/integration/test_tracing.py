"""What a trace holds, kept in memory; that it crosses processes is in tests/e2e/test_traces.py."""

import json
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text
from sqlalchemy.exc import DataError

from tasks import bootstrap
from tasks.core import tracing
from tasks.core.errors import TransientError
from tasks.core.spans import Spans
from tasks.pipeline import lifecycle, sweeping
from tests.support.cli import ROOT
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    found = InMemorySpanExporter()
    tracing.use(Spans("test", SimpleSpanProcessor(found)))
    yield found
    tracing.stop()


def _trace_id(traceparent: str) -> str:
    return traceparent.split("-")[1]


def test_a_run_has_every_stage_in_its_trace(settings, exporter):
    source = ScriptedConnector(pages=[[coin("bitcoin")], [coin("ether")]])
    with workbench(settings, source) as bench, tracing.span("request"):
        run_id = bench.run()
        traceparent = bench.one("select traceparent from etl_runs").traceparent
    spans = exporter.get_finished_spans()
    for span in spans:
        print(span.name, span.attributes.get("pages", ""))  # noqa: T201 - seen with pytest -s
    stages = [span for span in spans if span.name in {"fetch", "transform", "load"}]
    assert {span.name for span in stages} == {"fetch", "transform", "load"}
    assert {span.attributes["run_id"] for span in stages} == {str(run_id)}
    assert {f"{span.context.trace_id:032x}" for span in spans} == {_trace_id(traceparent)}


def test_a_statement_is_a_span_that_holds_no_value(settings, exporter):
    with workbench(settings) as bench:
        with tracing.span("request"):
            bench.rows("select :secret as said", secret="hunter2-hunter2")
        bench.rows("select 2")  # outside of a span, so it would be a trace of its own
    statement, request = exporter.get_finished_spans()
    assert statement.name == "SELECT"
    assert statement.parent.span_id == request.context.span_id
    assert "hunter2" not in statement.to_json()


def test_an_error_of_a_statement_does_not_repeat_what_was_sent(settings, exporter):
    with workbench(settings) as bench, pytest.raises(DataError) as failure, tracing.span("request"):
        bench.rows("select 1 / 0, :secret", secret="hunter2-hunter2")
    assert "hunter2" not in str(failure.value)
    statement = exporter.get_finished_spans()[0]
    assert statement.attributes["error.type"] == "DivisionByZero"


def test_a_stage_that_fails_marks_its_span_with_the_kind_of_error_alone(settings, exporter):
    source = ScriptedConnector(pages=[TransientError("key=hunter2-hunter2 was refused")])
    with workbench(settings, source) as bench:
        bench.start()
        assert bench.step(bench.publisher.messages.pop()) is not None
    (fetch,) = [span for span in exporter.get_finished_spans() if span.name == "fetch"]
    assert not fetch.status.is_ok
    assert fetch.attributes["error.type"] == "TransientError"
    assert "hunter2" not in fetch.to_json()


def test_a_message_that_is_sent_again_goes_on_with_the_trace_of_its_run(settings, exporter):
    dependencies = bootstrap.build(settings, role="cli")
    with tracing.span("request"), dependencies.transaction() as session:
        run_id = lifecycle.queue_run(dependencies, session, "coingecko", trigger="cli").run_id
    with dependencies.transaction() as session:  # nobody was told of it, and its time has come
        session.execute(text("update run_pages set wake_at = now() - interval '1 minute'"))
    with tracing.span("sweep"):
        assert sweeping.sweep(dependencies) == 1
    assert _trace_id(_sent_for(dependencies, run_id)) == _trace_id(_stored(dependencies, run_id))
    dependencies.engine.dispose()


def _sent_for(dependencies, run_id: UUID) -> str:
    (message,) = map(json.loads, dependencies.redis.lrange("fetch", 0, -1))
    assert str(run_id) in message["headers"]["argsrepr"]
    return message["headers"]["traceparent"]


def _stored(dependencies, run_id: UUID) -> str:
    with dependencies.transaction() as session:
        sql = text("select traceparent from etl_runs where run_id = :run_id")
        return session.execute(sql, {"run_id": run_id}).scalar_one()


def _ended_well(code: str) -> bool:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    return done.returncode == 0


def test_without_an_endpoint_nothing_is_imported(settings):
    # redis looks by itself whether OpenTelemetry's metrics are installed; the rest is ours.
    assert _ended_well(
        "import sys, tasks.celery_app, service.wsgi\n"
        "ours = {'sentry_sdk', 'opentelemetry.exporter', 'tasks.core.spans'}\n"
        "assert not ours & set(sys.modules)"
    )


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("opentelemetry", "tracing.configure('http://127.0.0.1:4318', role='test')"),
        ("sentry_sdk", "reporting.configure('x', environment='test', redactor=Redactor())"),
    ],
)
def test_a_setting_whose_extra_is_missing_is_refused_with_the_remedy(package, call):
    assert _ended_well(
        f"import sys; sys.modules[{package!r}] = None\n"
        "from tasks.core import reporting, tracing\n"
        "from tasks.core.errors import ConfigurationError\n"
        "from tasks.core.redaction import Redactor\n"
        f"try: {call}\n"
        "except ConfigurationError as error: assert 'kasparro[' in str(error)\n"
        "else: raise AssertionError('it was accepted')"
    )
