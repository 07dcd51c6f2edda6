"""The app for a WSGI server, built from the environment: ``gunicorn service.wsgi:app``."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core import processes

if TYPE_CHECKING:
    from flask import Flask


def _make() -> "Flask":
    """Return the app; what it is made of is imported here, while the collector rests."""
    from service.app import create_app  # noqa: PLC0415
    from tasks import bootstrap  # noqa: PLC0415
    from tasks.core.settings import load_settings  # noqa: PLC0415
    from tasks.core.telemetry import log_as_set  # noqa: PLC0415

    settings = load_settings(dotenv=Path(".env"))
    log_as_set(settings)
    return create_app(bootstrap.build(settings, role="api"))


with processes.collector_at_rest():
    app = _make()
