"""Who is alive: the slots that beat's ticks claimed, and the workers' heartbeats."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from notify.store.dialect import upsert
from notify.store.tables import schedule_claims, workers
from notify.store.tenants import DEFAULT_ID

CLOCK_SET_BACK = 60_000  # ms: a slot that lies so far ahead was claimed before the clock was set back


def claim_slot(connection: sa.Connection, name: str, slot: int, now: datetime) -> bool:
    """Whether this tick is the first to come for its slot. Two beats are harmless: the second comes too late."""
    insert = upsert(connection, schedule_claims)
    claimed = connection.execute(
        insert.on_conflict_do_update(
            index_elements=["name"],
            set_={"slot": insert.excluded.slot, "claimed_at": insert.excluded.claimed_at},
            where=sa.or_(
                schedule_claims.c.slot < insert.excluded.slot,
                schedule_claims.c.slot > insert.excluded.slot + CLOCK_SET_BACK,
            ),
        ).returning(schedule_claims.c.name),
        {"name": name, "tenant_id": DEFAULT_ID, "slot": slot, "claimed_at": now},
    )
    return claimed.first() is not None


def ticks(connection: sa.Connection) -> dict[str, datetime]:
    """When each tick last ran."""
    rows = connection.execute(sa.select(schedule_claims.c.name, schedule_claims.c.claimed_at))
    return {row.name: row.claimed_at for row in rows}


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process, and when it last said that it lives."""

    name: str
    queues: str
    started_at: datetime
    seen_at: datetime


def heartbeat(connection: sa.Connection, name: str, queues: str, now: datetime) -> None:
    """Say that this worker lives."""
    insert = upsert(connection, workers)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["name"], set_={"seen_at": insert.excluded.seen_at, "queues": insert.excluded.queues}
        ),
        {"name": name, "tenant_id": DEFAULT_ID, "queues": queues, "started_at": now, "seen_at": now},
    )


def farewell(connection: sa.Connection, name: str) -> None:
    """This worker stopped on purpose."""
    connection.execute(sa.delete(workers).where(workers.c.name == name))


def forget_before(connection: sa.Connection, moment: datetime) -> int:
    """Drop workers that were last seen before `moment`: they died without a farewell."""
    return connection.execute(sa.delete(workers).where(workers.c.seen_at < moment)).rowcount


def alive(connection: sa.Connection) -> list[Worker]:
    """Every worker known, the one seen last first."""
    rows = connection.execute(
        sa.select(workers.c.name, workers.c.queues, workers.c.started_at, workers.c.seen_at).order_by(
            workers.c.seen_at.desc()
        )
    )
    return [Worker(*row) for row in rows]
