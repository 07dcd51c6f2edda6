"""A Redis client that answers or fails within seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from urllib.parse import urlsplit

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tasks.core.errors import ConfigurationError, UnavailableError

CONNECT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 2.0


def create_redis_client(url: str) -> redis.Redis:
    """Return a client with a pool of its own; connections are made when first needed.

    It tries a second time only after a connection turned out to be dead, which is what a restarted
    server leaves in a pool: redis-py's own default of ten tries would hold a worker for a minute.

    Raises:
        ConfigurationError: If the address is not one of a single server.
    """
    if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
        raise ConfigurationError(
            "The budget of the sources needs one Redis server",
            problems=("REDIS_URL: coordination understands redis://, rediss:// and unix:// only",),
        )
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        health_check_interval=30,
        retry=Retry(ConstantBackoff(0.05), retries=1, supported_errors=(redis.ConnectionError,)),
        decode_responses=True,
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn any failure of Redis into ours.

    Raises:
        UnavailableError: If Redis did not answer, or answered with an error of its own.
    """
    try:
        yield
    except redis.RedisError as exc:
        raise UnavailableError(f"Redis did not do what was asked: {exc}") from exc


@cache
def script(name: str) -> str:
    """Return the text of one of the Lua scripts beside this module."""
    return resources.files(__package__).joinpath(f"{name}.lua").read_text("utf-8")
