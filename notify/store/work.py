"""The messages of a leased batch: taken, accepted, given back, and what an earlier holder left half-way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Batch, Channel, Local, MessageState, Mode, Preferences, Recipient
from notify.model.recipient import Address
from notify.store import batches, tables
from notify.store.dialect import any_of
from notify.store.messages import cancel_returned, move
from notify.store.tables import Json, addresses, attachments, messages, notifications, recipients


@dataclass(frozen=True, slots=True)
class Occasion:
    """What the messages of one notification have in common. `data` is as it is stored."""

    notification_id: UUID
    tenant_id: UUID
    channel: Channel
    kind: str
    mode: Mode
    data: Mapping[str, Any]
    correlation_id: str | None
    has_attachments: bool
    as_was: bool
    """Whether the mails that were kept are sent, and nothing is rendered."""
    scheduled_at: datetime
    """When it was meant to go out: the mail's Date, the same on every try. But for what `at_local` says of each."""
    expires_at: datetime | None = None
    """Its deadline: nothing is handed over from then on."""
    at_local: Local | None = None
    """The time by the clock of each recipient at which it was meant to go out."""
    paused: str | None = None
    """Why what is left of it waits until an operator lets it go on."""


class Work(NamedTuple):
    """One message with what is needed to render it. `data` is its own part, over that of the occasion.

    Of its `attempts`, those `forgiven` came before its last replay: no retry policy counts them.
    """

    id: UUID
    address: str | None
    attempts: int
    forgiven: int
    data: Mapping[str, Any] | None
    recipient: Recipient
    occasion: Occasion


MAILOUT_PAUSED = "mailout_paused"
"""The reason of what waits because too much of its mailout bounced, or was complained of."""
Part = tuple[Batch, Sequence[UUID]]
"""A new batch, and the messages that are to be in it."""


@dataclass(frozen=True, slots=True)
class HalfWay:
    """A message that an earlier holder of its batch left in state sending."""

    id: UUID
    tenant_id: UUID
    notification_id: UUID
    kind: str
    mode: Mode
    attempts: int
    forgiven: int


_OF_BATCH = messages.c.batch_id == sa.bindparam("batch")
_TAKEN = messages.c.state == MessageState.SENDING
_HALF_WAY = (
    sa.select(
        *(messages.c[name] for name in ("id", "tenant_id", "notification_id", "attempts", "forgiven")),
        notifications.c.kind,
        notifications.c.mode,
    )
    .join(notifications, notifications.c.id == messages.c.notification_id)
    .where(_OF_BATCH, _TAKEN)
)
_LIVE = (
    sa.select(sa.true())
    .select_from(messages)
    .join(notifications, notifications.c.id == messages.c.notification_id)
    .where(
        _OF_BATCH,
        messages.c.state.in_([MessageState.QUEUED, MessageState.SENDING]),
        notifications.c.mode != Mode.DRY_RUN,
    )
    .limit(1)
)
_TAKE = (
    sa.update(messages)
    .where(_OF_BATCH, messages.c.state == MessageState.QUEUED, messages.c.due_at <= sa.bindparam("due_by"))
    .values(state=MessageState.SENDING, updated_at=sa.bindparam("at"))
)
# looked up for each: for a join PostgreSQL would read the whole table of addresses
_PRIMARY = (
    sa.select(addresses.c.value)
    .where(addresses.c.recipient_id == messages.c.recipient_id, addresses.c.channel == messages.c.channel)
    .where(addresses.c.is_primary)
    .correlate(messages)
    .scalar_subquery()
)
_ELSEWHERE = sa.func.coalesce(messages.c.address != _PRIMARY, sa.true())
_LOAD = (
    sa.select(
        *(messages.c[name] for name in ("id", "address", "attempts", "forgiven", "data", "recipient_id")),
        messages.c.notification_id,
        *(recipients.c[name] for name in ("key", "locale", "timezone", "attributes")),
        # empty is the rule, and to read it costs as much as to read what is not
        sa.func.nullif(recipients.c.tags, sa.literal([], Json), type_=Json),
        sa.func.nullif(recipients.c.preferences, sa.literal({}, Json), type_=Json),
        recipients.c.deactivated_at,
        recipients.c.erased_at,
        _ELSEWHERE,
    )
    .join(recipients, recipients.c.id == messages.c.recipient_id)
    .where(_OF_BATCH, _TAKEN)
    .order_by(messages.c.id)
)
_OCCASIONS = sa.select(
    *(notifications.c[name] for name in ("id", "tenant_id", "kind", "mode", "data", "correlation_id")),
    sa.func.coalesce(notifications.c.at, notifications.c.created_at).label("scheduled_at"),
    notifications.c.expires_at,
    notifications.c.at_local,
    notifications.c.cancelled_at,
    notifications.c.paused,
    # of the first, by its unique index: for EXISTS of any, PostgreSQL may read the whole table
    sa.select(sa.true())
    .where(attachments.c.notification_id == notifications.c.id, attachments.c.position == 0)
    .correlate(notifications)
    .scalar_subquery()
    .label("has_attachments"),
).where(notifications.c.id.in_(sa.select(messages.c.notification_id).where(_OF_BATCH, _TAKEN)))


