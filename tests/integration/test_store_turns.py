"""Writers of one SQLite file take turns, whatever became of those before them."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import sqlalchemy as sa

from notify.errors import Unreachable
from notify.store import Store, engine, open_store
from notify.store.turns import Gate
from tests.processes import until

WRITTEN = sa.text("UPDATE writers SET times = times + 1 WHERE name = :name")
TIMES = sa.text("SELECT times FROM writers WHERE name = 'busy'")
TURNS = 20


@pytest.fixture
def database(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "turns.db") as connection:
        connection.execute("CREATE TABLE writers (name TEXT, times INTEGER)")
        connection.execute("INSERT INTO writers VALUES ('busy', 0), ('other', 0)")
    return f"sqlite:///{tmp_path / 'turns.db'}"


def times(store: Store) -> int:
    with store.read() as connection:
        return int(connection.scalars(TIMES).one())


def write_without_a_pause(database: str, over: Event) -> None:
    store = open_store(database)
    while not over.is_set():
        with store.begin() as connection:
            connection.execute(WRITTEN, {"name": "busy"})
            time.sleep(0.02)  # the work that a transaction is about
    store.close()


def test_who_waits_is_not_overtaken_by_who_has_just_written(database: str) -> None:
    over = multiprocessing.get_context("spawn").Event()
    busy = multiprocessing.get_context("spawn").Process(target=write_without_a_pause, args=(database, over))
    busy.start()
    store = open_store(database)
    try:
        overtaken = []
        until(lambda: times(store) > 0, 30, "the other process writes")
        for _ in range(TURNS):
            before = times(store)
            with store.begin() as connection:
                overtaken.append(connection.scalars(TIMES).one() - before)
                connection.execute(WRITTEN, {"name": "other"})
    finally:
        over.set()
        busy.join()
        store.close()
    assert max(overtaken) <= 2  # the one under way, and one that was at the gate before us
    assert busy.exitcode == 0


def test_who_waits_for_too_long_is_told_so(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.2)
    store, other = open_store(database), open_store(database)
    with store.begin(), pytest.raises(Unreachable, match="database is locked"), other.begin():
        pass
    with other.begin() as connection:  # and may try again
        connection.execute(WRITTEN, {"name": "other"})
    store.close()
    other.close()


def test_one_who_was_stopped_in_the_gate_bars_nobody_for_ever(database: str, tmp_path: Path) -> None:
    stopped, gate = Gate(str(tmp_path / "turns.db")), Gate(str(tmp_path / "turns.db"))
    begun = threading.Event()

    def enter() -> None:
        gate.enter(begun.set, 0.2)

    def never() -> None:
        waiting = threading.Thread(target=enter)
        waiting.start()
        waiting.join()
        raise sqlite3.ProgrammingError("the other has passed")

    with pytest.raises(sqlite3.ProgrammingError, match="has passed"):
        stopped.enter(never, 10)
    assert begun.is_set()
    stopped.close()
    gate.close()
