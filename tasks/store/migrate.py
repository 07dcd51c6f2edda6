"""Bring a database to the newest schema, or tell how far it is from it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

_ROOT = Path(__file__).resolve().parents[2]


def alembic_config(database_url: str) -> Config:
    """Return Alembic's configuration, read from ``pyproject.toml``, for this database."""
    config = Config(toml_file=str(_ROOT / "pyproject.toml"))
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str) -> None:
    """Apply every migration that is missing; a second migrator waits for the first."""
    command.upgrade(alembic_config(database_url), "head")


def head_revision() -> str | None:
    """Return the revision this code expects."""
    return ScriptDirectory(str(_ROOT / "migrations")).get_current_head()


def current_revision(engine: Engine) -> str | None:
    """Return the revision the database is at; None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
