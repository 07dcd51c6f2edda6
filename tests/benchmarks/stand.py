"""The test stand: real servers with their usual safety, a simulated market, workers and an API."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from service.cli import embedded
from service.cli.embedded import postgres
from tasks.pipeline.dependencies import Dependencies
from tasks.simulator.server import environment
from tasks.store import migrate
from tests.support.processes import ROOT, running, wait_until

HOME = ROOT / ".kasparro" / "bench"
QUEUES = "fetch,transform,load,maintenance"
_KEPT = "alembic_version"
_PARAMS = {
    "vs_currency": "usd",
    "order": "market_cap_desc",
    "per_page": 250,
    "price_change_percentage": "1h,24h,7d",
    "precision": "full",
}


def say(message: str) -> None:
    """Tell the person who waits."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {message}\n")
    sys.stdout.flush()


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Market:
    """A simulated market that runs; ``read_all`` makes it serve bytes it has made already."""

    url: str
    coins: int

    @property
    def base_url(self) -> str:
        return f"{self.url}/api/v3"

    @property
    def pages(self) -> int:
        return -(-self.coins // 250)

    def read_all(self) -> None:
        with requests.Session() as http:
            for page in range(1, self.pages + 2):
                http.get(f"{self.base_url}/coins/markets", params=_PARAMS | {"page": page})

    def advance(self) -> None:
        requests.post(f"{self.url}/_control/tick", json={"ticks": 1}, timeout=60)
        self.read_all()


class Stand:
    """Servers under one directory.

    Attributes:
        directory: Removed at the end.
        database_url: SQLAlchemy URL, psycopg2.
        redis_url: Of the broker.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        server = embedded.start_postgres(directory / "pg")
        self.redis_url = embedded.start_valkey(directory / "valkey")
        self.database_url = postgres.create_database(server, "bench")
        self.socket = server.partition("host=")[2].partition("&")[0]
        migrate.upgrade(self.database_url)
        self.log = directory / "log"
        self.log.mkdir()
        self.csv = directory / "csv"
        self.csv.mkdir()

    @cached_property
    def engine(self) -> Engine:
        return create_engine(self.database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    @property
    def postmaster(self) -> int:
        return int((self.directory / "pg" / "postmaster.pid").read_text().split()[0])

    @property
    def plain_url(self) -> str:
        """The database for libpq; the host before the path only pleases parsers of URLs."""
        return f"postgresql://postgres:none@localhost:5432/bench?host={self.socket}"

    def rows(self, sql: str, **parameters: Any) -> list[Any]:
        with self.engine.connect() as connection:
            result = connection.execute(text(sql), parameters)
            return list(result) if result.returns_rows else []

    def value(self, sql: str, **parameters: Any) -> Any:
        return self.rows(sql, **parameters)[0][0]

    def empty(self) -> None:
        """Remove every row of ours, and let the server finish what it has begun."""
        names = [
            name
            for (name,) in self.rows("select tablename from pg_tables where schemaname = 'public'")
            if name != _KEPT and not name.startswith(("quote_history_", "loop_"))
        ]
        self.rows(f"truncate {', '.join(names)} restart identity cascade")
        self.rows("checkpoint")

    def settings(self, market: Market | None, **variables: str) -> dict[str, str]:
        given = environment(market.url if market else "http://127.0.0.1:9", str(self.csv))
        rates = {f"{name}_RATE_PER_MINUTE": "1000000" for name in ("COINGECKO", "COINPAPRIKA")}
        return {
            **given,
            **rates,
            "COINGECKO_MAX_COINS": str(market.coins if market else 0),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "SOURCES": "coingecko,coinpaprika,csv",
            "API_RATE_PER_MINUTE": "100000000",
            **variables,
        }

    @contextmanager
    def market(self, coingecko: int, coinpaprika: int = 10) -> Iterator[Market]:
        port = free_port()
        arguments = ["-m", "tests.benchmarks.simulated", *map(str, (port, coingecko, coinpaprika))]
        with running(arguments, {}, self.log / "simulator.log"):
            market = Market(f"http://127.0.0.1:{port}", coingecko)
            wait_until(
                lambda: _answers(f"{market.url}/_control/state"), timeout_s=120, what="market"
            )
            market.read_all()
            yield market

    @contextmanager
    def worker(self, settings: Mapping[str, str], *, concurrency: int = 2) -> Iterator[int]:
        """Run a worker on all queues and yield its pid."""
        log = self.log / f"worker-{time.monotonic_ns()}.log"
        arguments = ["-m", "celery", "-A", "tasks.celery_app", "worker", "-c", str(concurrency)]
        arguments += ["--queues", QUEUES, "--without-gossip", "--without-mingle", "-l", "INFO"]
        with running(arguments, settings, log) as process:
            wait_until(lambda: b"ready." in log.read_bytes(), timeout_s=60, what="worker")
            yield process.pid

    @contextmanager
    def served(self, arguments: list[str], settings: Mapping[str, str], url: str) -> Iterator[str]:
        with running(arguments, settings, self.log / "api.log"):
            wait_until(lambda: _answers(url), timeout_s=60, what=url)
            yield url

    @contextmanager
    def foreign(self, command: list[str], variables: Mapping[str, str], url: str) -> Iterator[str]:
        """Run a peer's server from the peers' environment."""
        clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        with (self.log / "peer.log").open("ab") as output:
            process = subprocess.Popen(
                command,
                env=clean | dict(variables),
                cwd=Path(__file__).parent / "peers",
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(lambda: _answers(url), timeout_s=60, what=url)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)

    def dependencies(self, settings: Mapping[str, str]) -> Dependencies:
        """Return the parts of a process of ours that starts runs."""
        from tasks import bootstrap  # noqa: PLC0415 - after the environment is set
        from tasks.core.settings import load_settings  # noqa: PLC0415

        os.environ.update(settings)
        return bootstrap.build(load_settings(), role="cli")


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code < 500
    except requests.RequestException:
        return False


@contextmanager
def stand() -> Iterator[Stand]:
    """Yield a stand and take it down."""
    with ExitStack() as stack:
        # Short, because a socket's path may hold some 100 characters.
        directory = Path(tempfile.mkdtemp(prefix="kb-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        stack.callback(embedded.stop_valkey, directory / "valkey")
        stack.callback(embedded.stop_postgres, directory / "pg")
        yield Stand(directory)
