"""kombu's Redis transport, mended so that a worker outlives a restart of the broker.

kombu 5.7.0 asks a closed connection for its parameters when it puts unacknowledged messages back,
and the worker's main process ends with ``'NoneType' object has no attribute 'hostname'``. The
channel here remembers the parameters it was opened with.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class Channel(redis.Channel):
    """A channel that still knows its server after its connection is closed."""

    _known: dict[bool, dict[str, Any]]

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's signature
        known = self.__dict__.setdefault("_known", {})
        if self.connection.client is not None:
            known[asynchronous] = super()._connparams(  # type: ignore[no-untyped-call]
                asynchronous=asynchronous
            )
        parameters: dict[str, Any] = dict(known.get(asynchronous) or known[not asynchronous])
        return parameters


class Transport(redis.Transport):
    """The Redis transport with the mended channel."""

    Channel = Channel


def mend() -> None:
    """Make ``redis://`` and ``rediss://`` addresses use the mended transport, in this process."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
