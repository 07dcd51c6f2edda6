"""Errors to Sentry, where ``SENTRY_DSN`` is set; without it, nothing of it is imported.

What is logged as an error is reported, with the record's own facts, and nothing else is: no
variables, no request, no breadcrumbs, and none of the hooks that Sentry would put into libraries.
"""

import sys
from collections.abc import MutableMapping
from types import ModuleType
from typing import Any

from tasks.core.errors import ConfigurationError
from tasks.core.redaction import Redactor

_LEVELS = {"error", "critical"}
_TAGS = ("logger", "run_id", "source", "stage", "task", "task_id", "request_id", "trace_id")
_sentry: ModuleType | None = None


def configure(dsn: str, *, environment: str, redactor: Redactor) -> None:
    """Begin to report, once; an empty DSN leaves it off.

    Raises:
        ConfigurationError: If Sentry's library is not installed, or the DSN is none.
    """
    global _sentry  # noqa: PLW0603 - one for each process, as the log is
    if not dsn or _sentry is not None:
        return
    try:
        import sentry_sdk  # noqa: PLC0415 - only where it is asked for
    except ImportError as error:
        raise ConfigurationError(
            "SENTRY_DSN: Sentry's library is missing; "
            "install it with `pip install 'kasparro[sentry]'`."
        ) from error

    def scrub(event: Any, _hint: Any) -> Any:
        return redactor.value(event)

    try:
        sentry_sdk.init(
            dsn,
            environment=environment,
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            max_breadcrumbs=0,
            before_send=scrub,
        )
    except sentry_sdk.utils.BadDsn as error:
        raise ConfigurationError(f"SENTRY_DSN: {error}.") from None
    _sentry = sentry_sdk


def stop() -> None:
    """Send what was not sent yet, and end it."""
    global _sentry  # noqa: PLW0603 - as above
    if _sentry is not None:
        _sentry.get_client().close(timeout=2.0)
    _sentry = None


def report(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Report a log record that is an error; a processor of structlog, before any that formats."""
    if _sentry is None or event.get("level") not in _LEVELS:
        return event
    if str(event.get("logger", "")).startswith("sentry_sdk"):
        return event
    with _sentry.new_scope() as scope:
        for name in _TAGS:
            if name in event:
                scope.set_tag(name, str(event[name]))
        error = _error_of(event.get("exc_info"))
        if error is None:
            scope.capture_message(str(event.get("event", "")), level="error")
        else:
            scope.set_extra("event", str(event.get("event", "")))
            scope.capture_exception(error)
    return event


def _error_of(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None
