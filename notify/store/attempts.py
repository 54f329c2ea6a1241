"""Attempts: one row for each try to hand a message over. They are written once and never updated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import sqlalchemy as sa

from notify.model import Attempt, Outcome
from notify.store import bulk
from notify.store.dialect import upsert
from notify.store.tables import attempts


def record(connection: sa.Connection, rows: Sequence[Attempt]) -> None:
    """Write attempts. Written again, when the commit's answer was lost, they are the same rows and no others."""
    if rows:
        connection.execute(
            upsert(connection, attempts).on_conflict_do_nothing(),
            [{column.name: getattr(row, column.name) for column in attempts.c} for row in rows],
        )


def record_columns(connection: sa.Connection, columns: Mapping[str, bulk.Column]) -> None:
    """Write attempts given as columns, once: those of one batch are the same in many of them."""
    bulk.insert(connection, attempts, columns)


def of_message(connection: sa.Connection, message_id: UUID) -> list[Attempt]:
    """A message's attempts, oldest first."""
    rows = connection.execute(
        sa.select(attempts)
        .where(attempts.c.message_id == message_id)
        .order_by(attempts.c.at, attempts.c.number, attempts.c.id)
    )
    return [Attempt(**{**row._mapping, "outcome": Outcome(row.outcome)}) for row in rows]
