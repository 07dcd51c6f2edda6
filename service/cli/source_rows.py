"""The sources as the command line lists them; never a secret."""

from typing import Any

from sqlalchemy import select

from tasks.core.settings import SourceSettings
from tasks.pipeline.dependencies import Dependencies
from tasks.store.tables import Checkpoint


def listing(dependencies: Dependencies) -> list[dict[str, Any]]:
    """Return every enabled source with its settings and how it last did."""
    with dependencies.transaction() as session:
        kept = {row.source: row for row in session.scalars(select(Checkpoint))}
        return [_row(dependencies, name, kept.get(name)) for name in dependencies.connectors]


def _row(dependencies: Dependencies, name: str, kept: Checkpoint | None) -> dict[str, Any]:
    spec, settings = dependencies.connectors[name].spec, dependencies.settings.sources[name]
    return {
        "source": name,
        "title": spec.title,
        "kind": spec.kind,
        "schedule": str(settings.schedule),
        "next_due_at": settings.schedule.following(dependencies.clock.now()),
        "reads": reads(settings),
        "rate_per_minute": settings.rate_per_minute,
        "monthly_budget": settings.monthly_budget,
        "paused": kept.paused if kept else False,
        "last_status": kept.last_attempt_status if kept else None,
        "last_attempt_at": kept.last_attempt_at if kept else None,
        "last_success_at": kept.last_success_at if kept else None,
    }


def reads(settings: SourceSettings) -> str:
    """Return what a source reads: an address, a path, or several addresses."""
    return settings.base_url or ", ".join(settings.urls) or settings.path
