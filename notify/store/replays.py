"""Bulk replays: who works one holds its row's lock, and its cursor moves in the transaction of each slice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import Batch, Channel, Filter, MessageState, Outcome, Replay, ReplayState
from notify.store import batches, messages
from notify.store.dead_letters import chosen, one_by_one
from notify.store.dialect import any_of
from notify.store.tables import attempts, dead_letters, kept_mails, notifications, replays
from notify.store.tables import messages as message_rows
from notify.store.work import Part, note_deadlines

_RUNNING = replays.c.state == ReplayState.RUNNING


def insert(connection: sa.Connection, replay: Replay) -> None:
    """Store a replay that begins."""
    row = {column.name: getattr(replay, column.name) for column in replays.c}
    connection.execute(sa.insert(replays), {**row, "filter": replay.filter.as_json(), "passed_over": {}})


def take(connection: sa.Connection, replay_id: UUID | None = None, passed_over: Collection[UUID] = ()) -> Replay | None:
    """A running replay that nobody else works at, for this transaction alone: this one, or that which waits longest."""
    wanted = sa.select(replays).where(_RUNNING).order_by(replays.c.updated_at).limit(1)
    if replay_id is not None:
        wanted = wanted.where(replays.c.id == replay_id)
    if passed_over:
        wanted = wanted.where(sa.not_(any_of(connection, replays.c.id, list(passed_over))))
    row = connection.execute(wanted.with_for_update(skip_locked=True)).one_or_none()
    return None if row is None else _replay(row)


def advance(connection: sa.Connection, replay: Replay) -> None:
    """Write down how far it has come. Only who has taken it may do so."""
    names = ("state", "cursor", "replayed", "passed_over", "updated_at")
    values = {name: getattr(replay, name) for name in names}
    connection.execute(sa.update(replays).where(replays.c.id == replay.id).values(values))


def cancel(connection: sa.Connection, tenant_id: UUID, replay_id: UUID, at: datetime) -> bool:
    """Replay nothing further; False when it was not running. Waits for the slice in hand."""
    stopped = connection.execute(
        sa.update(replays)
        .where(replays.c.id == replay_id, replays.c.tenant_id == tenant_id, _RUNNING)
        .values(state=ReplayState.CANCELLED, updated_at=at)
    )
    return stopped.rowcount == 1


def find(connection: sa.Connection, tenant_id: UUID, replay_id: UUID) -> Replay | None:
    """One by id."""
    mine = replays.c.tenant_id == tenant_id
    row = connection.execute(sa.select(replays).where(mine, replays.c.id == replay_id)).one_or_none()
    return None if row is None else _replay(row)


def listing(connection: sa.Connection, tenant_id: UUID, *, limit: int) -> list[Replay]:
    """Replays, newest first."""
    mine = sa.select(replays).where(replays.c.tenant_id == tenant_id)
    return [_replay(row) for row in connection.execute(mine.order_by(replays.c.id.desc()).limit(limit))]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A dead letter that a replay comes to, with all that decides about it; without a message, it is a task's."""

    id: UUID
    message_id: UUID | None
    kind: str | None
    channel: Channel | None
    state: MessageState | None
    expires_at: datetime | None
    kept: bool
    possibly_sent: bool


def candidates(connection: sa.Connection, replay: Replay, limit: int, *, lock: bool = True) -> list[Candidate]:
    """The next dead letters, locked: of two replays that mean the same one, the second finds it gone."""
    uncertain = sa.and_(attempts.c.message_id == dead_letters.c.message_id, attempts.c.outcome == Outcome.UNCERTAIN)
    kept = kept_mails.c.message_id == dead_letters.c.message_id
    rows = (
        sa.select(
            *(dead_letters.c[name] for name in ("id", "message_id", "kind", "channel")),
            message_rows.c.state,
            notifications.c.expires_at,
            one_by_one(kept_mails, kept).label("kept"),
            one_by_one(attempts, uncertain).label("possibly_sent"),
        )
        .outerjoin(message_rows, message_rows.c.id == dead_letters.c.message_id)
        .outerjoin(notifications, notifications.c.id == message_rows.c.notification_id)
        .where(*_left(connection, replay))
        .order_by(dead_letters.c.id)
        .limit(limit)
    )
    if lock:
        rows = rows.with_for_update(of=dead_letters)
    return [_candidate(row) for row in connection.execute(rows)]


def any_left(connection: sa.Connection, replay: Replay) -> bool:
    """Whether dead letters are left behind its cursor. Those that another replay took are not among `candidates`."""
    first = sa.select(dead_letters.c.id).where(*_left(connection, replay)).order_by(dead_letters.c.id).limit(1)
    return connection.scalar(first) is not None


def _left(connection: sa.Connection, replay: Replay) -> list[sa.ColumnElement[bool]]:
    part = (dead_letters.c.id > replay.cursor, dead_letters.c.id <= replay.up_to)
    return [*chosen(connection, replay.tenant_id, replay.filter), *part]


def revive(
    connection: sa.Connection, parts: Sequence[Part], was: MessageState, *, rule: str, at: datetime
) -> tuple[int, list[Batch]]:
    """Queue these in new batches, their attempts so far forgiven.

    Returns how many were in state `was`, and the batches to ring for.
    """
    new = [batch for batch, _ in parts]
    rung = batches.insert(connection, new, at)
    revived = sum(
        messages.move(
            connection,
            ids,
            was,
            MessageState.QUEUED,
            at=at,
            batch_id=batch.id,
            due_at=batch.due_at,
            forgiven=message_rows.c.attempts,
            reason=messages.REPLAYED,
            rule=rule,
        )
        for batch, ids in parts
    )
    note_deadlines(connection, new)
    return revived, rung


def _candidate(row: Any) -> Candidate:
    return Candidate(
        id=row.id,
        message_id=row.message_id,
        kind=row.kind,
        channel=Channel(row.channel) if row.channel else None,
        state=MessageState(row.state) if row.state else None,
        expires_at=row.expires_at,
        kept=bool(row.kept),
        possibly_sent=bool(row.possibly_sent),
    )


def _replay(row: Any) -> Replay:
    read = {"filter": Filter.of_json(row.filter), "state": ReplayState(row.state)}
    return Replay(**{**row._mapping, **read})
