"""What a process tells of itself, as its settings say."""

import logging

from tasks.core import reporting
from tasks.core.logging import configure_logging
from tasks.core.redaction import Redactor
from tasks.core.settings import Settings


def log_as_set(settings: Settings) -> None:
    """Log as the settings say, without their secrets, and report errors where they say so."""
    logging.captureWarnings(True)  # noqa: FBT003 - its only argument
    redactor = Redactor(settings.secrets())
    configure_logging(level=settings.log_level, style=settings.log_format, redactor=redactor)
    reporting.configure(settings.sentry_dsn, environment=settings.environment, redactor=redactor)
