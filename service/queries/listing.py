"""A list as SQL: columns, filters and a total order, cut by offset or by position."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    Text,
    cast,
    func,
    literal,
    literal_column,
    select,
)

from service import encoding
from service.pagination import Position
from service.queries import columns
from service.queries.columns import Column, Columns
from service.queries.ordering import Order
from service.queries.prepared import Prepared, Reading, write

COUNT_UP_TO = 10_000
# PostgreSQL writes the JSON of rows it passes over, too; beyond this the ids are read first.
_FAR = 500
_EXPORT_IDLE_LIMIT = "10min"


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
        prepared: The statements of a list that is read again and again, by what each gives; None
            if it is read once.
    """

    columns: Columns
    source: FromClause
    order: Order
    scope: Sequence[ColumnElement[bool]] = field(default=())
    where: Sequence[ColumnElement[bool]] = field(default=())
    counts_exactly: bool = False
    prepared: dict[str, Prepared] | None = None

    def lasting(self) -> "Listing":
        """Return the list for one who will read it again and again."""
        return replace(self, prepared={})

    def only(self, names: Sequence[str]) -> "Listing":
        """Return the list with these columns, in the list's own order."""
        return replace(self, columns={n: c for n, c in self.columns.items() if n in names})

    def kinds(self) -> dict[str, str]:
        """Return what each column holds, in the words of :func:`service.formats.write`."""
        return {name: columns.kind(column) for name, column in self.columns.items()}

    def _select(self, *columns: Column) -> Select[Any]:
        return select(*columns).select_from(self.source).where(*self.scope, *self.where)

    def rows_as_json(self, *further: Column) -> Select[Any]:
        """Return the statement that gives each row as JSON, and further columns."""
        body, joined, _ = columns.json_of(tuple(self.columns.items()), self.source)
        chosen: list[Any] = [body, *further]
        base: Select[Any] = select(*chosen)
        return base.select_from(joined).where(*self.scope, *self.where)

    def page(
        self, reading: Reading, *, limit: int, offset: int = 0, after: Position | None = None
    ) -> "ListingPage":
        """Return up to ``limit`` rows as JSON texts, and where the list goes on."""
        if after is None and offset > _FAR and self.order.moving:
            ids = self.ids(reading.connection, limit=limit + 1, offset=offset)
            return self.page_of(reading.connection, ids[:limit], has_more=len(ids) > limit)
        if after is None:
            rows = self._cut(reading, self.placed, limit + 1, offset)
        else:
            rows = self._after(reading, after, limit + 1)
        return self._page(rows[:limit], has_more=len(rows) > limit)

    def lines(self, reading: Reading, *, limit: int, offset: int = 0) -> Iterator[str]:
        """Return up to ``limit`` rows as JSON texts, and nothing beside."""
        return self._texts(self._cut(reading, self._ordered, limit, offset))

    def _cut(
        self, reading: Reading, ordered: Callable[[], Select[Any]], limit: int, offset: int
    ) -> Sequence[Any]:
        name = f"{ordered.__name__} {limit} {offset}"
        return self._rows(
            reading, name, lambda: self._limited(ordered(), limit).offset(self._number(offset))
        )

    def _limited(self, statement: Select[Any], limit: int) -> Select[Any]:
        return statement.limit(self._number(limit))

    def _number(self, number: int) -> Any:
        """Return a number as it is, but written out in what is prepared: it counts for the plan."""
        return number if self.prepared is None else _written_out(number)

    def _rows(
        self, reading: Reading, name: str, statement: Callable[[], Select[Any]]
    ) -> Sequence[Any]:
        if self.prepared is None:
            return reading.connection.execute(statement()).all()
        if name not in self.prepared:
            self.prepared[name] = write(statement())
        return reading.ask(self.prepared[name])

    def _ordered(self) -> Select[Any]:
        return self.rows_as_json().order_by(*self.order.clauses())

    def placed(self) -> Select[Any]:
        """Return the rows in order, each with its key and its id as text."""
        key, row_id = cast(self.order.key, Text), cast(self.order.row_id, Text)
        rows = self.rows_as_json(key.label("key"), row_id.label("row_id"))
        return rows.order_by(*self.order.clauses())

    def page_of(
        self, connection: Connection, ids: Sequence[int], *, has_more: bool
    ) -> "ListingPage":
        """Return the rows with these ids, in this order; one that is gone is left out."""
        chosen = replace(self, where=[self.order.row_id.in_(ids)])
        found = connection.execute(chosen.placed()).all()
        by_id = {int(row.row_id): row for row in found}
        return self._page([by_id[i] for i in ids if i in by_id], has_more=has_more)

    def _page(self, rows: Sequence[Any], *, has_more: bool) -> "ListingPage":
        """Return the page of these rows; ``has_more`` says whether another follows."""
        last = Position(key=rows[-1][1], row_id=rows[-1][2]) if has_more and rows else None
        return ListingPage(list(self._texts(rows)), [row[2] for row in rows], last)

    def _texts(self, rows: Iterable[Any]) -> Iterator[str]:
        """Yield rows' JSON without the spaces that PostgreSQL writes inside of jsonb."""
        bodies: Iterator[str] = (row[0] for row in rows)
        is_tidy = columns.json_of(tuple(self.columns.items()), self.source)[2]
        return bodies if is_tidy else map(encoding.compact, bodies)

    def ids(self, connection: Connection, *, limit: int, offset: int = 0) -> list[int]:
        """Return up to ``limit`` row ids in order."""
        ordered = self._select(self.order.row_id).order_by(*self.order.clauses())
        # all() fetches in one go; one row at a time, ten thousand took twelve milliseconds.
        return list(connection.scalars(ordered.limit(limit).offset(offset)).all())

    def _after(self, reading: Reading, after: Position, limit: int) -> list[Any]:
        rows: list[Any] = []
        if after.key is not None:
            rows += self._rows(reading, f"after {after} {limit}", lambda: self._later(after, limit))
        if self.order.nullable and len(rows) < limit:
            left = limit - len(rows)
            rows += self._rows(reading, f"last {after} {left}", lambda: self._last(after, left))
        return rows

    def _later(self, after: Position, limit: int) -> Select[Any]:
        return self._limited(self.placed().where(self.order.after_key(after)), limit)

    def _last(self, after: Position, limit: int) -> Select[Any]:
        """Return the rows without a key, which come after all others."""
        statement = self._limited(self.placed().where(self.order.without_key()), limit)
        return statement if after.key is not None else statement.where(self.order.after_id(after))

    def count(self, reading: Reading) -> int:
        """Count every row."""
        return int(self._rows(reading, "count", lambda: self._select(func.count()))[0][0])

    def total(self, reading: Reading, how: str | None) -> int | None:
        """Return how many rows the list has.

        Args:
            reading: What the answer reads.
            how: ``exact``, ``estimated``, ``none`` (gives None); None for what is fast: exact up
                to :data:`COUNT_UP_TO` rows, the planner's estimate beyond.
        """
        if how == "none":
            return None
        if how == "estimated":
            return self.estimate(reading.connection)
        is_exact = how == "exact" or self.counts_exactly
        return self.count(reading) if is_exact else self.count_quickly(reading)

    def count_quickly(self, reading: Reading) -> int:
        """Count up to :data:`COUNT_UP_TO` rows, and beyond that ask the planner."""
        counted = int(self._rows(reading, "some", self._count_of_some)[0][0])
        is_all = counted <= COUNT_UP_TO
        return counted if is_all else max(counted, self.estimate(reading.connection))

    def _count_of_some(self) -> Select[Any]:
        some = self._select(literal_column("1")).limit(_written_out(COUNT_UP_TO + 1)).subquery()
        return select(func.count()).select_from(some)

    def estimate(self, connection: Connection) -> int:
        """Return how many rows the planner expects."""
        statement = self._select(literal(1))
        compiled = statement.compile(connection, compile_kwargs={"render_postcompile": True})
        plan = connection.exec_driver_sql(
            f"explain (format json) {compiled}", dict(compiled.construct_params())
        ).scalar_one()
        return int(plan[0]["Plan"]["Plan Rows"])

    def stream_json(
        self, connection: Connection, *, limit: int | None, offset: int = 0
    ) -> Iterator[str]:
        """Yield rows as JSON texts, as :meth:`stream` yields their values."""
        statement = self._ordered().limit(limit).offset(offset)
        yield from self._texts(_streamed(connection, statement))

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


def _written_out(value: int) -> ColumnElement[int]:
    return literal_column(str(value), Integer)
