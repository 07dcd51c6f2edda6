"""Bring a database to the newest schema, or tell how far it is from it.

Alembic is imported where it is used: no request and no task needs it.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

if TYPE_CHECKING:
    from alembic.config import Config

_ROOT = Path(__file__).resolve().parents[2]


def alembic_config(database_url: str) -> "Config":
    """Return Alembic's configuration, read from ``pyproject.toml``, for this database."""
    from alembic.config import Config  # noqa: PLC0415 - see the module's docstring

    config = Config(toml_file=str(_ROOT / "pyproject.toml"))
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str) -> None:
    """Apply every migration that is missing; a second migrator waits for the first."""
    from alembic import command  # noqa: PLC0415 - see the module's docstring

    command.upgrade(alembic_config(database_url), "head")


def head_revision() -> str | None:
    """Return the revision this code expects."""
    return _known_revisions()[0]


def suits(revision: str | None) -> bool:
    """Tell whether this code can work with a database at this revision.

    It can with its own head, and with one it has never heard of: that is a later release's, whose
    migrations only expand, so that two releases work side by side.
    """
    head, *earlier = _known_revisions()
    return revision == head or (revision is not None and revision not in earlier)


def current_revision(engine: Engine) -> str | None:
    """Return the revision the database is at; None for an empty one."""
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - as above

    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def _known_revisions() -> tuple[str, ...]:
    """Return the revisions of this code, the newest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    scripts = ScriptDirectory(str(_ROOT / "migrations"))
    return tuple(script.revision for script in scripts.walk_revisions())
