"""The order of a list, pinned for one who walks it by cursor.

Walking by the sort key alone gives a row twice, or never, when its key changes under way: a coin
that rises from rank 300 to 200 moves to where the walker has been already. So the first page writes
down which rows there are, in their order, and the cursor names that list and how much of it was
given. Later pages show the rows as they are by then, each exactly once.

The lists live in Redis, in a fixed number of places that newer ones take over: callers cannot fill
it up. Without the list (Redis away, place taken over, more rows than fit) the cursor still has the
last row's key, and the walk goes on by that.
"""

from array import array
from collections.abc import Callable, Sequence
from hashlib import sha256

from redis import Redis
from redis.exceptions import RedisError

from tasks.core.logging import get_logger

MAX_ROWS = 50_000
_PLACES = 64
_KEPT_S = 1800
_NAME_BYTES = 16
_ID_BYTES = 8
_log = get_logger(__name__)


class Walks:
    """The pinned orders of all API processes.

    Args:
        client: Gives bytes, not text.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def pin(self, seed: str, ids: Callable[[], Sequence[int]]) -> str:
        """Keep an order and return its name; the same seed is the same order.

        Args:
            seed: What the order follows from: the list and the version of the data.
            ids: Reads the order; only called if it is not kept already.

        Returns:
            The name; empty if the list cannot be kept.
        """
        name = sha256(seed.encode()).hexdigest()[:_NAME_BYTES]
        try:
            kept = self._client.getrange(_place(name), 0, _NAME_BYTES - 1)
            if kept == name.encode():
                return name
            order = ids()
            if len(order) > MAX_ROWS:
                return ""
            self._client.set(_place(name), name.encode() + array("q", order).tobytes(), ex=_KEPT_S)
        except RedisError as error:
            _log.warning("walk_not_pinned", reason=type(error).__name__)
            return ""
        return name

    def read(self, name: str, offset: int, count: int) -> list[int] | None:
        """Return ``count`` row ids of a kept order from ``offset`` on; None if it is not kept."""
        first = _NAME_BYTES + offset * _ID_BYTES
        pipeline = self._client.pipeline(transaction=True)
        pipeline.getrange(_place(name), 0, _NAME_BYTES - 1)
        pipeline.getrange(_place(name), first, first + count * _ID_BYTES - 1)
        pipeline.expire(_place(name), _KEPT_S)
        try:
            kept, packed, _ = pipeline.execute()
        except RedisError as error:
            _log.warning("walk_not_read", reason=type(error).__name__)
            return None
        if kept != name.encode():
            return None
        ids = array("q")
        ids.frombytes(packed)
        return list(ids)


def _place(name: str) -> str:
    return f"kasparro:walks:{int(name, 16) % _PLACES}"
