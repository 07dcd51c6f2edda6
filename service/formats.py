"""The same rows as JSON, CSV, NDJSON or Parquet: which one is wanted, how each is written."""

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from importlib import import_module
from itertools import islice
from typing import Any

from flask import Request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import NotAcceptable
from werkzeug.http import parse_accept_header

from service import encoding

MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
CHUNK_ROWS = 1000
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
_EXACT = Context(prec=76)  # what decimal256 holds
Row = Sequence[Any]


def wanted(request: Request) -> str:
    """Return the format a request asks for: ``format=`` first, then ``Accept``, else JSON.

    An unknown ``format=`` is left to the validation of the arguments.

    Raises:
        NotAcceptable: If ``Accept`` allows none of ours.
    """
    named = request.args.get("format", "")
    if named:
        return named if named in MEDIA_TYPES else "json"
    form = accepted(request.headers.get("Accept", ""))
    if form is None:
        raise NotAcceptable(f"This can be had as {', '.join(MEDIA_TYPES.values())}.")
    return form


def accepted(accept: str) -> str | None:
    """Return the format that an ``Accept`` likes best; None if it allows none of ours."""
    if accept in {"", "*/*"} or accept.split(",", 1)[0] == MEDIA_TYPES["json"]:
        return "json"  # the usual ones; nothing that follows could be liked better
    known = parse_accept_header(accept, MIMEAccept)
    if not known:
        return "json"
    best = known.best_match([*MEDIA_TYPES.values(), "text/html"])
    return best and next((name for name, media in MEDIA_TYPES.items() if media == best), "json")


def content_type(name: str) -> str:
    """Return the ``Content-Type`` of a format."""
    return MEDIA_TYPES[name] + ("; charset=utf-8" if name == "csv" else "")


def write(name: str, columns: Mapping[str, str], rows: Iterable[Row]) -> Iterator[bytes]:
    """Return the bytes of an export, chunk by chunk.

    CSV and NDJSON are written as the rows come. Parquet needs its end before it can be read, so
    it goes through a temporary file, in row groups.

    Args:
        name: ``csv`` | ``ndjson`` | ``parquet``.
        columns: Names, in order, and what each holds: ``time`` | ``list`` | ``json`` |
            ``boolean`` | ``integer`` | ``decimal`` | ``text``.
        rows: Values in that order; read once.

    Raises:
        NotAcceptable: If Parquet is asked for and pyarrow is not installed.
    """
    if name == "parquet":
        return _parquet(columns, rows, require_parquet())
    return {"csv": _csv, "ndjson": _ndjson}[name](list(columns), rows)


def join_lines(lines: Iterable[str]) -> Iterator[bytes]:
    """Return lines as bytes, many at a time."""
    iterator = iter(lines)
    while chunk := list(islice(iterator, CHUNK_ROWS)):
        yield ("\n".join(chunk) + "\n").encode()


def neutral(value: Any) -> Any:
    """Return a CSV cell; text a spreadsheet would take for a formula gets an apostrophe before it.

    Numbers keep their sign: they are ours, not text from upstream.
    """
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = "|".join(value)
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_DANGEROUS) else value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bool | dict | list):
        return encoding.encode(value).decode()
    return _plain(value)


def _csv(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    yield _csv_lines([columns])
    for chunk in _chunks(rows):
        yield _csv_lines([neutral(value) for value in row] for row in chunk)


def _csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _ndjson(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    for chunk in _chunks(rows):
        lines = (
            encoding.encode(dict(zip(columns, map(_plain, row), strict=True))) for row in chunk
        )
        yield b"\n".join(lines) + b"\n"


def _plain(value: Any) -> Any:
    return encoding.rfc3339(value) if isinstance(value, datetime) else value


def _parquet(columns: Mapping[str, str], rows: Iterable[Row], arrow: Any) -> Iterator[bytes]:
    parquet = import_module("pyarrow.parquet")
    schema = arrow.schema([(name, _arrow_type(arrow, kind)) for name, kind in columns.items()])
    with tempfile.TemporaryFile() as file:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            for chunk in _chunks(rows, 5 * CHUNK_ROWS):
                values = zip(*chunk, strict=True)
                arrays = [
                    _arrow_array(arrow, column, kind)
                    for column, kind in zip(values, schema.types, strict=True)
                ]
                writer.write_batch(arrow.record_batch(arrays, schema=schema))
        file.seek(0)
        while block := file.read(1 << 18):
            yield block


def _arrow_array(arrow: Any, values: Iterable[Any], kind: Any) -> Any:
    if arrow.types.is_string(kind):
        values = [_text(value) for value in values]
    elif arrow.types.is_decimal(kind):
        quantum = Decimal(1).scaleb(-kind.scale)
        values = [v if v is None else v.quantize(quantum, context=_EXACT) for v in values]
    return arrow.array(values, type=kind)


def _text(value: Any) -> str | None:
    """Return what a column of texts holds: JSON for what is a structure."""
    if isinstance(value, dict | list):
        return encoding.encode(value).decode()
    return value if value is None else str(value)


def _arrow_type(arrow: Any, kind: str) -> Any:
    """Return Arrow's type; numbers keep 76 digits, 30 of them after the point."""
    types = {
        "time": lambda: arrow.timestamp("us", tz="UTC"),
        "list": lambda: arrow.list_(arrow.string()),
        "json": arrow.string,
        "boolean": arrow.bool_,
        "integer": arrow.int64,
        "decimal": lambda: arrow.decimal256(76, 30),
        "text": arrow.string,
    }
    return types[kind]()


def require_parquet() -> Any:
    """Return pyarrow.

    Raises:
        NotAcceptable: If it is not installed.
    """
    try:
        return import_module("pyarrow")
    except ImportError as error:
        raise NotAcceptable(
            "Parquet needs the extra 'parquet' on the server: pip install 'kasparro[parquet]'."
        ) from error


def _chunks(rows: Iterable[Row], size: int = CHUNK_ROWS) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk
