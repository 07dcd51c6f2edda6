"""The total order of a list, and what of it comes after a position.

A position names the last row given. ``key >= k and (key > k or id > i)`` lets the index on
(key, id) begin at ``k``, which a plain ``or`` would not. Rows without a key come last, from a
statement of their own, for the same reason.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, cast, literal, or_, true

from service.pagination import Position
from service.queries.columns import Column


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """A column that an index orders by in place of a key that changes all the time.

    Attributes:
        column: The key, divided by ``size`` without remainder; null where the key is.
        size: How many keys share a block.
    """

    column: Column
    size: int


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
        blocks: What the index on a rising key holds, if it does not hold the key itself. Of a page
            only the rows of its blocks are sorted.
    """

    key: Column
    row_id: Column
    descending: bool = False
    id_descending: bool = False
    nullable: bool = True
    moving: bool = False
    blocks: Blocks | None = None

    def clauses(self) -> list[ColumnElement[Any]]:
        """Return the ORDER BY terms."""
        key = self.key.desc() if self.descending else self.key.asc()
        placed = [key.nulls_last() if self.nullable else key, self._by_id()]
        return placed if self.blocks is None else [self.blocks.column.asc().nulls_last(), *placed]

    def _by_id(self) -> ColumnElement[Any]:
        row_id: ColumnElement[Any] = self.row_id
        return row_id.desc() if self.id_descending else row_id.asc()

    def after_key(self, position: Position) -> ColumnElement[bool]:
        """Return the rows after a position whose key is not null."""
        key = cast(literal(position.key), self.key.type)
        beyond = self.key < key if self.descending else self.key > key
        at_or_beyond = self.key <= key if self.descending else self.key >= key
        return and_(self._from_block(key), at_or_beyond, or_(beyond, self.after_id(position)))

    def _from_block(self, key: ColumnElement[Any]) -> ColumnElement[bool]:
        if self.blocks is None:
            return true()
        column: ColumnElement[Any] = self.blocks.column
        return column >= key // self.blocks.size

    def without_key(self) -> ColumnElement[bool]:
        """Return the rows without a key, which come last."""
        found: ColumnElement[Any] = self.key if self.blocks is None else self.blocks.column
        return found.is_(None)

    def after_id(self, position: Position) -> ColumnElement[bool]:
        """Return the rows after a position among those with an equal key."""
        row_id = cast(literal(position.row_id), self.row_id.type)
        own: ColumnElement[Any] = self.row_id
        return own < row_id if self.id_descending else own > row_id
