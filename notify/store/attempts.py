"""Attempts: one row for each try to hand a message over. They are written once and never updated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import sqlalchemy as sa

from notify.model import Attempt, Outcome
from notify.store import bulk
from notify.store.tables import attempts

_COLUMNS = tuple(column.name for column in attempts.c)


def record(connection: sa.Connection, rows: Sequence[Attempt]) -> None:
    """Write attempts. Written again, when the commit's answer was lost, they are the same rows and no others."""
    if rows:
        record_columns(connection, {name: [getattr(row, name) for row in rows] for name in _COLUMNS})


def record_columns(connection: sa.Connection, columns: Mapping[str, bulk.Column]) -> None:
    """Write attempts given as columns, for those of one batch are the same in most of them."""
    bulk.insert(connection, attempts, columns, once=True)


def of_message(connection: sa.Connection, message_id: UUID) -> list[Attempt]:
    """A message's attempts, oldest first."""
    rows = connection.execute(
        sa.select(attempts).where(attempts.c.message_id == message_id).order_by(attempts.c.at, attempts.c.number)
    )
    return [Attempt(**{**row._mapping, "outcome": Outcome(row.outcome)}) for row in rows]
