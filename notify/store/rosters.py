"""Rosters in bulk: a slice of people is brought in by a few statements, and everyone is read out, page by page.

New people are written by COPY on PostgreSQL. Whoever makes one of them at the same moment is noticed by the unique
keys; the slice is read again then, and written in the way that takes longer and bears company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa
from uuid_utils import uuid7

from notify.errors import AddressTaken, Unreachable
from notify.model import Address, Author, Recipient, fold
from notify.store import bulk, recipient_addresses, recipient_history, recipient_overrides, recipients, tables
from notify.store.engine import Store
from notify.store.failures import sqlstate
from notify.store.recipient_addresses import Wanted
from notify.store.recipient_history import Difference
from notify.store.recipients import Change

Result = TypeVar("Result")

AGAIN = 5
DEADLOCK = "40P01"  # PostgreSQL, appendix A

Transaction = Callable[[], AbstractContextManager[sa.Connection]]
Fitting = Callable[[Change, Recipient | None], Change]
"""What a change means for a recipient as they are now."""
Meanwhile = Callable[[], None]
"""Begin what may go on while the database writes; to be called again is harmless."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What a slice did, by key: who is new, what changed of whom, and who was left out for another's address."""

    inserted: frozenset[str] = frozenset()
    updated: dict[str, Difference] = field(default_factory=dict)
    taken: dict[str, AddressTaken] = field(default_factory=dict)


@contextmanager
def transactions(store: Store, *, in_one: bool) -> Iterator[Transaction]:
    """What gives each slice its transaction: `in_one` for all of them, or one of its own for each."""
    if not in_one:
        yield store.begin
        return
    with store.begin() as connection:
        yield lambda: nullcontext(connection)


def again_after_deadlock(write: Callable[[], Result]) -> Result:
    """Do what is one transaction, again when the database gave it up to break a deadlock; raises what it raises then.

    Whoever writes people locks them in the order of their keys, but an application's own transaction may hold others.
    """
    for _ in range(AGAIN):
        try:
            return write()
        except Unreachable as error:
            if sqlstate(error.__cause__) != DEADLOCK:
                raise
    return write()


