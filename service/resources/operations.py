"""``/sources``: how the sources are set up and how they stand."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from flask.views import MethodView

from service import rest
from service.observability import broker
from service.queries import health, operations
from service.schemas.operations import SourceList, SourceRow
from tasks.core.errors import NotFoundError
from tasks.core.settings import SourceSettings
from tasks.store import checkpoints

blueprint = rest.Blueprint("operations", __name__, description="The sources.")


@blueprint.route("/sources")
class Sources(MethodView):
    """The sources."""

    @blueprint.requires("read")
    @blueprint.response(200, SourceList)
    def get(self) -> dict[str, Any]:
        """List the enabled sources: how each is set up, when it runs next, how it stands."""
        rows, about = _rows(), rest.about_request()
        now = rest.dependencies().clock.now()
        return {"sources": rows, "timestamp": now, **about, "meta": about}


class _Switch(MethodView):
    paused: bool

    def _switch(self, name: str) -> dict[str, Any]:
        if name not in rest.dependencies().settings.sources:
            raise NotFoundError(f"There is no source {name!r}.")
        with rest.writing() as session:
            checkpoints.set_paused(session, name, paused=self.paused)
            rest.audit(session, "source.pause" if self.paused else "source.resume", name, {})
        return next(row for row in _rows() if row["name"] == name)


@blueprint.route("/sources/<name>/pause")
class Pause(_Switch):
    """Stop the schedule of a source."""

    paused = True

    @blueprint.requires("run")
    @blueprint.response(200, SourceRow)
    def post(self, name: str) -> dict[str, Any]:
        """Pause a source's schedule; a run that is active goes on, and it can still be started."""
        return self._switch(name)


@blueprint.route("/sources/<name>/resume")
class Resume(_Switch):
    """Go on with the schedule of a source."""

    paused = False

    @blueprint.requires("run")
    @blueprint.response(200, SourceRow)
    def post(self, name: str) -> dict[str, Any]:
        """Go on with a source's schedule at its next slot."""
        return self._switch(name)


def _rows() -> list[dict[str, Any]]:
    dependencies = rest.dependencies()
    now = dependencies.clock.now()
    states = broker.call_states(
        rest.delivery().redis, dependencies.clock, dependencies.settings.sources
    )
    with rest.reading() as connection:
        stored = operations.checkpoints(connection)
        active = operations.active_runs(connection)
    return [
        {
            **_set_up(name, settings, now),
            **_standing(stored.get(name), settings, now),
            "active_run_id": active.get(name),
            "circuit": states[name].circuit,
            "budget_remaining": dict(states[name].remaining),
        }
        for name, settings in dependencies.settings.sources.items()
    ]


def _set_up(name: str, settings: SourceSettings, now: datetime) -> dict[str, Any]:
    spec = rest.dependencies().connector(name).spec
    return {
        "name": name,
        "title": spec.title,
        "kind": spec.kind,
        "schedule": str(settings.schedule),
        "next_run": settings.schedule.following(now),
        "plan": settings.plan,
        "has_key": bool(settings.api_key),
        "base_url": settings.base_url,
        "path": settings.path,
        "urls": list(settings.urls),
        "rate_per_minute": settings.rate_per_minute,
        "monthly_budget": settings.monthly_budget,
    }


def _standing(row: Any, settings: SourceSettings, now: datetime) -> dict[str, Any]:
    success = row and row.last_success_at
    age = now - success if success else None
    standing = {
        "paused": bool(row and row.paused),
        "freshness": health.freshness(age, settings.schedule, now),
        "data_age_seconds": None if age is None else Decimal(str(age.total_seconds())),
        "last_success": success,
        "last_attempt": row and row.last_attempt_at,
        "last_attempt_status": row and row.last_attempt_status,
        "checkpoint": row.checkpoint if row else {},
    }
    return standing | ({"next_run": None} if standing["paused"] else {})
