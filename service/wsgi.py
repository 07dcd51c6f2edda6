"""The app for a WSGI server, built from the environment: ``gunicorn service.wsgi:app``."""

from pathlib import Path

from tasks.core import processes

with processes.collector_at_rest():
    from service.app import create_app
    from tasks import bootstrap
    from tasks.core.settings import load_settings
    from tasks.core.telemetry import log_as_set

    _settings = load_settings(dotenv=Path(".env"))
    log_as_set(_settings)
    app = create_app(bootstrap.build(_settings, role="api"))
