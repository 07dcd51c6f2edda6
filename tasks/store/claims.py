"""Claims on pages of a run: one statement that takes what nobody holds."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from tasks.core import processes
from tasks.domain.runs import ACTIVE, PageState, RunStatus, Stage
from tasks.store.pages import RESEND_AFTER, Claim

_IN_ORDER = f"""
  and not exists (select from run_pages e where e.run_id = p.run_id and e.page < :page
    and e.state <> '{PageState.LOADED}')
"""


def _statement(stage: Stage) -> TextClause:
    """Return the statement that claims all pages of a message, or none if one is held."""
    return text(
        f"""
        with asked as materialized (
          select p.page, p.wake_at, r.status, p.lease_until > clock_timestamp()
            and not p.lease_holder = any(cast(:gone as text[])) is_held
          from run_pages p join etl_runs r using (run_id)
          where p.run_id = :run_id and p.{"page" if stage is Stage.FETCH else "batch"} = :page
            and p.state = '{stage.takes}' {_IN_ORDER if stage is Stage.LOAD else ""}
            and r.status = any(cast(:active as text[]))
          for update of p skip locked
        )
        update run_pages p set lease_token = p.lease_token + 1, lease_holder = :holder,
          attempts = p.attempts + 1, resends = 0, lease_until = m.moment + cast(:lease as interval),
          wake_at = m.moment + cast(:lease as interval)
        from asked a, (select clock_timestamp() moment) m
        where p.run_id = :run_id and p.page = a.page and not exists (
          select from asked where is_held)
        returning p.page, p.lease_token, p.attempts, p.failures, p.cursor, a.status, m.moment,
          greatest(m.moment - a.wake_at + cast(:resend_after as interval), '0') waited
        """  # noqa: S608 - put together from constants
    )


_CLAIM: Mapping[Stage, TextClause] = {stage: _statement(stage) for stage in Stage}
_HOLDERS = text(
    """
    select distinct lease_holder from run_pages
    where run_id = :run_id and :page in (page, batch) and lease_until > clock_timestamp()
    """
)


def claim(session: Session, run_id: UUID, stage: Stage, *, page: int, lease_s: int) -> Claim | None:
    """Claim a page (fetch) or the batch that ``page`` names (transform, load).

    Returns:
        None when there is nothing to do: done already, held by another process, or the run is
        not active any more. A holder of this machine that has ended holds nothing. Loads keep
        the order of pages: a batch behind one that is not loaded waits for it.
    """
    asked = {
        "run_id": run_id,
        "page": page,
        "active": list(ACTIVE),
        "holder": processes.identity(),
        "lease": timedelta(seconds=lease_s),
        "resend_after": RESEND_AFTER,
    }
    rows = _take(session, stage, asked, gone=[])
    if not rows:
        holders = session.scalars(_HOLDERS, {"run_id": run_id, "page": page})
        gone = [holder for holder in holders if processes.is_gone(holder)]
        rows = _take(session, stage, asked, gone=gone) if gone else []
    if not rows:
        return None
    return Claim(
        run_id,
        stage,
        tuple(row.page for row in rows),
        tuple(row.lease_token for row in rows),
        attempt=rows[0].attempts,
        failures=max(row.failures for row in rows),
        claimed_at=rows[0].moment,
        waited_s=rows[0].waited.total_seconds(),
        begins_run=rows[0].status == RunStatus.QUEUED,
        cursor=rows[0].cursor,
    )


def _take(
    session: Session, stage: Stage, asked: Mapping[str, Any], *, gone: Collection[str]
) -> Sequence[Row[Any]]:
    taken = session.execute(_CLAIM[stage], {**asked, "gone": list(gone)}).all()
    return sorted(taken, key=lambda row: row.page)
