"""Retention: what is too old to keep goes, step by step, each in a short transaction."""

from collections import Counter
from datetime import datetime, timedelta
from typing import NamedTuple

from tasks.core.errors import UnavailableError
from tasks.core.logging import get_logger
from tasks.core.settings import Settings
from tasks.pipeline.dependencies import Dependencies
from tasks.store import database, partitions, purges
from tasks.store.purges import Step

KEYS_DAYS = 2
"""A client that repeats a request does so within seconds, at worst the day after."""
STAGED_DAYS = 1
_ROWS = 5_000
_PAGES = 100  # of up to some megabytes each
_log = get_logger(__name__)


class _Rule(NamedTuple):
    name: str
    step: Step
    before: datetime
    limit: int


class Purged(NamedTuple):
    """What a purge removed, by kind, and whether its time ran out before it was done."""

    removed: dict[str, int]
    more: bool


def purge(dependencies: Dependencies, *, within_s: float = 12.0) -> Purged:
    """Make partitions ahead and remove what is too old, for at most ``within_s`` seconds.

    A kind whose step does not get its lock, or is too slow, waits for the next purge; the others
    go on. Counters and the figures of runs stay: they do not hang on what is removed.

    Args:
        dependencies: Of this process.
        within_s: Begin no further step after so many seconds. With the longest step that the
            database allows it stays below a task's soft limit.
    """
    ends_at = dependencies.clock.monotonic() + within_s
    removed: Counter[str] = Counter()
    with dependencies.transaction() as session:
        partitions.ensure_ahead(session)
        rules = _rules(dependencies.settings, database.now(session))
    for rule in rules:
        while dependencies.clock.monotonic() < ends_at:
            count = _step(dependencies, rule)
            removed[rule.name] += count
            if count < rule.limit:
                break
    more = dependencies.clock.monotonic() >= ends_at
    _log.info("purged", more=more, **removed)
    return Purged(dict(removed), more)


def _rules(settings: Settings, now: datetime) -> list[_Rule]:
    raw = now - timedelta(days=settings.retention_raw_days)
    history = now - timedelta(days=settings.retention_history_days)
    return [
        _Rule("staged", purges.staged, now - timedelta(days=STAGED_DAYS), _ROWS),
        _Rule("idempotency_keys", purges.idempotency_keys, now - timedelta(days=KEYS_DAYS), _ROWS),
        _Rule("raw_pages", purges.raw_pages, raw, _PAGES),
        _Rule("run_pages", purges.run_pages, raw, _ROWS),
        _Rule("run_events", purges.events, raw, _ROWS),
        _Rule("history_partitions", purges.history_partition, history, 1),
        _Rule("asset_history_partitions", purges.asset_history_partition, history, 1),
        _Rule("history_rows", purges.history_rows, history, _ROWS),
    ]


def _step(dependencies: Dependencies, rule: _Rule) -> int:
    try:
        with dependencies.transaction() as session:
            return rule.step(session, rule.before, rule.limit)
    except UnavailableError as error:
        _log.warning("purge_step_put_off", kind=rule.name, reason=str(error))
        return 0
