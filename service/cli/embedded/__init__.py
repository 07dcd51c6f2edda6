"""PostgreSQL and Valkey from wheels, under one data directory, for a machine that has neither.

A server that outlived its starter is used again; a stale pid file is no obstacle.
"""

from service.cli.embedded.postgres import find_postgres, start_postgres, stop_postgres
from service.cli.embedded.valkey import find_valkey, start_valkey, stop_valkey

__all__ = [
    "find_postgres",
    "find_valkey",
    "start_postgres",
    "start_valkey",
    "stop_postgres",
    "stop_valkey",
]
