"""``assets``: which asset an item is, where a person has to decide."""

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from service.cli.options import data_dir_option, json_option

if TYPE_CHECKING:
    from tasks.pipeline.identifying import Link

_ACTOR = "cli"
_COLUMNS = ("source", "external_id", "symbol", "name", "rank", "id", "candidates")


@click.group
def assets() -> None:
    """Say which asset an item of a source is."""


@assets.command
@click.option("--source", help="Of this source only.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Items.")
@data_dir_option
@json_option
def unresolved(*, source: str | None, limit: int, data_dir: Path, as_json: bool) -> None:
    """List items with likely twins they were not linked to, the best ranked first."""
    from service.cli import connecting, output  # noqa: PLC0415 - --help needs none of it
    from service.queries import links  # noqa: PLC0415

    listing = links.unresolved({} if source is None else {"source": source})
    with connecting.dependencies_of(data_dir) as dependencies, dependencies.engine.begin() as read:
        rows = [
            dict(zip(listing.columns, row, strict=True))
            for row in listing.stream(read, limit=limit)
        ]
    if as_json:
        return output.emit(rows)
    for row in rows:
        twins = (f"{c['id']} ({c['source']} {c['external_id']})" for c in row["candidates"])
        row["candidates"] = ", ".join(twins)
    return output.show(_COLUMNS, (output.pick(row, _COLUMNS) for row in rows))


@assets.command
@click.argument("source")
@click.argument("external_id")
@click.argument("asset", required=False)
@click.option("--new", is_flag=True, help="It is an asset of its own.")
@click.option("--reason", help="For the audit log.")
@data_dir_option
@json_option
def link(  # noqa: PLR0913 - one for each option
    *,
    source: str,
    external_id: str,
    asset: str | None,
    new: bool,
    reason: str | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Say that an item is ASSET, by its id in the API; no run changes it afterwards.

    EXTERNAL_ID is the source's own id of the item.
    """
    from service.cli import connecting  # noqa: PLC0415 - --help needs none of it
    from tasks.pipeline import identifying  # noqa: PLC0415
    from tasks.store.audit import Actor  # noqa: PLC0415

    if (asset is None) is not new:
        raise click.UsageError("Say which asset it is, or --new.")
    item = (source, external_id)
    with connecting.dependencies_of(data_dir) as dependencies:
        found = identifying.link(dependencies, item, asset, actor=Actor(_ACTOR), reason=reason)
    _show(found, as_json=as_json)


@assets.command
@click.argument("source")
@click.argument("external_id")
@data_dir_option
@json_option
def unlink(*, source: str, external_id: str, data_dir: Path, as_json: bool) -> None:
    """Take a link back; the evidence decides again."""
    from service.cli import connecting  # noqa: PLC0415 - --help needs none of it
    from tasks.pipeline import identifying  # noqa: PLC0415
    from tasks.store.audit import Actor  # noqa: PLC0415

    with connecting.dependencies_of(data_dir) as dependencies:
        found = identifying.unlink(dependencies, (source, external_id), actor=Actor(_ACTOR))
    _show(found, as_json=as_json)


@assets.command("map")
@click.argument("file", type=click.File("rb"))
@data_dir_option
@json_option
def map_(*, file: BinaryIO, data_dir: Path, as_json: bool) -> None:
    """Take FILE (or `-`) for the whole map of known ids, in place of the one before.

    It is CSV: a header that names sources, then a row for each asset with the ids they have for it.
    """
    from service.cli import connecting, output  # noqa: PLC0415 - --help needs none of it
    from tasks.domain import id_maps  # noqa: PLC0415
    from tasks.pipeline import identifying, trust  # noqa: PLC0415
    from tasks.store.audit import Actor  # noqa: PLC0415

    with connecting.dependencies_of(data_dir) as dependencies:
        known = id_maps.parse(file.read(), trust.policies(dependencies))
        done = identifying.map_ids(dependencies, known, actor=Actor(_ACTOR))
    if as_json:
        return output.emit(done._asdict())
    output.say(f"{done.ids} ids, {done.changed} of them changed; {done.moved} items moved.")
    for item in done.refused:
        output.say(f"{item} stays where an operator has linked it, or its twin.")
    return None


def _show(found: "Link", *, as_json: bool) -> None:
    from service.cli import output  # noqa: PLC0415 - --help needs none of it

    if as_json:
        return output.emit(found._asdict())
    text = f"{found.source} {found.external_id} is {found.id}: {found.method}, {found.status}."
    return output.say(text)
