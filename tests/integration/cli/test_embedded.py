"""The embedded servers through crashes that they must survive."""

import os
import signal
import socket
import tempfile
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import redis
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from service.cli import embedded
from service.cli.embedded import postgres, servers, valkey
from tasks.core.errors import UnavailableError

pytestmark = pytest.mark.integration


@pytest.fixture
def place():
    """A directory whose name is long and odd, as names of directories are."""
    with tempfile.TemporaryDirectory(prefix="kt-") as short:
        yield Path(short) / ("my data, ümläut " + "x" * 80)


@pytest.fixture
def postgres_directory(place):
    yield place / "postgres"
    embedded.stop_postgres(place / "postgres")


@pytest.fixture
def valkey_directory(place):
    yield place / "valkey"
    embedded.stop_valkey(place / "valkey")


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_postgres_outlives_crashes_and_stale_pid_files(postgres_directory):
    directory = postgres_directory
    url = embedded.start_postgres(directory)
    assert embedded.start_postgres(directory) == url == embedded.find_postgres(directory)
    own = postgres.create_database(url, "kasparro")
    assert postgres.create_database(url, "kasparro") == own
    _execute(own, "create table kept as select 1")

    _kill(servers.pid_in(directory / "postmaster.pid"))
    assert embedded.start_postgres(directory) == url

    embedded.stop_postgres(directory)
    assert embedded.find_postgres(directory) is None
    (directory / "postmaster.pid").write_text(f"{os.getpid()}\n{directory}\n")
    assert embedded.start_postgres(directory) == url
    _execute(own, "select * from kept")


def _execute(url: str, statement: str) -> None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text(statement))


def test_what_an_interrupted_set_up_left_is_thrown_away(postgres_directory):
    half_done = postgres_directory.with_name("postgres.new")
    half_done.mkdir(parents=True)
    (half_done / "PG_VERSION").write_text("18")
    assert embedded.start_postgres(postgres_directory)
    assert not half_done.exists()


def test_a_postgres_that_cannot_start_shows_the_end_of_its_log(postgres_directory):
    embedded.start_postgres(postgres_directory)
    embedded.stop_postgres(postgres_directory)
    (postgres_directory / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(UnavailableError, match="no_such_setting"):
        embedded.start_postgres(postgres_directory)


def test_other_users_of_the_machine_cannot_reach_postgres(postgres_directory):
    url = embedded.start_postgres(postgres_directory)
    sockets = Path(url.partition("host=")[2].partition("&")[0])
    assert not (sockets / ".s.PGSQL.5432").stat().st_mode & 0o077
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect("host=127.0.0.1 user=postgres connect_timeout=2")


def test_valkey_keeps_address_and_data_through_a_crash(valkey_directory):
    url = embedded.start_valkey(valkey_directory)
    assert embedded.start_valkey(valkey_directory) == url == embedded.find_valkey(valkey_directory)
    with closing(redis.Redis.from_url(url)) as client:
        client.set("kept", "1")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    _kill(servers.pid_in(valkey_directory / "pid"))
    assert embedded.find_valkey(valkey_directory) is None
    assert embedded.start_valkey(valkey_directory) == url
    with closing(redis.Redis.from_url(url)) as client:
        assert client.get("kept") == b"1"


def test_somebody_elses_server_on_our_old_port_is_not_ours(valkey_directory, place):
    url = embedded.start_valkey(valkey_directory)
    embedded.stop_valkey(valkey_directory)
    other = place / "other"
    other.mkdir()
    (other / "url").write_text(url.replace(url.split("@")[0], "redis://:another"))
    try:
        embedded.start_valkey(other)
        (valkey_directory / "pid").write_text(str(os.getpid()))
        assert embedded.find_valkey(valkey_directory) is None
        assert embedded.start_valkey(valkey_directory) != url
    finally:
        embedded.stop_valkey(other)


def test_a_taken_port_is_not_free():
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert valkey.free_port(taken.getsockname()[1]) is None
