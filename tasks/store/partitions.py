"""Monthly partitions of the history: made ahead, so that no load has to wait for one."""

from sqlalchemy import text
from sqlalchemy.orm import Session

_MISSING = text(
    """
    select month::date, (month + interval '1 month')::date from generate_series(
      date_trunc('month', now()), date_trunc('month', now()) + make_interval(months => :ahead),
      '1 month') month
    where to_regclass('quote_history_' || to_char(month, 'YYYYMM')) is null
    """
)


def ensure_ahead(session: Session, *, months: int = 2) -> int:
    """Create the partitions of this month and the next ones and return how many were missing.

    Observations of earlier months without a partition rest in ``quote_history_default``.
    """
    missing = session.execute(_MISSING, {"ahead": months}).all()
    for first, end in missing:
        session.execute(
            text(
                f"create table quote_history_{first:%Y%m} partition of quote_history "
                f"for values from ('{first}') to ('{end}')"
            )
        )
    return len(missing)
