"""Rows into tables by ``COPY``, encoded by the C encoder of :mod:`csv`."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg2
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session


def copy(
    session: Session, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Append rows to a table, in the caller's transaction.

    Args:
        session: Of the caller's transaction.
        table: Its name; never from outside.
        columns: Their names, likewise.
        rows: Values in the order of the columns: text without control characters, numbers, aware
            times, None for NULL. An empty text becomes NULL too. See :func:`array`.
    """
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    if not buffer.tell():
        return
    buffer.seek(0)
    statement = f"copy {table} ({', '.join(columns)}) from stdin with (format csv)"
    send(session, statement, buffer)


class Stream:
    """What ``COPY`` reads from: made as the server takes it, so that little of it is in memory.

    Attributes:
        failure: What went wrong while it was made. The driver would tell of it in a sentence only.
    """

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self.failure: Exception | None = None

    def read(self, _size: int) -> bytes:
        """Return the next part; nothing at the end."""
        try:
            return next(self._parts, b"")
        except Exception as error:
            self.failure = error
            raise


def send(session: Session, statement: str, source: io.StringIO | Stream) -> None:
    """Let the server read rows, in the caller's transaction.

    Args:
        session: Of the caller's transaction.
        statement: A ``COPY ... FROM STDIN``.
        source: What to read.

    Raises:
        DBAPIError: As any other statement would; nobody above knows the driver's own errors.
        Exception: Whatever a stream was made of raised.
    """
    connection: Any = session.connection().connection.driver_connection
    with closing(connection.cursor()) as cursor:
        try:
            cursor.copy_expert(statement, source)
        except psycopg2.Error as error:
            if isinstance(source, Stream) and source.failure is not None:
                raise source.failure from error
            raise DBAPIError.instance(
                statement,
                None,
                error,
                psycopg2.Error,
                connection_invalidated=bool(connection.closed),
            ) from error


def array(texts: Iterable[str]) -> str:
    """Return texts as PostgreSQL reads a ``text[]``."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"
