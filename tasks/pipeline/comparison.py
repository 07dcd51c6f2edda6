"""Compare two runs: their figures, and item by item what they brought.

What a run brought is not kept in a table of its own: it follows from its stored pages, which are
parsed again, so comparing costs nothing until somebody asks. Some 8 µs an item and run, a third of
a second for two of CoinGecko's whole list; memory holds one page and 100 bytes an item.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core.errors import ConflictError, UnreadablePageError
from tasks.domain import comparison
from tasks.domain.comparison import Comparison, Priced, RunStats
from tasks.domain.contents import Contents
from tasks.domain.records import Item, Quote
from tasks.domain.runs import ACTIVE, RunStatus
from tasks.pipeline.dependencies import Dependencies
from tasks.sources.base import Connector
from tasks.store import anomalies, raw_pages, runs
from tasks.store.tables import Run

MOST_ITEMS = 200_000
"""Runs that brought more are compared by their figures only."""


class Compared(NamedTuple):
    """Two runs in the caller's order, and how the second differs from the first."""

    before: Run
    after: Run
    comparison: Comparison


def compare(dependencies: Dependencies, before_id: UUID, after_id: UUID) -> Compared:
    """Compare two finished runs of one source; the same run twice differs in nothing.

    A run that went on where another had broken off brought only the rest. A source that sends
    only news brings in each run what is new, so most of its items are added or removed.

    Raises:
        NotFoundError: If there is no such run, or its source is not enabled any more.
        ConflictError: If one of them has not finished.
        IncomparableRunsError: If they are of different sources.
    """
    with dependencies.transaction() as session:
        before, after = runs.get(session, before_id), runs.get(session, after_id)
        for run in (before, after):
            _require_finished(run)
        connector = dependencies.connector(after.source)
        figures = comparison.compare_runs(
            stats(before), stats(after), crosses_network=connector.spec.crosses_network
        )
        figures = _with_learned(session, after, figures)
        return Compared(before, after, _with_rows(session, connector, before, after, figures))


def _require_finished(run: Run) -> None:
    if run.status in ACTIVE:
        raise ConflictError(
            f"The run {run.run_id} has not finished.", active_run_id=str(run.run_id)
        )


def stats(run: Run) -> RunStats:
    """Return what a finished run reports; one that never started has no figures."""
    records = duration_s = None
    if run.started_at is not None and run.finished_at is not None:
        records = run.records_processed + run.records_unchanged
        duration_s = (run.finished_at - run.started_at).total_seconds()
    return RunStats(
        run_id=run.run_id,
        source=run.source,
        status=RunStatus(run.status),
        records=records,
        duration_s=duration_s,
    )


def _with_learned(session: Session, after: Run, figures: Comparison) -> Comparison:
    """Add what the run was found to be when it was held against its source's own history."""
    learned = tuple(finding.reason for finding in anomalies.of_run(session, after.run_id))
    unknown = (after.judgement or {}).get("insufficient_history", {})
    return replace(
        figures,
        anomalies=figures.anomalies + learned,
        not_compared=figures.not_compared
        + tuple(f"baseline of {figure}: insufficient history" for figure in unknown),
    )


def _with_rows(
    session: Session, connector: Connector, before: Run, after: Run, figures: Comparison
) -> Comparison:
    if not all(_is_comparable(session, run) for run in (before, after)):
        missing = ("changes", "top_movers", "schema_changes")
        return replace(figures, not_compared=figures.not_compared + missing)
    was, now = (_contents(session, connector, run) for run in (before, after))
    changed = comparison.changed_items(was, now)
    return replace(
        figures,
        changes=comparison.row_changes(was, now),
        top_movers=comparison.top_movers(
            _prices(session, connector, before, changed),
            _prices(session, connector, after, changed),
        ),
        schema_changes=comparison.schema_changes(was.shape, now.shape),
    )


def _is_comparable(session: Session, run: Run) -> bool:
    stored = raw_pages.of_run(session, run.run_id)
    return stored.missing == 0 and stored.items <= MOST_ITEMS


def _contents(session: Session, connector: Connector, run: Run) -> Contents:
    contents = Contents()
    for items in _pages(session, connector, run):
        contents.add(items)
    return contents


def _prices(
    session: Session, connector: Connector, run: Run, wanted: Collection[str]
) -> dict[str, Priced]:
    found: dict[str, Priced] = {}
    if not wanted:
        return found
    for items in _pages(session, connector, run):
        for item in items:
            record = connector.normalise(item) if item.external_id in wanted else None
            if isinstance(record, Quote) and record.price_usd is not None:
                found[record.external_id] = Priced(record.symbol, record.price_usd)
    return found


def _pages(session: Session, connector: Connector, run: Run) -> Iterator[list[Item]]:
    for raw_page_id in raw_pages.of_run(session, run.run_id).raw_page_ids:
        try:
            yield list(connector.parse(raw_pages.get(session, raw_page_id)))
        except UnreadablePageError:
            continue  # the run broke off at it, so it brought nothing
