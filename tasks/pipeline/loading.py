"""Load: staged records to what is served, the checkpoint included, in one transaction."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core import failpoints
from tasks.domain.retries import Again
from tasks.domain.runs import PageState, Stage, completed_status
from tasks.pipeline import lifecycle, mentioning, trust
from tasks.pipeline.attempts import Message, attempt, note_finished
from tasks.pipeline.dependencies import Dependencies
from tasks.store import (
    backfills,
    checkpoints,
    consensus,
    linking,
    links,
    news,
    pages,
    publication,
    quotes,
    runs,
    staging,
    versions,
)
from tasks.store.pages import Claim
from tasks.store.tables import Run, RunPage


def load(dependencies: Dependencies, run_id: UUID, batch: int) -> Again | None:
    """Load the staged records of a batch; the run's last one completes the run.

    Returns:
        When to try again, as :func:`tasks.pipeline.attempts.attempt`.
    """
    return attempt(dependencies, Stage.LOAD, run_id, batch, _work)


def _work(dependencies: Dependencies, run: Run, claim: Claim) -> Sequence[Message]:
    kind = dependencies.connector_of(run).spec.kind
    with dependencies.transaction() as session:
        rows = pages.hold(session, claim)
        failpoints.reach(failpoints.BEFORE_LOAD)
        if not run.options.get("dry_run"):
            load_staged(dependencies, session, run, claim.pages)
        failpoints.reach(failpoints.AFTER_LOAD)
        staging.clear(session, kind, run.run_id, claim.pages)
        pages.advance(session, claim, PageState.LOADED)
        note_finished(session, run, claim, {"records": sum(row.records for row in rows)})
        held = runs.count_loaded(session, run, rows)
        if rows[-1].is_last:
            _complete(session, held, rows[-1])
        following = pages.next_transformed(session, run.run_id)
    failpoints.reach(failpoints.AFTER_LOAD_COMMIT)
    return [] if following is None else [Message(Stage.LOAD, following)]


def load_staged(
    dependencies: Dependencies, session: Session, run: Run, numbers: Sequence[int]
) -> None:
    """Bring staged pages of a run to what is served; what a newer observation hides stays hidden.

    Args:
        dependencies: Of this process.
        session: Of the load's transaction.
        run: The run.
        numbers: Pages in staging.
    """
    kind = dependencies.connector_of(run).spec.kind
    if kind == "history":
        _load_history(session, run, numbers)
    elif kind == "news":
        _load_news(session, run, numbers)
    else:
        _load_quotes(dependencies, session, run, numbers)


def _load_quotes(
    dependencies: Dependencies, session: Session, run: Run, numbers: Sequence[int]
) -> None:
    trusted = trust.policies(dependencies)
    linked = linking.link_staged(
        session,
        source=run.source,
        run_id=run.run_id,
        pages=numbers,
        precedence={name: policy.precedence for name, policy in trusted.items()},
    )
    touched = sorted({*linked.observed_assets, *linked.changed_assets})
    if touched:
        quotes.observe(session, run.source, run.run_id, numbers)
        decided = consensus.refresh(session, asset_ids=touched, policies=trusted)
        publication.append(session, decided, closed=linked.closed_assets)
        added = linked.founded - len(linked.closed_assets)
        versions.bump(session, "data", added_rows=added)


def _load_history(session: Session, run: Run, numbers: Sequence[int]) -> None:
    links.lock_shared(session)  # so that no item moves to another asset meanwhile
    if backfills.append(session, run.source, run.run_id, numbers):
        versions.bump(session, "data")


def _load_news(session: Session, run: Run, numbers: Sequence[int]) -> None:
    upserted = news.upsert(session, run.source, run.run_id, numbers)
    mentioning.link(session, upserted.news_ids)
    versions.bump(session, "news", added_rows=upserted.added)


def _complete(session: Session, run: Run, last: RunPage) -> None:
    """End the run; loads keep the order of pages, so its last page is loaded after all others."""
    status = completed_status(rejected=run.records_failed)
    checkpoint = run.checkpoint_before or {}
    if not (run.options.get("dry_run") or run.options.get("keep_checkpoint")):
        failpoints.reach(failpoints.BEFORE_CHECKPOINT)
        checkpoint = last.checkpoint or {}
        checkpoints.move(session, run.source, checkpoint, run_id=run.run_id)
        failpoints.reach(failpoints.AFTER_CHECKPOINT)
    lifecycle.end(session, run, status, checkpoint_after=checkpoint)
