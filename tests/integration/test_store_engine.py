"""A database that is away, empty or no database at all is named in the operator's words, without its password."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from notify.errors import InvalidSettings, MigrationNeeded, NotifyError, Unreachable
from notify.store import Store, open_store, pool, schema, tables, tenants
from notify.store.session import after_commit

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Store]:
    opened = open_store(empty_database_url)
    yield opened
    opened.close()


# in the operator's words


def test_a_database_without_our_tables_needs_a_migration(empty: Store) -> None:
    with pytest.raises(MigrationNeeded, match="lacks notify's tables") as raised, empty.read() as connection:
        tenants.keys(connection)
    assert "notify db upgrade" in str(raised.value)


def test_a_database_without_a_column_of_ours_needs_a_migration(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(sa.text("ALTER TABLE workers RENAME COLUMN queues TO lanes"))
    for statement in (
        "SELECT queues FROM workers",
        "UPDATE workers SET queues = ''",
        "DELETE FROM workers WHERE queues = ''",
    ):
        with pytest.raises(MigrationNeeded, match="at another version"), store.begin() as connection:
            connection.execute(sa.text(statement))
    insert = "INSERT INTO workers (name, queues) VALUES ('', '')"
    with pytest.raises(MigrationNeeded, match="at another version"), store.begin() as connection:
        connection.execute(sa.text(insert))


@pytest.mark.parametrize("statement", ["CREATE TABLE workers (a integer)", "SELECT nonsense(1)", "SELEKT 1"])
def test_a_wrong_statement_is_a_bug_and_no_matter_of_operation(store: Store, statement: str) -> None:
    with pytest.raises(sa.exc.DBAPIError), store.begin() as connection:
        connection.execute(sa.text(statement))


def test_a_broken_rule_is_reported_as_what_it_is(store: Store) -> None:
    with pytest.raises(sa.exc.IntegrityError), store.begin() as connection:
        connection.execute(sa.text("INSERT INTO workers (name) VALUES ('x')"))


def test_an_error_does_not_tell_what_was_to_be_stored(store: Store) -> None:
    with pytest.raises(sa.exc.IntegrityError) as raised, store.begin() as connection:
        connection.execute(sa.insert(tables.tenants), [{"id": uuid7(), "key": "hunter2", "created_at": NOW}] * 2)
    assert "hidden" in str(raised.value)


def test_postgresql_that_does_not_answer_is_named_without_its_password() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    away = open_store(f"postgresql://notify:hunter2@127.0.0.1:{port}/notify")
    with pytest.raises(Unreachable) as raised, away.begin():
        pass
    said = str(raised.value)
    assert f"127.0.0.1:{port}" in said
    assert "NOTIFY_DATABASE_URL" in said
    assert "hunter2" not in said


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database\n" * 100)
    with pytest.raises(Unreachable, match=r"notes\.txt does not answer: file is not a database"):
        schema.current(open_store(f"sqlite:///{path}"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unreachable, match=r"Cannot make the folder of .*notify\.db"):
        open_store(f"sqlite:///{tmp_path / 'file' / 'notify.db'}")


def test_the_folder_of_an_embedded_database_is_made(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'a' / 'b' / 'notify.db'}")
    assert schema.current(store) is None
    store.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("hunter2", "not a database URL"),
        ("postgres:user:hunter2@host", "not a database URL"),
        ("postgresql://u:hunter2@host:port/db", "not a database URL"),
        ("mysql://u:hunter2@host/db", "mysql is not supported"),
        ("sqlite://", "forgets"),
        ("sqlite:///:memory:", "forgets"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_being_shown(url: str, said: str) -> None:
    with pytest.raises(InvalidSettings, match=said) as raised:
        open_store(url)
    assert "NOTIFY_DATABASE_URL" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_reached_by_whatever_name_its_url_has(scheme: str) -> None:
    url = open_store(f"{scheme}://u:pw@db.example.org:5433/notify").engine.url
    assert (url.drivername, url.password, url.port) == ("postgresql+psycopg", "pw", 5433)


# transactions


def test_what_fails_half_way_is_not_stored(store: Store) -> None:
    def half_way() -> None:
        with store.begin() as connection:
            tenants.add(connection, "lab", NOW)
            raise NotifyError("half-way")

    with pytest.raises(NotifyError, match="half-way"):
        half_way()
    with store.read() as connection:
        assert tenants.keys(connection) == ["default"]


def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    read = threading.Event()

    def look() -> None:
        with store.read() as connection:
            assert tenants.keys(connection) == ["default"]
        read.set()

    with store.begin() as connection:
        tenants.add(connection, "lab", NOW)
        threading.Thread(target=look, daemon=True).start()
        assert read.wait(10), "a reader waits for the writer"


def test_writers_who_read_first_wait_for_each_other_instead_of_failing(store: Store) -> None:
    together = threading.Barrier(4)
    failures: list[Exception] = []

    def write(number: int) -> None:
        try:
            for turn in range(10):
                together.wait(30)
                with store.begin() as connection:
                    tenants.keys(connection)
                    tenants.add(connection, f"tenant-{number}-{turn}", NOW)
        except Exception as error:
            failures.append(error)
            together.abort()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with store.read() as connection:
        assert len(tenants.keys(connection)) == 41


def test_sqlite_is_durable_and_checks_its_references(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'notify.db'}")
    with store.read() as connection:
        told = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    store.close()
    assert told == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


# connections

NOT_MINE = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"


@pytest.fixture
def watcher(store: Store) -> Iterator[sa.Connection]:
    """A connection of its own to PostgreSQL, to look at the others."""
    if store.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no server")
    engine = sa.create_engine(store.engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_connections_that_the_server_ended_are_opened_anew_without_an_error(
    store: Store, watcher: sa.Connection
) -> None:
    with store.begin() as one, store.begin() as other:
        assert tenants.keys(one) == tenants.keys(other)
    watcher.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {NOT_MINE}")
    while watcher.exec_driver_sql(f"SELECT count(*) FROM pg_stat_activity WHERE {NOT_MINE}").scalar():
        pass
    with store.begin() as one, store.begin() as other:
        assert tenants.keys(one) == tenants.keys(other) == ["default"]


def test_a_connection_is_asked_for_a_sign_of_life_only_after_a_rest(
    store: Store, watcher: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    ask = store.engine.dialect.do_ping

    def note(connection: Any) -> bool:
        asked.append(ask(connection))
        return asked[-1]

    monkeypatch.setattr(store.engine.dialect, "do_ping", note)
    for idle, expected in ((60, 0), (0, 2)):
        monkeypatch.setattr(pool, "IDLE_SECONDS", idle)
        for _ in range(2):
            with store.begin() as connection:
                tenants.keys(connection)
        assert len(asked) == expected


def test_no_more_connections_are_opened_than_the_pool_holds(database_url: str, watcher: sa.Connection) -> None:
    store, threads = open_store(database_url, connections=3), 20
    together = threading.Barrier(threads)

    def work(number: int) -> int:
        together.wait(30)
        for turn in range(5):
            with store.begin() as connection:
                tenants.add(connection, f"tenant-{number}-{turn}", NOW)
        with store.read() as connection:
            return connection.scalar(sa.text(f"SELECT 1 + count(*) FROM pg_stat_activity WHERE {NOT_MINE}")) or 0

    with ThreadPoolExecutor(threads) as workers:
        open_ones = list(workers.map(work, range(threads)))
    assert max(open_ones) <= 3 + 1  # and the watcher's
    assert len(tenants.keys(watcher)) == 1 + threads * 5
    store.close()


def test_who_finds_every_connection_in_use_is_told_so(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WAIT_SECONDS", 0.01)
    store = open_store(database_url, connections=1)
    with store.read(), pytest.raises(Unreachable, match=r"No connection .* came free"), store.read():
        pass
    store.close()


# an application's own session


def test_a_tenant_is_added_once(store: Store) -> None:
    with store.begin() as connection:
        assert [tenants.add(connection, "lab", NOW) for _ in range(2)] == [True, False]


def test_joining_a_session_shares_its_fate(store: Store) -> None:
    for commit in (False, True):
        with Session(store.engine) as session:
            with store.join(session) as connection:
                tenants.add(connection, "lab", NOW)
            if commit:
                session.commit()
        with store.read() as connection:
            assert ("lab" in tenants.keys(connection)) is commit


def test_without_a_session_the_transaction_is_our_own(store: Store) -> None:
    with store.join(None) as connection:
        tenants.add(connection, "lab", NOW)
    with store.read() as connection:
        assert "lab" in tenants.keys(connection)


def test_what_waits_for_a_commit_happens_once_and_never_after_a_rollback(store: Store) -> None:
    happened: list[str] = []
    with Session(store.engine) as session:
        for name, end in (("kept", session.commit), ("dropped", session.rollback), ("later", session.commit)):
            session.execute(sa.text("SELECT 1"))
            after_commit(session, lambda name=name: happened.append(name))  # type: ignore[misc]
            end()
    assert happened == ["kept", "later"]


def test_a_released_savepoint_is_no_commit(store: Store) -> None:
    happened: list[str] = []
    with Session(store.engine) as session:
        with session.begin_nested():
            session.execute(sa.text("SELECT 1"))
            after_commit(session, lambda: happened.append("inner"))
        assert happened == []
        session.commit()
    assert happened == ["inner"]
