"""What gunicorn itself says, in the one format of all records."""

import logging
from pathlib import Path
from typing import Any

from gunicorn import glogging

from tasks.core.settings import load_settings
from tasks.core.telemetry import log_as_set


class Logger(glogging.Logger):  # type: ignore[misc]  # gunicorn ships no types
    """Hands gunicorn's records to the root's handler; ``service.gunicorn`` names this class."""

    def setup(self, _cfg: Any) -> None:
        """Take the place of gunicorn's own handlers."""
        log_as_set(load_settings(dotenv=Path(".env")))
        self.loglevel = logging.getLogger().level
        self.error_log.propagate = True
