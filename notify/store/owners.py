"""Whose events these are: the message that each tells of, by what it names; by its address only when it names none.

What names a message that is not here is never given to another.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import Channel, Event, MessageState, fold
from notify.store.dialect import any_of
from notify.store.tables import addresses, attempts, messages, recipients, tenants
from notify.store.tables.sending import NAMED_BY_A_SERVICE

RECENT = timedelta(days=14)
"""An address alone tells of a message that was sent no longer than this before what came back."""
UNSETTLED = timedelta(hours=1)
"""What came back may be older than our own note that the message was sent."""
LATEST = 20
_NAME = 16  # characters: names as short as this are queue names of mail servers, and not looked up
_FIELDS = tuple(
    messages.c[name] for name in ("id", "tenant_id", "notification_id", "recipient_id", "channel", "address", "state")
)
_OURS = re.compile(r"<?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})@[^<>\s]*>?")


@dataclass(frozen=True, slots=True)
class Owner:
    """The message that an event is of. `address` is folded; None: it was erased."""

    id: UUID
    tenant_id: UUID
    notification_id: UUID
    recipient_id: UUID
    channel: Channel
    address: str | None
    state: MessageState


def find(connection: sa.Connection, told: Sequence[Event], now: datetime) -> list[Owner | None]:
    """For each of these events its message, of whichever tenant; by its address alone if but one tenant wrote to it."""
    by_id = _by_ids(connection, {one for event in told for one in _ids(event)})
    left = [event for event in told if not any(one in by_id for one in _ids(event))]
    named = _by_names(connection, {name for event in left for name in _names(event)})
    found: list[Owner | None] = []
    for event in told:
        sure = next((by_id[one] for one in _ids(event) if one in by_id), None)
        owner = sure or next((_likely(event, named[name]) for name in _names(event) if name in named), None)
        if owner is None and _names_none(event):
            written = by_address(connection, event, now)
            owner = written[0] if len(written) == 1 else None
        found.append(owner)
    return found


def latest(
    connection: sa.Connection, tenant_id: UUID, key: str, named: Collection[str], before: datetime
) -> Owner | None:
    """The last mail that went to the recipient of this key before then; rather one to an address that is `named`."""
    rows = connection.execute(
        sa.select(*_FIELDS)
        .join(recipients, recipients.c.id == messages.c.recipient_id)
        .where(
            recipients.c.tenant_id == tenant_id,
            recipients.c.key == key,
            messages.c.channel == Channel.EMAIL,
            messages.c.sent_at <= before + UNSETTLED,
        )
        .order_by(messages.c.sent_at.desc(), messages.c.id.desc())
        .limit(10 * LATEST)
    )
    found, folded = [_owner(row) for row in rows], {fold(one) for one in named}
    return next((one for one in found if one.address in folded), found[0] if found else None)


def by_address(connection: sa.Connection, event: Event, now: datetime) -> list[Owner]:
    """The latest message of each tenant that went to this event's address and may have come back.

    Found by whoever has the address.
    """
    if event.address is None:
        return []
    folded, at = fold(event.address), min(event.at, now)
    has = (
        addresses.c.tenant_id.in_(sa.select(tenants.c.id)),  # the index leads with the tenant
        addresses.c.channel == Channel.EMAIL,
        addresses.c.folded == folded,
    )
    theirs = sa.select(addresses.c.recipient_id).where(*has)
    sent = (messages.c.channel == Channel.EMAIL, messages.c.sent_at.between(at - RECENT, at + UNSETTLED))
    latest_first = (messages.c.sent_at.desc(), messages.c.id.desc())
    number = sa.func.row_number().over(partition_by=messages.c.tenant_id, order_by=latest_first).label("number")
    each = sa.select(*_FIELDS, number).where(messages.c.recipient_id.in_(theirs), *sent).subquery()
    rows = connection.execute(
        sa.select(*(each.c[one.name] for one in _FIELDS)).where(each.c.number <= LATEST).order_by(each.c.number)
    )
    found: dict[UUID, Owner] = {}
    for one in map(_owner, rows):
        if one.address == folded:
            found.setdefault(one.tenant_id, one)
    return list(found.values())


def hold(connection: sa.Connection, found: Sequence[Owner | None], *, patient: bool = True) -> list[Owner | None]:
    """The same, and nobody of them is erased until the transaction ends; of who was erased, the address is gone.

    All are locked in one order, before anything else is. One who is being erased is waited for, or is None without
    `patient`: for a caller that holds rows the erasure waits for.
    """
    ids = sorted({one.recipient_id for one in found if one is not None})
    if not ids:
        return list(found)
    chosen = sa.select(recipients.c.id, recipients.c.erased_at).where(any_of(connection, recipients.c.id, ids))
    held = chosen.order_by(recipients.c.id).with_for_update(read=True, key_share=True, skip_locked=not patient)
    erased = {row.id: row.erased_at is not None for row in connection.execute(held)}
    return [_held(one, erased.get(one.recipient_id)) if one is not None else None for one in found]


def _held(owner: Owner, erased: bool | None) -> Owner | None:
    if erased is None:
        return None
    return replace(owner, address=None) if erased else owner


def of_our_header(header_id: str | None) -> UUID | None:
    """The message that a Message-ID header of ours names (`<uuid@domain>`, whatever the domain is by now)."""
    found = _OURS.fullmatch(header_id.strip()) if header_id else None
    return UUID(found[1]) if found else None


def _ids(event: Event) -> Iterator[UUID]:
    for one in (event.message_id, of_our_header(event.header_id)):
        if one is not None:
            yield one


def _names(event: Event) -> Iterator[str]:
    """Names that a provider may have given it: SES puts its own in the place of our Message-ID."""
    bare = (event.header_id or "").strip().strip("<>")
    for name in ((event.provider_message_id or "").strip().strip("<>"), bare, bare.rpartition("@")[0]):
        if len(name) > _NAME:
            yield name


def _names_none(event: Event) -> bool:
    """Whether it names no message that could be ours, only an address."""
    return event.address is not None and event.provider_message_id is None and not any(_ids(event))


def _by_ids(connection: sa.Connection, ids: Collection[UUID]) -> dict[UUID, Owner]:
    if not ids:
        return {}
    rows = connection.execute(sa.select(*_FIELDS).where(any_of(connection, messages.c.id, list(ids))))
    return {row.id: _owner(row) for row in rows}


def _by_names(connection: sa.Connection, names: Collection[str]) -> Mapping[str, list[Owner]]:
    if not names:
        return {}
    wanted = (any_of(connection, attempts.c.provider_id, list(names)), NAMED_BY_A_SERVICE)
    named = connection.execute(sa.select(attempts.c.provider_id, attempts.c.message_id).where(*wanted).distinct()).all()
    owners = _by_ids(connection, {row.message_id for row in named})
    found: dict[str, list[Owner]] = defaultdict(list)
    for name, message_id in sorted(named):
        if message_id in owners:
            found[name].append(owners[message_id])
    return dict(found)


def _likely(event: Event, owners: Sequence[Owner]) -> Owner:
    """Of several under one name the one to the event's address, else the first."""
    to = event.address and fold(event.address)
    return next((one for one in owners if one.address == to), owners[0])


def _owner(row: Any) -> Owner:
    id_, tenant_id, notification_id, recipient_id, channel, address, state = row
    to = fold(address) if address else None
    return Owner(id_, tenant_id, notification_id, recipient_id, Channel(channel), to, MessageState(state))
