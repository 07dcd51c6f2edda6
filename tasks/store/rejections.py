"""The quarantine."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.orm import Session

from tasks.domain.records import Rejection
from tasks.store import copying
from tasks.store.tables import RejectionRow, RunPage

# In the order of their key, so that two batches with the same items never wait in a circle.
_ADD = text(
    """
    insert into rejections as r (source, run_id, page, raw_page_id, item, external_id, digest,
      field, rule, reason, payload, payload_bytes, occurrences)
    select :source, n.run_id, n.page, n.raw_page_id, n.item, n.external_id, n.digest, n.field,
      n.rule, n.reason, n.payload, n.payload_bytes, n.occurrences
    from jsonb_to_recordset(cast(:rows as jsonb)) as n (run_id uuid, page int, raw_page_id bigint,
      item int, external_id text, digest bytea, field text, rule text, reason text, payload text,
      payload_bytes bytea, occurrences int)
    order by n.digest, n.rule, n.field
    on conflict (source, digest, rule, field) do update set
      run_id = excluded.run_id, page = excluded.page, raw_page_id = excluded.raw_page_id,
      item = excluded.item, updated_at = now(),
      occurrences = r.occurrences + case when excluded.raw_page_id is distinct from r.raw_page_id
        then excluded.occurrences else 0 end,
      state = case when excluded.raw_page_id is distinct from r.raw_page_id
        and r.state = 'replayed' then 'open' else r.state end
    """
)


class Selection(NamedTuple):
    """Which rejections are meant; all that is given must hold."""

    ids: Sequence[int] | None = None
    source: str | None = None
    run_id: UUID | None = None
    rule: str | None = None
    field: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the selection of open rows as conditions."""
        named = {name: value for name, value in self._asdict().items() if name != "ids"}
        chosen = [
            getattr(RejectionRow, name) == value
            for name, value in named.items()
            if value is not None
        ]
        if self.ids is not None:
            chosen.append(RejectionRow.rejection_id.in_(self.ids))
        return [RejectionRow.state == "open", *chosen]


class Quarantined(NamedTuple):
    """A rejected item: its place in the page, its digest and its bytes."""

    item: int
    digest: bytes
    payload: bytes
    rejection: Rejection


def add(
    session: Session, source: str, batch: Iterable[tuple[RunPage, Sequence[Quarantined]]]
) -> None:
    """Put items of a batch's pages in quarantine; one that comes again is the same row, counted.

    The same stored page counts once, however often it is transformed. An item that an operator
    discarded stays discarded; one that was replayed and comes again is open again.
    """
    rows: dict[tuple[bytes, str, str], dict[str, object]] = {}
    pages: Counter[tuple[bytes, str, str]] = Counter()
    for row, entries in batch:
        found = {(e.digest, e.rejection.rule, e.rejection.field): e for e in entries}
        pages.update(found.keys())
        rows |= {key: _row(row, entry) for key, entry in found.items()}
    if rows:
        listed = [values | {"occurrences": pages[key]} for key, values in rows.items()]
        session.execute(_ADD, {"source": source, "rows": msgspec.json.encode(listed).decode()})


def _row(row: RunPage, entry: Quarantined) -> dict[str, object]:
    shown = entry.payload.decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    verbatim = None if shown.encode() == entry.payload else copying.binary(entry.payload)
    return {
        "run_id": row.run_id,
        "page": row.page,
        "raw_page_id": row.raw_page_id,
        "item": entry.item,
        "digest": copying.binary(entry.digest),
        **entry.rejection._asdict(),
        "payload": shown,
        "payload_bytes": verbatim,
    }


def take(session: Session, selection: Selection, *, limit: int) -> list[RejectionRow]:
    """Return the oldest open rejections of a selection, locked until the transaction ends."""
    statement = (
        select(RejectionRow)
        .where(*selection.conditions())
        .order_by(RejectionRow.rejection_id)
        .limit(limit)
        .with_for_update()
    )
    return list(session.scalars(statement))


def payload(row: RejectionRow) -> bytes:
    """Return the very bytes of an item."""
    return row.payload.encode() if row.payload_bytes is None else row.payload_bytes


def mark_replayed(session: Session, source: str, run_id: UUID, digests: Sequence[bytes]) -> None:
    """Close every open rejection of items that a run has loaded after all."""
    session.execute(
        update(RejectionRow)
        .where(
            RejectionRow.source == source,
            RejectionRow.digest.in_(digests),
            RejectionRow.state == "open",
        )
        .values(state="replayed", replay_run_id=run_id, updated_at=func.now())
    )


def discard(session: Session, selection: Selection, *, limit: int) -> list[int]:
    """Close the oldest open rejections of a selection and return their ids."""
    ids = [row.rejection_id for row in take(session, selection, limit=limit)]
    session.execute(
        update(RejectionRow)
        .where(RejectionRow.rejection_id.in_(ids))
        .values(state="discarded", updated_at=func.now())
    )
    return ids


def unknown(session: Session, ids: Sequence[int]) -> list[int]:
    """Return those of these ids that no rejection has, in any state."""
    if not ids:
        return []
    statement = select(RejectionRow.rejection_id).where(RejectionRow.rejection_id.in_(ids))
    return sorted(set(ids) - set(session.scalars(statement)))


def count_open(session: Session, selection: Selection) -> int:
    """Return how many rejections of a selection are open."""
    statement = select(func.count()).select_from(RejectionRow).where(*selection.conditions())
    return session.scalars(statement).one()
