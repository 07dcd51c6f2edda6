"""What operators do with rejected items: replay them with today's rules, or discard them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core.errors import ConflictError, NotFoundError
from tasks.domain.contracts import ContractMode
from tasks.domain.pages import Page
from tasks.domain.records import Item, Quote, Record
from tasks.domain.runs import completed_status
from tasks.pipeline import lifecycle, loading, refining
from tasks.pipeline.dependencies import Dependencies
from tasks.pipeline.refining import Fresh, Refinery
from tasks.pipeline.watching import StoredPage
from tasks.sources.base import Connector
from tasks.store import audit, news, quotes, raw_pages, rejections, replays, runs, staging, versions
from tasks.store.audit import Actor
from tasks.store.rejections import Selection
from tasks.store.staging import Staged, StagedPage
from tasks.store.tables import RejectionRow, Run

MAX_AT_ONCE = 1000
"""A decision is one transaction; what is beyond this waits for the next call."""


class Replayed(NamedTuple):
    """What a replay did for one source.

    Attributes:
        run_id: The run that loaded the items; None when none could be loaded.
        loaded: Items that are the latest of their kind now.
        superseded: Items that change nothing, for something newer is known: closed like those
            that were loaded.
        rejected: Items that the rules still refuse; they stay open.
        conflict: What stood in the way, so that nothing was done: an active run of the source
            (``active_run_id`` in the context), or that it is not enabled.
    """

    source: str
    run_id: UUID | None
    loaded: int
    superseded: int
    rejected: int
    conflict: ConflictError | None = None


class _Part(NamedTuple):
    """What can be loaded of the items of one stored page; None for pages that are gone."""

    raw_page_id: int | None
    fetched_at: datetime | None
    staged: list[Staged]


def replay(dependencies: Dependencies, selection: Selection, *, actor: Actor) -> list[Replayed]:
    """Normalise open rejections with today's rules and load what they let through, once.

    Each source is a transaction and a run of its own. An item replayed already is not open any
    more, so that replaying twice changes nothing.

    Args:
        dependencies: Of this process.
        selection: Which; of these the oldest :data:`MAX_AT_ONCE`.
        actor: Who asks.

    Returns:
        What became of each source's rejections.

    Raises:
        NotFoundError: If one of the ids is of no rejection; nothing was done.
        ConflictError: If nothing could be tried; see :class:`Replayed`.
    """
    with dependencies.transaction() as session:
        _require(session, selection)
        rows = rejections.take(session, selection, limit=MAX_AT_ONCE)
        ids: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            ids[row.source].append(row.rejection_id)
    done = []
    for source, chosen in sorted(ids.items()):
        try:
            done += _replay_source(dependencies, source, chosen, actor)
        except ConflictError as conflict:
            done.append(Replayed(source, None, 0, 0, 0, conflict))
    conflicts = [outcome.conflict for outcome in done if outcome.conflict is not None]
    if conflicts and len(conflicts) == len(done):
        raise conflicts[0]
    return done


def _replay_source(
    dependencies: Dependencies, source: str, ids: Sequence[int], actor: Actor
) -> list[Replayed]:
    if source not in dependencies.connectors:
        raise ConflictError(f"The source {source!r} is not enabled.", source=source)
    with dependencies.transaction() as session:
        rows = rejections.take(session, Selection(ids=ids), limit=MAX_AT_ONCE)
        return [_replay(dependencies, session, source, rows, actor)] if rows else []


def discard(dependencies: Dependencies, selection: Selection, *, actor: Actor) -> list[int]:
    """Close open rejections without loading them; they stay closed.

    Args:
        dependencies: Of this process.
        selection: Which; of these the oldest :data:`MAX_AT_ONCE`.
        actor: Who asks.

    Returns:
        The ids of those that were closed.

    Raises:
        NotFoundError: If one of the ids is of no rejection; nothing was done.
    """
    with dependencies.transaction() as session:
        _require(session, selection)
        ids = rejections.discard(session, selection, limit=MAX_AT_ONCE)
        if ids:
            audit.add(session, actor, "quarantine.discard", "quarantine", {"ids": ids})
            versions.bump(session, "runs")
        return ids


def count_open(dependencies: Dependencies, selection: Selection) -> int:
    """Return how many rejections of a selection are open."""
    with dependencies.transaction() as session:
        return rejections.count_open(session, selection)


def _require(session: Session, selection: Selection) -> None:
    unknown = rejections.unknown(session, selection.ids or ())
    if unknown:
        raise NotFoundError(f"There are no rejections {unknown}.", ids=unknown)


def _replay(
    dependencies: Dependencies,
    session: Session,
    source: str,
    rows: Sequence[RejectionRow],
    actor: Actor,
) -> Replayed:
    parts = _normalised(dependencies, session, source, rows)
    staged = [entry for part in parts for entry in part.staged]
    rejected = len(rows) - len(staged)
    outcome = Replayed(source, None, loaded=0, superseded=0, rejected=rejected)
    if staged:
        run = _load(dependencies, session, source, parts, rejected=rejected)
        rejections.mark_replayed(session, source, run.run_id, [entry.digest for entry in staged])
        ids = [entry.record.external_id for entry in staged]
        loaded = runs.count_latest(session, run, ids)
        outcome = Replayed(source, run.run_id, loaded, len(staged) - loaded, rejected)
    detail = {
        "run_id": outcome.run_id and str(outcome.run_id),
        "loaded": outcome.loaded,
        "superseded": outcome.superseded,
        "rejected": outcome.rejected,
        "ids": [row.rejection_id for row in rows],
    }
    audit.add(session, actor, "quarantine.replay", f"source/{source}", detail)
    return outcome


def _normalised(
    dependencies: Dependencies, session: Session, source: str, rows: Iterable[RejectionRow]
) -> list[_Part]:
    refinery = _refinery(dependencies, source)
    parts = []
    in_order = sorted(rows, key=lambda row: (row.raw_page_id or 0, row.item))
    for raw_page_id, members in groupby(in_order, lambda row: row.raw_page_id):
        staged: list[Staged] = []
        fetched_at = None
        for stored, fresh in _stored(session, refinery.connector, raw_page_id, list(members)):
            staged += refinery.normalised(refinery.contracted(session, stored, fresh)).staged
            fetched_at = stored.page.fetched_at
        if raw_page_id is None:
            staged, fetched_at = _newer(session, refinery.connector, staged), None
        parts.append(_Part(raw_page_id, fetched_at, staged))
    return [part for part in parts if part.staged]


def _refinery(dependencies: Dependencies, source: str) -> Refinery:
    """Look at items one by one: a frozen contract refuses pages, and here are none."""
    is_frozen = dependencies.settings.sources[source].contract_mode == ContractMode.FREEZE
    return refining.of(dependencies, source, mode=ContractMode.DISCARD_ROW if is_frozen else None)


def _stored(
    session: Session,
    connector: Connector,
    raw_page_id: int | None,
    rows: Sequence[RejectionRow],
) -> Iterable[tuple[StoredPage, list[Fresh]]]:
    """Find items in the page they came in, which knows more of them than their bytes.

    When the page is gone with its age, an item is a page of its own.
    """
    if raw_page_id is not None:
        page = raw_pages.get(session, raw_page_id)
        items = list(connector.parse(page))
        yield (
            StoredPage(raw_page_id, page),
            [Fresh(row.item, row.digest, rejections.payload(row), items[row.item]) for row in rows],
        )
        return
    for row in rows:
        page, item = _alone(connector, row)
        yield StoredPage(None, page), [Fresh(row.item, row.digest, item.payload, item)]


def _alone(connector: Connector, row: RejectionRow) -> tuple[Page, Item]:
    payload = rejections.payload(row)
    page = Page(
        request=f"rejection {row.rejection_id}",
        body=b"[%s]" % payload,
        media_type="application/json",
        checkpoint={},
        fetched_at=row.created_at,
    )
    if connector.spec.json_items:
        (item,) = connector.parse(page)
        return page, item
    return page, Item(row.external_id, payload, {"fetched_at": row.created_at})


def _newer(session: Session, connector: Connector, staged: Sequence[Staged]) -> list[Staged]:
    """Leave out what something as new is known of, where nobody knows which came in last."""
    source, ids = connector.spec.name, [entry.record.external_id for entry in staged]
    if connector.spec.kind == "news":
        known = news.digests(session, source, ids)
        return [entry for entry in staged if entry.record.external_id not in known]
    latest = quotes.observed_at(session, source, ids)
    return [entry for entry in staged if _is_newer(entry.record, latest)]


def _is_newer(record: Record, latest: Mapping[str, datetime]) -> bool:
    known = latest.get(record.external_id)
    return known is None or (isinstance(record, Quote) and record.observed_at > known)


def _load(
    dependencies: Dependencies,
    session: Session,
    source: str,
    parts: Sequence[_Part],
    *,
    rejected: int,
) -> Run:
    """Load through the same code as any run, as a run that begins and ends here."""
    count = sum(len(part.staged) for part in parts)
    run = lifecycle.insert_run(
        dependencies,
        session,
        source,
        trigger="replay",
        options={"reason": "quarantine", "keep_checkpoint": True},
        pages=len(parts),
        records_extracted=count + rejected,
        records_processed=count,
        records_failed=rejected,
    )
    runs.start(session, run.run_id)
    kind = dependencies.connector(source).spec.kind
    numbers = list(range(1, len(parts) + 1))
    for number, part in zip(numbers, parts, strict=True):
        replays.add_loaded(session, run.run_id, number, part.raw_page_id, records=len(part.staged))
        # Items of several pages that are gone may have had the same place.
        numbered = [entry._replace(item=place) for place, entry in enumerate(part.staged)]
        page = StagedPage(numbered, part.fetched_at)
        staging.stage(session, kind, run.run_id, {number: page})
    loading.load_staged(dependencies, session, run, numbers)
    status = completed_status(rejected=rejected)
    lifecycle.end(session, run, status, checkpoint_after=run.checkpoint_before)
    return run
