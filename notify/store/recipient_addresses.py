"""Addresses of recipients: each belongs to one recipient of its tenant, whoever else asks for it at the same moment.

Whoever writes here holds the locks of the recipients' rows. A row is one address for ever: another one is another row.
Who said no at their primary address said it for the next one, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.errors import AddressTaken
from notify.model import Address, Channel, Recipient
from notify.store import bulk, suppressions
from notify.store.dialect import any_of, each_bound
from notify.store.tables import Json, addresses, recipients


@dataclass(frozen=True, slots=True)
class Wanted:
    """An address that is to be the recipient's. `leaves` is the folded primary one that goes for it."""

    recipient_id: UUID
    key: str
    address: Address
    leaves: str | None = None
    primary: bool = True


def replace(
    connection: sa.Connection,
    tenant_id: UUID,
    rows: Sequence[Recipient],
    before: Mapping[str, Recipient],
    now: datetime,
) -> list[str]:
    """Write the primary addresses of `rows` that differ from those `before`, by key.

    The one before goes; but where the new one was another of their own addresses already, the two change places.
    Returns the keys of those recipients. Raises `AddressTaken`.
    """
    wanted, restyled = _differing(rows, before)
    if restyled:
        connection.execute(_RESTYLING, restyled)
    own, taken = _sift(connection, tenant_id, wanted)
    if taken:
        raise taken[0]
    _carry(connection, tenant_id, wanted, now)
    _promote(connection, own)
    mine = set(own)
    fresh = [one for one in wanted if one not in mine]
    _leave(connection, [one for one in fresh if one.leaves is not None])
    _insert(connection, tenant_id, fresh, now)
    return [one.key for one in own]


def clashes(connection: sa.Connection, tenant_id: UUID, wanted: Sequence[Wanted]) -> list[AddressTaken]:
    """For each of these that belongs to another recipient, or is wanted twice, an error that says so.

    What a recipient of this list leaves is free for another. One statement for each channel.
    """
    return _sift(connection, tenant_id, wanted)[1]


def add(connection: sa.Connection, tenant_id: UUID, wanted: Wanted, now: datetime) -> bool:
    """Give a recipient one more address; False when it is theirs already. Raises `AddressTaken`."""
    own, taken = _sift(connection, tenant_id, [wanted])
    if taken:
        raise taken[0]
    if not own:
        _insert(connection, tenant_id, [wanted], now)
    return not own


def remove(connection: sa.Connection, recipient_id: UUID, channel: Channel, folded: str) -> None:
    """Take an address away."""
    connection.execute(sa.delete(addresses).where(*_one(recipient_id, channel, folded)))


def promote(connection: sa.Connection, tenant_id: UUID, wanted: Wanted, now: datetime) -> None:
    """Make an address of their own the primary one of its channel, in the place of the one that it `leaves`."""
    _carry(connection, tenant_id, [wanted], now)
    _promote(connection, [wanted])


def _differing(rows: Sequence[Recipient], before: Mapping[str, Recipient]) -> tuple[list[Wanted], list[dict[str, Any]]]:
    """The addresses that are new to their recipients; and those that are only written otherwise."""
    wanted, restyled = [], []
    for row in rows:
        had = before[row.key].addresses if row.key in before else {}
        for channel, address in row.addresses.items():
            was = had.get(channel)
            if was == address:
                continue
            if was is not None and was.folded == address.folded:
                restyled.append({"recipient": row.id, "of": channel, "styled": address.value})
            else:
                wanted.append(Wanted(row.id, row.key, address, leaves=was.folded if was else None))
    return wanted, restyled


def _sift(
    connection: sa.Connection, tenant_id: UUID, wanted: Sequence[Wanted]
) -> tuple[list[Wanted], list[AddressTaken]]:
    """Which of them are the recipient's own already, and which belong to somebody else."""
    if not wanted:
        return [], []
    places = [_place(one) for one in wanted]
    folded: dict[Channel, list[str]] = defaultdict(list)
    for channel, where in places:
        folded[channel].append(where)
    holders: dict[tuple[Channel, str], set[str]] = defaultdict(set)
    for channel, asked in folded.items():  # one by one: for all at once PostgreSQL would read the whole table
        given = {"tenant": tenant_id, "channel": channel, "folded": asked}
        for where, keys in connection.execute(_holding(connection.dialect.name), given):
            holders[channel, where].update(keys)
    if not holders and len(set(places)) == len(places):
        return [], []
    own = [one for one, place in zip(wanted, places, strict=True) if one.key in holders[place]]
    kept = {one.key for one in own}
    for one in wanted:
        if one.leaves is not None and one.key not in kept:
            holders[one.address.channel, one.leaves].discard(one.key)
    taken = []
    for one, place in zip(wanted, places, strict=True):
        others = holders[place]
        if one.key not in others and others:
            address = one.address
            taken.append(AddressTaken(one.key, address.channel, address.value, min(others)))
        others.add(one.key)
    return own, taken


