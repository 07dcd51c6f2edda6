"""What can be seen of the broker: whether it answers, how long its queues are, who works."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

WORKER_KEYS = "kasparro:workers:*"
_TIMEOUT_S = 0.5


def connect(url: str) -> Redis:
    """Return a client that gives up quickly: what it answers is never worth waiting for."""
    return Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)


def workers_seen(client: Redis) -> int | None:
    """Count the workers that gave a sign of life within the last minute.

    Returns:
        None if the broker does not answer.
    """
    try:
        return sum(1 for _ in client.scan_iter(match=WORKER_KEYS, count=1000))
    except RedisError:
        return None


class QueueCollector(Collector):
    """The length of each queue at each scrape; no sample while the broker is away."""

    def __init__(self, client: Redis, queues: Iterable[str]) -> None:
        self._client = client
        self._queues = tuple(queues)

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: the registry need not ask."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the depths; ``unacked`` are messages a worker holds."""
        family = GaugeMetricFamily("etl_queue_depth", "Messages waiting.", labels=("queue",))
        pipeline = self._client.pipeline(transaction=False)
        for queue in self._queues:
            pipeline.llen(queue)
        pipeline.hlen("unacked")
        try:
            depths = pipeline.execute()
        except RedisError:
            depths = []
        for queue, depth in zip((*self._queues, "unacked"), depths, strict=False):
            family.add_metric((queue,), depth)
        yield family
