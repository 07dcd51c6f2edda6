"""Deliberate failures at named places, for tests and game days.

A place calls :func:`reach`. Nothing is armed unless somebody asked for it, and then a place costs
one look at a context variable (30 ns). What an operator can ask for and what a place then raises:

| type | raises | what follows |
|---|---|---|
| ``network_error`` | ``TransientError`` | the stage is tried again with growing waits |
| ``database_error`` | ``UnavailableError`` | the same |
| ``timeout`` | ``UnavailableError`` | the same |
| ``rate_limit`` | ``RateLimitedError``, 1 s | the stage is tried again when asked to |
| ``validation_error`` | ``UnreadablePageError`` | the page and its run fail |
"""

import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from tasks.core.errors import (
    InvalidInputError,
    KasparroError,
    RateLimitedError,
    TransientError,
    UnavailableError,
    UnreadablePageError,
)
from tasks.core.logging import get_logger

BEFORE_FETCH: Final = "extraction.before_fetch"
AFTER_FETCH: Final = "extraction.after_fetch"
BEFORE_RAW_COMMIT: Final = "extraction.before_raw_commit"
AFTER_RAW_COMMIT: Final = "extraction.after_raw_commit"
BEFORE_TRANSFORM: Final = "transformation.before_transform"
AT_RECORD: Final = "transformation.at_record"
AFTER_TRANSFORM: Final = "transformation.after_transform"
AFTER_STAGING: Final = "transformation.after_staging"
AFTER_STAGING_COMMIT: Final = "transformation.after_commit"
BEFORE_LOAD: Final = "loading.before_load"
AFTER_LOAD: Final = "loading.after_load"
BEFORE_CHECKPOINT: Final = "loading.before_checkpoint"
AFTER_CHECKPOINT: Final = "loading.after_checkpoint"
AFTER_LOAD_COMMIT: Final = "loading.after_commit"
BEFORE_PUBLISH: Final = "attempts.before_publish"
AFTER_PUBLISH: Final = "attempts.after_publish"
BEFORE_ACK: Final = "attempts.before_ack"

NAMES: Final = (
    BEFORE_FETCH,
    AFTER_FETCH,
    BEFORE_RAW_COMMIT,
    AFTER_RAW_COMMIT,
    BEFORE_TRANSFORM,
    AT_RECORD,
    AFTER_TRANSFORM,
    AFTER_STAGING,
    AFTER_STAGING_COMMIT,
    BEFORE_LOAD,
    AFTER_LOAD,
    BEFORE_CHECKPOINT,
    AFTER_CHECKPOINT,
    AFTER_LOAD_COMMIT,
    BEFORE_PUBLISH,
    AFTER_PUBLISH,
    BEFORE_ACK,
)
"""In the order in which a page comes by them."""

KILL: Final = "kill"
"""The type that ends the process as a crash would."""
HOLD: Final = "hold"
"""The type that lets the process stand still until somebody continues it (``SIGCONT``), so that
something can be done to it from outside at that very place."""
RETRY_AFTER_S = 1.0

_ERRORS: Mapping[str, Callable[[str], KasparroError]] = {
    "network_error": TransientError,
    "database_error": UnavailableError,
    "validation_error": UnreadablePageError,
    "timeout": UnavailableError,
    "rate_limit": lambda message: RateLimitedError(message, retry_after_s=RETRY_AFTER_S),
}
TYPES: Final = tuple(_ERRORS)
"""What settings and the API offer; what befalls the process as a whole is for tests."""
_SIGNALS = {KILL: signal.SIGKILL, HOLD: signal.SIGSTOP}


@dataclass(frozen=True, kw_only=True)
class FailureInjection:
    """Which failures are wanted; none unless ``enabled``.

    Attributes:
        allowed: Whether a single run may ask for failures: not in production unless the operator
            says so.
        probability: Of each failpoint that is reached, 0 to 1.
        at_record: Fail at this item of a run, counted from 1 over its pages.
        type: One of :data:`TYPES`.
        point: One of :data:`NAMES`; empty for all of them, or with ``at_record`` for that item.
        seed: Makes the same choices each time; None for chance.
    """

    enabled: bool = False
    allowed: bool = False
    probability: float = 1.0
    at_record: int | None = None
    type: str = "network_error"
    point: str = ""
    seed: int | None = None