def _place(one: Wanted) -> tuple[Channel, str]:
    return one.address.channel, one.address.folded


@cache
def _holding(dialect: str) -> sa.Select[Any]:
    """Those of the addresses bound to `folded` that somebody has, and the keys of these."""
    # one by one: for a join, or for any of a list, PostgreSQL would read both tables as a whole
    given = each_bound(dialect, addresses.c.folded, "folded")
    agg = sa.func.json_group_array if dialect == "sqlite" else sa.func.jsonb_agg
    theirs = (
        sa.select(agg(recipients.c.key, type_=Json))
        .select_from(addresses.join(recipients, recipients.c.id == addresses.c.recipient_id))
        .where(
            addresses.c.tenant_id == sa.bindparam("tenant"),
            addresses.c.channel == sa.bindparam("channel"),
            addresses.c.folded == given,
        )
    )
    asked = sa.select(given.label("folded"), theirs.correlate(given.table).scalar_subquery().label("keys")).subquery()
    return sa.select(asked).where(sa.cast(asked.c["keys"], sa.Text) != "[]")  # most belong to nobody


def _promote(connection: sa.Connection, own: Sequence[Wanted]) -> None:
    for channel, ids in _by_channel(own).items():
        demoted = sa.update(addresses).where(*_primary(connection, channel, ids))
        connection.execute(demoted.values(is_primary=False))
    if own:
        each = [
            {"recipient": one.recipient_id, "of": one.address.channel, "address": one.address.folded} for one in own
        ]
        connection.execute(_PROMOTING, each)


def _carry(connection: sa.Connection, tenant_id: UUID, wanted: Sequence[Wanted], now: datetime) -> None:
    moved: dict[Channel, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in wanted:
        if one.leaves is not None:
            moved[one.address.channel][one.leaves].append(one.address.folded)
    for channel, to in moved.items():
        suppressions.carry(connection, tenant_id, channel, to, now)


def _leave(connection: sa.Connection, leaving: Sequence[Wanted]) -> None:
    for channel, ids in _by_channel(leaving).items():
        connection.execute(sa.delete(addresses).where(*_primary(connection, channel, ids)))


def _insert(connection: sa.Connection, tenant_id: UUID, wanted: Sequence[Wanted], now: datetime) -> None:
    # in one order everywhere: two callers with the same addresses must not wait for each other in a circle
    rows = sorted(wanted, key=_place)
    if not rows:
        return
    ids = [uuid7() for _ in rows]
    columns: dict[str, bulk.Column] = {
        "id": ids,
        "tenant_id": tenant_id,
        "recipient_id": [one.recipient_id for one in rows],
        "channel": [one.address.channel.value for one in rows],
        "value": [one.address.value for one in rows],
        "folded": [one.address.folded for one in rows],
        "verified": False,
        "created_at": now,
        "is_primary": [one.primary for one in rows],
    }
    if bulk.insert_new(connection, addresses, columns) == len(rows):
        return
    written = set(connection.scalars(sa.select(addresses.c.id).where(any_of(connection, addresses.c.id, ids))))
    rest = [one for one, id_ in zip(rows, ids, strict=True) if id_ not in written]
    if taken := clashes(connection, tenant_id, rest):
        raise taken[0]
    _insert(connection, tenant_id, rest, now)  # who took them meanwhile is gone again


def _by_channel(wanted: Sequence[Wanted]) -> dict[Channel, list[UUID]]:
    ids: dict[Channel, list[UUID]] = defaultdict(list)
    for one in wanted:
        ids[one.address.channel].append(one.recipient_id)
    return ids


def _primary(
    connection: sa.Connection, channel: Channel, recipient_ids: Collection[UUID]
) -> tuple[sa.ColumnElement[bool], ...]:
    found = any_of(connection, addresses.c.recipient_id, list(recipient_ids))
    return found, addresses.c.channel == channel, addresses.c.is_primary


def _one(recipient_id: Any, channel: Any, folded: Any) -> tuple[sa.ColumnElement[bool], ...]:
    same = addresses.c.recipient_id == recipient_id, addresses.c.channel == channel
    return *same, addresses.c.folded == folded


_RESTYLING = (
    sa.update(addresses)
    .where(
        addresses.c.recipient_id == sa.bindparam("recipient"),
        addresses.c.channel == sa.bindparam("of"),
        addresses.c.is_primary,
    )
    .values(value=sa.bindparam("styled"))
)
_PROMOTING = (
    sa.update(addresses)
    .where(*_one(sa.bindparam("recipient"), sa.bindparam("of"), sa.bindparam("address")))
    .values(is_primary=True)
)
