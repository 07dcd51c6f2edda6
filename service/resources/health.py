"""``/health``: for people and for what restarts or balances processes."""

from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from flask import Response
from flask.views import MethodView
from marshmallow import Schema
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from service import draining, rest
from service.observability import broker
from service.queries import health
from service.schemas.health import Health, Live, Ready
from service.version import VERSION
from tasks.core.logging import get_logger
from tasks.store import migrate

blueprint = rest.Blueprint("health", __name__, description="Is it up, and is it up to date?")
_log = get_logger(__name__)


@blueprint.route("/health")
class Whole(MethodView):
    """The whole system."""

    @blueprint.public()
    @blueprint.response(200, Health)
    @blueprint.alt_response(503, schema=Health, description="The database is unavailable.")
    def get(self) -> Response:
        """Show how the system and each source stand; 503 only without the database."""
        now = rest.dependencies().clock.now()
        try:
            with rest.reading() as connection:
                etl = _etl(connection, now)
        except SQLAlchemyError as error:
            _log.warning("health_without_database", reason=type(error).__name__)
            etl = None
        redis = rest.delivery().redis
        workers = broker.workers_seen(redis)
        if etl is not None and workers is not None:
            settings = rest.dependencies().settings
            for name, state in broker.call_states(
                redis, rest.dependencies().clock, settings.sources
            ).items():
                etl["etl_status"][name]["circuit"] = state.circuit
        return _answer(Health(), _whole(etl, workers, now), 503 if etl is None else 200)


@blueprint.route("/health/live")
class Alive(MethodView):
    """This process."""

    @blueprint.public()
    @blueprint.response(200, Live)
    def get(self) -> Response:
        """Answer as long as the process can, whatever it depends on."""
        now = rest.dependencies().clock.now()
        return _answer(Live(), {"status": "alive", "version": VERSION, "timestamp": now}, 200)


@blueprint.route("/health/ready")
class IsReady(MethodView):
    """Whether to send requests here."""

    @blueprint.public()
    @blueprint.response(200, Ready)
    @blueprint.alt_response(503, schema=Ready, description="Not yet, or not any more.")
    def get(self) -> Response:
        """Answer 200 once the database answers and its schema is the one this code expects.

        A schema of a later release is as good: two releases work side by side. A process that
        was asked to stop says 503 some seconds before it takes no more requests.
        """
        expected, current = migrate.head_revision(), None
        try:
            current = migrate.current_revision(rest.dependencies().engine)
            database = "connected"
        except SQLAlchemyError:
            database = "unavailable"
        is_ready = migrate.suits(current) and not draining.is_draining()
        body = {
            "status": "ready" if is_ready else "not_ready",
            "draining": draining.is_draining(),
            "database": database,
            "schema_revision": current,
            "expected_revision": expected,
            "timestamp": rest.dependencies().clock.now(),
        }
        return _answer(Ready(), body, 200 if is_ready else 503)


def _answer(schema: Schema, body: dict[str, Any], status: int) -> Response:
    retry = {} if status == HTTPStatus.OK else {"Retry-After": "5"}
    return rest.send(schema.dump(body), status, **retry)


def _whole(etl: dict[str, Any] | None, workers: int | None, now: datetime) -> dict[str, Any]:
    last = (etl or {}).get("last_etl_run")
    sources = (etl or {}).get("etl_status", {})
    is_current = all(source["freshness"] != "stale" for source in sources.values())
    is_well = workers is not None and workers > 0 and is_current
    has_database, has_broker = etl is not None, workers is not None
    well_or_not = "healthy" if is_well else "degraded"
    return {
        "status": well_or_not if has_database else "unhealthy",
        "database": "connected" if has_database else "unavailable",
        "database_connected": has_database,
        "broker": "connected" if has_broker else "unavailable",
        "broker_connected": has_broker,
        "workers": workers,
        "etl_status": sources,
        "last_etl_run": last,
        "last_etl": last and last["finished_at"],
        "last_etl_status": last and last["status"],
        "version": VERSION,
        "timestamp": now,
    }


def _etl(connection: Connection, now: datetime) -> dict[str, Any]:
    runs, successes = health.last_runs(connection), health.last_successes(connection)
    settings = rest.dependencies().settings
    newest = max(runs.values(), key=lambda run: run.finished_at, default=None)
    return {
        "etl_status": {
            name: _source(runs.get(name), successes.get(name), source.schedule, now)
            for name, source in settings.sources.items()
        },
        "last_etl_run": newest
        and {
            "source": newest.source,
            "status": newest.status,
            "finished_at": newest.finished_at,
            "processed": newest.records_processed,
            "failed": newest.records_failed,
        },
    }


def _source(run: Any, success: datetime | None, schedule: Any, now: datetime) -> dict[str, Any]:
    age = None if success is None else now - success
    return {
        "last_run_status": run and run.status,
        "last_run_time": run and run.finished_at,
        "records_processed": run and run.records_processed,
        "last_success": success,
        "data_age_seconds": None if age is None else Decimal(str(age.total_seconds())),
        "freshness": health.freshness(age, schedule, now),
        "circuit": "unknown",
    }
