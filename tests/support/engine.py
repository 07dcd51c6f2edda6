"""The engine without a broker: messages are kept in a list and worked off when a test says so."""

import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import redis
from sqlalchemy import text

from tasks.core.clock import Clock, system_clock
from tasks.core.errors import UnavailableError
from tasks.core.settings import Settings
from tasks.core.tally import Tally
from tasks.domain.records import Item, NewsEntry, Quote, Rejection
from tasks.domain.runs import Stage
from tasks.pipeline import extraction, lifecycle, loading, transformation
from tasks.pipeline.dependencies import Dependencies
from tasks.sources.base import Fetched, Page, SourceSpec
from tasks.store.session import create_database_engine, create_session_factory

_USE_CASES = {
    Stage.FETCH: extraction.fetch,
    Stage.TRANSFORM: transformation.transform,
    Stage.LOAD: loading.load,
}


class Sent(NamedTuple):
    """A message on its way."""

    source: str
    run_id: UUID
    stage: Stage
    page: int


@dataclass
class ListPublisher:
    """Keeps messages; ``away`` makes it behave as a broker that does not answer."""

    messages: list[Sent] = field(default_factory=list)
    away: bool = False

    def send(self, source: str, run_id: UUID, stage: Stage, page: int) -> None:
        if self.away:
            raise UnavailableError("The broker does not answer.")
        self.messages.append(Sent(source, run_id, stage, page))
        if stage is Stage.TRANSFORM:
            self.messages.append(Sent(source, run_id, Stage.LOAD, page))


def coin(identifier: str, price: Any = "1.5", **fields: Any) -> dict[str, Any]:
    """One item of the scripted source; ``price`` is text, so that it stays exact."""
    at = fields.pop("at", "2026-01-01T00:00:00Z")
    named = {"symbol": identifier[:3], "name": identifier.title(), "rank": None, "cap": None}
    return {"id": identifier, "price": price, "at": at} | named | fields


@dataclass
class ScriptedConnector:
    """A source whose pages a test writes down; a page may be an exception to raise."""

    name: str = "coingecko"
    pages: list[Any] = field(default_factory=list)
    pages_per_request: int = 1
    fresh_for_s: int = 10**9
    calls: list[Any] = field(default_factory=list)

    @property
    def spec(self) -> SourceSpec:
        return SourceSpec(
            name=self.name,
            kind="quotes",
            title=self.name,
            json_items=True,
            crosses_network=True,
            fresh_for_s=self.fresh_for_s,
            resume_within_s=3600,
            precedence={"coingecko": 1, "coinpaprika": 2}.get(self.name, 3),
        )

    def fetch(self, context: Any, cursor: Mapping[str, Any] | None) -> Fetched:
        start = (cursor or {"page": 1})["page"]
        self.calls.append(start)
        chosen = self.pages[start - 1 : start - 1 + self.pages_per_request]
        for page in chosen:
            if isinstance(page, Exception):
                raise page
        following = start + self.pages_per_request
        more = {"page": following} if following <= len(self.pages) else None
        return Fetched(pages=[self._page(p, start) for p in chosen], next_cursor=more)

    def _page(self, items: Any, number: int) -> Page:
        body = items if isinstance(items, bytes) else msgspec.json.encode(items)
        return Page(
            request=f"{self.name} page {number}",
            body=body,
            media_type="application/json",
            checkpoint={"pages": len(self.pages)},
            item_count=len(items),
            fetched_at=datetime.now(UTC),
        )

    def parse(self, page: Page) -> Iterable[Item]:
        from tasks.core.errors import UnreadablePageError  # noqa: PLC0415

        try:
            raws = msgspec.json.decode(page.body, type=list[msgspec.Raw])
        except msgspec.DecodeError as error:
            raise UnreadablePageError("No JSON array.") from error
        for raw in raws:
            yield Item(msgspec.json.decode(raw).get("id"), bytes(raw))

    def normalise(self, item: Item) -> Quote | Rejection:
        entry = msgspec.json.decode(item.payload)
        if entry["price"] is not None and str(entry["price"]).startswith("-"):
            return Rejection(entry["id"], "price", "range", "The price is negative.")
        return Quote(
            external_id=entry["id"],
            symbol=entry["symbol"],
            name=entry["name"],
            rank=entry["rank"],
            price_usd=None if entry["price"] is None else Decimal(entry["price"]),
            market_cap_usd=entry["cap"],
            volume_24h_usd=None,
            percent_change_24h=None,
            observed_at=datetime.fromisoformat(entry["at"]),
        )


