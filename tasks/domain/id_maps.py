"""A map of known ids as an operator writes it: a column for each source, a row for each asset."""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from tasks.core.errors import InvalidInputError

SHOWN_PROBLEMS = 20


class KnownId(NamedTuple):
    """An id of a source; those with the same key are one asset."""

    source: str
    external_id: str
    key: str


def parse(body: bytes, sources: Collection[str]) -> list[KnownId]:
    """Return the ids of a map in CSV: a header that names sources, then a row for each asset.

    A source may be left out of a row, and then says nothing.

    Args:
        body: UTF-8, with or without a byte order mark.
        sources: Those there are.

    Raises:
        InvalidInputError: Naming every line that is wrong, up to :data:`SHOWN_PROBLEMS`.
    """
    reader = csv.reader(io.StringIO(_text(body), newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        problems = list(_wrong_header(header, sources))
        rows = [] if problems else [(reader.line_num, row) for row in reader if any(row)]
    except csv.Error as error:
        raise InvalidInputError(f"line {reader.line_num}: {error}", field="file") from error
    problems += _wrong_rows(header, rows)
    if problems:
        raise InvalidInputError("\n".join(_shown(problems)), field="file")
    return [known for _, row in rows for known in _ids(header, row)]


def _text(body: bytes) -> str:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputError("The map is not UTF-8 text.", field="file") from error
    if "\x00" in text:
        raise InvalidInputError("The map holds NUL characters.", field="file")
    return text


def _wrong_header(header: Sequence[str], sources: Collection[str]) -> Iterator[str]:
    unknown = [name for name in header if name not in sources]
    if unknown or len(header) < 2 or len(set(header)) < len(header):  # noqa: PLR2004 - twins are two
        yield (
            f"line 1: the header must name two or more of the sources {', '.join(sources)}, "
            f"each once; it is {','.join(header)!r}"
        )


def _wrong_rows(header: Sequence[str], rows: Iterable[tuple[int, list[str]]]) -> Iterator[str]:
    seen: dict[tuple[str, str], int] = {}
    for number, row in rows:
        if len(row) > len(header):
            yield f"line {number}: {len(row)} cells under {len(header)} columns"
        found = _ids(header, row)
        if len(found) < 2:  # noqa: PLR2004 - twins are two
            yield f"line {number}: one id alone says nothing"
        for known in found:
            first = seen.setdefault(known[:2], number)
            if first != number:
                yield f"line {number}: {known.source} {known.external_id!r} is in line {first}, too"


def _ids(header: Sequence[str], row: Sequence[str]) -> list[KnownId]:
    cells = [(name, cell.strip()) for name, cell in zip(header, row, strict=False)]
    found = [(name, cell) for name, cell in cells if cell]
    key = "/".join(min(found)) if found else ""  # whatever the order of the columns
    return [KnownId(name, cell, key) for name, cell in found]


def _shown(problems: Sequence[str]) -> Iterator[str]:
    yield from problems[:SHOWN_PROBLEMS]
    if len(problems) > SHOWN_PROBLEMS:
        yield f"and {len(problems) - SHOWN_PROBLEMS} more"
