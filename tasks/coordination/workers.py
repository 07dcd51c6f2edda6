"""Which workers and beats were seen lately: a key each, that ends by itself."""

from typing import Literal

import redis

from tasks.coordination.redis_client import translated

SEEN_FOR_S = 60
Kind = Literal["workers", "beats"]


def mark_seen(
    client: redis.Redis, name: str, *, kind: Kind = "workers", seen_for_s: int = SEEN_FOR_S
) -> None:
    """Say that the worker or beat ``name`` is alive.

    Raises:
        UnavailableError: If Redis is away.
    """
    with translated():
        client.set(_prefix(kind) + name, "1", ex=seen_for_s)


def is_seen(client: redis.Redis, name: str, *, kind: Kind = "workers") -> bool:
    """Tell whether one of them was seen within the last minute.

    Raises:
        UnavailableError: If Redis is away.
    """
    with translated():
        return bool(client.exists(_prefix(kind) + name))


def count_seen(client: redis.Redis, *, kind: Kind = "workers") -> int:
    """Return how many were seen within the last minute.

    Raises:
        UnavailableError: If Redis is away.
    """
    with translated():
        return sum(1 for _ in client.scan_iter(match=f"{_prefix(kind)}*", count=1000))


def _prefix(kind: Kind) -> str:
    return f"kasparro:{kind}:"
