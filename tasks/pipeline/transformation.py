"""Transform: stored pages to staged records; pure but for the database, so it can be replayed."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core import failpoints
from tasks.domain.records import Item
from tasks.domain.retries import Again
from tasks.domain.runs import ASIDE, PageState, Stage
from tasks.pipeline import refining
from tasks.pipeline.attempts import Message, attempt, note_finished
from tasks.pipeline.dependencies import Dependencies
from tasks.pipeline.refining import Fresh, Refinery
from tasks.pipeline.watching import FrozenShapeError, StoredPage
from tasks.sources.base import SourceSpec
from tasks.store import database, news, pages, quotes, raw_pages, rejections, runs, staging, totals
from tasks.store.events import Step
from tasks.store.pages import Claim
from tasks.store.rejections import Quarantined
from tasks.store.tables import Run, RunPage

_DIGEST_BYTES = 16
_KNOWN = {"quotes": quotes.digests, "news": news.digests}


def transform(dependencies: Dependencies, run_id: UUID, batch: int) -> Again | None:
    """Turn the fetched pages of a batch into staged records and rejections.

    Returns:
        When to try again, as :func:`tasks.pipeline.attempts.attempt`.
    """
    return attempt(dependencies, Stage.TRANSFORM, run_id, batch, _work)


def _work(dependencies: Dependencies, run: Run, claim: Claim) -> Sequence[Message]:
    refinery = refining.of_run(dependencies, run)
    step = Step(claim.stage, claim.first, claim.attempt)
    try:
        with dependencies.transaction() as session:
            rows = pages.hold(session, claim)
            failpoints.reach(failpoints.BEFORE_TRANSFORM)
            for row in rows:
                _transform_page(session, refinery, run, row)
            moment = database.now(session)
            for row in rows:
                pages.advance(row, PageState.TRANSFORMED, moment)
            note_finished(session, run, claim, {"records": sum(row.records for row in rows)})
            refinery.watch.report(session, run.run_id, step)
            runs.hold_active(session, run)
            failpoints.reach(failpoints.AFTER_STAGING)
        failpoints.reach(failpoints.AFTER_STAGING_COMMIT)
    except FrozenShapeError:
        # What is refused is rolled back; what was found has to stay.
        with dependencies.transaction() as session:
            refinery.watch.report(session, run.run_id, step)
        raise
    return []  # load travels in the same chain


def _transform_page(session: Session, refinery: Refinery, run: Run, row: RunPage) -> None:
    spec = refinery.connector.spec
    page = raw_pages.get(session, row.raw_page_id)
    items = list(refinery.connector.parse(page))
    fresh = _fresh(session, spec, run, items)
    judged: Sequence[Fresh] = fresh
    if spec.kind != "history":  # the points of a chart have no fields that could drift
        judged = refinery.contracted(session, StoredPage(row.raw_page_id, page), fresh)
    result = refinery.normalised(_watched(session, row, judged))
    failpoints.reach(failpoints.AFTER_TRANSFORM)
    if not spec.json_items:
        raw_pages.set_items(session, row.raw_page_id, items)
    staging.stage(session, spec.kind, run.run_id, row.page, result.staged)
    rejections.add(session, run.source, row, result.quarantined)
    _count(session, run.source, result.quarantined)
    row.items = len(items)
    row.records = len(result.staged)
    row.rejected = len(result.quarantined)
    row.unchanged = page.unchanged_count + len(items) - len(fresh)


def _fresh(session: Session, spec: SourceSpec, run: Run, items: Sequence[Item]) -> list[Fresh]:
    """Leave out the items whose bytes are those of the last time."""
    known: Mapping[str, bytes] = {}
    if not run.options.get("full_refresh") and run.trigger not in ASIDE:
        ids = [item.external_id for item in items if item.external_id is not None]
        known = _KNOWN[spec.kind](session, run.source, ids)
    fresh = []
    for number, item in enumerate(items):
        digest = _digest(item)
        if item.external_id is None or known.get(item.external_id) != digest:
            fresh.append(Fresh(number, digest, item.payload, item))
    return fresh


def _watched(session: Session, row: RunPage, fresh: Sequence[Fresh]) -> Iterable[Fresh]:
    if not failpoints.is_armed():
        return fresh
    before = runs.items_before(session, row.run_id, row.page)
    return failpoints.records(fresh, lambda entry: before + entry.number + 1)


def _digest(item: Item) -> bytes:
    return hashlib.blake2b(item.payload, digest_size=_DIGEST_BYTES).digest()


def _count(session: Session, source: str, quarantined: Sequence[Quarantined]) -> None:
    """Count rejections by rule; in one statement, which locks the counters in order."""
    rules = Counter(entry.rejection.rule for entry in quarantined)
    if rules:
        totals.add_each(session, "etl_records_rejected_total", "reason", rules, source=source)
