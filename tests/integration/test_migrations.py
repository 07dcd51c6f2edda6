import multiprocessing

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

from tasks.store import migrate

pytestmark = pytest.mark.integration


def _tables(url: str) -> set[str]:
    engine = create_engine(url, poolclass=NullPool)
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def test_models_and_migrations_agree(database_url):
    command.check(migrate.alembic_config(database_url))


def test_the_schema_goes_up_and_down_and_up_again(databases):
    with databases.empty() as url:
        config = migrate.alembic_config(url)
        command.upgrade(config, "head")
        created = _tables(url)
        command.downgrade(config, "base")
        assert not _tables(url)
        command.upgrade(config, "head")
        assert _tables(url) == created


def test_a_migrated_database_is_at_the_head(database_url):
    engine = create_engine(database_url, poolclass=NullPool)
    assert migrate.current_revision(engine) == migrate.head_revision()


def test_several_migrators_at_once_migrate_once(databases):
    with databases.empty() as url, multiprocessing.get_context("forkserver").Pool(3) as pool:
        pool.map(migrate.upgrade, [url] * 3, chunksize=1)
        engine = create_engine(url, poolclass=NullPool)
        assert migrate.current_revision(engine) == migrate.head_revision()
