"""structlog for our own records and everybody else's: one formatter, JSON or console."""

import logging
import sys
from typing import Any

import structlog

from tasks.core import reporting, tracing
from tasks.core.redaction import Redactor

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    tracing.add_ids,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(
    *, level: str = "INFO", style: str = "json", redactor: Redactor | None = None
) -> None:
    """Send every record of the process, foreign ones too, through one formatter to stderr.

    Args:
        level: ``DEBUG`` | ``INFO`` | ``WARNING`` | ``ERROR``.
        style: ``json`` for machines, ``console`` for people.
        redactor: Knows the process's secrets; the default knows what one looks like.
    """
    # Rich would draw the variables of every frame, and those may be secrets and payloads.
    renderer: Any = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if style == "console"
        else structlog.processors.JSONRenderer()
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            reporting.report,
            structlog.processors.format_exc_info,
            redactor or Redactor(),
            renderer,
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("urllib3", "kombu", "amqp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def get_logger(name: str) -> Any:
    """Return a logger whose records carry what is bound to the current context."""
    return structlog.stdlib.get_logger(name)
