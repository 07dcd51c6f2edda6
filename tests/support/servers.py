"""The servers the suite runs against."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from service.cli import embedded


@contextmanager
def running_servers(directory: Path) -> Iterator[dict[str, str]]:
    """Yield the URLs of running servers; only those started here are stopped."""
    given = {
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", ""),
        "REDIS_URL": os.environ.get("TEST_REDIS_URL", ""),
    }
    # A socket's path may hold some 100 characters, and pytest's directories are long.
    with tempfile.TemporaryDirectory(prefix="kt-") as short:
        postgres, valkey = Path(short) / "pg", directory / "valkey"
        urls = {
            "DATABASE_URL": given["DATABASE_URL"] or embedded.start_postgres(postgres),
            "REDIS_URL": given["REDIS_URL"] or embedded.start_valkey(valkey),
        }
        if not given["DATABASE_URL"]:
            _forget_safety(urls["DATABASE_URL"])
        yield urls
        if not given["DATABASE_URL"]:
            embedded.stop_postgres(postgres)
        if not given["REDIS_URL"]:
            embedded.stop_valkey(valkey)


def _forget_safety(url: str) -> None:
    """Let the suite's own server write without waiting for the disk: nothing outlives it."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(text(f"alter system set {name} = off"))
        connection.execute(text("select pg_reload_conf()"))
