"""Databases of a test's own: clones of a migrated template, emptied and lent again."""

import itertools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tasks.store import migrate

# A clone costs some 100 ms, and so would TRUNCATE of all tables; of those that were used it costs a
# few. DELETE would leave dead rows and wrong statistics behind, and slow plans with them.
_DISCONNECT = "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"
_EMPTY_OUT = """
do $$ declare name text; used boolean; found text[] := '{}'; begin
  for name in select c.oid::regclass from pg_class c join pg_namespace n on n.oid = relnamespace
      where nspname = 'public' and relkind in ('r', 'p') and not relispartition
        and relname <> 'alembic_version' loop
    execute format('select exists (select from %s)', name) into used;
    if used then found := found || name; end if;
  end loop;
  if found <> '{}' then
    execute 'truncate ' || array_to_string(found, ', ') || ' cascade';
  end if;
  perform setval(c.oid::regclass, 1, false) from pg_class c
    join pg_namespace n on n.oid = relnamespace where nspname = 'public' and relkind = 'S';
end $$
"""

_SHAPE = """
select (select string_agg(version_num, ',') from alembic_version),
  count(*), sum(hashtext(relname || attname)::bigint)
from pg_class c join pg_namespace n on n.oid = relnamespace join pg_attribute a on attrelid = c.oid
where nspname = 'public' and not attisdropped and relname !~ '_history_[0-9]{6}'
"""


class Databases:
    """Clones of one migrated template."""

    def __init__(self, server_url: str) -> None:
        self._server = make_url(server_url.replace("postgresql://", "postgresql+psycopg2://"))
        self._numbers = itertools.count(1)
        self._template = f"kasparro_template_{os.getpid()}"
        self._sql(f"create database {self._template}")
        migrate.upgrade(self._url(self._template))
        self._expected = self._shape(self._template)
        self._free: list[str] = []

    @contextmanager
    def cloned(self) -> Iterator[str]:
        """Yield the URL of a migrated database without a row, which nobody else uses."""
        name = self._free.pop() if self._free else self._clone()
        try:
            yield self._url(name)
        finally:
            if self._empty_out(name):
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

    @contextmanager
    def copied(self, url: str) -> Iterator[str]:
        """Yield the URL of a copy, rows included, of a database nobody is connected to."""
        name = f"kasparro_copy_{os.getpid()}_{next(self._numbers)}"
        source = make_url(url).database
        self._sql(f"create database {name} template {source} strategy wal_log")
        try:
            yield self._url(name)
        finally:
            self._sql(f"drop database {name} with (force)")

    def _clone(self) -> str:
        name = f"kasparro_test_{os.getpid()}_{next(self._numbers)}"
        self._sql(f"create database {name} template {self._template} strategy wal_log")
        return name

    def _empty_out(self, name: str) -> bool:
        """Remove every row, also from under processes that are still connected.

        Returns:
            False if the test left the database in a state that does not allow it.
        """
        with closing(self._admin()) as admin:
            admin.execute(text(_DISCONNECT), {"name": name})
        try:
            self._sql(_EMPTY_OUT, database=name)
            return self._shape(name) == self._expected
        except DBAPIError:
            return False

    def _shape(self, name: str) -> tuple[Any, ...]:
        """Return what tells a schema from one that a test has changed."""
        engine = create_engine(self._server.set(database=name), poolclass=NullPool)
        with engine.connect() as connection:
            return tuple(connection.execute(text(_SHAPE)).one())

    def _admin(self) -> Connection:
        engine = create_engine(self._server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        return engine.connect()

    def _url(self, name: str) -> str:
        return self._server.set(database=name).render_as_string(hide_password=False)

    def _sql(self, statement: str, *, database: str | None = None) -> None:
        server = self._server.set(database=database or self._server.database)
        engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(statement))
