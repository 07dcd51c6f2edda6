"""Hand the unfinished pages of a run that broke off to the run that takes them up."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from tasks.domain.runs import PageState
from tasks.store import batching
from tasks.store.tables import RunPage

_COPIED = (
    "page",
    "request_page",
    "cursor",
    "is_last",
    "raw_page_id",
    "checkpoint",
    "items",
)


def take_up(session: Session, broken: UUID, run_id: UUID) -> bool:
    """Copy what ``broken`` left unfinished to ``run_id``; stored raw pages are used again.

    A page whose answer could not be read is asked for anew, and with it everything that came
    after its request: the new answer may be cut differently.

    Returns:
        False if nothing was left, so the run begins at the beginning.
    """
    left = session.scalars(
        select(RunPage)
        .where(RunPage.run_id == broken, RunPage.state != PageState.LOADED)
        .order_by(RunPage.page)
    ).all()
    kept: list[RunPage] = []
    for row in left:
        if row.raw_page_id is None or row.state == PageState.FAILED:
            first = _first_of_request(session, broken, row)
            kept = [page for page in kept if page.page < first.page]
            _add(session, run_id, first, fetched=False)
            break
        kept.append(row)
    for row in kept:
        _add(session, run_id, row, fetched=True)
    session.flush()
    batching.close(session, run_id, last=True)
    return bool(left)


def _first_of_request(session: Session, broken: UUID, row: RunPage) -> RunPage:
    return session.get_one(RunPage, (broken, row.request_page))


def _add(session: Session, run_id: UUID, row: RunPage, *, fetched: bool) -> None:
    values = {name: getattr(row, name) for name in _COPIED}
    if fetched:
        values |= {"state": PageState.FETCHED, "fetched_at": row.fetched_at}
    else:
        values |= {"raw_page_id": None, "is_last": False, "checkpoint": None, "items": 0}
    session.add(RunPage(run_id=run_id, **values))
