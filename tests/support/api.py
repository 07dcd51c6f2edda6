"""The API over real servers, through Flask's test client, and rows to serve."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from service import auth
from service.app import create_app
from tasks.coordination.redis_client import create_redis_client
from tasks.core.clock import system_clock
from tasks.core.errors import UnavailableError
from tasks.core.settings import Settings
from tasks.core.tally import Tally
from tasks.pipeline.dependencies import Dependencies
from tasks.sources.base import SourceSpec
from tasks.store import versions
from tasks.store.session import create_database_engine, create_session_factory
from tasks.store.tables import Asset, News, QuoteRow


@dataclass
class Mailbox:
    """Keeps the messages the API sends; ``away`` makes it a broker that does not answer."""

    messages: list[Any] = field(default_factory=list)
    away: bool = False

    def send(self, *message: Any, **_kwargs: Any) -> None:
        if self.away:
            raise UnavailableError("The broker does not answer.")
        self.messages.append(message)


@dataclass(frozen=True)
class NamedConnector:
    """As much of a connector as starting a run looks at."""

    name: str

    @property
    def spec(self) -> SourceSpec:
        return SourceSpec(
            name=self.name,
            kind="news" if self.name == "rss" else "quotes",
            title=self.name,
            json_items=True,
            crosses_network=True,
            fresh_for_s=3600,
            resume_within_s=3600,
            precedence=1,
        )


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def api_dependencies(settings: Settings, **parts: Any) -> Dependencies:
    """The engine of an API process, with a list for a broker."""
    engine = create_database_engine(
        settings.database_url, application_name="api-test", statement_timeout_s=5
    )
    client = create_redis_client(settings.redis_url)
    whole = Dependencies(
        settings=settings,
        engine=engine,
        session_factory=create_session_factory(engine),
        redis=client,
        publisher=Mailbox(),
        connectors={name: NamedConnector(name) for name in settings.sources},
        http_client=lambda _source: None,
        clock=system_clock(),
        chance=random.Random(0),
        tally=Tally(),
    )
    return replace(whole, **parts)


class Api:
    """An app with its client and its database.

    Attributes:
        app: The WSGI app.
        client: Flask's test client.
        dependencies: The engine's parts behind it.
    """

    def __init__(self, settings: Settings, **parts: Any) -> None:
        self.dependencies = api_dependencies(settings, **parts)
        self.app = create_app(self.dependencies)
        self.client = self.app.test_client()

    def get(self, url: str, **kwargs: Any) -> Any:
        return self.client.get(url, **kwargs)

    def post(self, url: str, **kwargs: Any) -> Any:
        return self.client.post(url, **kwargs)

    def transaction(self) -> Any:
        return self.dependencies.transaction()

    def key(self, *scopes: str, **values: Any) -> str:
        with self.transaction() as session:
            return auth.create_key(session, "test", scopes, **values)


@contextmanager
def running(settings: Settings, **parts: Any) -> Iterator[Api]:
    """Yield the API over these settings; ``parts`` replace those of the engine."""
    whole = Api(settings, **parts)
    yield whole
    whole.app.extensions["kasparro"].close()


def exact(response: Any) -> Any:
    """The body with its numbers as Decimal, digits untouched."""
    return json.loads(response.data, parse_float=Decimal)


def add_asset(session: Session, ticker: str = "BTC", *, owner: bool = True, **values: Any) -> int:
    """Insert one published asset and raise the data's version."""
    slug = f"{ticker}~{values.get('name', ticker).lower()}"
    row = {
        "wire_id": ticker if owner else slug,
        "slug_id": slug,
        "ticker": ticker,
        "name": ticker.title(),
        "source": "coingecko",
        "sources": ["coingecko"],
        "sources_used": ["coingecko"],
        "updated_at": NOW,
        "ingested_at": NOW,
        "observed_at": NOW,
    } | values
    asset_id = session.scalars(insert(Asset).values(row).returning(Asset.asset_id)).one()
    versions.bump(session, "data")
    return asset_id


def add_assets(session: Session, number: int, **values: Any) -> None:
    """Insert many assets, ranked from 1 unless said otherwise."""
    rows = [
        {
            "wire_id": f"T{index}",
            "slug_id": f"T{index}~t",
            "ticker": f"T{index}",
            "name": f"Token {index}",
            "rank": index,
            "price_usd": Decimal(index) / 7,
            "updated_at": NOW + timedelta(seconds=index),
        }
        | values
        for index in range(1, number + 1)
    ]
    session.execute(insert(Asset), rows)
    versions.bump(session, "data")


def add_news(session: Session, title: str = "Up") -> None:
    """Insert one feed entry."""
    row = {
        "source": "rss",
        "external_id": title,
        "guid_hash": title.encode(),
        "feed": "f",
        "digest": b"d",
        "title": title,
        "published_at": NOW,
    }
    session.execute(insert(News).values(row))
    versions.bump(session, "news")


def add_quote(session: Session, asset_id: int, source: str, **values: Any) -> None:
    """Insert one source's latest observation of an asset."""
    row = {
        "source": source,
        "external_id": f"{source}-{asset_id}",
        "asset_id": asset_id,
        "symbol": "btc",
        "name": "Bitcoin",
        "observed_at": NOW,
        "digest": b"1",
        "use": "used",
    } | values
    session.execute(insert(QuoteRow).values(row))
    versions.bump(session, "data")
