"""One row of a table as a quote, or why it is none."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from tasks.domain import amounts, dates, quality
from tasks.domain.quality import Fault
from tasks.domain.records import Quote, Rejection
from tasks.sources import csv_columns

SURPLUS = "surplus cell "
"""Key of a cell for which the header has no column, followed by its number."""
UNREADABLE = "unreadable line"
"""Key of a line that opens a quote nobody closes."""

_WHOLE = "*"
_OTHER_MONEY = frozenset((
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS",
    "INR", "JPY", "KRW", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RUB", "SEK", "SGD", "THB",
    "TRY", "TWD", "UAH", "VND", "ZAR",  # codespell:ignore zar
))  # fmt: skip
_DOLLARS = frozenset(("USD", "US$", "$"))
# A cell a scraper glued from name, rank and ticker: ``Bitcoin1BTC``.
_GLUED = re.compile(r".*[a-z)]\d{1,4}[A-Z][A-Z0-9]{1,9}", re.DOTALL)


class Reading(NamedTuple):
    """What the page knows and a row does not say.

    Attributes:
        columns: Our names of fields → the file's columns.
        width: Columns there are.
        decimal_mark: As in :func:`tasks.domain.amounts.parse`.
        date_order: As in :func:`tasks.domain.dates.parse`.
        modified_at: When the file was last written: the date of rows in a file without dates.
        fetched_at: When it was read.
    """

    columns: Mapping[str, str]
    width: int
    decimal_mark: str = "."
    date_order: str = ""
    modified_at: datetime | None = None
    fetched_at: datetime | None = None


class _FaultError(Exception):
    """Carries the column at fault out of the row."""

    def __init__(self, field: str, fault: Fault) -> None:
        super().__init__(field, fault)
        self.field, self.fault = field, fault


def quote(row: Mapping[str, str], reading: Reading | None) -> Quote | Rejection:
    """Make a quote of a row, or say why it cannot be one.

    A row needs a symbol or a name; the one stands in for the other. It needs a column for the
    price, though its cell may be blank, and a date where the file has dates. Total.

    Args:
        row: Column → cell.
        reading: None when the page is not at hand; then the columns tell what they can.
    """
    reading = reading or _reading(tuple(row))
    external_id: str | None = None
    try:
        _check_shape(row, reading)
        symbol, name = _identity(row, reading)
        external_id = _text(row, reading, "external_id") or _derived_id(symbol, name)
        draft = _draft(row, reading, (external_id, symbol, name))
    except _FaultError as refusal:
        if refusal.field == _WHOLE:
            return Rejection(None, _WHOLE, *refusal.fault)
        return quality.rejection(external_id, refusal.field, refusal.fault)
    fields = {field: reading.columns.get(field, field) for field in Quote._fields}
    return quality.quote_or_rejection(draft, fields=fields, fetched_at=reading.fetched_at)


def external_id(row: Mapping[str, str], reading: Reading) -> str | None:
    """Return the id a row's quote will have; None for a row that says of no coin.

    Where the file gives none it is made of symbol and name, the same for every row of a coin.
    """
    own = _text(row, reading, "external_id")
    if own:
        return own
    symbol, name = _text(row, reading, "symbol"), _text(row, reading, "name")
    return _derived_id(symbol or name, name or symbol) if symbol or name else None


def _derived_id(symbol: str, name: str) -> str:
    return f"{symbol}/{name}".casefold()


@lru_cache(maxsize=64)
def _reading(columns: tuple[str, ...]) -> Reading:
    named = tuple(column for column in columns if not column.startswith(SURPLUS))
    return Reading(csv_columns.match(named), len(named))


def _draft(row: Mapping[str, str], reading: Reading, identity: tuple[str, str, str]) -> Quote:
    _check_money(row, reading)
    return Quote(
        *identity,
        _rank(row, reading),
        _amount(row, reading, "price_usd"),
        _amount(row, reading, "market_cap_usd"),
        _amount(row, reading, "volume_24h_usd"),
        _amount(row, reading, "percent_change_24h"),
        _observed_at(row, reading),
    )


def _check_shape(row: Mapping[str, str], reading: Reading) -> None:
    if UNREADABLE in row:
        raise _FaultError(_WHOLE, Fault("shape", "The line opens a quote that nobody closes."))
    if len(row) > reading.width:
        reason = f"The row has {len(row)} cells, the header {reading.width}."
        raise _FaultError(_WHOLE, Fault("shape", reason))
    if "price_usd" not in reading.columns:
        raise _FaultError("price", Fault("required", "has no column in this file"))


def _identity(row: Mapping[str, str], reading: Reading) -> tuple[str, str]:
    symbol, name = _text(row, reading, "symbol"), _text(row, reading, "name")
    if not symbol and not name:
        raise _FaultError("symbol", Fault("required", "is missing, and so is the coin's name"))
    if not symbol and _GLUED.fullmatch(name):
        reason = f"holds several values in one cell: {quality.shown(name)}"
        raise _FaultError(reading.columns["name"], Fault("shape", reason))
    return symbol or name, name or symbol


def _check_money(row: Mapping[str, str], reading: Reading) -> None:
    money = _text(row, reading, "money").upper()
    is_coin = reading.columns.get("money") == reading.columns.get("name")
    if money in _OTHER_MONEY or (is_coin and money in _DOLLARS):
        reason = f"is {money}: only prices of coins in US dollars can be used"
        raise _FaultError(reading.columns["money"], Fault("unit", reason))


def _text(row: Mapping[str, str], reading: Reading, field: str) -> str:
    return quality.clean(row.get(reading.columns.get(field, ""), ""))


def _amount(row: Mapping[str, str], reading: Reading, field: str) -> Decimal | None:
    column = reading.columns.get(field)
    cell = row.get(column, "") if column else ""
    if not cell:
        return None
    try:
        return amounts.parse(cell, decimal_mark=reading.decimal_mark)
    except ValueError as exc:
        raise _FaultError(column or field, Fault("type", f"{exc}: {quality.shown(cell)}")) from exc


def _rank(row: Mapping[str, str], reading: Reading) -> int | None:
    rank = _amount(row, reading, "rank")
    if rank is None:
        return None
    # Tables that passed through a float column say 1.0.
    if not quality.number_fault(rank) and rank == int(rank):
        return int(rank)
    column = reading.columns["rank"]
    raise _FaultError(column, Fault("type", f"is not a whole number: {quality.shown(str(rank))}"))


def _observed_at(row: Mapping[str, str], reading: Reading) -> datetime:
    column = reading.columns.get("observed_at")
    if column is None:
        # A file cannot be younger than its reading, whatever the clock says that dated it.
        known = [moment for moment in (reading.modified_at, reading.fetched_at) if moment]
        if not known:
            raise _FaultError("date", Fault("required", "has no column, and the file has no date"))
        return min(known)
    cell: Any = row.get(column, "").strip()
    if cell.casefold() in amounts.MISSING:
        raise _FaultError(column, Fault("required", "is empty, so nobody knows how old the row is"))
    try:
        return dates.parse(cell, order=reading.date_order)
    except ValueError as exc:
        raise _FaultError(column, Fault("date", f"{exc}: {quality.shown(cell)}")) from exc
