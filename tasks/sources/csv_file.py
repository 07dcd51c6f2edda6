"""CSV: a file, or every file of a directory, read from where the last run stopped."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tasks.core.errors import PermanentError
from tasks.domain.records import Item, Quote, Rejection
from tasks.sources import csv_columns, csv_dialect, csv_files, csv_records, csv_rows, parts
from tasks.sources.base import Cursor, FetchContext, Fetched, Page, SourceSpec
from tasks.sources.csv_dialect import Dialect
from tasks.sources.csv_files import FileState, Look, Piece
from tasks.sources.csv_records import Row
from tasks.sources.csv_rows import Reading

_DIALECT = "dialect"
_MODIFIED = "last-modified"
_SHOWN_LINE_CHARS = 4_000


class Progress(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The cursor: how far this run has come.

    Attributes:
        files: Every file's state, as in the checkpoint.
        next_file: Files before this one, in order of name, are done.
        is_inside: Whether a piece of ``next_file`` was read in this run.
        has_read: Whether any file could be read in this run.
        unchanged_count: Known rows that were not read again, not yet told with a page.
    """

    files: dict[str, FileState]
    next_file: str = ""
    is_inside: bool = False
    has_read: bool = False
    unchanged_count: int = 0

    def checkpoint(self) -> dict[str, Any]:
        """Return the JSON that is stored when all up to here is loaded."""
        return {"files": msgspec.to_builtins(self.files)}

    def leave(self, name: str) -> None:
        """Go on behind a file."""
        # The smallest text behind the name that jsonb can hold; no name has a U+0000.
        self.next_file, self.is_inside = name + "\x01", False


class CsvFiles:
    """The connector of CSV files."""

    spec = SourceSpec(
        name="csv",
        kind="quotes",
        title="CSV files",
        json_items=False,
        crosses_network=False,
        # Somebody exports these by hand or once a day.
        fresh_for_s=26 * 3600,
        # Offsets stay true however long the break: the content is checked again.
        resume_within_s=7 * 24 * 3600,
        precedence=30,
        # Each file has a header of its own; a page that stands for a broken file has none.
        schema_name=lambda page: page.request.rpartition(" bytes ")[0] or None,
        incremental=True,
    )

    def fetch(self, context: FetchContext, cursor: Cursor | None) -> Fetched:
        """Read the next piece of the first file that has something new.

        Raises:
            PermanentError: If there is no file, or none can be read.
        """
        paths = csv_files.listing(context.settings.path)
        progress = _progress(context, cursor, paths)
        page = _next_page(context, paths, progress)
        is_end = not any(name >= progress.next_file for name in paths)
        if is_end and not progress.has_read:
            raise PermanentError(f"CSV_PATH: no file can be read. {parts.reason(page)}")
        return Fetched(pages=(page,), next_cursor=None if is_end else msgspec.to_builtins(progress))

    def parse(self, page: Page) -> Iterable[Item]:
        """Split a piece into rows. A page without its dialect is taken for a whole file."""
        broken = parts.failure(page)
        return iter((broken,)) if broken else _items(page)

    def normalise(self, item: Item) -> Quote | Rejection:
        """Make a quote of a row, or say why it cannot be one."""
        broken = parts.rejection(item)
        if broken is not None:
            return broken
        try:
            row = msgspec.json.decode(item.payload, type=dict[str, str])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Rejection(None, "*", "shape", "The item is not an object of texts.")
        return csv_rows.quote(row, item.context.get("reading"))


def _progress(context: FetchContext, cursor: Cursor | None, names: Iterable[str]) -> Progress:
    if cursor is not None:
        return msgspec.convert(cursor, Progress)
    known = msgspec.convert(context.checkpoint.get("files", {}), dict[str, FileState])
    # A file that is gone is forgotten; under a new name it is a new file and read once.
    return Progress(files={name: known[name] for name in names if name in known})


def _next_page(context: FetchContext, paths: Mapping[str, Path], progress: Progress) -> Page:
    for name, path in paths.items():
        if name < progress.next_file:
            continue
        try:
            page = _page_of(context, name, path, progress)
        except OSError as exc:
            progress.leave(name)
            reason = f"The file {name} cannot be read: {exc.strerror or exc}."
            checkpoint = progress.checkpoint()
            return parts.failed(name, reason, checkpoint=checkpoint, fetched_at=context.clock.now())
        if page is not None:
            return page
    return _page(context, "nothing new", progress)


def _page_of(context: FetchContext, name: str, path: Path, progress: Progress) -> Page | None:
    seen = csv_files.look(path, progress.files.get(name), context.clock)
    if not progress.is_inside:
        progress.unchanged_count += seen.state.rows + seen.state.tail_rows
    piece = None if seen.is_read else csv_files.read(path, seen, context.clock)
    progress.has_read = True
    progress.files[name] = piece.state if piece else seen.state
    if piece is None or piece.is_end or not piece.body:
        progress.leave(name)
    else:
        progress.next_file, progress.is_inside = name, True
    if piece is None or not piece.body:
        return None
    start = seen.state.offset
    return _page(context, f"{name} bytes {start}-{start + len(piece.body)}", progress, seen, piece)


def _page(
    context: FetchContext,
    request: str,
    progress: Progress,
    seen: Look | None = None,
    piece: Piece | None = None,
) -> Page:
    headers, body, encoding = {}, b"", "utf-8"
    if seen and piece:
        body, encoding = piece.body, piece.dialect.encoding
        headers[_DIALECT] = msgspec.json.encode(piece.dialect).decode()
        headers[_MODIFIED] = seen.modified_at.isoformat()
    unchanged_count, progress.unchanged_count = progress.unchanged_count, 0
    return Page(
        request=request,
        body=body,
        media_type=f"text/csv; charset={encoding}",
        headers=headers,
        item_count=piece.row_count if piece else 0,
        unchanged_count=unchanged_count,
        checkpoint=progress.checkpoint(),
        fetched_at=context.clock.now(),
    )


def _items(page: Page) -> Iterator[Item]:
    stored, modified = page.headers.get(_DIALECT), page.headers.get(_MODIFIED)
    dialect = msgspec.json.decode(stored, type=Dialect) if stored else csv_dialect.sniff(page.body)
    reading = Reading(
        columns=csv_columns.match(dialect.columns),
        width=len(dialect.columns),
        decimal_mark=dialect.decimal_mark,
        date_order=dialect.date_order,
        modified_at=datetime.fromisoformat(modified) if modified else None,
        fetched_at=page.fetched_at,
    )
    context = {"reading": reading, "file": page.request}
    for row in csv_records.rows(dialect.text(page.body), dialect.delimiter):
        if any(map(str.strip, row.cells)):
            cells = _named(row, dialect.columns)
            external_id = csv_rows.external_id(cells, reading)
            yield Item(external_id, msgspec.json.encode(cells), context)


def _named(row: Row, columns: Sequence[str]) -> dict[str, str]:
    if not row.is_intact:
        return {csv_rows.UNREADABLE: row.cells[0][:_SHOWN_LINE_CHARS]}
    cells = dict(zip(columns, row.cells, strict=False))
    for number, cell in enumerate(row.cells[len(columns) :], start=len(columns) + 1):
        # A comma at the end of each line makes an empty cell without a header.
        if cell.strip():
            cells[f"{csv_rows.SURPLUS}{number}"] = cell
    return cells
