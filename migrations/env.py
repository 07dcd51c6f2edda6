"""How Alembic reaches the database: one transaction for each migration, one migrator at a time."""

import re

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text

from tasks.core.settings import load_settings
from tasks.store.tables import Base

_PARTITION = re.compile(r"_history_(default|\d{6})")
_LOCK = 7_251_900_301  # any constant of ours: two migrators wait for each other


def _include(_object, name, kind, _reflected, _compare_to) -> bool:
    """Leave the monthly partitions to :mod:`tasks.store.partitions`."""
    return not (kind in {"table", "index"} and name and _PARTITION.search(name))


def _run(connection: Connection) -> None:
    connection.execute(text("set lock_timeout = '10s'"))
    connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=_include,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _main() -> None:
    url = context.config.attributes.get("database_url") or load_settings().database_url
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        _run(connection)


_main()
