"""The engine and the sessions of a process."""

from contextlib import closing
from io import StringIO
from typing import Any

import psycopg2
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

SessionFactory = sessionmaker[Session]


def create_database_engine(
    url: str,
    *,
    application_name: str,
    statement_timeout_s: float,
    pool_size: int = 2,
    **kwargs: Any,
) -> Engine:
    """Return an engine whose connections cannot hang for ever.

    Args:
        url: SQLAlchemy URL with the psycopg2 driver.
        application_name: Shown in ``pg_stat_activity``.
        statement_timeout_s: The server cancels a longer statement; psycopg2 cannot be interrupted.
        pool_size: Connections kept; two more may be opened for a moment.
        kwargs: Further arguments of :func:`sqlalchemy.create_engine`.
    """
    timeout_ms = int(statement_timeout_s * 1000)
    options = (
        f"-c statement_timeout={timeout_ms} -c lock_timeout={timeout_ms} "
        f"-c idle_in_transaction_session_timeout={timeout_ms * 2} -c timezone=UTC -c jit=off"
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
    return create_engine(
        url,
        connect_args=connect_args,
        pool_size=pool_size,
        max_overflow=2,
        pool_timeout=5,
        pool_pre_ping=True,
        pool_recycle=1800,
        pool_use_lifo=True,
        **kwargs,
    )


def create_session_factory(engine: Engine) -> SessionFactory:
    """Return the factory whose ``begin()`` is one use case's transaction."""
    return sessionmaker(engine, expire_on_commit=False)


def copy(session: Session, statement: str, rows: StringIO) -> int:
    """Send rows by COPY, which SQLAlchemy does not know, and return how many there were.

    Raises:
        DBAPIError: As any other statement would.
    """
    connection: Any = session.connection().connection.driver_connection
    with closing(connection.cursor()) as cursor:
        try:
            cursor.copy_expert(statement, rows)
        except psycopg2.Error as error:
            raise DBAPIError.instance(
                statement,
                None,
                error,
                psycopg2.Error,
                connection_invalidated=bool(connection.closed),
            ) from error
        return int(cursor.rowcount)
