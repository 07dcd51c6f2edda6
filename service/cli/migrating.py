"""Migrations, with the database's refusals as errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy.exc import OperationalError

from tasks.core.errors import UnavailableError
from tasks.store import migrate
from tasks.store.session import create_database_engine


class Revisions(NamedTuple):
    """Where a database is, and where this code expects it."""

    current: str | None
    head: str | None

    @property
    def agree(self) -> bool:
        """Whether nothing is to be done."""
        return self.current == self.head


def upgrade(database_url: str) -> None:
    """Apply what is missing.

    Raises:
        UnavailableError: If the database does not answer.
    """
    with _translated():
        migrate.upgrade(database_url)


def revisions(database_url: str) -> Revisions:
    """Compare the database with the code.

    Raises:
        UnavailableError: If the database does not answer.
    """
    engine = create_database_engine(
        database_url, application_name="kasparro-cli", statement_timeout_s=10
    )
    try:
        with _translated():
            return Revisions(migrate.current_revision(engine), migrate.head_revision())
    finally:
        engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise UnavailableError(f"The database does not answer: {error.orig}".strip()) from error
