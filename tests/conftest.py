"""Real servers for the whole suite, started by itself when none is configured."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck
from hypothesis import settings as examples
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from tasks.core.settings import Settings, load_settings
from tasks.store.session import create_database_engine
from tests.support.databases import Databases
from tests.support.servers import running_servers

_ENVIRONMENT = ("KASPARRO_", "DATABASE_URL", "REDIS_URL", "API_", "COIN", "CSV_", "RSS_", "SOURCES")

# How long an example takes says how busy the machine is, not whether the test is good.
examples.register_profile("kasparro", deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("kasparro")

_ENDINGS = ("_SCHEDULE", "_RATE_PER_MINUTE", "_CONTRACT_MODE")


@pytest.fixture(scope="session")
def servers(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The servers of ``TEST_DATABASE_URL`` and ``TEST_REDIS_URL``, or embedded ones."""
    with running_servers(tmp_path_factory.mktemp("servers")) as urls:
        yield urls


@pytest.fixture(scope="session")
def databases(servers) -> Databases:
    """Makes migrated databases by cloning one template."""
    return Databases(servers["DATABASE_URL"])


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch) -> None:
    """No setting of the developer's shell reaches a test."""
    for name in list(os.environ):
        if name.startswith(_ENVIRONMENT) or name.endswith(_ENDINGS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KASPARRO_DATA_DIR", "not-there")


@pytest.fixture(autouse=True)
def _clean_logging() -> Iterator[None]:
    """No test finds the log configured, or bound to a request, by the one before it."""
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    yield
    root.setLevel(before[0])
    root.handlers = before[1]
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session")
def shared_engine(databases) -> Iterator[Engine]:
    """One database for all tests that stay inside a rolled-back transaction."""
    with databases.cloned() as url:
        engine = create_database_engine(url, application_name="tests", statement_timeout_s=20)
        yield engine
        engine.dispose()


@pytest.fixture
def connection(shared_engine) -> Iterator[Connection]:
    """A connection whose outer transaction is rolled back after the test."""
    with shared_engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


@pytest.fixture
def session(connection) -> Iterator[Session]:
    """A session inside the outer transaction; its own commits are savepoints."""
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        yield session


@pytest.fixture
def database_url(databases) -> Iterator[str]:
    """A migrated database of the test's own, for tests with several connections or processes."""
    with databases.cloned() as url:
        yield url


@pytest.fixture
def redis_url(servers) -> str:
    """The Redis-protocol server, emptied."""
    import redis  # noqa: PLC0415

    client = redis.Redis.from_url(servers["REDIS_URL"])
    client.flushall()
    client.close()
    return servers["REDIS_URL"]


@pytest.fixture
def settings(monkeypatch, database_url, redis_url, tmp_path: Path) -> Settings:
    """Settings of a fresh installation on the test's own database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CSV_PATH", str(tmp_path / "csv"))
    return load_settings()
