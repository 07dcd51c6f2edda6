"""Databases of a test's own: clones of a migrated template, emptied and lent again."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from tasks.store import migrate

# A clone costs some 100 ms, emptying the tables that were used a few; TRUNCATE of all would cost
# as much as the clone.
_EMPTY_OUT = """
do $$ declare name text; used boolean; begin
  set local session_replication_role = replica;
  for name in select c.oid::regclass from pg_class c join pg_namespace n on n.oid = relnamespace
      where nspname = 'public' and relkind in ('r', 'p') and not relispartition
        and relname <> 'alembic_version' loop
    execute format('select exists (select from %s)', name) into used;
    if used then execute format('delete from %s', name); end if;
  end loop;
  perform setval(c.oid::regclass, 1, false) from pg_class c
    join pg_namespace n on n.oid = relnamespace where nspname = 'public' and relkind = 'S';
end $$
"""


class Databases:
    """Clones of one migrated template."""

    def __init__(self, server_url: str) -> None:
        self._server = make_url(server_url.replace("postgresql://", "postgresql+psycopg2://"))
        self._numbers = itertools.count(1)
        self._template = f"kasparro_template_{os.getpid()}"
        self._sql(f"create database {self._template}")
        migrate.upgrade(self._url(self._template))
        self._free: list[str] = []

    @contextmanager
    def cloned(self) -> Iterator[str]:
        """Yield the URL of a migrated database without a row, which nobody else uses."""
        name = self._free.pop() if self._free else self._clone()
        try:
            yield self._url(name)
        finally:
            self._empty_out(name)
            self._free.append(name)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Yield the URL of a database without any table."""
        name = f"kasparro_empty_{os.getpid()}_{next(self._numbers)}"
        self._sql(f"create database {name}")
        try:
            yield self._url(name)
        finally:
            self._sql(f"drop database {name} with (force)")

    def _clone(self) -> str:
        name = f"kasparro_test_{os.getpid()}_{next(self._numbers)}"
        self._sql(f"create database {name} template {self._template} strategy wal_log")
        return name

    def _empty_out(self, name: str) -> None:
        """Remove every row, also from under processes that are still connected."""
        self._sql(
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"  # noqa: S608 - our own name
        )
        self._sql(_EMPTY_OUT, database=name)

    def _url(self, name: str) -> str:
        return self._server.set(database=name).render_as_string(hide_password=False)

    def _sql(self, statement: str, *, database: str | None = None) -> None:
        server = self._server.set(database=database or self._server.database)
        engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(statement))
