"""Fetch: one request of a source, stored verbatim."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core import failpoints
from tasks.domain import batches
from tasks.domain.retries import Again
from tasks.domain.runs import PageState, Stage
from tasks.pipeline.attempts import Message, attempt, note_finished
from tasks.pipeline.dependencies import Dependencies
from tasks.sources.base import FetchContext, Fetched, Page
from tasks.store import database, pages, raw_pages, runs
from tasks.store.pages import Claim
from tasks.store.tables import Run, RunPage


def fetch(dependencies: Dependencies, run_id: UUID, page: int) -> Again | None:
    """Make the request that begins at ``page`` and store what it brings.

    Returns:
        When to try again, as :func:`tasks.pipeline.attempts.attempt`.
    """
    return attempt(dependencies, Stage.FETCH, run_id, page, _work)


def _work(dependencies: Dependencies, run: Run, claim: Claim) -> Sequence[Message]:
    context = FetchContext(
        settings=dependencies.settings.sources[run.source],
        http=dependencies.http_client(run.source),
        clock=dependencies.clock,
        checkpoint={} if run.options.get("full_refresh") else run.checkpoint_before or {},
        options=run.options,
    )
    failpoints.reach(failpoints.BEFORE_FETCH)
    fetched = dependencies.connector_of(run).fetch(context, claim.cursor)
    failpoints.reach(failpoints.AFTER_FETCH)
    with dependencies.transaction() as session:
        ready = _store(session, run, claim, fetched)
        failpoints.reach(failpoints.BEFORE_RAW_COMMIT)
    failpoints.reach(failpoints.AFTER_RAW_COMMIT)
    return ready


def _store(session: Session, run: Run, claim: Claim, fetched: Fetched) -> Sequence[Message]:
    """Store the answer's pages and note where the next request begins, all or nothing."""
    (row,) = pages.hold(session, claim)
    moment = database.now(session)
    for number, page in enumerate(fetched.pages, start=claim.first):
        if number > claim.first:
            row = RunPage(run_id=run.run_id, page=number, request_page=claim.first)
            session.add(row)
        _fill(session, run, row, page, moment)
    row.is_last = fetched.next_cursor is None
    following = row.page + 1
    if fetched.next_cursor is not None:
        pages.add_pending(session, run.run_id, following, dict(fetched.next_cursor))
    session.flush()
    ready = close_batches(session, run.run_id, moment, last=row.is_last)
    note_finished(session, run, claim, {"pages": following - claim.first})
    runs.hold_active(session, run)
    more = [] if row.is_last else [Message(Stage.FETCH, following)]
    return [*(Message(Stage.TRANSFORM, batch) for batch in ready), *more]


def _fill(session: Session, run: Run, row: RunPage, page: Page, moment: datetime) -> None:
    row.raw_page_id = raw_pages.add(session, run.run_id, row.page, run.source, page)
    row.checkpoint = dict(page.checkpoint)
    row.items = page.item_count
    pages.advance(row, PageState.FETCHED, moment)


def close_batches(session: Session, run_id: UUID, moment: datetime, *, last: bool) -> list[int]:
    """Put the pages that have waited long enough in batches and return the batches' names.

    Args:
        session: Of the caller's transaction.
        run_id: The run.
        moment: The database's time.
        last: Whether the source has been read to its end.
    """
    ready = batches.closed_by(pages.waiting(session, run_id), now=moment, last=last)
    pages.put_in_batches(session, run_id, ready)
    return [batch[0] for batch in ready]
