"""A list as SQL: columns, filters and a total order, cut by offset or by position.

A position names the last row given. ``key >= k and (key > k or id > i)`` lets the index on
(key, id) begin at ``k``, which a plain ``or`` would not. Rows without a key come last, from a
statement of their own, for the same reason.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    Connection,
    DateTime,
    FromClause,
    Integer,
    Numeric,
    Select,
    Text,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from service import encoding
from service.pagination import Position

COUNT_UP_TO = 10_000
# PostgreSQL writes the JSON of rows it passes over, too; beyond this the ids are read first.
_FAR = 500
_EXPORT_IDLE_LIMIT = "10min"
Column = Any
"""A mapped attribute or an expression; what they share in SQLAlchemy's types lacks ``type``."""
Columns = dict[str, Column]


@dataclass(frozen=True, kw_only=True)
class Order:
    """How a list is sorted; no two rows are equal in it.

    Attributes:
        key: What is sorted by; nulls come last in both directions.
        row_id: A unique column, which breaks ties.
        descending: Whether the key falls.
        id_descending: Whether the row id falls.
        nullable: Whether the key can be null.
        moving: Whether a row's key can change; the row id must then be a number.
    """

    key: Column
    row_id: Column
    descending: bool = False
    id_descending: bool = False
    nullable: bool = True
    moving: bool = False

    def clauses(self) -> list[ColumnElement[Any]]:
        """Return the ORDER BY terms."""
        key = self.key.desc() if self.descending else self.key.asc()
        return [key.nulls_last() if self.nullable else key, self._by_id()]

    def _by_id(self) -> ColumnElement[Any]:
        row_id: ColumnElement[Any] = self.row_id
        return row_id.desc() if self.id_descending else row_id.asc()

    def after_key(self, position: Position) -> ColumnElement[bool]:
        """Return the rows after a position whose key is not null."""
        key = cast(literal(position.key), self.key.type)
        beyond = self.key < key if self.descending else self.key > key
        at_or_beyond = self.key <= key if self.descending else self.key >= key
        return and_(at_or_beyond, or_(beyond, self.after_id(position)))

    def after_id(self, position: Position) -> ColumnElement[bool]:
        """Return the rows after a position among those with an equal key."""
        row_id = cast(literal(position.row_id), self.row_id.type)
        own: ColumnElement[Any] = self.row_id
        return own < row_id if self.id_descending else own > row_id


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a list shows, of which rows, in which order.

    Attributes:
        columns: By name, in the order of the contract.
        source: What is selected from.
        scope: What makes a row one of this list at all.
        where: What the caller asks of it beside.
        counts_exactly: Whether the total is never estimated unless asked to be; for lists that
            must not change.
    """

    columns: Columns
    source: FromClause
    order: Order
    scope: Sequence[ColumnElement[bool]] = field(default=())
    where: Sequence[ColumnElement[bool]] = field(default=())
    counts_exactly: bool = False

    def only(self, names: Sequence[str]) -> "Listing":
        """Return the list with these columns, in the list's own order."""
        return replace(self, columns={n: c for n, c in self.columns.items() if n in names})

    def kinds(self) -> dict[str, str]:
        """Return what each column holds, in the words of :func:`service.formats.write`."""
        return {name: _kind(column) for name, column in self.columns.items()}

    def _select(self, *columns: Column) -> Select[Any]:
        return select(*columns).select_from(self.source).where(*self.scope, *self.where)

    def rows_as_json(self) -> Select[Any]:
        """Return the statement that gives each row as JSON, with its key and its id as text."""
        body, joined = _json_of(tuple(self.columns.items()), self.source)
        key, row_id = cast(self.order.key, Text), cast(self.order.row_id, Text)
        chosen: list[Any] = [body, key.label("key"), row_id.label("row_id")]
        base: Select[Any] = select(*chosen)
        return base.select_from(joined).where(*self.scope, *self.where)

    def page(
        self, connection: Connection, *, limit: int, offset: int = 0, after: Position | None = None
    ) -> "ListingPage":
        """Return up to ``limit`` rows as JSON texts, and where the list goes on."""
        if after is None and offset > _FAR and self.order.moving:
            ids = self.ids(connection, limit=limit + 1, offset=offset)
            return self.page_of(connection, ids[:limit], has_more=len(ids) > limit)
        if after is None:
            statement = self.rows_as_json().order_by(*self.order.clauses())
            rows = connection.execute(statement.limit(limit + 1).offset(offset)).all()
        else:
            rows = self._after(connection, after, limit + 1)
        return self._page(rows[:limit], has_more=len(rows) > limit)

    def page_of(
        self, connection: Connection, ids: Sequence[int], *, has_more: bool
    ) -> "ListingPage":
        """Return the rows with these ids, in this order; one that is gone is left out."""
        chosen = replace(self, where=[self.order.row_id.in_(ids)])
        found = connection.execute(chosen.rows_as_json()).all()
        by_id = {int(row.row_id): row for row in found}
        return self._page([by_id[i] for i in ids if i in by_id], has_more=has_more)

    def _page(self, rows: Sequence[Any], *, has_more: bool) -> "ListingPage":
        """Return the page of these rows; ``has_more`` says whether another follows."""
        last = Position(key=rows[-1].key, row_id=rows[-1].row_id) if has_more and rows else None
        return ListingPage(list(self._texts(rows)), [row.row_id for row in rows], last)

    def _texts(self, rows: Iterable[Any]) -> Iterator[str]:
        """Yield rows' JSON without the spaces that PostgreSQL writes inside of jsonb."""
        bodies: Iterator[str] = (row.body for row in rows)
        is_tidy = not any(isinstance(column.type, JSONB) for column in self.columns.values())
        return bodies if is_tidy else map(encoding.compact, bodies)

    def ids(self, connection: Connection, *, limit: int, offset: int = 0) -> list[int]:
        """Return up to ``limit`` row ids in order."""
        ordered = self._select(self.order.row_id).order_by(*self.order.clauses())
        # all() fetches in one go; one row at a time, ten thousand took twelve milliseconds.
        return list(connection.scalars(ordered.limit(limit).offset(offset)).all())

    def _after(self, connection: Connection, after: Position, limit: int) -> list[Any]:
        rows: list[Any] = []
        ordered = self.rows_as_json().order_by(*self.order.clauses())
        if after.key is not None:
            statement = ordered.where(self.order.after_key(after)).limit(limit)
            rows = list(connection.execute(statement).all())
        if self.order.nullable and len(rows) < limit:
            statement = ordered.where(self.order.key.is_(None)).limit(limit - len(rows))
            if after.key is None:
                statement = statement.where(self.order.after_id(after))
            rows += connection.execute(statement).all()
        return rows

    def count(self, connection: Connection) -> int:
        """Count every row."""
        return int(connection.scalar(self._select(func.count())) or 0)

    def total(self, connection: Connection, how: str | None) -> int | None:
        """Return how many rows the list has.

        Args:
            connection: To read on.
            how: ``exact``, ``estimated``, ``none`` (gives None); None for what is fast: exact up
                to :data:`COUNT_UP_TO` rows, the planner's estimate beyond.
        """
        if how == "none":
            return None
        if how == "estimated":
            return self.estimate(connection)
        is_exact = how == "exact" or self.counts_exactly
        return self.count(connection) if is_exact else self.count_quickly(connection)

    def count_quickly(self, connection: Connection) -> int:
        """Count up to :data:`COUNT_UP_TO` rows, and beyond that ask the planner."""
        some = self._select(literal(1)).limit(COUNT_UP_TO + 1).subquery()
        counted = int(connection.scalar(select(func.count()).select_from(some)) or 0)
        return counted if counted <= COUNT_UP_TO else max(counted, self.estimate(connection))

    def estimate(self, connection: Connection) -> int:
        """Return how many rows the planner expects."""
        statement = self._select(literal(1))
        compiled = statement.compile(connection, compile_kwargs={"render_postcompile": True})
        plan = connection.exec_driver_sql(
            f"explain (format json) {compiled}", dict(compiled.construct_params())
        ).scalar_one()
        return int(plan[0]["Plan"]["Plan Rows"])

    def texts(self, connection: Connection, *, limit: int, offset: int = 0) -> list[str]:
        """Return a few rows as JSON texts."""
        return self.page(connection, limit=limit, offset=offset).bodies

    def stream_json(
        self, connection: Connection, *, limit: int | None, offset: int = 0
    ) -> Iterator[str]:
        """Yield rows as JSON texts, as :meth:`stream` yields their values."""
        statement = self.rows_as_json().order_by(*self.order.clauses())
        yield from self._texts(_streamed(connection, statement.limit(limit).offset(offset)))

    def stream(
        self, connection: Connection, *, limit: int | None, offset: int = 0
    ) -> Iterator[Any]:
        """Yield rows as tuples, in order, from a server-side cursor, whatever their number."""
        statement = self._select(*(c.label(n) for n, c in self.columns.items()))
        statement = statement.order_by(*self.order.clauses()).limit(limit).offset(offset)
        yield from _streamed(connection, statement)


