"""Transform: stored pages to staged records; pure but for the database, so it can be replayed."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.domain.records import Item, Rejection
from tasks.domain.retries import Again
from tasks.domain.runs import PageState, Stage
from tasks.pipeline.attempts import Message, attempt, note_finished
from tasks.pipeline.dependencies import Dependencies
from tasks.sources.base import Connector
from tasks.store import database, news, pages, quotes, raw_pages, rejections, runs, staging, totals
from tasks.store.pages import Claim
from tasks.store.rejections import Quarantined
from tasks.store.staging import Staged
from tasks.store.tables import Run, RunPage

_DIGEST_BYTES = 16
_KNOWN = {"quotes": quotes.digests, "news": news.digests}


class Transformed(NamedTuple):
    """What a page's items became; ``unchanged`` are those whose bytes are known."""

    staged: list[Staged]
    quarantined: list[Quarantined]
    unchanged: int


def transform(dependencies: Dependencies, run_id: UUID, batch: int) -> Again | None:
    """Turn the fetched pages of a batch into staged records and rejections.

    Returns:
        When to try again, as :func:`tasks.pipeline.attempts.attempt`.
    """
    return attempt(dependencies, Stage.TRANSFORM, run_id, batch, _work)


def _work(dependencies: Dependencies, run: Run, claim: Claim) -> Sequence[Message]:
    connector = dependencies.connector(run.source)
    with dependencies.transaction() as session:
        rows = pages.hold(session, claim)
        for row in rows:
            _transform_page(session, connector, run, row)
        moment = database.now(session)
        for row in rows:
            pages.advance(row, PageState.TRANSFORMED, moment)
        note_finished(session, run, claim, {"records": sum(row.records for row in rows)})
        runs.hold_active(session, run)
    return []  # load travels in the same chain


def _transform_page(session: Session, connector: Connector, run: Run, row: RunPage) -> None:
    spec = connector.spec
    page = raw_pages.get(session, row.raw_page_id)
    items = list(connector.parse(page))
    hashes = [_digest(item) for item in items]
    known: Mapping[str, bytes] = {}
    if not run.options.get("full_refresh") and run.trigger != "replay":
        ids = [item.external_id for item in items if item.external_id is not None]
        known = _KNOWN[spec.kind](session, run.source, ids)
    result = normalise(connector, items, hashes, known)
    if not spec.json_items:
        raw_pages.set_items(session, row.raw_page_id, items)
    staging.stage(session, spec.kind, run.run_id, row.page, result.staged)
    rejections.add(session, run.source, run.run_id, row.page, result.quarantined)
    _count(session, run.source, result.quarantined)
    row.items = len(items)
    row.records = len(result.staged)
    row.rejected = len(result.quarantined)
    row.unchanged = page.unchanged_count + result.unchanged


def _digest(item: Item) -> bytes:
    return hashlib.blake2b(item.payload, digest_size=_DIGEST_BYTES).digest()


def normalise(
    connector: Connector,
    items: Sequence[Item],
    hashes: Sequence[bytes],
    known: Mapping[str, bytes],
) -> Transformed:
    """Sort a page's items into records, rejections and what is known already.

    Args:
        connector: Of the source.
        items: The page's items.
        hashes: The digest of each item's bytes.
        known: Digest of the last observation by external id.
    """
    staged: list[Staged] = []
    quarantined: list[Quarantined] = []
    unchanged = 0
    for number, (item, digest) in enumerate(zip(items, hashes, strict=True)):
        if item.external_id is not None and known.get(item.external_id) == digest:
            unchanged += 1
            continue
        record = connector.normalise(item)
        if isinstance(record, Rejection):
            quarantined.append(Quarantined(number, digest, item.payload, record))
        else:
            staged.append(Staged(number, digest, record))
    return Transformed(staged, quarantined, unchanged)


def _count(session: Session, source: str, quarantined: Sequence[Quarantined]) -> None:
    for rule in {entry.rejection.rule for entry in quarantined}:
        amount = sum(entry.rejection.rule == rule for entry in quarantined)
        totals.add(session, "etl_records_rejected_total", amount, source=source, reason=rule)