class _Armed:
    """The failures of one attempt at a stage."""

    def __init__(self, wanted: FailureInjection, chance: random.Random) -> None:
        self._wanted = wanted
        self._chance = chance

    def reach(self, point: str, number: int | None = None) -> None:
        wanted = self._wanted
        place = wanted.point or (AT_RECORD if wanted.at_record is not None else point)
        is_meant = place == point and (number is None or number == (wanted.at_record or number))
        if is_meant and self._chance.random() < wanted.probability:
            self._fail(point)

    def _fail(self, point: str) -> None:
        kind = self._wanted.type
        _log.warning("failure_injected", point=point, type=kind, pid=os.getpid())
        if kind in _SIGNALS:
            os.kill(os.getpid(), _SIGNALS[kind])
        else:
            raise _ERRORS[kind](f"Injected at {point}: {kind}.")


_log = get_logger(__name__)
_armed: ContextVar[_Armed | None] = ContextVar("armed_failures", default=None)


@contextmanager
def armed(wanted: FailureInjection, *facts: object) -> Iterator[None]:
    """Let the failpoints inside the block fail as wanted.

    Args:
        wanted: Which failures.
        facts: With a seed, the choices depend on it and on these: on which page, which attempt.
    """
    if not wanted.enabled:
        yield
        return
    seed = None if wanted.seed is None else repr((wanted.seed, *facts))
    token = _armed.set(_Armed(wanted, random.Random(seed)))  # noqa: S311 - chance, no secret
    try:
        yield
    finally:
        _armed.reset(token)


def is_armed() -> bool:
    """Tell whether any failure is wanted here."""
    return _armed.get() is not None


def reach(point: str) -> None:
    """Fail here if that is wanted.

    Args:
        point: One of :data:`NAMES`.

    Raises:
        KasparroError: By the wanted type.
    """
    failures = _armed.get()
    if failures is not None:
        failures.reach(point)


def records(items: Iterable[Any], number: Callable[[Any], int]) -> Iterable[Any]:
    """Return the items, or when failures are wanted an iterator that fails at the wanted one.

    Args:
        items: Of a page.
        number: Gives an item's place in its run, from 1.
    """
    failures = _armed.get()
    return items if failures is None else _watched(failures, items, number)


def _watched(failures: _Armed, items: Iterable[Any], number: Callable[[Any], int]) -> Iterator[Any]:
    for item in items:
        failures.reach(AT_RECORD, number(item))
        yield item


def parse_override(values: Mapping[str, Any]) -> FailureInjection:
    """Read what a single run asks for.

    Args:
        values: ``point``, ``type``, ``probability``, ``at_record``, ``seed``; each may be left out.

    Raises:
        InvalidInputError: Naming the value that cannot be (``field`` in the context).
    """
    for name, value in values.items():
        is_right = _CHECKS.get(name)
        if is_right is None:
            raise _invalid(name, f"is unknown; there are {', '.join(_CHECKS)}")
        if not is_right(value):
            raise _invalid(name, f"cannot be {value!r}; {_EXPECTED[name]}")
    return FailureInjection(enabled=True, **values)


def _invalid(name: str, what: str) -> InvalidInputError:
    return InvalidInputError(f"failure.{name} {what}.", field=f"failure.{name}")


def _is_whole(value: Any) -> bool:
    return type(value) is int


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "point": lambda value: value in NAMES,
    "type": lambda value: value in TYPES or value in _SIGNALS,
    "probability": lambda value: type(value) in {int, float} and 0 <= value <= 1,
    "at_record": lambda value: _is_whole(value) and value > 0,
    "seed": _is_whole,
}
_EXPECTED = {
    "point": f"it is one of {', '.join(NAMES)}",
    "type": f"it is one of {', '.join(TYPES)}",
    "probability": "it is a number from 0 to 1",
    "at_record": "it is a whole number above 0",
    "seed": "it is a whole number",
}