@dataclass(frozen=True)
class ListingPage:
    """A part of a list.

    Attributes:
        bodies: One JSON object as text for each row.
        ids: The rows' ids as text.
        last: Where the next page goes on; None if there is none.
    """

    bodies: list[str]
    ids: list[str]
    last: Position | None


def _streamed(connection: Connection, statement: Select[Any]) -> Iterator[Any]:
    """Yield rows from a server-side cursor; a client may take its time between them."""
    connection.exec_driver_sql(
        f"set local idle_in_transaction_session_timeout = '{_EXPORT_IDLE_LIMIT}'"
    )
    streaming = connection.execution_options(stream_results=True, yield_per=1000)
    yield from streaming.execute(statement)


@lru_cache(maxsize=128)
def _json_of(
    columns: tuple[tuple[str, Column], ...], source: FromClause
) -> tuple[ColumnElement[str], FromClause]:
    """Return a row as one JSON text, and what it is selected from.

    To put two dozen columns together anew took a fifth of the time of an uncached page.
    """
    row: Select[Any] = select(*(_as_json(column).label(name) for name, column in columns))
    lateral = row.correlate(*source._from_objects).lateral("r")  # noqa: SLF001
    body = cast(func.row_to_json(lateral.table_valued()), Text).label("body")
    return body, source.join(lateral, true())


def _as_json(column: Column) -> Column:
    """Return a time as RFC 3339 text with six decimals and ``Z``, anything else as it is."""
    if isinstance(column.type, DateTime):
        return func.to_char(func.timezone("UTC", column), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    return column


def _kind(column: Column) -> str:
    kinds = {
        DateTime: "time",
        ARRAY: "list",
        JSONB: "json",
        Boolean: "boolean",
        Integer: "integer",
        Numeric: "decimal",
    }
    return next((name for kind, name in kinds.items() if isinstance(column.type, kind)), "text")
