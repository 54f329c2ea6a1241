"""The database's revision: read it, and move it up and down. Each move is one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from notify.errors import MigrationNeeded, OperatorError
from notify.store.engine import Store
from notify.store.tables import metadata, tenants
from notify.store.tenants import DEFAULT_ID, DEFAULT_KEY

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x6E6F74696679  # "notify": two processes that migrate PostgreSQL at once go one after the other
LOCK_SECONDS = 10


def current(store: Store) -> str | None:
    """The revision that the database is at; None: it is empty."""
    with store.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision that this version of notify needs."""
    newest = ScriptDirectory.from_config(_config(None)).get_current_head()
    assert newest is not None
    return newest


def revisions() -> list[str]:
    """Every revision, oldest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config(None)).walk_revisions()][::-1]


def upgrade(store: Store, revision: str = "head") -> None:
    """Bring the schema up to `revision`. A database that is newer than this version of notify is refused."""
    _move(store, command.upgrade, revision)


def downgrade(store: Store, revision: str) -> None:
    """Bring the schema down to `revision` (`base` is empty)."""
    _move(store, command.downgrade, revision)


def create(store: Store) -> None:
    """Make the tables of this version at once, without migrations: for a database that is thrown away."""
    with store.begin() as connection:
        metadata.create_all(connection)
        default = {"id": DEFAULT_ID, "key": DEFAULT_KEY, "created_at": datetime.now(UTC)}
        connection.execute(sa.insert(tenants), default)


def require_head(store: Store) -> None:
    """Raise `MigrationNeeded` unless the database is at the revision this version needs."""
    found = current(store)
    if found != head():
        raise MigrationNeeded(
            f"The database is at revision {found or 'none'}, this version of notify needs {head()}.\n"
            "Next: notify db upgrade"
        )


def _move(store: Store, move: Callable[[Config, str], None], revision: str) -> None:
    with store.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
            # a large table takes its time; but those who wait for its lock must not wait behind us for long
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        try:
            move(_config(connection), revision)
        except CommandError as error:
            raise OperatorError(
                f"Cannot migrate to {revision!r}: {error}\nNext: notify db current shows the known revisions; "
                "a database of a newer notify needs that newer notify."
            ) from None


def _config(connection: sa.Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
