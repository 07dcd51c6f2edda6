"""Where the records of a CSV text begin and end; quoted line breaks belong to their record.

The reader is :func:`csv.reader` itself, fed line by line, so a record ends here exactly where it
ends there. What it lacks is added: how long each record is, and a way out when a stray quote
would swallow the rest of the file.
"""

import csv
import io
from collections.abc import Callable, Iterator
from typing import NamedTuple

RECORD_LIMIT_CHARS = 65_536
"""A record that spans several lines and is longer than this began with a stray quote."""

# Fed behind the last line: it comes back as a record of its own unless a quote is still open.
_SENTINEL = "\x00end"


class Row(NamedTuple):
    """One record.

    Attributes:
        cells: As written, unquoted; empty for a blank line.
        length: Characters it takes in the text, its line end included.
        is_intact: False for a line that opens a quote nobody closes; ``cells`` is then the line.
    """

    cells: list[str]
    length: int
    is_intact: bool = True


class Piece(NamedTuple):
    """What was cut from the head of a text.

    Attributes:
        length: Characters.
        row_count: Records that are not blank lines.
        tail_length: Characters of the last record when it has no line end, at the end of a file.
    """

    length: int
    row_count: int
    tail_length: int


class _RunawayRecordError(Exception):
    """A record spans lines beyond the limit."""


class _Lines:
    """Hands lines to a reader and knows where the record it works on began."""

    def __init__(self, text: str) -> None:
        self._stream = io.StringIO(text, newline="")
        self.start = self.position = 0
        self.is_exhausted = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline()
        if line:
            if self.position > self.start and self.length + len(line) > RECORD_LIMIT_CHARS:
                raise _RunawayRecordError
            self.position += len(line)
            return line
        if self.is_exhausted:
            raise StopIteration
        self.is_exhausted = True
        return _SENTINEL

    @property
    def length(self) -> int:
        """Return the length of the record so far."""
        return self.position - self.start

    def first_line(self) -> Row:
        """Give up on the record: its first line counts alone, and reading goes on after it."""
        self._stream.seek(self.start)
        line = self._stream.readline()
        self.start += len(line)
        self.position = self.start
        self.is_exhausted = False
        return Row([line.rstrip("\r\n")], len(line), is_intact=False)


def rows(text: str, delimiter: str, *, is_complete: bool = True) -> Iterator[Row]:
    """Split a text into records; together their lengths are the text's.

    Args:
        text: Begins at a record.
        delimiter: Between cells.
        is_complete: Whether the text goes to the end of its file. If not, an unfinished record at
            its end is left out.
    """
    lines = _Lines(text)
    while lines.start < len(text):
        try:
            yield from _regular(lines, delimiter)
        except (_RunawayRecordError, csv.Error):
            yield lines.first_line()
            continue
        if lines.start < len(text):
            if not is_complete:
                return
            yield lines.first_line()


def _regular(lines: _Lines, delimiter: str) -> Iterator[Row]:
    for cells in csv.reader(lines, delimiter=delimiter):
        if lines.is_exhausted:
            return
        row = Row(cells, lines.length)
        lines.start = lines.position
        yield row


def cut(
    text: str,
    delimiter: str,
    *,
    max_rows: int,
    max_chars: int,
    is_complete: bool,
    is_header: Callable[[list[str]], bool],
) -> Piece:
    """Measure the piece of whole records at the head of ``text`` that makes a page.

    Args:
        text: Begins at a record.
        delimiter: Between cells.
        max_rows: Stop after so many.
        max_chars: Stop after the record that reaches this.
        is_complete: As in :func:`rows`. If not, a record is whole only with its line end.
        is_header: Tells a header that is repeated inside the file; the piece ends before it.
    """
    length = row_count = tail_length = 0
    for row in rows(text, delimiter, is_complete=is_complete):
        if row_count >= max_rows or length >= max_chars:
            break
        if length and row.cells and is_header(row.cells):
            break
        # A carriage return at the very end may be half of a line end.
        is_last = length + row.length == len(text)
        if is_last and not is_complete and text[-1] != "\n":
            break
        length += row.length
        row_count += bool(row.cells)
        tail_length = row.length if is_last and text[-1] not in "\r\n" else 0
    return Piece(length, row_count, tail_length)
