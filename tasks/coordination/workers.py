"""Which workers were seen lately: a key each, that ends by itself."""

import redis

from tasks.coordination.redis_client import translated

SEEN_FOR_S = 60
_PREFIX = "kasparro:workers:"


def mark_seen(client: redis.Redis, name: str) -> None:
    """Say that the worker ``name`` is alive.

    Raises:
        UnavailableError: If Redis is away.
    """
    with translated():
        client.set(_PREFIX + name, "1", ex=SEEN_FOR_S)


def count_seen(client: redis.Redis) -> int:
    """Return how many workers were seen within the last minute.

    Raises:
        UnavailableError: If Redis is away.
    """
    with translated():
        return sum(1 for _ in client.scan_iter(match=f"{_PREFIX}*", count=1000))
