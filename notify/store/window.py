"""How many bells stand in a queue for one tenant, and whose turn it is: a million stand before nobody's ten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import Batch, BatchState, Channel, Lane
from notify.store.tables import batches

WINDOW = 12_500  # messages; then another tenant's bell waits for seconds behind these, and workers never for a bell
BELL = 20  # so many messages a bell counts for by itself
_DUE = sa.and_(batches.c.state == BatchState.READY, batches.c.due_at <= sa.bindparam("now"))
OF_QUEUE = (
    batches.c.tenant_id == sa.bindparam("tenant"),
    batches.c.channel == sa.bindparam("on"),
    batches.c.lane == sa.bindparam("in"),
)
_STANDING = sa.select(sa.func.sum(batches.c.size + BELL)).where(_DUE, *OF_QUEUE, batches.c.published_at.is_not(None))


def within(connection: sa.Connection, rows: Sequence[Batch], now: datetime) -> list[Batch]:
    """Those of these new batches that are rung for at once. A single one always is, and nothing is asked."""
    due = [row for row in rows if row.due_at <= now]
    if len(due) <= 1:
        return due
    standing = {
        key: connection.scalar(_STANDING, {"tenant": key[0], "on": key[1], "in": key[2], "now": now}) or 0
        for key in {_queue(row) for row in due}
    }
    chosen = []
    for row in due:
        if standing[_queue(row)] < WINDOW:
            chosen.append(row)
        standing[_queue(row)] += row.size + BELL
    return chosen


def fairly(ready: sa.ColumnElement[bool], unclaimed_since: datetime, limit: int) -> sa.Select[Any]:
    """The ids of what was never rung for, as far as the window of each tenant and queue goes, in turns."""
    queue = (batches.c.tenant_id, batches.c.channel, batches.c.lane)
    weight = batches.c.size + BELL
    rung = (
        sa.select(*queue, sa.func.sum(weight).label("weight"))
        .where(ready, batches.c.published_at >= unclaimed_since)
        .group_by(*queue)
        .subquery()
    )
    order = (batches.c.due_at, batches.c.id)
    waiting = (
        sa.select(
            *(batches.c.id, *queue),
            (sa.func.sum(weight).over(partition_by=queue, order_by=order) - weight).label("before"),
            sa.func.row_number().over(partition_by=queue, order_by=order).label("turn"),
        )
        .where(ready, batches.c.published_at.is_(None))
        .subquery()
    )
    same = sa.and_(*(waiting.c[column.name] == rung.c[column.name] for column in queue))
    return (
        sa.select(waiting.c.id)
        .outerjoin(rung, same)
        .where(waiting.c.before + sa.func.coalesce(rung.c.weight, 0) < WINDOW)
        .order_by(waiting.c.turn)
        .limit(limit)
    )


def in_turns(rows: Sequence[Batch]) -> list[Batch]:
    """One of each tenant and queue, then the next of each."""
    lines: dict[object, list[Batch]] = {}
    for row in rows:
        lines.setdefault(_queue(row), []).append(row)
    return [row for turn in zip_longest(*lines.values()) for row in turn if row is not None]


def _queue(row: Batch) -> tuple[UUID, Channel, Lane]:
    return row.tenant_id, row.channel, row.lane
