"""How one file writes its table, found out from its head and kept with every page cut from it."""

import codecs
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import msgspec

from tasks.domain import amounts, dates
from tasks.sources import csv_columns, csv_records

_DELIMITERS = (",", ";", "\t", "|")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HEADER_WITHIN_ROWS = 20
_SAMPLE_ROWS = 2_000
_AMOUNTS = ("price_usd", "market_cap_usd", "volume_24h_usd", "percent_change_24h")
_SLIPS = 20
"""One number in so many may prove the other decimal mark and still count as a slip."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is needed to read a piece of a file without the rest of it.

    Attributes:
        encoding: ``utf-8`` (lines that are not fall back to Windows-1252) or ``utf-16-le``/``-be``.
        delimiter: Between cells.
        columns: Names of the columns, unique.
        preamble_bytes: What stands before the first record in this piece: byte-order mark, lines
            that are no header, the header. 0 in most later pieces.
        decimal_mark: What ``1,234`` and ``1.234`` mean here; empty when the file contradicts itself.
        date_order: What the file proves about ``05/01/2025``; empty when nothing so far.
    """

    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    preamble_bytes: int = 0
    decimal_mark: str = "."
    date_order: str = ""

    def measured(self, body: bytes) -> str:
        """Return text for finding positions in: its characters stand for fixed numbers of bytes."""
        return _measured(body, self.encoding)

    def byte_length(self, text: str) -> int:
        """Return how many bytes a measured text stands for."""
        return _byte_length(text, self.encoding)

    def text(self, body: bytes) -> str:
        """Return a piece's records as people read them; a spoilt line spoils no other.

        A NUL, which PostgreSQL cannot store in any text, becomes the replacement character.
        """
        return _text(body[self.preamble_bytes :], self.encoding).replace("\x00", "\ufffd")


def sniff(head: bytes) -> Dialect:
    """Find out how a file is written from its first bytes, or from all of it. Total."""
    encoding, mark_bytes = _encoding(head)
    text = _measured(head[mark_bytes:], encoding)
    delimiter, skipped, header = _header(text)
    dialect = Dialect(
        encoding=encoding,
        delimiter=delimiter,
        columns=_columns(header, encoding),
        preamble_bytes=mark_bytes + _byte_length(text[:skipped], encoding),
    )
    sample = _Sample(text[skipped:], dialect)
    return msgspec.structs.replace(
        dialect, decimal_mark=sample.decimal_mark(), date_order=sample.date_order()
    )


def continued(dialect: Dialect, chunk: bytes) -> Dialect:
    """Return the dialect of what follows in the same file.

    The columns change where a second header stands (two exports put into one file); the order of
    day and month may be proven only now.
    """
    text = dialect.measured(chunk)
    first = next(csv_records.rows(text, dialect.delimiter, is_complete=False), None)
    preamble = 0
    if first is not None and first.cells and header_test(dialect)(first.cells):
        dialect = msgspec.structs.replace(dialect, columns=_columns(first.cells, dialect.encoding))
        preamble = dialect.byte_length(text[: first.length])
    return msgspec.structs.replace(
        dialect,
        preamble_bytes=preamble,
        date_order=dialect.date_order or _Sample(text, dialect).date_order(),
    )


def header_test(dialect: Dialect) -> Callable[[Sequence[str]], bool]:
    """Return a test that tells a header, in any order of columns, from a record."""
    own = {csv_columns.folded(column) for column in dialect.columns}
    needed = max(2, min(3, csv_columns.recognised(dialect.columns)))

    def is_header(cells: Sequence[str]) -> bool:
        first = csv_columns.folded(cells[0])
        if first and first not in own and not csv_columns.recognised(cells[:1]):
            return False
        return csv_columns.recognised(cells) >= needed

    return is_header


class _Sample:
    """The first records of a piece, as evidence."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        rows = csv_records.rows(text, dialect.delimiter, is_complete=False)
        self._cells = [row.cells for row in islice(rows, _SAMPLE_ROWS)]
        self._dialect = dialect
        self._places = {
            field: dialect.columns.index(column)
            for field, column in csv_columns.match(dialect.columns).items()
        }

    def _column(self, field: str) -> Iterable[str]:
        place = self._places.get(field)
        if place is not None:
            yield from (cells[place] for cells in self._cells if place < len(cells))

    def decimal_mark(self) -> str:
        """Return what the numbers prove, or where they prove nothing, what the delimiter suggests."""
        proofs = Counter(
            amounts.evidence(cell) for field in _AMOUNTS for cell in self._column(field)
        )
        points, commas = proofs["."], proofs[","]
        if not points and not commas:
            return "," if self._dialect.delimiter == ";" else "."
        if min(points, commas) * _SLIPS > max(points, commas):
            return ""
        return "." if points > commas else ","

    def date_order(self) -> str:
        """Return what the dates prove."""
        return dates.proven_order(self._column("observed_at"))


def _encoding(head: bytes) -> tuple[str, int]:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding, len(mark)
    # Western text in UTF-16 has a zero in every other byte; a table in UTF-8 has none.
    start = head[:200]
    if start[1::2].count(0) * 2 > len(start) // 2:
        return "utf-16-le", 0
    if start[0::2].count(0) * 2 > len(start) // 2:
        return "utf-16-be", 0
    return "utf-8", 0


def _header(text: str) -> tuple[str, int, list[str]]:
    """Return delimiter, characters up to the end of the header, and its cells."""
    best: tuple[tuple[int, int], str, int, list[str]] = ((0, 0), ",", 0, [])
    for delimiter in _DELIMITERS:
        length = 0
        rows = csv_records.rows(text, delimiter, is_complete=False)
        for row in islice(rows, _HEADER_WITHIN_ROWS):
            length += row.length
            known = csv_columns.recognised(row.cells)
            # One known word alone may be chance; a table without any still has a first wide row.
            score = (known if known > 1 else 0, len(row.cells))
            if score > best[0] and (score[0] > best[0][0] or len(row.cells) > 1 or not best[3]):
                best = (score, delimiter, length, row.cells)
    return best[1], best[2], best[3]


def _columns(header: Sequence[str], encoding: str) -> tuple[str, ...]:
    if encoding == "utf-8":
        header = [_decoded(cell.encode("latin-1")) for cell in header]
    return csv_columns.names([cell.replace("\x00", "\ufffd") for cell in header])


def _measured(body: bytes, encoding: str) -> str:
    # All that a table is made of is ASCII, and UTF-8 uses no ASCII byte for anything else.
    if encoding == "utf-8":
        return body.decode("latin-1")
    return codecs.getincrementaldecoder(encoding)("replace").decode(body)


def _text(records: bytes, encoding: str) -> str:
    if encoding != "utf-8":
        return records.decode(encoding, "replace")
    try:
        return records.decode()
    except UnicodeDecodeError:
        return "\n".join(map(_decoded, records.split(b"\n")))


def _byte_length(text: str, encoding: str) -> int:
    return len(text) if encoding == "utf-8" else len(text.encode(encoding, "surrogatepass"))


def _decoded(line: bytes) -> str:
    for encoding in ("utf-8", "windows-1252"):
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    return line.decode("latin-1")
