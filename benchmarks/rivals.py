"""Runs the yardsticks on a PostgreSQL of their own: tables filled, tasks published, workers started, queue emptied."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from uuid_utils.compat import uuid7

from benchmarks import yardsticks
from benchmarks.drain import Drain, drained
from benchmarks.services import Failed, process, rested, sink

Database = psycopg.Connection[Any]

BATCH_SIZE = 500
_TABLES = """
DROP TABLE IF EXISTS yardstick_attempts, yardstick_messages, yardstick_batches, yardstick_recipients;
CREATE TABLE yardstick_recipients (id bigint PRIMARY KEY, key text NOT NULL, name text NOT NULL);
CREATE TABLE yardstick_batches
    (id bigint PRIMARY KEY, state text NOT NULL DEFAULT 'ready', epoch int NOT NULL DEFAULT 0, lease_until timestamptz);
CREATE TABLE yardstick_messages
    (id uuid PRIMARY KEY, recipient_id bigint NOT NULL, batch_id bigint NOT NULL, address text NOT NULL,
     state text NOT NULL DEFAULT 'queued', sent_at timestamptz);
CREATE INDEX ON yardstick_messages (batch_id);
CREATE TABLE yardstick_attempts
    (id uuid PRIMARY KEY, message_id uuid NOT NULL, number int NOT NULL, outcome text NOT NULL, response text NOT NULL,
     at timestamptz NOT NULL);
CREATE INDEX ON yardstick_attempts (message_id);
"""


@dataclass(frozen=True, slots=True)
class Track:
    """Where the yardsticks run: a PostgreSQL database, Valkey's socket, which SMTP server, a folder for logs."""

    dsn: str
    socket: Path
    sink: str
    folder: Path

    def batch(self, messages: int, workers: int) -> Drain:
        """Deliver in batches of 500, with so many worker processes of four threads each."""
        with psycopg.connect(self.dsn, autocommit=True) as database:
            _fill(database, messages)
            with self._producer() as producer:
                for number in range(-(-messages // BATCH_SIZE)):
                    yardsticks.batch.apply_async((number,), producer=producer)

            def settled() -> bool:
                return _count(database, "yardstick_batches WHERE state <> 'done'") == 0

            return self._drain(database, settled, messages, workers, ["--pool", "threads", "--concurrency", "4"])

    def naive(self, messages: int) -> Drain:
        """Deliver one task at a time, with one worker of two processes."""
        with psycopg.connect(self.dsn, autocommit=True) as database:
            rows = _fill(database, messages)
            with self._producer() as producer:
                for row in rows:
                    yardsticks.naive.apply_async((str(row.id), *row[1:]), producer=producer)

            def settled() -> bool:
                return _count(database, "yardstick_attempts") == messages

            return self._drain(database, settled, messages, 1, ["--pool", "prefork", "--concurrency", "2"])

    @contextmanager
    def _producer(self) -> Iterator[Any]:
        """A connection of this track's own: Celery's pool would keep those to an earlier track's Valkey."""
        with yardsticks.app.connection_for_write(yardsticks.broker(self.socket)) as connection:
            yield yardsticks.app.amqp.Producer(connection)

    def _drain(
        self, database: Database, settled: Callable[[], bool], messages: int, workers: int, pool: Sequence[str]
    ) -> Drain:
        with ExitStack() as stack:
            server = stack.enter_context(sink(self.sink, self.folder))
            env = {
                **os.environ,
                "YARDSTICK_DSN": self.dsn,
                "YARDSTICK_SOCKET": str(self.socket),
                "YARDSTICK_SMTP_PORT": str(server.port),
            }
            log = self.folder / "yardstick.log"
            running = [
                stack.enter_context(process(_worker(number, pool), log=log, env=env)) for number in range(workers)
            ]
            drain = drained(settled, messages, running, server, log=log)
        recorded = _count(database, "yardstick_attempts")
        if not messages == recorded == server.count.messages:
            raise Failed(
                f"{messages} messages, {recorded} attempts, but the SMTP server counted {server.count.messages}"
            )
        return drain


def _worker(number: int, pool: Sequence[str]) -> list[str]:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
    celery = [sys.executable, "-m", "celery", "--app", "benchmarks.yardsticks", "worker"]
    return [*celery, "--hostname", f"yardstick{number}@%h", *pool, *quiet]


def _count(database: Database, rows: str) -> int:
    found = database.execute(f"SELECT count(*) FROM {rows}".encode()).fetchone()
    assert found is not None
    return int(found[0])


def _fill(database: Database, messages: int) -> list[yardsticks.Row]:
    rows = [yardsticks.Row(uuid7(), f"reader{n}@example.com", f"reader-{n}", f"Reader {n}") for n in range(messages)]
    database.execute(_TABLES)
    with database.cursor() as cursor:
        with cursor.copy("COPY yardstick_recipients (id, key, name) FROM STDIN") as copy:
            for number, row in enumerate(rows):
                copy.write_row((number, row.key, row.name))
        with cursor.copy("COPY yardstick_messages (id, recipient_id, batch_id, address) FROM STDIN") as copy:
            for number, row in enumerate(rows):
                copy.write_row((row.id, number, number // BATCH_SIZE, row.address))
        cursor.execute("INSERT INTO yardstick_batches (id) SELECT DISTINCT batch_id FROM yardstick_messages")
    rested(database)
    return rows
