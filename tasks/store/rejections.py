"""The quarantine."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, case, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tasks.domain.records import Rejection
from tasks.store.tables import RejectionRow, RunPage


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


def add(session: Session, source: str, row: RunPage, entries: Iterable[Quarantined]) -> None:
    """Put items of a page in quarantine; an item that comes again is the same row, counted.

    The same stored page counts once, however often it is transformed. An item that an operator
    discarded stays discarded; one that was replayed and comes again is open again.
    """
    rows = {
        (entry.digest, entry.rejection.rule, entry.rejection.field): _row(source, row, entry)
        for entry in entries
    }
    if not rows:
        return
    # In the order of their key, so that two batches with the same items never wait in a circle.
    statement = insert(RejectionRow).values([rows[key] for key in sorted(rows)])
    is_new = RejectionRow.raw_page_id.is_distinct_from(statement.excluded.raw_page_id)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["source", "digest", "rule", "field"],
            set_={
                "run_id": statement.excluded.run_id,
                "page": statement.excluded.page,
                "raw_page_id": statement.excluded.raw_page_id,
                "item": statement.excluded.item,
                "occurrences": RejectionRow.occurrences + cast(is_new, Integer),
                "state": case(
                    (is_new & (RejectionRow.state == "replayed"), "open"), else_=RejectionRow.state
                ),
                "updated_at": func.now(),
            },
        )
    )


def _row(source: str, row: RunPage, entry: Quarantined) -> dict[str, object]:
    text = entry.payload.decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    rejection = entry.rejection
    return {
        "source": source,
        "run_id": row.run_id,
        "page": row.page,
        "raw_page_id": row.raw_page_id,
        "item": entry.item,
        "external_id": rejection.external_id,
        "digest": entry.digest,
        "field": rejection.field,
        "rule": rejection.rule,
        "reason": rejection.reason,
        "payload": text,
        "payload_bytes": None if text.encode() == entry.payload else entry.payload,
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
