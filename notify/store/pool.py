"""The connections of one process: never more than so many, and each still there when it is used."""

from __future__ import annotations

import select
import time
from typing import Any

import psycopg
import sqlalchemy as sa

CONNECTIONS = 10
WAIT_SECONDS = 30  # a transaction waits this long for one to come free
IDLE_SECONDS = 5  # one that rested longer is asked whether it still works


def of(connections: int) -> dict[str, Any]:
    """The arguments of `create_engine` for a pool of this size."""
    # the one used last is used first: it is warm, and needs no asking
    return {"pool_size": connections, "max_overflow": 0, "pool_timeout": WAIT_SECONDS, "pool_use_lifo": True}


def ask_the_rested(engine: sa.Engine) -> None:
    """Ask a PostgreSQL connection for a sign of life when it rested for long, or when its server has spoken meanwhile.

    A server that ends a connection says so, which costs nothing to notice; one that vanished is found by asking.
    """

    @sa.event.listens_for(engine, "checkin")
    def rest(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @sa.event.listens_for(engine, "checkout")
    def wake(connection: Any, record: Any, _borrowed: Any) -> None:
        since = record.info.get("rests_since")
        if since is None or (time.monotonic() - since < IDLE_SECONDS and _silent(connection)):
            return  # opened just now, or used just now
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            if not engine.dialect.is_disconnect(error, connection, None):  # type: ignore[arg-type]  # it is one
                raise
            raise sa.exc.InvalidatePoolError from error  # it and those as old are opened anew


def _silent(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has said nothing since its last answer."""
    if connection.closed:
        return False
    heard = select.poll()
    heard.register(connection.fileno(), select.POLLIN)
    return not heard.poll(0)
