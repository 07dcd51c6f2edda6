"""Rows of ``run_pages``: what a claim holds, and what each stage leaves behind."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import and_, func, insert, or_, select, text, update
from sqlalchemy.orm import Session

from tasks.core.errors import LostClaimError
from tasks.domain.runs import PageState, Stage
from tasks.store.tables import RunPage

RESEND_AFTER = timedelta(seconds=20)
"""How long a message that was sent may rest before the sweeper sends it again."""


_ADD_FETCHED = text(
    """
    insert into run_pages (run_id, page, request_page, cursor, state, is_last, checkpoint, items,
      raw_page_id, fetched_at, wake_at)
    select r.run_id, n.page, n.request_page, n.cursor, 'fetched', n.is_last, n.checkpoint, n.items,
      r.raw_page_id, clock_timestamp(), clock_timestamp() + cast(:resend_after as interval)
    from jsonb_to_recordset(cast(:rows as jsonb)) as n (page int, request_page int, cursor jsonb,
      is_last boolean, checkpoint jsonb, items int)
    join raw_pages r on r.run_id = :run_id and r.page = n.page
    on conflict (run_id, page) do update set state = excluded.state, is_last = excluded.is_last,
      checkpoint = excluded.checkpoint, items = excluded.items,
      raw_page_id = excluded.raw_page_id, fetched_at = excluded.fetched_at,
      wake_at = excluded.wake_at, attempts = 0, failures = 0, lease_until = null,
      lease_holder = null, error = null
    """
)
_COUNT = text(
    """
    update run_pages p set items = n.items, records = n.records, rejected = n.rejected,
      unchanged = n.unchanged
    from unnest(cast(:page as int[]), cast(:items as int[]), cast(:records as int[]),
      cast(:rejected as int[]), cast(:unchanged as int[]))
      as n (page, items, records, rejected, unchanged)
    where p.run_id = :run_id and p.page = n.page
    """
)


class Claim(NamedTuple):
    """The right to work on some pages of a run until the lease ends.

    Attributes:
        pages: Page numbers, ascending.
        tokens: The lease token of each page; every write of the claimant carries it.
        attempt: Counted from 1 within the stage.
        failures: How often the stage has failed on these pages so far.
        claimed_at: Database time.
        waited_s: Since the moment for which the message was sent.
        begins_run: Whether nothing of the run has been claimed before, as far as is known.
        cursor: Where the request of the first page begins.
    """

    run_id: UUID
    stage: Stage
    pages: tuple[int, ...]
    tokens: tuple[int, ...]
    attempt: int
    failures: int
    claimed_at: datetime
    waited_s: float
    begins_run: bool
    cursor: dict[str, Any] | None = None

    @property
    def first(self) -> int:
        """Return the number by which events name the pages."""
        return self.pages[0]


def add_pending(
    session: Session, run_id: UUID, page: int, cursor: Mapping[str, Any] | None
) -> None:
    """Note where the run's next request begins."""
    session.execute(
        insert(RunPage).values(
            run_id=run_id,
            page=page,
            request_page=page,
            cursor=cursor,
            wake_at=func.clock_timestamp() + RESEND_AFTER,
        )
    )


def hold(session: Session, claim: Claim) -> list[RunPage]:
    """Lock the claimed pages for the transaction that completes the stage.

    Raises:
        LostClaimError: If another process has taken one of them, or the stage is done.
    """
    rows = session.scalars(
        select(RunPage)
        .where(RunPage.run_id == claim.run_id, RunPage.page.in_(claim.pages))
        .order_by(RunPage.page)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    tokens = tuple(row.lease_token for row in rows)
    if tokens != claim.tokens or any(row.state != claim.stage.takes for row in rows):
        raise LostClaimError(run_id=str(claim.run_id), page=claim.first)
    return list(rows)


class Fetched(NamedTuple):
    """A page whose answer is in ``raw_pages``.

    Attributes:
        request_page: The first page of its request.
        cursor: Where that request began.
        items: As far as ``fetch`` can tell cheaply.
        checkpoint: Where the source goes on once this page and all before it are loaded.
    """

    page: int
    request_page: int
    cursor: Mapping[str, Any] | None
    items: int
    checkpoint: Mapping[str, Any]
    is_last: bool


def add_fetched(session: Session, run_id: UUID, fetched: Sequence[Fetched]) -> None:
    """Note pages whose answers are stored, the held one among them."""
    rows = msgspec.json.encode([page._asdict() for page in fetched]).decode()
    parameters = {"run_id": run_id, "rows": rows, "resend_after": RESEND_AFTER}
    session.execute(_ADD_FETCHED, parameters)


class Counts(NamedTuple):
    """What came of the items of a page."""

    page: int
    items: int
    records: int
    rejected: int
    unchanged: int


def count(session: Session, claim: Claim, counts: Sequence[Counts]) -> None:
    """Write down what came of the items of held pages."""
    columns = zip(*counts, strict=True)
    parameters = dict(zip(Counts._fields, map(list, columns), strict=True))
    session.execute(_COUNT, {"run_id": claim.run_id, **parameters})


def advance(session: Session, claim: Claim, after: PageState) -> None:
    """Complete a stage on held pages: the claim ends, attempts count anew."""
    moment = func.clock_timestamp()
    session.execute(
        update(RunPage)
        .where(RunPage.run_id == claim.run_id, RunPage.page.in_(claim.pages))
        .values(
            {
                "state": after,
                "attempts": 0,
                "failures": 0,
                "lease_until": None,
                "lease_holder": None,
                "error": None,
                "wake_at": moment + RESEND_AFTER,
                f"{after}_at": moment,
            }
        )
        .execution_options(synchronize_session=False)
    )


def release(
    session: Session, claim: Claim, *, delay_s: float, error: str | None, counts: bool
) -> bool:
    """Give a claim back, to be taken up again after ``delay_s``; False if it was lost meanwhile."""
    released = session.scalars(
        update(RunPage)
        .where(_is_claimed(claim))
        .values(
            lease_until=None,
            lease_holder=None,
            error=error,
            attempts=RunPage.attempts - (0 if counts else 1),
            failures=RunPage.failures + (1 if counts else 0),
            wake_at=func.clock_timestamp() + timedelta(seconds=delay_s) + RESEND_AFTER,
        )
        .returning(RunPage.page)
    ).all()
    return bool(released)


def mark_failed(session: Session, claim: Claim, error: str) -> None:
    """Mark claimed pages as those on which the run broke off."""
    session.execute(
        update(RunPage)
        .where(_is_claimed(claim))
        .values(state=PageState.FAILED, error=error, lease_until=None, lease_holder=None)
    )


def _is_claimed(claim: Claim) -> Any:
    return and_(
        RunPage.run_id == claim.run_id,
        RunPage.state == claim.stage.takes,
        or_(
            *(
                and_(RunPage.page == page, RunPage.lease_token == token)
                for page, token in zip(claim.pages, claim.tokens, strict=True)
            )
        ),
    )


def next_transformed(session: Session, run_id: UUID) -> int | None:
    """Return the batch that can be loaded now: the first of the run that is not loaded yet."""
    first = session.execute(
        select(RunPage.state, RunPage.batch)
        .where(RunPage.run_id == run_id, RunPage.state != PageState.LOADED)
        .order_by(RunPage.page)
        .limit(1)
    ).one_or_none()
    return first.batch if first is not None and first.state == PageState.TRANSFORMED else None
