"""Connections: SQLite with durable commits and PostgreSQL, behind one `Store`."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from notify.errors import InvalidSession, InvalidSettings, Unreachable
from notify.store import pool
from notify.store.failures import crowded, explained, given_up
from notify.store.turns import Gate

BUSY_SECONDS = 30  # a SQLite writer waits this long for the others
STATEMENT_SECONDS = 60  # backstop against a query that hangs
CONNECT_SECONDS = 5
KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""A server that vanished without a word is noticed in half a minute (libpq's names)."""
SESSION = {
    "timezone": "UTC",
    "statement_timeout": STATEMENT_SECONDS * 1000,
    "idle_in_transaction_session_timeout": STATEMENT_SECONDS * 1000,  # a stopped worker must not keep its locks
    "tcp_keepalives_idle": 30,  # nor one that vanished
    "tcp_keepalives_interval": 10,
    "tcp_keepalives_count": 3,
}
READ_ONLY = "notify_read_only"


class Store:
    """The database. `begin()` gives a transaction; query modules of this room take its connection.

    `joins_sessions` says whether an application's Session can be joined, for it is on the same database.
    """

    def __init__(self, engine: sa.Engine, *, joins_sessions: bool = True) -> None:
        self.engine = engine
        self._joins_sessions = joins_sessions

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One transaction. `Unreachable` when the database does not answer, `MigrationNeeded` without our tables."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except sa.exc.TimeoutError:
            raise crowded() from None
        except DBAPIError as error:
            raise given_up(error) or explained(error, self.engine.url) from error

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads: on SQLite it does not hold up writers. Errors as for `begin()`."""
        try:
            with self.engine.connect() as connection:
                yield connection.execution_options(**{READ_ONLY: True})
        except sa.exc.TimeoutError:
            raise crowded() from None
        except DBAPIError as error:
            raise given_up(error) or explained(error, self.engine.url) from error

    @contextmanager
    def join(self, session: Session | None) -> Iterator[sa.Connection]:
        """The transaction that the application's session is in; without a session, one of our own."""
        if session is None or not self._joins_sessions:
            with self.begin() as connection:
                yield connection
            return
        try:
            yield session.connection()
        except sa.exc.UnboundExecutionError:
            raise InvalidSession("session is bound to no engine; bind it to notify's database") from None
        except DBAPIError as error:
            raise explained(error, session.get_bind().engine.url) from error

    def give_up_locks_after(self, seconds: float) -> None:
        """Let no statement wait longer for what another transaction holds: then it is `Unreachable`. Only PostgreSQL.

        For a process in which people wait for an answer. SQLite waits for the one writer, `BUSY_SECONDS` at most.
        """
        if self.engine.dialect.name == "sqlite":
            return
        self.engine.dispose()

        @sa.event.listens_for(self.engine, "do_connect")
        def _impatient(_dialect: Any, _record: Any, _given: Any, options: Any) -> None:
            options["options"] += f" -c lock_timeout={int(seconds * 1000)}"

    def close(self) -> None:
        """Return every connection to the database server."""
        self.engine.dispose()


def open_store(url: str, *, joins_sessions: bool = True, connections: int = pool.CONNECTIONS) -> Store:
    """A Store for a SQLAlchemy URL: `sqlite:///file` or `postgresql+psycopg://…`.

    It has never more than so many connections, opened when first needed and kept; who finds all in use waits.
    """
    try:
        parsed = sa.make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url))
    except (sa.exc.ArgumentError, ValueError):  # what cannot be read cannot be shown without its password
        raise InvalidSettings(
            "NOTIFY_DATABASE_URL: not a database URL; "
            "write sqlite:///file or postgresql+psycopg://user:password@host/db"
        ) from None
    match parsed.get_backend_name():
        case "sqlite":
            return Store(_sqlite(parsed, connections), joins_sessions=joins_sessions)
        case "postgresql":
            return Store(_postgresql(parsed, connections), joins_sessions=joins_sessions)
        case other:
            raise InvalidSettings(
                f"NOTIFY_DATABASE_URL: {other} is not supported; use postgresql+psycopg:// or sqlite:///"
            )


def _sqlite(url: sa.URL, connections: int) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise InvalidSettings("NOTIFY_DATABASE_URL: a database in memory forgets; write sqlite:///file")
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unreachable(
            f"Cannot make the folder of {url.database}: {error.strerror}\n"
            "Next: check NOTIFY_DATA_DIR and NOTIFY_DATABASE_URL (notify config)."
        ) from None
    engine = sa.create_engine(
        url,
        hide_parameters=True,  # they hold addresses and data, and errors are logged
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        **pool.of(connections),
    )

    def prepare(connection: Any, record: Any) -> None:
        _prepare(connection)
        record.info["gate"] = Gate(str(url.database))

    sa.event.listen(engine, "connect", prepare)
    sa.event.listen(engine, "close", _leave)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, below
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _leave(_connection: Any, record: Any) -> None:
    record.info.pop("gate").close()


def _begin(connection: sa.Connection) -> None:
    # a transaction that first reads and then writes would fail at once with SQLITE_BUSY under another writer
    if connection.get_execution_options().get(READ_ONLY):
        connection.exec_driver_sql("BEGIN")
        return
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA busy_timeout=0")
    try:
        connection.info["gate"].enter(lambda: driver.execute("BEGIN IMMEDIATE"), BUSY_SECONDS)
    except sqlite3.OperationalError as error:
        raise OperationalError("BEGIN IMMEDIATE", None, error) from error
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Set the journal mode. SQLite does not wait here by itself when another process is just making the file."""
    last = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                raise
            time.sleep(0.01)


def _postgresql(url: sa.URL, connections: int) -> sa.Engine:
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            **KEEPALIVE,
            "options": " ".join(f"-c {name}={value}" for name, value in SESSION.items()),
        },
        **pool.of(connections),
    )

    pool.ask_the_rested(engine)
    return engine
