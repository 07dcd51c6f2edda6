"""The app for a WSGI server, built from the environment: ``gunicorn service.wsgi:app``."""

from pathlib import Path

from service.app import create_app
from tasks import bootstrap
from tasks.core.logging import configure_logging
from tasks.core.settings import load_settings

_settings = load_settings(dotenv=Path(".env"))
configure_logging(level=_settings.log_level, style=_settings.log_format)
app = create_app(bootstrap.build(_settings, role="api"))