class Overdue(NamedTuple):
    """A message that waits past its deadline."""

    id: UUID
    notification_id: UUID
    kind: str
    expires_at: datetime


_WAITING = messages.c.state == MessageState.QUEUED
_DEADLINE_OF = messages.join(notifications, notifications.c.id == messages.c.notification_id)
_OVERDUE = (
    sa.select(messages.c.id, messages.c.notification_id, notifications.c.kind, notifications.c.expires_at)
    .select_from(_DEADLINE_OF)
    .where(_OF_BATCH, _WAITING, notifications.c.expires_at <= sa.bindparam("now"))
    .with_for_update(of=messages)
)


def half_way(connection: sa.Connection, batch: Batch) -> list[HalfWay]:
    """What an earlier holder of this batch left in state sending."""
    rows = connection.execute(_HALF_WAY, {"batch": batch.id})
    return [HalfWay(**{**row._mapping, "mode": Mode(row.mode)}) for row in rows]


def take(connection: sa.Connection, batch: Batch, *, due_by: datetime, at: datetime) -> list[Work]:
    """Mark what is due in this batch as sending, and load it in the order of planning.

    What came back to be sent again, though its notification was cancelled, is cancelled. An address that is not the
    recipient's primary one is not among theirs: whether it is one of them is still to be asked.
    """
    connection.execute(_TAKE, {"batch": batch.id, "due_by": due_by, "at": at})
    rows = connection.execute(_LOAD, {"batch": batch.id}).all()
    if not rows:
        return []
    found = connection.execute(_OCCASIONS, {"batch": batch.id}).all()
    if cancelled := [row.id for row in found if row.cancelled_at is not None]:
        returned = sa.update(messages).where(_OF_BATCH, messages.c.notification_id.in_(cancelled), _TAKEN)
        connection.execute(returned.values(state=MessageState.QUEUED), {"batch": batch.id})
        cancel_returned(connection, batch.id, at)
        rows = [row for row in rows if row.notification_id not in cancelled]
    return _works(rows, found, batch)


def _works(rows: Sequence[Any], found: Sequence[Any], batch: Batch) -> list[Work]:
    channel = batch.channel
    occasions = {
        row.id: Occasion(
            notification_id=row.id,
            tenant_id=row.tenant_id,
            channel=channel,
            kind=row.kind,
            mode=Mode(row.mode),
            data=row.data,
            correlation_id=row.correlation_id,
            has_attachments=bool(row.has_attachments),
            as_was=batch.as_was,
            scheduled_at=row.scheduled_at,
            expires_at=row.expires_at,
            paused=row.paused,
            at_local=Local.parse(row.at_local, since=row.scheduled_at) if row.at_local else None,
        )
        for row in found
    }
    if len(occasions) == 1:  # nearly always; hashing an id for each row is slow
        (occasion,) = occasions.values()
        return [_work(row, channel, occasion) for row in rows]
    return [_work(row, channel, occasions[row.notification_id]) for row in rows]


def _work(row: Any, channel: Channel, occasion: Occasion) -> Work:
    message_id, address, tries, forgiven, data, recipient_id, _, key, locale, timezone, attributes, *more = row
    tags, preferences, deactivated_at, erased_at, elsewhere = more
    addresses = {channel: Address(channel, address)} if address and not elsewhere else {}
    wishes, active, erased = Preferences.of_json(preferences), deactivated_at is None, erased_at is not None
    who = (recipient_id, key, locale, timezone, attributes, tuple(tags or ()))
    person = Recipient(*who, addresses, wishes, active, erased)
    return Work(message_id, address, tries, forgiven, data, person, occasion)


def addresses_of(
    connection: sa.Connection, channel: Channel, recipient_ids: Collection[UUID]
) -> dict[UUID, list[tuple[Address, bool]]]:
    """The addresses of these recipients on this channel, and whether each is the primary one."""
    fields = (addresses.c[name] for name in ("recipient_id", "value", "verified", "is_primary"))
    theirs = any_of(connection, addresses.c.recipient_id, list(recipient_ids)), addresses.c.channel == channel
    found: dict[UUID, list[tuple[Address, bool]]] = {}
    for row in connection.execute(sa.select(*fields).where(*theirs)):
        address = Address(channel, row.value, bool(row.verified))
        found.setdefault(row.recipient_id, []).append((address, bool(row.is_primary)))
    return found


