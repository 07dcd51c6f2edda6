"""The dashboard: one page, made here, with a style sheet and a few lines of script of its own."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import flask
import msgspec
from flask import Response, render_template
from sqlalchemy import Connection

from service import rest
from service.observability import broker
from service.queries import health, market, runs, stats
from service.queries.prepared import Reading
from service.version import VERSION

blueprint = flask.Blueprint(
    "dashboard",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)
_ASSETS_SHOWN, _RUNS_SHOWN = 25, 12
_POLICY = "default-src 'self'; frame-ancestors 'none'"
_NOTHING = "\N{EN DASH}"
_SCALES = ((10**12, "T"), (10**9, "B"), (10**6, "M"))


def page() -> Response:
    """Return the page with the figures of this moment."""
    with rest.delivery().driver.reading() as reading:
        found = _figures(reading)
    workers = broker.workers_seen(rest.delivery().redis)
    text = render_template("dashboard.html", **found, workers=workers, version=VERSION)
    response = Response(text, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept")
    return response


def _figures(reading: Reading) -> dict[str, Any]:
    now, connection = rest.dependencies().clock.now(), reading.connection
    top = market.assets({}, None).page(reading, limit=_ASSETS_SHOWN)
    return {
        "now": now,
        "assets": [msgspec.json.decode(body, type=_Row) for body in top.bodies],
        "total": stats.total_assets(connection),
        "sources": _sources(connection, now),
        "runs": runs.newest(connection, None, limit=_RUNS_SHOWN),
    }


class _Row(msgspec.Struct):
    id: str
    name: str
    rank: int | None
    price_usd: Decimal | None
    market_cap_usd: Decimal | None
    volume_24h_usd: Decimal | None
    percent_change_24h: Decimal | None
    sources: list[str]
    confidence: Decimal | None


def _sources(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    last, successes = health.last_runs(connection), health.last_successes(connection)
    coins = stats.coins_by_source(connection)
    rows = []
    for name, source in rest.dependencies().settings.sources.items():
        success = successes.get(name)
        age = None if success is None else now - success
        rows.append(
            {
                "name": name,
                "coins": coins.get(name, 0),
                "success": success,
                "freshness": health.freshness(age, source.schedule, now),
                "status": last[name].status if name in last else None,
                "next": source.schedule.following(now),
            }
        )
    return rows


@blueprint.app_template_filter("money")
def money(amount: Decimal | None) -> str:
    """Write an amount for people: large ones short, small ones with four digits that count."""
    if amount is None:
        return _NOTHING
    for scale, letter in _SCALES:
        if abs(amount) >= scale:
            return f"{amount / scale:,.2f} {letter}"
    if abs(amount) >= 1:
        return f"{amount:,.2f}"
    return format(amount.normalize() if not amount else +round(amount, 4 - amount.adjusted()), "f")


@blueprint.app_template_filter("moment")
def moment(at: datetime | None) -> str:
    """Write a time for people."""
    return "never" if at is None else at.strftime("%Y-%m-%d %H:%M:%S")
