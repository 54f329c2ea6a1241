"""What the database says, read past notify's own queries: a check must not trust what it checks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from notify.model import BatchState, MessageState, Outcome
from notify.store import Store
from notify.store.tables import attempts, batches, messages, notifications, workers
from tests.chaos.checker import Row


def rows(store: Store) -> dict[str, Row]:
    """Every message, by id."""

    def count(outcome: Outcome) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((attempts.c.outcome == outcome, 1), else_=0))

    tried = (
        sa.select(
            attempts.c.message_id,
            count(Outcome.ACCEPTED).label("accepted"),
            count(Outcome.UNCERTAIN).label("uncertain"),
        )
        .group_by(attempts.c.message_id)
        .subquery()
    )
    found = sa.select(
        messages.c.id, messages.c.notification_id, messages.c.state, tried.c.accepted, tried.c.uncertain
    ).outerjoin(tried, tried.c.message_id == messages.c.id)
    with store.read() as connection:
        return {
            str(row.id): Row(row.notification_id, MessageState(row.state), row.accepted or 0, row.uncertain or 0)
            for row in connection.execute(found)
        }


def drained(store: Store) -> bool:
    """Whether no batch is left to be delivered."""
    with store.read() as connection:
        return connection.scalar(sa.select(batches.c.id).where(batches.c.state != BatchState.DONE).limit(1)) is None


def held_by(store: Store, pids: Collection[int]) -> tuple[int, frozenset[UUID]]:
    """How many batches these worker processes hold, and the messages under way in them."""
    theirs = (batches.c.state == BatchState.LEASED, sa.or_(*(batches.c.worker.like(f"%:{pid}") for pid in pids)))
    found = sa.select(messages.c.id).join(batches, batches.c.id == messages.c.batch_id)
    with store.read() as connection:
        return (
            connection.scalar(sa.select(sa.func.count()).where(*theirs)) or 0,
            frozenset(connection.scalars(found.where(*theirs, messages.c.state == MessageState.SENDING))),
        )


def sent_at(store: Store) -> dict[UUID, datetime]:
    """When each sent message was recorded as sent."""
    with store.read() as connection:
        found = connection.execute(sa.select(messages.c.id, messages.c.sent_at).where(messages.c.sent_at.is_not(None)))
        return {row.id: row.sent_at for row in found}


def last_sent_of_before(store: Store, moment: datetime) -> datetime | None:
    """When the last of the messages that were accepted before `moment` was recorded as sent."""
    with store.read() as connection:
        found: datetime | None = connection.scalar(
            sa.select(sa.func.max(messages.c.sent_at)).where(messages.c.created_at <= moment)
        )
        return found


def due(store: Store) -> dict[str, datetime]:
    """When each message was asked to go out, where it was planned for later."""
    with store.read() as connection:
        found = connection.execute(
            sa.select(messages.c.id, messages.c.due_at).where(messages.c.due_at > messages.c.created_at)
        )
        return {str(row.id): row.due_at for row in found}


def attempts_per_message(store: Store, outcome: Outcome | None = None) -> dict[str, int]:
    """How many attempts each message has had, of any or of one outcome."""
    counted = sa.select(attempts.c.message_id, sa.func.count()).group_by(attempts.c.message_id)
    if outcome is not None:
        counted = counted.where(attempts.c.outcome == outcome)
    with store.read() as connection:
        return {str(row[0]): row[1] for row in connection.execute(counted)}


def messages_to(store: Store, address: str) -> list[UUID]:
    """The messages to addresses like this one, `%` standing for anything."""
    with store.read() as connection:
        return list(connection.scalars(sa.select(messages.c.id).where(messages.c.address.like(address))))


def pids_alive(store: Store) -> set[int]:
    """The processes that have said that they live, and not yet farewell."""
    with store.read() as connection:
        return {int(name.rpartition(":")[2]) for name in connection.scalars(sa.select(workers.c.name))}


def hasten(store: Store, now: datetime) -> None:
    """Let the time pass that put-off messages wait for."""
    with store.begin() as connection:
        for table, waiting in ((messages, MessageState.QUEUED), (batches, BatchState.READY)):
            connection.execute(
                sa.update(table).where(table.c.state == waiting, table.c.due_at > now).values(due_at=now)
            )
        # what was meant for later is put off again when it is claimed
        connection.execute(sa.update(notifications).where(notifications.c.at > now).values(at=now))


def waiting(store: Store, *, later: bool) -> int:
    """How many messages are queued; with `later`, only those that were put off."""
    counted = (
        sa.select(sa.func.count())
        .select_from(messages)
        .join(batches, batches.c.id == messages.c.batch_id)
        .where(messages.c.state == MessageState.QUEUED)
    )
    put_off = sa.or_(messages.c.reason.is_not(None), batches.c.reason.is_not(None))  # alone, or with its batch
    with store.read() as connection:
        return connection.scalar(counted.where(put_off) if later else counted) or 0
