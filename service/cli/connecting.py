"""How a command finds the servers: the settings, else what runs in the data directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.data_directory import DataDirectory
from tasks.core import settings as settings_module
from tasks.core.errors import ConfigurationError
from tasks.core.settings import Settings, load_settings

if TYPE_CHECKING:
    from tasks.pipeline.dependencies import Dependencies

DOTENV = Path(".env")


def settings_of(data_dir: Path) -> Settings:
    """Return the settings of a command.

    The environment goes first, then what runs in the data directory, then ``.env``.

    Raises:
        ConfigurationError: If settings are wrong, or no server is named and none runs.
    """
    log_to_stderr()
    directory = DataDirectory(data_dir)
    settings_module.provide(_running(directory), override=False)
    settings_module.read_dotenv(DOTENV)
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not settings_module.is_set(name)]
    if missing:
        raise ConfigurationError(
            f"{' and '.join(missing)} not set, and no kasparro runs in {data_dir}: "
            "start it with `kasparro up`, or set the address."
        )
    return load_settings()


def log_to_stderr() -> None:
    """Keep the engine's log out of stdout, and show only what a caller should know."""
    from tasks.core.logging import configure_logging  # noqa: PLC0415 - costs imports

    configure_logging(level="WARNING", style="console")


def _running(directory: DataDirectory) -> dict[str, str]:
    """Return the settings of the running start; empty if its own servers are gone."""
    values = directory.environment()
    if not values:
        return {}
    from service.cli.embedded import find_postgres, find_valkey  # noqa: PLC0415 - costs imports

    ours = (
        ("DATABASE_URL", directory.postgres, find_postgres),
        ("REDIS_URL", directory.valkey, find_valkey),
    )
    gone = any(name in values and find(place) is None for name, place, find in ours)
    return {} if gone else values


@contextmanager
def dependencies_of(data_dir: Path) -> "Iterator[Dependencies]":
    """Build the engine's parts for one command.

    Raises:
        ConfigurationError: As :func:`settings_of`.
    """
    settings = settings_of(data_dir)
    from tasks import bootstrap  # noqa: PLC0415 - Celery and SQLAlchemy cost half a second

    dependencies = bootstrap.build(settings, role="cli")
    try:
        yield dependencies
    finally:
        dependencies.engine.dispose()