def readdress(connection: sa.Connection, message_id: UUID, address: str) -> None:
    """Note that a message in hand goes to another address than it was planned to."""
    connection.execute(sa.update(messages).where(messages.c.id == message_id).values(address=address))


def with_verified(connection: sa.Connection, batch: Batch, taken: Sequence[Work]) -> list[Work]:
    """The same, each address with what is known of whether it is the recipient's: one statement."""
    folded = {address.folded for one in taken for address in one.recipient.addresses.values()}
    mine = addresses.c.tenant_id == batch.tenant_id, addresses.c.channel == batch.channel, addresses.c.verified
    rows = connection.execute(
        sa.select(addresses.c.recipient_id, addresses.c.folded).where(
            *mine, any_of(connection, addresses.c.folded, list(folded))
        )
    )
    verified = {(row.recipient_id, row.folded) for row in rows}
    return [one._replace(recipient=_verified(one.recipient, verified)) for one in taken]


def _verified(recipient: Recipient, verified: Collection[tuple[UUID, str]]) -> Recipient:
    reached = {
        channel: replace(address, verified=(recipient.id, address.folded) in verified)
        for channel, address in recipient.addresses.items()
    }
    return replace(recipient, addresses=reached)


def needs_a_provider(connection: sa.Connection, batch: Batch) -> bool:
    """Whether any message of this batch that waits is no dry run."""
    return connection.execute(_LIVE, {"batch": batch.id}).first() is not None


def accept(connection: sa.Connection, ids: Collection[UUID], at: datetime) -> None:
    """A provider took these: sent, with nothing left to explain."""
    sent = MessageState.SENT
    move(connection, ids, MessageState.SENDING, sent, at=at, tried=True, sent_at=at, reason=None, rule=None)


def release(connection: sa.Connection, batch: Batch, at: datetime) -> int:
    """Give back what this batch's holder did not begin; returns how many."""
    given_back = connection.execute(
        sa.update(messages)
        .where(messages.c.batch_id == batch.id, messages.c.state == MessageState.SENDING)
        .values(state=MessageState.QUEUED, updated_at=at)
    )
    return given_back.rowcount


def rebatch(connection: sa.Connection, batch: Batch, now: datetime) -> list[Batch]:
    """Move what still waits in a finished batch into new ones, one per time it is due; returns those."""
    waiting = (messages.c.batch_id == batch.id, messages.c.state == MessageState.QUEUED)
    groups = connection.execute(
        sa.select(messages.c.due_at, sa.func.count()).where(*waiting).group_by(messages.c.due_at)
    ).all()
    fresh = [_like(batch, due_at, count) for due_at, count in groups]
    batches.insert(connection, fresh, now)
    for new in fresh:
        connection.execute(sa.update(messages).where(*waiting, messages.c.due_at == new.due_at).values(batch_id=new.id))
    return fresh


def halve(connection: sa.Connection, batch: Batch, due_by: datetime, now: datetime) -> list[Batch]:
    """Move what waits in a finished batch and is due into two new ones; returns those, or one when it is one message.

    What is to be tried later is left to `rebatch`.
    """
    due = connection.scalars(
        sa.select(messages.c.id)
        .where(messages.c.batch_id == batch.id, messages.c.state == MessageState.QUEUED, messages.c.due_at <= due_by)
        .order_by(messages.c.id)
    ).all()
    middle = (len(due) + 1) // 2
    halves = [half for half in (due[:middle], due[middle:]) if half]
    fresh = [_like(batch, now, len(half)) for half in halves]
    batches.insert(connection, fresh, now)
    for new, half in zip(fresh, halves, strict=True):
        connection.execute(
            sa.update(messages).where(any_of(connection, messages.c.id, half)).values(batch_id=new.id, due_at=now)
        )
    return fresh


def overdue(connection: sa.Connection, batch: Batch, now: datetime) -> list[Overdue]:
    """What waits in this batch past its deadline, locked until the commit."""
    return [Overdue(*row) for row in connection.execute(_OVERDUE, {"batch": batch.id, "now": now})]


def note_deadlines(connection: sa.Connection, rows: Sequence[Batch]) -> None:
    """Note the earliest deadline of what still waits in these batches."""
    if not rows:
        return
    earliest = (
        sa.select(sa.func.min(notifications.c.expires_at))
        .select_from(_DEADLINE_OF)
        .where(messages.c.batch_id == tables.batches.c.id, _WAITING)
        .scalar_subquery()
    )
    found = any_of(connection, tables.batches.c.id, [row.id for row in rows])
    connection.execute(sa.update(tables.batches).where(found).values(expires_at=earliest))


def _like(batch: Batch, due_at: datetime, size: int) -> Batch:
    """A batch for some of what `batch` held, under the same deadline."""
    common = (batch.tenant_id, batch.channel, batch.lane)
    return Batch(uuid7(), *common, due_at, size=size, expires_at=batch.expires_at, as_was=batch.as_was)
