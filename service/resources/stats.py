"""``/stats``: figures over all runs."""

from typing import Any

from flask import Response
from flask.views import MethodView
from sqlalchemy import Connection

from service import rest
from service.queries import runs, stats
from service.schemas.stats import SourceFigures, Stats, StatsQuery
from tasks.core.errors import InvalidInputError

blueprint = rest.Blueprint("stats", __name__, description="Figures over all runs.")
_RECENT = 10


@blueprint.route("/stats")
class Figures(MethodView):
    """The figures."""

    @blueprint.requires("read")
    @blueprint.conditional("runs", "data", "news")
    @blueprint.arguments(StatsQuery, location="query")
    @blueprint.response(200, rest.either(Stats, SourceFigures))
    def get(self, query: dict[str, Any]) -> Response:
        """Show what the sources have done so far."""
        source = query.get("source")
        with rest.reading() as connection:
            found = _figures(connection, source)
        if query.get("shape") == "array":
            return rest.send(SourceFigures(many=True).dump(found["sources"]))
        about = rest.about_request()
        now = rest.dependencies().clock.now()
        return rest.send(Stats().dump({"timestamp": now, **found, **about, "meta": about}))


def _figures(connection: Connection, source: str | None) -> dict[str, Any]:
    coins = stats.coins_by_source(connection)
    enabled = rest.dependencies().settings.sources
    if source is not None and source not in enabled:
        raise InvalidInputError(
            f"There is no source {source!r}; there are {', '.join(enabled)}.", field="source"
        )
    if source is not None:
        coins = {name: count for name, count in coins.items() if name == source}
    return {
        "total_normalized": sum(coins.values()),
        "total_coins": stats.total_assets(connection),
        "coins_by_source": coins,
        "sources": stats.by_source(connection, [source] if source else enabled),
        "last_success": _ended(stats.latest(connection, stats.GOOD, source)),
        "last_failure": _ended(stats.latest(connection, stats.BAD, source)),
        "recent_runs": runs.newest(connection, source, limit=_RECENT),
    }


def _ended(run: Any) -> dict[str, Any] | None:
    if run is None:
        return None
    began = run.started_at or run.queued_at
    return {
        "source": run.source,
        "finished_at": run.finished_at,
        "duration_ms": runs.milliseconds(run.finished_at - began),
        "processed": run.records_processed,
        "message": run.error_message,
    }