def entry(guid: str, title: str, **fields: Any) -> dict[str, Any]:
    """One entry of the scripted feed, published now unless ``at`` says otherwise."""
    at = fields.pop("at", None) or datetime.now(UTC)
    return {"id": guid, "title": title, "summary": None, "at": at.isoformat()} | fields


@dataclass
class ScriptedFeed(ScriptedConnector):
    """A feed whose entries a test writes down; everything is on one page."""

    name: str = "rss"
    entries: list[dict[str, Any]] = field(default_factory=list)

    @property
    def spec(self) -> SourceSpec:
        return replace(super().spec, kind="news")

    def fetch(self, context: Any, cursor: Mapping[str, Any] | None) -> Fetched:
        return Fetched(pages=[self._page(self.entries, 1)], next_cursor=None)

    def normalise(self, item: Item) -> NewsEntry:
        given = msgspec.json.decode(item.payload)
        return NewsEntry(
            external_id=given["id"],
            feed="feed",
            title=given["title"],
            url=None,
            summary=given["summary"],
            author=None,
            published_at=datetime.fromisoformat(given["at"]),
        )


@dataclass
class Workbench:
    """A whole engine in one process, one step at a time."""

    dependencies: Dependencies
    publisher: ListPublisher
    connectors: dict[str, Any]

    def start(self, source: str = "coingecko", **values: Any) -> UUID:
        values = {"trigger": "cli"} | values
        with self.dependencies.transaction() as session:
            run = lifecycle.queue_run(self.dependencies, session, source, **values)
            run_id = run.run_id
        lifecycle.announce(self.dependencies, [run_id])
        return run_id

    def step(self, message: Sent) -> Any:
        return _USE_CASES[message.stage](self.dependencies, message.run_id, message.page)

    def drain(
        self, *, twice: bool = False, order: Callable[[list[Sent]], int] | None = None
    ) -> None:
        """Work off every message; a stage that asks for another attempt gets it at once."""
        while self.publisher.messages:
            index = order(self.publisher.messages) if order else 0
            message = self.publisher.messages.pop(index)
            for _ in range(2 if twice else 1):
                if self.step(message) is not None:
                    self.publisher.messages.append(message)

    def run(self, source: str = "coingecko", **values: Any) -> UUID:
        run_id = self.start(source, **values)
        self.drain()
        return run_id

    def cancel(self, run_id: UUID) -> None:
        with self.dependencies.transaction() as session:
            lifecycle.cancel(session, run_id)

    def rows(self, sql: str, **parameters: Any) -> list[Any]:
        with self.dependencies.engine.connect() as connection:
            return list(connection.execute(text(sql), parameters))

    def one(self, sql: str, **parameters: Any) -> Any:
        (row,) = self.rows(sql, **parameters)
        return row

    def status(self, run_id: UUID) -> str:
        return self.one("select status from etl_runs where run_id = :id", id=run_id).status


@contextmanager
def workbench(settings: Settings, *connectors: Any, clock: Clock | None = None):
    """Yield an engine over these connectors, on the settings' own database."""
    engine = create_database_engine(
        settings.database_url, application_name="workbench", statement_timeout_s=20
    )
    publisher = ListPublisher()
    known = {connector.spec.name: connector for connector in connectors}
    dependencies = Dependencies(
        settings=settings,
        engine=engine,
        session_factory=create_session_factory(engine),
        publisher=publisher,
        connectors=known,
        http_client=lambda source: None,
        clock=clock or system_clock(),
        chance=random.Random(7),
        tally=Tally(),
        redis=redis.Redis.from_url(settings.redis_url, decode_responses=True),
    )
    yield Workbench(dependencies, publisher, known)
    engine.dispose()
    dependencies.redis.close()
