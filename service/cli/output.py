"""What commands print: tables for people, JSON for machines; remarks go to stderr."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
import msgspec
from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table

_WIDE = 300
_ENCODER = msgspec.json.Encoder(decimal_format="number")
STATUS_STYLES = {
    "success": "green",
    "partial": "yellow",
    "running": "cyan",
    "queued": "dim",
    "skipped": "yellow",
    "failed": "red",
    "crashed": "red",
    "cancelled": "magenta",
}


def say(text: str) -> None:
    """Write a remark for people to stderr."""
    click.echo(text, err=True)


def emit(value: Any) -> None:
    """Write one JSON document to stdout; decimals keep every digit."""
    click.echo(msgspec.json.format(_ENCODER.encode(value), indent=2).decode())


def table(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> Table:
    """Return a plain table; numbers are right-aligned, missing values a dash."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    shown = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numeric = any(isinstance(row[index], int) for row in shown)
        # Only the last column, which holds sentences, gives way on a narrow terminal.
        is_last = index == len(columns) - 1
        justify: JustifyMethod = "right" if numeric else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=not is_last)
    for row in shown:
        made.add_row(*(_cell(value) for value in row))
    return made


def styled_status(status: str) -> str:
    """Return a run's status with its colour."""
    style = STATUS_STYLES.get(status, "")
    return f"[{style}]{status}[/]" if style else status


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def show(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table to stdout; without a terminal it is as wide as it needs to be."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    console.print(table(columns, rows))


def pick(row: Mapping[str, Any], names: Iterable[str]) -> list[Any]:
    """Return some members of a row."""
    return [row[name] for name in names]
