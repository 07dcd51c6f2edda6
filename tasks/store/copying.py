"""Rows into tables by ``COPY``, encoded by msgspec.

A JSON array without its brackets is a row of CSV whose escape is the backslash: texts are quoted,
numbers and ``null`` are bare. Only control characters would be read as letters.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from struct import Struct
from typing import Any

import msgspec
import psycopg2
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

BINARY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""How a binary ``COPY`` begins, in both directions: its name, no flags, and no extension."""
_SHORT, _LONG, _NO_MORE = Struct("!h"), Struct("!i"), -1
_ROWS = msgspec.json.Encoder(decimal_format="number")
_OPTIONS = r"""(format csv, escape '\', null 'null')"""
_PERHAPS_CONTROL = re.compile(rb"\\[bfnrtu]")
_CONTROL = re.compile(rb"(?<!\\)(?:\\\\)*\\[bfnrtu]")


def copy(
    session: Session, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Append rows to a table, in the caller's transaction.

    Args:
        session: Of the caller's transaction.
        table: Its name; never from outside.
        columns: Their names, likewise.
        rows: Values in the order of the columns: text without control characters, numbers, aware
            times, None for NULL. See :func:`binary` and :mod:`tasks.store.arrays`.

    Raises:
        ValueError: If a text holds a control character.
    """
    lines = _ROWS.encode_lines(list(rows))
    if not lines:
        return
    if _PERHAPS_CONTROL.search(lines) and _CONTROL.search(lines):
        raise ValueError(f"a text for {table} holds a control character")
    body = io.BytesIO(lines[1:-2].replace(b"]\n[", b"\n"))
    send(session, f"copy {table} ({', '.join(columns)}) from stdin with {_OPTIONS}", body)


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


def send(session: Session, statement: str, source: io.BytesIO | Stream) -> None:
    """Let the server read rows, in the caller's transaction.

    Args:
        session: Of the caller's transaction.
        statement: A ``COPY ... FROM STDIN``.
        source: What to read.

    Raises:
        DBAPIError: As any other statement would; nobody above knows the driver's own errors.
        Exception: Whatever a stream was made of raised.
    """
    _copy(session, statement, source)


def receive(session: Session, query: str) -> Iterator[list[bytes]]:
    """Yield the values of each row of a query as the server holds them.

    A ``bytea`` comes as it is, and not as hexadecimal text, which takes both sides longer than all
    else about it.

    Args:
        session: Of the caller's transaction.
        query: Never from outside; it takes no parameters. No value may be null.

    Raises:
        DBAPIError: As :func:`send`.
    """
    received = io.BytesIO()
    _copy(session, f"copy ({query}) to stdout with (format binary)", received)
    received.seek(len(BINARY_HEAD))
    while (count := _SHORT.unpack(received.read(_SHORT.size))[0]) != _NO_MORE:
        sizes = (_LONG.unpack(received.read(_LONG.size))[0] for _ in range(count))
        yield [received.read(size) for size in sizes]


def _copy(session: Session, statement: str, source: io.BytesIO | Stream) -> None:
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


def binary(value: bytes) -> str:
    """Return bytes as PostgreSQL reads a ``bytea``."""
    return f"\\x{value.hex()}"
