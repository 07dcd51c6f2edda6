"""The engine and the sessions of a process."""

from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

from tasks.core import tracing
from tasks.store import traces

SessionFactory = sessionmaker[Session]

_RANDOM_PAGE_COST = 1.1
"""In pages read in order. The server's own 4 is for disks that turn: by it a load read all of
50,000 assets five times to find 5,000."""


def create_database_engine(
    url: str,
    *,
    application_name: str,
    statement_timeout_s: float,
    pool_size: int = 2,
    pool_pre_ping: bool = True,
    **kwargs: Any,
) -> Engine:
    """Return an engine whose connections cannot hang for ever.

    Args:
        url: SQLAlchemy URL with the psycopg2 driver.
        application_name: Shown in ``pg_stat_activity``.
        statement_timeout_s: The server cancels a longer statement; psycopg2 cannot be interrupted.
        pool_size: Connections kept; two more may be opened for a moment.
        pool_pre_ping: Whether a connection is tried whenever it is taken from the pool.
        kwargs: Further arguments of :func:`sqlalchemy.create_engine`.
    """
    timeout_ms = int(statement_timeout_s * 1000)
    options = (
        f"-c statement_timeout={timeout_ms} -c lock_timeout={timeout_ms} "
        f"-c idle_in_transaction_session_timeout={timeout_ms * 2} -c timezone=UTC -c jit=off "
        f"-c random_page_cost={_RANDOM_PAGE_COST}"
    )
    connect_args = {
        "connect_timeout": 3,
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        "application_name": application_name,
        "options": options,
    }
    engine = create_engine(
        url,
        hide_parameters=True,  # an error's text goes to the log, what was sent must not
        connect_args=connect_args,
        pool_size=pool_size,
        max_overflow=2,
        pool_timeout=5,
        pool_pre_ping=pool_pre_ping,
        pool_recycle=1800,
        pool_use_lifo=True,
        **kwargs,
    )
    if tracing.is_on():
        traces.trace_statements(engine)
    return engine


def create_session_factory(engine: Engine) -> SessionFactory:
    """Return the factory whose ``begin()`` is one use case's transaction."""
    return sessionmaker(engine, expire_on_commit=False)
