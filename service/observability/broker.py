"""What can be seen of Redis: who works, how long the queues are, how each source's calls stand."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from tasks.coordination import workers
from tasks.coordination.budget import CallLimits, RedisBudget
from tasks.coordination.circuit import RedisCircuit
from tasks.core.clock import Clock
from tasks.core.errors import UnavailableError
from tasks.core.settings import SourceSettings

_TIMEOUT_S = 0.5
_STATES = {"closed": 0, "half_open": 1, "open": 2}


@dataclass(frozen=True)
class CallState:
    """How calls to a source stand.

    Attributes:
        circuit: ``closed`` | ``half_open`` | ``open``; ``unknown`` while Redis is away.
        remaining: Calls left by window; a window without a limit is left out.
    """

    circuit: str = "unknown"
    remaining: Mapping[str, int] = field(default_factory=dict)


def connect(url: str, *, is_text: bool = True) -> Redis:
    """Return a client that gives up quickly: what it answers is never worth waiting for."""
    return Redis.from_url(
        url,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        decode_responses=is_text,
    )


def workers_seen(client: Redis) -> int | None:
    """Count the workers of the last minute; None if Redis does not answer."""
    try:
        return workers.count_seen(client)
    except UnavailableError:
        return None


def call_states(
    client: Redis, clock: Clock, sources: Mapping[str, SourceSettings]
) -> dict[str, CallState]:
    """Return how calls to each source stand; all unknown once Redis does not answer."""
    found = dict.fromkeys(sources, CallState())
    try:
        for name, settings in sources.items():
            found[name] = _call_state(client, clock, settings)
    except UnavailableError:
        return dict.fromkeys(sources, CallState())
    return found


def _call_state(client: Redis, clock: Clock, settings: SourceSettings) -> CallState:
    limits = CallLimits(rate=settings.rate_per_minute, monthly=settings.monthly_budget)
    left = RedisBudget(client, clock, settings.name, limits).remaining()
    windows = {"minute": left.in_window, "month": left.in_month}
    return CallState(
        circuit=RedisCircuit(client, settings.name).state(),
        remaining={name: calls for name, calls in windows.items() if calls is not None},
    )


class RedisCollector(Collector):
    """Queues, budgets and circuits at each scrape; no samples while Redis is away."""

    def __init__(
        self,
        client: Redis,
        clock: Clock,
        sources: Mapping[str, SourceSettings],
        queues: Iterable[str],
    ) -> None:
        self._client = client
        self._clock = clock
        self._sources = sources
        self._queues = tuple(queues)

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: the registry need not ask."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield who was seen, queue depths (``unacked``: held by a worker), budgets, circuits."""
        yield self._seen("etl_workers_seen", "Workers seen within the last minute.", "workers")
        yield self._seen("etl_beats_seen", "Beats seen within the last minute.", "beats")
        yield self._depths()
        yield from self._calls()

    def _seen(self, name: str, text: str, kind: workers.Kind) -> Metric:
        family = GaugeMetricFamily(name, text)
        with suppress(UnavailableError):  # zero would say that nobody works; nobody knows
            family.add_metric((), workers.count_seen(self._client, kind=kind))
        return family

    def _depths(self) -> Metric:
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
        return family

    def _calls(self) -> Iterator[Metric]:
        budget = GaugeMetricFamily(
            "etl_budget_remaining", "Calls a source still allows.", labels=("source", "window")
        )
        circuit = GaugeMetricFamily(
            "etl_circuit_state", "0 closed, 1 half open, 2 open.", labels=("source",)
        )
        for source, state in call_states(self._client, self._clock, self._sources).items():
            if state.circuit in _STATES:
                circuit.add_metric((source,), _STATES[state.circuit])
            for window, calls in state.remaining.items():
                budget.add_metric((source, window), calls)
        yield budget
        yield circuit
