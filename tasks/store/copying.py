"""Rows into tables by ``COPY``, encoded by the C encoder of :mod:`csv`."""

import csv
import io
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

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
    with closing(session.connection().connection.cursor()) as cursor:
        cursor.copy_expert(statement, buffer)


def array(texts: Iterable[str]) -> str:
    """Return texts as PostgreSQL reads a ``text[]``."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"
