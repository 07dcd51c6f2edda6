"""Files as they change between runs: what is new in each, found without reading what is known.

A file's identity is its content. Beside the byte offset the checkpoint keeps a running checksum of
everything before it (CRC-32: it goes on from any point, and it finds every change that lies within
four bytes, such as a digit, and all but one in 2**32 of the others). If size and both times of a
file are what they were, it is not opened at all; if not, the known bytes are summed up again, at
about a gigabyte per second, before a byte behind them is believed to be new.
"""

import os
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from tasks.core.clock import Clock
from tasks.core.errors import PermanentError
from tasks.sources import csv_dialect, csv_records
from tasks.sources.csv_dialect import Dialect

SUFFIXES = (".csv", ".tsv")
PAGE_BYTES = 1_000_000
PAGE_ROWS = 5_000
_BLOCK_BYTES = 1 << 20
_QUIET_S = 2
"""A last line without its line end is taken as finished when the file was quiet for so long."""


class FileState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a file has been read.

    Attributes:
        offset: Bytes up to the end of the last record that was complete with its line end.
        crc: Of these bytes.
        rows: Records in them.
        has_tail: Whether the record behind them, which has no line end, was read too. It is read
            again when the file changes, for it may have been half of a record.
        stamp: Size and times of the file when it was looked at; empty when they cannot be trusted
            because the file was changing.
        dialect: How it is written; None before anything was read.
    """

    offset: int = 0
    crc: int = 0
    rows: int = 0
    has_tail: bool = False
    stamp: str = ""
    dialect: Dialect | None = None


class Look(NamedTuple):
    """What looking at a file tells.

    Attributes:
        state: How far what is known still holds; a new state when nothing does.
        size: Bytes there are now; reading stops here.
        modified_at: When the file was last written.
    """

    state: FileState
    size: int
    modified_at: datetime

    @property
    def is_read(self) -> bool:
        """Whether there is nothing to read."""
        return self.state.offset >= self.size or self.state.has_tail


class Piece(NamedTuple):
    """Some whole records of a file.

    Attributes:
        body: Verbatim.
        dialect: For reading this piece.
        state: The file's state once this piece is loaded.
        row_count: Records in it.
        is_end: Whether nothing is left to read.
    """

    body: bytes
    dialect: Dialect
    state: FileState
    row_count: int
    is_end: bool


def listing(path: str) -> dict[str, Path]:
    """Return the files to read, by name, in order of name.

    Raises:
        PermanentError: If there are none; the sentence names the setting.
    """
    place = Path(path)
    if not path or not place.exists():
        raise PermanentError(f"CSV_PATH: {path!r} does not exist; give a file or a directory")
    if place.is_file():
        return {place.name: place}
    files = {
        found.name: found
        for found in sorted(place.iterdir())
        if found.suffix.lower() in SUFFIXES
        and not found.name.startswith(".")
        and not found.is_dir()
    }
    if not files:
        raise PermanentError(
            f"CSV_PATH: the directory {path!r} holds no {' or '.join(SUFFIXES)} file"
        )
    return files


def look(path: Path, known: FileState | None, clock: Clock) -> Look:
    """Find out whether a file is as it was, has grown, or is another one now.

    Raises:
        OSError: If it cannot be read.
    """
    info = path.stat()
    modified_at = datetime.fromtimestamp(info.st_mtime, UTC)
    stamp = _stamp(info, clock.now() - modified_at)
    state = known or FileState()
    if not stamp or state.stamp != stamp:
        same = info.st_size >= state.offset and _crc(path, state.offset) == state.crc
        # A last record without its line end is read again, for it may have grown.
        state = msgspec.structs.replace(state if same else FileState(), stamp=stamp, has_tail=False)
    return Look(state, info.st_size, modified_at)


def read(path: Path, seen: Look, clock: Clock) -> Piece:
    """Read the next piece of a file: whole records, some 1 MB or 5,000 of them.

    Raises:
        OSError: If it cannot be read.
    """
    state = seen.state
    with path.open("rb") as file:
        file.seek(state.offset)
        room = min(PAGE_BYTES + csv_records.RECORD_LIMIT_CHARS * 2, seen.size - state.offset)
        chunk = file.read(room)
    reaches_end = state.offset + len(chunk) >= seen.size
    dialect = (
        csv_dialect.continued(state.dialect, chunk) if state.dialect else csv_dialect.sniff(chunk)
    )
    is_complete = reaches_end and _is_quiet(path, seen, clock)
    return _piece(chunk, dialect, state, is_complete=is_complete)


def _piece(chunk: bytes, dialect: Dialect, state: FileState, *, is_complete: bool) -> Piece:
    text = dialect.measured(chunk[dialect.preamble_bytes :])
    cut = csv_records.cut(
        text,
        dialect.delimiter,
        max_rows=PAGE_ROWS,
        max_chars=PAGE_BYTES // dialect.byte_length("x"),
        is_complete=is_complete,
        is_header=csv_dialect.header_test(dialect),
    )
    body = chunk[: dialect.preamble_bytes + dialect.byte_length(text[: cut.length])]
    if not cut.length and not is_complete and len(chunk) > PAGE_BYTES:
        body = chunk  # A line longer than a page is no record; it is cut anywhere.
    if text or dialect.measured(body).endswith(("\n", "\r")):
        tail = text[cut.length - cut.tail_length : cut.length]
        whole = body[: len(body) - dialect.byte_length(tail)]
    else:
        whole = b""  # A header without its line end may be half of a header.
    moved = FileState(
        offset=state.offset + len(whole),
        crc=zlib.crc32(whole, state.crc),
        rows=state.rows + cut.row_count - bool(cut.tail_length),
        has_tail=len(whole) < len(body),
        stamp=state.stamp,
        dialect=dialect if whole else state.dialect,
    )
    return Piece(body, dialect, moved, cut.row_count, is_complete and len(body) == len(chunk))


def _is_quiet(path: Path, seen: Look, clock: Clock) -> bool:
    """Tell whether the end of the file is the end of a record, waiting a moment if it is young."""
    quiet_s = (clock.now() - seen.modified_at).total_seconds()
    if quiet_s < _QUIET_S:
        with path.open("rb") as file:
            file.seek(max(0, seen.size - 2))
            if file.read().rstrip(b"\x00").endswith(b"\n"):
                return True
        clock.sleep(_QUIET_S - max(0.0, quiet_s))
    return path.stat().st_size == seen.size


def _stamp(info: os.stat_result, age: timedelta) -> str:
    # Clocks of file systems tick in milliseconds: a file this young may change and look the same.
    if age < timedelta(seconds=_QUIET_S):
        return ""
    return f"{info.st_size}:{info.st_mtime_ns}:{info.st_ctime_ns}"


def _crc(path: Path, size: int) -> int:
    crc = 0
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(_BLOCK_BYTES, size))):
            crc = zlib.crc32(block, crc)
            size -= len(block)
    return crc
