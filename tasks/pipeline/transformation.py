"""Transform: stored pages to staged records; pure but for the database, so it can be replayed."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core import failpoints
from tasks.domain.identity import ItemFacts, Labels
from tasks.domain.records import Item, Quote
from tasks.domain.retries import Again
from tasks.domain.runs import PageState, Stage
from tasks.pipeline import refining
from tasks.pipeline.attempts import Message, attempt, note_finished
from tasks.pipeline.dependencies import Dependencies
from tasks.pipeline.refining import Fresh, Refinery, Transformed
from tasks.pipeline.watching import FrozenShapeError, StoredPage
from tasks.sources.base import Page, SourceSpec
from tasks.store import news, pages, quotes, raw_pages, rejections, runs, staging, totals
from tasks.store.events import Step
from tasks.store.pages import Claim, Counts
from tasks.store.rejections import Quarantined
from tasks.store.staging import Staged, StagedPage
from tasks.store.tables import Run, RunPage

_DIGEST_BYTES = 16
_DIGESTS = {"quotes": quotes.digests, "news": news.digests}


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
            counts = _transform(session, refinery, run, rows)
            pages.count(session, claim, counts)
            pages.advance(session, claim, PageState.TRANSFORMED)
            note_finished(session, run, claim, {"records": sum(page.records for page in counts)})
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


class _Parsed(NamedTuple):
    """A page of the batch, the ids that are known, and the items not known byte by byte."""

    row: RunPage
    page: Page
    items: Sequence[Item]
    known: Container[str]
    fresh: Sequence[Fresh]


def _transform(
    session: Session, refinery: Refinery, run: Run, rows: Sequence[RunPage]
) -> list[Counts]:
    spec = refinery.connector.spec
    same = _same(session, run, rows)
    batch = _parsed(session, refinery, run, [row for row in rows if row.page not in same])
    results = [(parsed, _refined(session, refinery, parsed)) for parsed in batch]
    failpoints.reach(failpoints.AFTER_TRANSFORM)
    staged = {
        parsed.row.page: StagedPage(
            _labelled(spec, result.staged, parsed.known), parsed.page.fetched_at
        )
        for parsed, result in results
    }
    staging.stage(session, spec.kind, run.run_id, staged)
    if not spec.json_items:
        for parsed in batch:
            raw_pages.set_items(session, parsed.row.raw_page_id, parsed.items)
    rejections.add(
        session, run.source, [(parsed.row, result.quarantined) for parsed, result in results]
    )
    _count(session, run.source, [entry for _, result in results for entry in result.quarantined])
    return [*same.values(), *(_counts(parsed, result) for parsed, result in results)]


def _same(session: Session, run: Run, rows: Sequence[RunPage]) -> dict[int, Counts]:
    """Return the counts of the pages that came as they were known, by page number."""
    if not runs.leaves_out_what_is_known(run):
        return {}
    repeated = raw_pages.repeated(session, [row.raw_page_id for row in rows])
    return {
        row.page: Counts(row.page, row.items, 0, 0, row.items + repeated[row.raw_page_id])
        for row in rows
        if row.raw_page_id in repeated
    }


def _parsed(
    session: Session, refinery: Refinery, run: Run, rows: Sequence[RunPage]
) -> list[_Parsed]:
    stored = raw_pages.get_all(session, [row.raw_page_id for row in rows])
    batch = []
    for row in rows:
        page = stored[row.raw_page_id or 0]
        batch.append((row, page, list(refinery.connector.parse(page))))
    known = _known(session, refinery.connector.spec, run, (items for _, _, items in batch))
    return [_Parsed(row, page, items, known, _fresh(items, known)) for row, page, items in batch]


def _refined(session: Session, refinery: Refinery, parsed: _Parsed) -> Transformed:
    judged = parsed.fresh
    if refinery.connector.spec.kind != "history":  # the points of a chart have no fields to drift
        stored = StoredPage(parsed.row.raw_page_id, parsed.page)
        judged = refinery.contracted(session, stored, parsed.fresh)
    return refinery.normalised(_watched(session, parsed.row, judged))


def _labelled(
    spec: SourceSpec, staged: Iterable[Staged], known: Container[str]
) -> Iterable[Staged]:
    """Add to quotes of items that may be new what these will be filed under."""
    for entry in staged:
        record = entry.record
        if isinstance(record, Quote) and spec.kind == "quotes" and record.external_id not in known:
            labels = _labels(
                spec.name, record.external_id, record.symbol, record.name, record.contracts
            )
            yield entry._replace(labels=labels)
        else:
            yield entry


# Rows of a CSV file speak of the same few coins over and over.
@lru_cache(maxsize=1 << 12)
def _labels(source: str, external_id: str, symbol: str, name: str, contracts: str | None) -> Labels:
    return ItemFacts(source, external_id, symbol, name, contracts=contracts).labels()


def _counts(parsed: _Parsed, result: Transformed) -> Counts:
    return Counts(
        page=parsed.row.page,
        items=len(parsed.items),
        records=len(result.staged),
        rejected=len(result.quarantined),
        unchanged=parsed.page.unchanged_count + len(parsed.items) - len(parsed.fresh),
    )


def _known(
    session: Session, spec: SourceSpec, run: Run, batch: Iterable[Sequence[Item]]
) -> Mapping[str, bytes]:
    """Return the digests of what is known of the batch's items; none if all is to be read anew."""
    if not runs.leaves_out_what_is_known(run):
        return {}
    ids = [item.external_id for items in batch for item in items if item.external_id is not None]
    return _DIGESTS[spec.kind](session, run.source, ids)


def _fresh(items: Sequence[Item], known: Mapping[str, bytes]) -> list[Fresh]:
    """Leave out the items whose bytes are those of the last time."""
    fresh = []
    for number, item in enumerate(items):
        digest = blake2b(item.payload, digest_size=_DIGEST_BYTES).digest()
        if item.external_id is None or known.get(item.external_id) != digest:
            fresh.append(Fresh(number, digest, item.payload, item))
    return fresh


def _watched(session: Session, row: RunPage, fresh: Sequence[Fresh]) -> Iterable[Fresh]:
    if not failpoints.is_armed():
        return fresh
    before = runs.items_before(session, row.run_id, row.page)
    return failpoints.records(fresh, lambda entry: before + entry.number + 1)


def _count(session: Session, source: str, quarantined: Sequence[Quarantined]) -> None:
    """Count rejections by rule; in one statement, which locks the counters in order."""
    rules = Counter(entry.rejection.rule for entry in quarantined)
    if rules:
        totals.add_each(session, "etl_records_rejected_total", "reason", rules, source=source)
