"""The order of a list, pinned for one who walks it by cursor.

Walking by the sort key alone gives a row twice, or never, when its key changes under way: a coin
that rises from rank 300 to 200 moves to where the walker has been already. So the first page writes
down which rows there are, in their order, and the cursor names that list and how much of it was
given. Later pages show the rows as they are by then, each exactly once.

The lists live in Redis, in a fixed number of places that newer ones take over: callers cannot fill
it up. A list's name is made of what is in it, so that one name is one order in every process.
Without the list (Redis away, place taken over, more rows than fit) the cursor still has the last
row's key, and the walk goes on by that.

A process remembers the orders it has pinned last: while the data is the same, a first page asks
neither PostgreSQL for the order nor, for a few seconds, Redis whether it is still kept.
"""

from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock

from redis import Redis
from redis.exceptions import RedisError

from tasks.core.clock import Clock
from tasks.core.logging import get_logger

MAX_ROWS = 50_000
_PLACES = 64
_KEPT_S = 1800
_LOOK_EVERY_S = 5.0
_MAX_REMEMBERED = 16
_NAME_BYTES = 16
_ID_BYTES = 8
_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A pinned order.

    Attributes:
        name: What a cursor calls it.
        ids: Of the rows, in their order.
        seen_s: When it was last seen to be kept.
    """

    name: str
    ids: Sequence[int]
    seen_s: float


class Walks:
    """The pinned orders of all API processes.

    Args:
        client: Gives bytes, not text.
        clock: The process's.
    """

    def __init__(self, client: Redis, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lock = Lock()
        self._remembered: OrderedDict[str, Walk] = OrderedDict()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def pin(self, seed: str, ids: Callable[[], Sequence[int]]) -> Walk | None:
        """Keep an order and return it; None if it cannot be kept.

        Args:
            seed: What the order follows from: the list and the version of the data.
            ids: Reads the order; only called if this process does not know it.
        """
        now_s = self._clock.monotonic()
        with self._lock:
            known = self._remembered.get(seed)
        if known is not None and now_s - known.seen_s < _LOOK_EVERY_S:
            return known
        order = array("q", ids()) if known is None else known.ids
        packed = bytes(order)
        walk = Walk(name=sha256(packed).hexdigest()[:_NAME_BYTES], ids=order, seen_s=now_s)
        if len(order) > MAX_ROWS or not self._keep(walk.name, packed):
            return None
        self._remember(seed, walk)
        return walk

    def _keep(self, name: str, packed: bytes) -> bool:
        try:
            kept = self._client.getrange(_place(name), 0, _NAME_BYTES - 1)
            if kept == name.encode():
                self._client.expire(_place(name), _KEPT_S)
            else:
                self._client.set(_place(name), name.encode() + packed, ex=_KEPT_S)
        except RedisError as error:
            _log.warning("walk_not_pinned", reason=type(error).__name__)
            return False
        return True

    def _remember(self, seed: str, walk: Walk) -> None:
        with self._lock:
            self._remembered[seed] = walk
            self._remembered.move_to_end(seed)
            if len(self._remembered) > _MAX_REMEMBERED:
                self._remembered.popitem(last=False)

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
