"""SELECTs that are asked again and again: written once, planned once, asked through the driver.

Around a small statement SQLAlchemy needs ten times as long as the driver does, and PostgreSQL plans
it for longer than it then works. So SQLAlchemy writes the statement once, and it is prepared on
each connection that asks it. One whose best plan depends much on its values PostgreSQL goes on
planning anew: ``plan_cache_mode`` is left alone.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, count
from typing import Any

from psycopg2 import Error
from psycopg2.errors import DuplicatePreparedStatement, InvalidSqlStatementName, QueryCanceled
from sqlalchemy import Connection, Engine, PoolProxiedConnection, Select, String, TextClause
from sqlalchemy.dialects.postgresql.psycopg2 import dialect

from service.observability.requests import timed_database
from tasks.core.clock import Clock
from tasks.core.errors import UnavailableError
from tasks.core.logging import get_logger

_log = get_logger(__name__)
_DIALECT = dialect()  # type: ignore[no-untyped-call]
_MAX_ON_CONNECTION = 100
_NAMES = "kasparro_prepared"
_numbers = count(1)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A statement with its values.

    Attributes:
        text: Of the query, its values as ``$1``, ``$2`` …; statements of one shape share it.
        types: Of the values; what stands as ``unknown`` PostgreSQL finds out.
        names: Of the values, to SQLAlchemy.
        values: In that order.
        statement: The same for SQLAlchemy.
    """

    text: str
    types: tuple[str, ...]
    names: tuple[str, ...]
    values: tuple[Any, ...]
    statement: Select[Any] | TextClause

    def of(self, **values: Any) -> "Prepared":
        """Return the statement with some of its values in place of those it has."""
        all_values = dict(zip(self.names, self.values, strict=True)) | values
        statement = self.statement.params(values)
        return replace(self, values=tuple(all_values.values()), statement=statement)

    @cached_property
    def places(self) -> str:
        """The places of the values when it is executed."""
        return f"({', '.join(['%s'] * len(self.values))})" if self.values else ""


def write(statement: Select[Any] | TextClause) -> Prepared:
    """Let SQLAlchemy write a statement; that takes as long as to ask it several times."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    places = {name: f"${number}" for number, name in enumerate(compiled.params, 1)}
    types = (compiled.binds[name].type for name in places)
    return Prepared(
        text=str(compiled) % places,
        types=tuple("text" if isinstance(kind, String) else "unknown" for kind in types),
        names=tuple(places),
        values=tuple(compiled.params.values()),
        statement=statement,
    )


class Driver:
    """Asks prepared statements on the connections of an engine.

    Args:
        engine: One whose connections commit each statement.
        clock: The process's.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._prepares = True

    def timed(self) -> AbstractContextManager[None]:
        """Count the time of a block, which waits for the database, as the database's."""
        return timed_database(self._clock)

    @contextmanager
    def reading(self) -> Iterator["Reading"]:
        """Begin to read for one answer."""
        with ExitStack() as opened:
            yield Reading(self, lambda: opened.enter_context(self._engine.connect()))

    def ask(self, *prepared: Prepared) -> list[tuple[Any, ...]]:
        """Return the rows of one statement, and of others after it.

        Raises:
            DBAPIError: As SQLAlchemy does.
            UnavailableError: If it takes too long.
        """
        try:
            if self._prepares:
                return self._ask(prepared)
        except QueryCanceled as error:
            raise UnavailableError("The database took too long.") from error
        except (DuplicatePreparedStatement, InvalidSqlStatementName):
            self._prepares = False  # a pooler gives each statement another connection
        except Error as error:
            _log.info("asked_again", error=type(error).__name__)
        # The usual way replaces lost connections and gives errors their names.
        with self._engine.connect() as connection:
            return [tuple(row) for each in prepared for row in connection.execute(each.statement)]

    def _ask(self, prepared: tuple[Prepared, ...]) -> list[tuple[Any, ...]]:
        pooled = self._engine.raw_connection()
        try:
            return list(chain.from_iterable([_rows(pooled, each) for each in prepared]))
        except Error:
            pooled.invalidate()
            raise
        finally:
            pooled.close()


class Reading:
    """What one answer reads; each statement is its own transaction."""

    def __init__(self, driver: Driver, connect: Callable[[], Connection]) -> None:
        self._driver = driver
        self._connect = connect

    @cached_property
    def connection(self) -> Connection:
        """SQLAlchemy's connection, opened for the first statement that is not prepared."""
        return self._connect()

    def ask(self, prepared: Prepared) -> list[tuple[Any, ...]]:
        """Return the rows of a prepared statement.

        Where SQLAlchemy's connection is open, it is asked: a thread holds no second one.
        """
        if "connection" in vars(self):
            return [tuple(row) for row in self.connection.execute(prepared.statement)]
        with self._driver.timed():
            return self._driver.ask(prepared)


def _rows(pooled: PoolProxiedConnection, prepared: Prepared) -> list[tuple[Any, ...]]:
    names = pooled.info.setdefault(_NAMES, OrderedDict())
    cursor = pooled.cursor()
    if prepared.text in names:
        names.move_to_end(prepared.text)
    else:
        names[prepared.text] = _prepare(cursor, prepared)
        if len(names) > _MAX_ON_CONNECTION:
            cursor.execute(f"deallocate {names.popitem(last=False)[1]}")
    cursor.execute(f"execute {names[prepared.text]}{prepared.places}", prepared.values or None)
    return list(cursor.fetchall())


def _prepare(cursor: Any, prepared: Prepared) -> str:
    name = f"kasparro_{next(_numbers)}"
    types = f"({', '.join(prepared.types)})" if prepared.types else ""
    cursor.execute(f"prepare {name} {types} as {prepared.text}")
    return name
