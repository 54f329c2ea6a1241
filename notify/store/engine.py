"""Connections: SQLite with durable commits and PostgreSQL, behind one `Store`."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from notify.errors import InvalidSession, InvalidSettings, MigrationNeeded, Unreachable
from notify.settings import redact
from notify.store import pool
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
GIVEN_UP = frozenset({"40001", "40P01", "55P03", "57014", "25P03", "25006"})  # deadlock, time-outs, a standby
AWAY = ("08", "53", "57P")  # connection trouble, no resources, shutting down; a deadlock or a time-out is an answer
TOO_MUCH = ("22", "54")  # what cannot be computed, and limits of the program
UNDEFINED_TABLE, UNDEFINED_COLUMN = "42P01", "42703"  # PostgreSQL, appendix A: error codes

Upsert = sqlite.Insert | postgresql.Insert


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
            raise _crowded() from None
        except DBAPIError as error:
            raise _given_up(error) or explained(error, self.engine.url) from error

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads: on SQLite it does not hold up writers. Errors as for `begin()`."""
        try:
            with self.engine.connect() as connection:
                yield connection.execution_options(**{READ_ONLY: True})
        except sa.exc.TimeoutError:
            raise _crowded() from None
        except DBAPIError as error:
            raise _given_up(error) or explained(error, self.engine.url) from error

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


def _crowded() -> Unreachable:
    return Unreachable(
        f"No connection to the database came free within {pool.WAIT_SECONDS} s.\n"
        "Next: look for long transactions; raise NOTIFY_WORKER_CONCURRENCY, which sizes the pool."
    )


def _given_up(error: DBAPIError) -> Unreachable | None:
    """For a transaction of our own, a deadlock or a time-out is no other than a database that was away: try again."""
    if sqlstate(error) not in GIVEN_UP:
        return None
    return Unreachable(
        f"The database gave a statement up: {str(error.orig).splitlines()[0]}\n"
        "Next: nothing, it is tried again; if it comes often, look for long transactions."
    )


def explained(error: DBAPIError, url: sa.URL) -> Exception:
    """The operator's error for a failed statement, or the error itself when it is no matter of operation."""
    shown = redact(url.render_as_string(hide_password=True))
    text = str(error.orig)
    sqlstate = getattr(error.orig, "sqlstate", None)  # PostgreSQL names tables in texts about other troubles, too
    if sqlstate == UNDEFINED_TABLE or "no such table" in text:
        return MigrationNeeded(f"The database {shown} lacks notify's tables.\nNext: notify db upgrade")
    if sqlstate == UNDEFINED_COLUMN or "no such column" in text or "has no column" in text:
        return MigrationNeeded(f"The database {shown} is at another version.\nNext: notify db upgrade")
    if sqlstate and not sqlstate.startswith(AWAY):
        return error
    away = isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError  # a file that is none
    if not away or getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return error
    return Unreachable(
        f"The database {shown} does not answer: {text.splitlines()[0]}\n"
        "Next: check that it runs and that NOTIFY_DATABASE_URL is right (notify config)."
    )


def refused(error: DBAPIError) -> bool:
    """Whether the database was there, and would not run a statement for what it says: too much, or values too large."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return (sqlstate(error) or "").startswith(TOO_MUCH) or code in (
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_TOOBIG,
    )


def sqlstate(error: BaseException | None) -> str | None:
    """PostgreSQL's code for what went wrong; None for what is no error of a statement there."""
    code: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return code


def upsert(connection: sa.Connection, table: sa.Table) -> Upsert:
    """`INSERT` with `on_conflict_…` in the connection's dialect."""
    return upsert_on(connection.dialect.name, table)


def upsert_on(dialect: str, table: sa.Table) -> Upsert:
    """The same for a statement that is built once and kept: building costs as much as executing."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def any_of(connection: sa.Connection, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """`column` is one of `values`: one bound parameter however many there are, so that the statement is cached."""
    dialect = connection.dialect.name
    return _any(dialect, column, sa.bindparam(None, list(values), type_=list_of(dialect, column)))


def any_bound(dialect: str, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
    """The same for a statement that is built once and kept: the list is bound to `name` when it is executed."""
    return _any(dialect, column, sa.bindparam(name, type_=list_of(dialect, column)))


def each_bound(dialect: str, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    """A row for each of the values bound to `name`: to ask about them one by one, by an index, however many."""
    values = sa.bindparam(name, type_=list_of(dialect, column))
    if dialect == "sqlite":
        each = sa.func.json_each(values).table_valued("value")
    else:
        each = sa.func.unnest(values).table_valued("value").render_derived(name="given")
    found: sa.ColumnElement[Any] = each.c.value
    return found


class _JsonArray(sa.types.TypeDecorator[list[Any]]):
    """A list as SQLite's json_each reads it, with ids as the tables hold them."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: list[Any] | None, dialect: sa.Dialect) -> list[Any]:
        """To the database."""
        return [one.hex if isinstance(one, UUID) else one for one in value or ()]


def list_of(dialect: str, column: sa.ColumnElement[Any]) -> sa.types.TypeEngine[Any]:
    """The type of a bound list of what the column holds: an array, or JSON on SQLite."""
    return _JsonArray() if dialect == "sqlite" else postgresql.ARRAY(column.type)


def _any(dialect: str, column: sa.ColumnElement[Any], values: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    if dialect == "sqlite":
        return column.in_(sa.select(sa.func.json_each(values).table_valued("value").c.value))
    return column == sa.any_(values)


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

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        record.info["gate"] = Gate(str(url.database))

    @sa.event.listens_for(engine, "close")
    def _leave(_connection: Any, record: Any) -> None:
        record.info.pop("gate").close()

    @sa.event.listens_for(engine, "begin")
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

    return engine


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
