"""The quarantine."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tasks.domain.records import Rejection
from tasks.store.tables import RejectionRow


class Quarantined(NamedTuple):
    """A rejected item: its place in the page, its digest and its bytes."""

    item: int
    digest: bytes
    payload: bytes
    rejection: Rejection


def add(
    session: Session, source: str, run_id: UUID, page: int, entries: Iterable[Quarantined]
) -> None:
    """Put items in quarantine; an item that comes again is the same row, counted.

    An item that an operator discarded stays discarded.
    """
    rows = {
        (entry.digest, entry.rejection.rule, entry.rejection.field): _row(
            source, run_id, page, entry
        )
        for entry in entries
    }
    if not rows:
        return
    statement = insert(RejectionRow).values(list(rows.values()))
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["source", "digest", "rule", "field"],
            set_={
                "run_id": statement.excluded.run_id,
                "page": statement.excluded.page,
                "item": statement.excluded.item,
                "occurrences": RejectionRow.occurrences + 1,
                "updated_at": func.now(),
            },
        )
    )


def _row(source: str, run_id: UUID, page: int, entry: Quarantined) -> dict[str, object]:
    text = entry.payload.decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    rejection = entry.rejection
    return {
        "source": source,
        "run_id": run_id,
        "page": page,
        "item": entry.item,
        "external_id": rejection.external_id,
        "digest": entry.digest,
        "field": rejection.field,
        "rule": rejection.rule,
        "reason": rejection.reason,
        "payload": text,
    }