def settle(connection: sa.Connection) -> None:
    """Tell PostgreSQL what the tables hold now: until autovacuum comes by, it would plan as if they were empty."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("ANALYZE recipients, addresses")


def bring_in(
    connection: sa.Connection,
    tenant_id: UUID,
    changes: Sequence[Change],
    *,
    fitting: Fitting,
    meanwhile: Meanwhile,
    now: datetime,
    by: Author,
) -> Brought:
    """Make or change these recipients (distinct keys), by the rules of `recipients.apply`, in few statements.

    Who asks for an address that another has is left out, and named. When all is ready but for the database,
    `meanwhile` is called.
    """
    taken: dict[str, AddressTaken] = {}
    copying = True
    while True:
        rest = [change for change in changes if change.key not in taken]
        try:
            with connection.begin_nested():
                brought = _brought(
                    connection,
                    tenant_id,
                    rest,
                    fitting=fitting,
                    meanwhile=meanwhile,
                    now=now,
                    by=by,
                    copying=copying,
                )
            return replace(brought, taken={**taken, **brought.taken})
        except AddressTaken as error:  # taken by another caller meanwhile
            taken[error.key] = error
        except sa.exc.IntegrityError:
            if not copying:
                raise
            copying = False


def _brought(
    connection: sa.Connection,
    tenant_id: UUID,
    changes: Sequence[Change],
    *,
    fitting: Fitting,
    meanwhile: Meanwhile,
    now: datetime,
    by: Author,
    copying: bool,
) -> Brought:
    before = recipients.by_keys(connection, tenant_id, [change.key for change in changes])
    fitted = [fitting(change, before.get(change.key)) for change in changes]
    news = [change for change in fitted if change.key not in before or _says_more(change, before[change.key])]
    refused = _refused(connection, tenant_id, news, before)
    unseen = [one for one in news if one.key not in before and one.key not in refused]
    known = [one for one in news if one.key in before and one.key not in refused]
    inserting = _ready(connection, tenant_id, unseen, now) if copying else []
    meanwhile()
    updated: dict[str, Difference] = {}
    if known:
        after = recipients.apply(connection, tenant_id, known, now, by=by).people
        found = {one.key: recipient_history.difference(before[one.key], after[one.key]) for one in known}
        updated = {key: changed for key, changed in found.items() if changed}
    if not copying:
        recipients.apply(connection, tenant_id, unseen, now, by=by)
    for insert in inserting:
        insert()
    return Brought(frozenset(one.key for one in unseen), updated, refused)


def _says_more(change: Change, before: Recipient) -> bool:
    """Whether a change says anything that is not so already; fields set by hand are not asked for here."""
    return (
        change.locale not in (None, before.locale)
        or change.timezone not in (None, before.timezone)
        or change.tags not in (None, before.tags)
        or (change.active is False and before.active)
        or any(before.attributes.get(name) != value for name, value in change.attributes.items())
        or any(before.at(channel, to) != before.addresses.get(channel) for channel, to in change.addresses.items())
    )


def _refused(
    connection: sa.Connection, tenant_id: UUID, news: Sequence[Change], before: dict[str, Recipient]
) -> dict[str, AddressTaken]:
    """Who of these asks for an address that another keeps; who is refused keeps theirs, so it is asked again."""
    reaching = [one for one in news if one.addresses]
    overridden = recipient_overrides.of(connection, tenant_id, [one.key for one in reaching if one.key in before])
    refused: dict[str, AddressTaken] = {}
    while True:
        wanted = [
            wish
            for one in reaching
            if one.key not in refused
            for wish in _wishes(one, before.get(one.key), overridden.get(one.key, frozenset()))
        ]
        clashing = recipient_addresses.clashes(connection, tenant_id, wanted)
        if not clashing:
            return refused
        refused.update((error.key, error) for error in clashing)


def _wishes(change: Change, before: Recipient | None, overridden: frozenset[str]) -> Iterator[Wanted]:
    for channel, value in change.addresses.items():
        if before is None:
            yield Wanted(_NOBODY, change.key, Address(channel, value))
            continue
        had, wished = before.addresses.get(channel), before.at(channel, value)
        if channel.value not in overridden and (had is None or had.folded != wished.folded):
            yield Wanted(before.id, change.key, wished, leaves=had.folded if had else None)


_NOBODY = UUID(int=0)  # who is still to be made has no id


def _ready(
    connection: sa.Connection, tenant_id: UUID, unseen: Sequence[Change], now: datetime
) -> list[Callable[[], None]]:
    """What inserts new people, and then their addresses."""
    if not unseen:
        return []
    ids = [uuid7() for _ in unseen]
    people: dict[str, bulk.Column] = {
        "id": ids,
        "tenant_id": tenant_id,
        "key": [one.key for one in unseen],
        "locale": [one.locale for one in unseen],
        "timezone": [one.timezone for one in unseen],
        "attributes": [dict(one.attributes) for one in unseen],
        "tags": [one.tags or () for one in unseen],
        "created_at": now,
        "updated_at": now,
        "deactivated_at": [now if one.active is False else None for one in unseen],
    }
    reached = [
        (id_, channel, value) for id_, one in zip(ids, unseen, strict=True) for channel, value in one.addresses.items()
    ]
    inserting = [bulk.ready(connection, tables.recipients, people)]
    if reached:
        addresses: dict[str, bulk.Column] = {
            "id": [uuid7() for _ in reached],
            "tenant_id": tenant_id,
            "recipient_id": [id_ for id_, _, _ in reached],
            "channel": [channel for _, channel, _ in reached],
            "value": [value for _, _, value in reached],
            "folded": [fold(value) for _, _, value in reached],
            "verified": False,
            "created_at": now,
        }
        inserting.append(bulk.ready(connection, tables.addresses, addresses))
    return inserting
