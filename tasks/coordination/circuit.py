"""Leaving a source alone that keeps failing; one circuit for all workers.

Closed: calls are made, failures in a row are counted. Open: none is made for a while. Half open:
one worker makes a call; its success closes the circuit, its failure opens it again.
"""

from typing import Literal

import redis

from tasks.coordination import keys
from tasks.coordination.redis_client import script, translated
from tasks.core.errors import CircuitOpenError
from tasks.core.logging import get_logger

FAILURES = 10
OPEN_S = 30.0
PROBE_S = 30.0
"""Longer than one HTTP call may take; a worker that died while probing blocks no longer."""
MEMORY_S = 3600.0
"""A failure is forgotten when nothing else failed for so long."""

State = Literal["closed", "open", "half_open"]

logger = get_logger(__name__)


class RedisCircuit:
    """The circuit of one source.

    Args:
        client: As :func:`tasks.coordination.redis_client.create_redis_client` makes it.
        source: The source's name.
        failures: How many in a row open it.
        open_s: How long it stays open before a probe.
        probe_s: How long others wait for the one that probes.
    """

    def __init__(
        self,
        client: redis.Redis,
        source: str,
        *,
        failures: int = FAILURES,
        open_s: float = OPEN_S,
        probe_s: float = PROBE_S,
    ) -> None:
        self._client = client
        self._source = source
        self._failures = failures
        self._open_ms = round(open_s * 1000)
        self._probe_ms = round(probe_s * 1000)
        self._keys = [keys.failures(source), keys.opened(source), keys.probe(source)]
        self._enter = client.register_script(script("enter_circuit"))
        self._fail = client.register_script(script("fail_circuit"))
        self._is_spotless = False

    def enter(self) -> None:
        """Ask whether a call may be made; half open, whoever is let in is the probe.

        Raises:
            CircuitOpenError: With ``retry_after_s``.
            UnavailableError: When Redis does not answer.
        """
        with translated():
            wait_ms = self._enter(keys=self._keys, args=[self._failures, self._probe_ms])
        self._is_spotless = wait_ms == 0
        if wait_ms > 0:
            raise CircuitOpenError(
                f"{self._source} failed {self._failures} times in a row and is left alone",
                retry_after_s=wait_ms / 1000,
                source=self._source,
            )

    def leave(self) -> None:
        """Take back an :meth:`enter` after which no call was made, so that another may probe.

        Raises:
            UnavailableError: When Redis does not answer.
        """
        with translated():
            self._client.delete(keys.probe(self._source))

    def succeeded(self) -> None:
        """Close the circuit: the source answered.

        Where nothing had failed when the call was let in there is nothing to close. What failed
        elsewhere since then the next call makes up for.

        Raises:
            UnavailableError: When Redis does not answer.
        """
        if self._is_spotless:
            return
        with translated():
            self._client.delete(*self._keys)

    def failed(self) -> None:
        """Count a failure, which may open the circuit.

        Raises:
            UnavailableError: When Redis does not answer.
        """
        args = [self._failures, self._open_ms, round(MEMORY_S * 1000)]
        with translated():
            in_a_row = self._fail(keys=self._keys, args=args)
        if in_a_row >= self._failures:
            logger.warning("circuit_opened", source=self._source, failures=in_a_row)

    def state(self) -> State:
        """Tell the state for people and metrics.

        Raises:
            UnavailableError: When Redis does not answer.
        """
        with translated():
            failures, is_open, _ = self._client.mget(self._keys)
        if is_open:
            return "open"
        return "half_open" if int(failures or 0) >= self._failures else "closed"
