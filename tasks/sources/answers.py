"""What an HTTP answer means where the source has no words of its own."""

import email.utils
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus

from tasks.core.errors import KasparroError, PermanentError, RateLimitedError, TransientError
from tasks.sources.base import Response

DEFAULT_RETRY_AFTER_S = 60.0
"""Silence after a rate limit that does not say how long; the vendors' windows are a minute."""
MAX_RETRY_AFTER_S = 3600.0
"""A source that asks for more is tried again after an hour, and may ask again."""


def error_of(source: str, response: Response) -> KasparroError | None:
    """Class an answer by its status alone; None for success and "not modified"."""
    status = response.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.NOT_MODIFIED:
        return None
    message = f"{source} answered {status}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(message, retry_after_s=DEFAULT_RETRY_AFTER_S)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return TransientError(message)
    return PermanentError(message)


def wait_s(error: KasparroError, response: Response, now: datetime) -> float | None:
    """Say how long an erroneous answer asks everybody to be silent; None when it does not."""
    asked_s = retry_after_s(response.headers.get("retry-after"), now)
    if isinstance(error, RateLimitedError):
        return min(error.retry_after_s if asked_s is None else asked_s, MAX_RETRY_AFTER_S)
    return asked_s if response.status == HTTPStatus.SERVICE_UNAVAILABLE else None


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Read a ``Retry-After``: seconds, also with a fraction, or a date (RFC 9110, 10.2.3).

    Returns:
        Seconds between 1 and :data:`MAX_RETRY_AFTER_S`; None when nothing sensible was said.
    """
    try:
        seconds = float(value or "nan")
    except ValueError:
        seconds = _seconds_until(str(value), now)
    return min(max(seconds, 1.0), MAX_RETRY_AFTER_S) if math.isfinite(seconds) else None


def _seconds_until(date: str, now: datetime) -> float:
    try:
        moment = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()


def without(keys: Iterable[str], message: str) -> str:
    """Blank every key in a message; a source may repeat in its answer what it was sent."""
    for key in keys:
        message = message.replace(key, "***")
    return message
