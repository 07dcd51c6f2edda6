"""``keys``: who may use the API."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import data_dir_option, json_option

if TYPE_CHECKING:
    from tasks.store.tables import ApiKey

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@click.group
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command
@click.argument("name")
@click.option("--scopes", default="read", show_default=True, help="Of read, run, admin; by comma.")
@click.option("--expires", help="In 30m, 12h, 90d or 4w, or at an ISO date.")
@click.option("--rate", type=click.IntRange(1), help="Requests per minute; else the general limit.")
@data_dir_option
@json_option
def create(
    *, name: str, scopes: str, expires: str | None, rate: int | None, data_dir: Path, as_json: bool
) -> None:
    """Create a key and print it; nobody can see it again."""
    from service import auth  # noqa: PLC0415 - --help needs none of it
    from service.cli import connecting, output  # noqa: PLC0415

    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    with connecting.dependencies_of(data_dir) as dependencies:
        until = _moment(expires, dependencies.clock.now()) if expires else None
        with dependencies.transaction() as session:
            key = auth.create_key(session, name, wanted, expires_at=until, rate_per_minute=rate)
    if as_json:
        return output.emit({"key": key, "name": name, "scopes": wanted, "expires_at": until})
    output.say("Keep it: it is not shown again.")
    return click.echo(key)


@keys.command("list")
@data_dir_option
@json_option
def list_(*, data_dir: Path, as_json: bool) -> None:
    """List the keys, without their secrets."""
    from service import auth  # noqa: PLC0415 - --help needs none of it
    from service.cli import connecting, output  # noqa: PLC0415

    with (
        connecting.dependencies_of(data_dir) as dependencies,
        dependencies.transaction() as session,
    ):
        found = [_members(key) for key in auth.list_keys(session)]
    if as_json:
        return output.emit(found)
    return output.show(list(found[0]) if found else ["key_id"], (row.values() for row in found))


@keys.command
@click.argument("key_id")
@data_dir_option
@json_option
def revoke(*, key_id: str, data_dir: Path, as_json: bool) -> None:
    """Make a key worthless from now on; KEY_ID is the part between the underscores."""
    from service import auth  # noqa: PLC0415 - --help needs none of it
    from service.cli import connecting, output  # noqa: PLC0415

    with (
        connecting.dependencies_of(data_dir) as dependencies,
        dependencies.transaction() as session,
    ):
        auth.revoke_key(session, key_id)
    if as_json:
        return output.emit({"key_id": key_id, "revoked": True})
    return output.say(f"The key {key_id} opens nothing any more.")


def _members(key: "ApiKey") -> dict[str, object]:
    names = ("key_id", "name", "scopes", "rate_per_minute", "created_at", "expires_at")
    return {name: getattr(key, name) for name in (*names, "revoked_at", "last_used_at")}


def _moment(text: str, now: datetime) -> datetime:
    number, unit = text[:-1], text[-1:]
    if number.isdecimal() and unit in _UNITS:
        return now + timedelta(**{_UNITS[unit]: int(number)})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a span such as 90d nor an ISO date", param_hint="--expires"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
