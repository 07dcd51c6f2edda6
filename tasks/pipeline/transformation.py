"""Transform: stored pages to staged records; pure but for the database, so it can be replayed."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core import failpoints
from tasks.domain import quality
from tasks.domain.drift import Deviation
from tasks.domain.quality import Fault
from tasks.domain.records import Item, Rejection
from tasks.domain.retries import Again
from tasks.domain.runs import PageState, Stage
from tasks.pipeline import watching
from tasks.pipeline.attempts import Message, attempt, note_finished
from tasks.pipeline.dependencies import Dependencies
from tasks.pipeline.watching import FrozenShapeError, Watch
from tasks.sources.base import Connector, Page, SourceSpec
from tasks.store import database, news, pages, quotes, raw_pages, rejections, runs, staging, totals
from tasks.store.events import Step
from tasks.store.pages import Claim
from tasks.store.rejections import Quarantined
from tasks.store.staging import Staged
from tasks.store.tables import Run, RunPage

_DIGEST_BYTES = 16
_KNOWN = {"quotes": quotes.digests, "news": news.digests}


class Fresh(NamedTuple):
    """An item that is not known byte by byte.

    Attributes:
        number: Its place in the page.
        digest: Of the bytes the source sent.
        payload: These bytes.
        item: What is normalised; its fields may have been given their own names back.
        deviation: Why it is not to be normalised at all.
    """

    number: int
    digest: bytes
    payload: bytes
    item: Item
    deviation: Deviation | None = None


class Transformed(NamedTuple):
    """What items became."""

    staged: list[Staged]
    quarantined: list[Quarantined]


def transform(dependencies: Dependencies, run_id: UUID, batch: int) -> Again | None:
    """Turn the fetched pages of a batch into staged records and rejections.

    Returns:
        When to try again, as :func:`tasks.pipeline.attempts.attempt`.
    """
    return attempt(dependencies, Stage.TRANSFORM, run_id, batch, _work)


def _work(dependencies: Dependencies, run: Run, claim: Claim) -> Sequence[Message]:
    connector = dependencies.connector(run.source)
    watch = watching.of(dependencies, connector.spec)
    step = Step(claim.stage, claim.first, claim.attempt)
    try:
        with dependencies.transaction() as session:
            rows = pages.hold(session, claim)
            failpoints.reach(failpoints.BEFORE_TRANSFORM)
            for row in rows:
                _transform_page(session, connector, watch, run, row)
            moment = database.now(session)
            for row in rows:
                pages.advance(row, PageState.TRANSFORMED, moment)
            note_finished(session, run, claim, {"records": sum(row.records for row in rows)})
            watch.report(session, run.run_id, step)
            runs.hold_active(session, run)
            failpoints.reach(failpoints.AFTER_STAGING)
        failpoints.reach(failpoints.AFTER_STAGING_COMMIT)
    except FrozenShapeError:
        # What is refused is rolled back; what was found has to stay.
        with dependencies.transaction() as session:
            watch.report(session, run.run_id, step)
        raise
    return []  # load travels in the same chain


def _transform_page(
    session: Session, connector: Connector, watch: Watch, run: Run, row: RunPage
) -> None:
    spec = connector.spec
    page = raw_pages.get(session, row.raw_page_id)
    items = list(connector.parse(page))
    fresh = _fresh(session, spec, run, items)
    judged = contracted(session, connector, watch, page, fresh)
    result = normalise(connector, _watched(session, row, judged))
    failpoints.reach(failpoints.AFTER_TRANSFORM)
    if not spec.json_items:
        raw_pages.set_items(session, row.raw_page_id, items)
    staging.stage(session, spec.kind, run.run_id, row.page, result.staged)
    rejections.add(session, run.source, run.run_id, row.page, result.quarantined)
    _count(session, run.source, result.quarantined)
    row.items = len(items)
    row.records = len(result.staged)
    row.rejected = len(result.quarantined)
    row.unchanged = page.unchanged_count + len(items) - len(fresh)


def _fresh(session: Session, spec: SourceSpec, run: Run, items: Sequence[Item]) -> list[Fresh]:
    """Leave out the items whose bytes are those of the last time."""
    known: Mapping[str, bytes] = {}
    if not run.options.get("full_refresh") and run.trigger != "replay":
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
    before = pages.items_before(session, row.run_id, row.page)
    return failpoints.records(fresh, lambda entry: before + entry.number + 1)


def _digest(item: Item) -> bytes:
    return hashlib.blake2b(item.payload, digest_size=_DIGEST_BYTES).digest()


def contracted(
    session: Session, connector: Connector, watch: Watch, page: Page, fresh: Sequence[Fresh]
) -> Sequence[Fresh]:
    """Compare items with the accepted shape and do to them what the source's contract says.

    Returns:
        The very same items when nothing of them has to change.
    """
    payloads = [entry.payload for entry in fresh]
    judged = watch.judge(session, page, payloads)
    if judged.payloads is payloads and not judged.deviants:
        return fresh
    # The connector reads the items anew: an id may be among the fields that got their names back.
    body = b"[%s]" % b",".join(judged.payloads)
    items = [entry.item for entry in fresh]
    if connector.spec.json_items:
        items = list(connector.parse(replace(page, body=body)))
    return [
        entry._replace(item=item, deviation=judged.deviants.get(place))
        for place, (entry, item) in enumerate(zip(fresh, items, strict=True))
    ]


def normalise(connector: Connector, fresh: Iterable[Fresh]) -> Transformed:
    """Sort items into records and rejections."""
    staged: list[Staged] = []
    quarantined: list[Quarantined] = []
    for number, digest, payload, item, deviation in fresh:
        record = connector.normalise(item) if deviation is None else _refused(item, deviation)
        if isinstance(record, Rejection):
            quarantined.append(Quarantined(number, digest, payload, record))
        else:
            staged.append(Staged(number, digest, record))
    return Transformed(staged, quarantined)


def _refused(item: Item, deviation: Deviation) -> Rejection:
    return quality.rejection(item.external_id, deviation.field, Fault("drift", deviation.reason))


def _count(session: Session, source: str, quarantined: Sequence[Quarantined]) -> None:
    for rule in {entry.rejection.rule for entry in quarantined}:
        amount = sum(entry.rejection.rule == rule for entry in quarantined)
        totals.add(session, "etl_records_rejected_total", amount, source=source, reason=rule)
