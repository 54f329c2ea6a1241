"""Addresses that must not be used, found by the address and by its tombstone; none takes the place of another.

What stands for one address and scope for several reasons is several rows: to take one back leaves the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Channel, Suppression
from notify.model.recipient import OWN_WORD
from notify.store import tombstones
from notify.store.dialect import Upsert, any_bound, any_of, upsert_on
from notify.store.tables import addresses, recipients, suppressions
from notify.store.tables.people import IS_TOMBSTONE

PAGE = 1000
_FIELDS = ("channel", "address", "reason", "source", "scope", "expires_at")


@dataclass(frozen=True, slots=True)
class Kept:
    """A suppression as it is stored. `since` is when it began."""

    id: UUID
    suppression: Suppression
    since: datetime

    @property
    def tombstone(self) -> bool:
        """Whether it outlived the person whose address it was."""
        return tombstones.is_one(self.suppression.address)


def add(connection: sa.Connection, tenant_id: UUID, rows: Sequence[Suppression], now: datetime) -> int:
    """Suppress these addresses; returns how many rows were made or changed.

    Of two for one address, scope and reason the earlier stays, and the longer time counts, with its source and note.
    One that has expired stands in nobody's way.
    """
    # in one order everywhere: two callers with the same addresses must not wait for each other in a circle
    ordered = sorted(dict.fromkeys(rows), key=_place)
    changed: set[UUID] = set()
    while ordered:
        seen: set[tuple[str, ...]] = set()
        part, again = list[Suppression](), list[Suppression]()
        for row in ordered:
            (again if _place(row) in seen else part).append(row)  # no statement changes one row twice
            seen.add(_place(row))
        made = connection.execute(_adding(connection.dialect.name), [_row(tenant_id, row, now) for row in part])
        changed.update(made.scalars())
        ordered = again
    return len(changed)


def _place(row: Suppression) -> tuple[str, ...]:
    return row.channel, row.address, row.scope, row.reason


def _row(tenant_id: UUID, row: Suppression, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "tenant_id": tenant_id,
        "channel": row.channel,
        "address": row.address,
        "scope": row.scope,
        "reason": row.reason,
        "source": row.source,
        "created_at": row.since or now,
        "expires_at": row.expires_at,
        "note": row.note,
    }


@cache
def _adding(dialect: str) -> sa.Executable:
    insert: Upsert = upsert_on(dialect, suppressions)
    said, known = insert.excluded, suppressions.c
    gone = sa.and_(known.expires_at.is_not(None), known.expires_at <= said.created_at)
    longer = sa.and_(
        known.expires_at.is_not(None), sa.or_(said.expires_at.is_(None), said.expires_at > known.expires_at)
    )
    kept: dict[str, Any] = {name: said[name] for name in ("source", "note", "expires_at")}
    kept["created_at"] = sa.case((gone, said.created_at), else_=known.created_at)
    place = ["tenant_id", "channel", "address", "scope", "reason"]
    change = insert.on_conflict_do_update(index_elements=place, set_=kept, where=sa.or_(gone, longer))
    return change.returning(suppressions.c.id)


def lift(
    connection: sa.Connection, tenant_id: UUID, recipient_id: UUID, *, scopes: Collection[str], reason: str
) -> list[tuple[str, str]]:
    """Take away those of a recipient's addresses that have this reason and one of these scopes.

    Returns the channel and scope of each.
    """
    mine = sa.select(addresses.c.folded).where(
        addresses.c.recipient_id == recipient_id, addresses.c.channel == suppressions.c.channel
    )
    gone = sa.delete(suppressions).where(
        suppressions.c.tenant_id == tenant_id,
        suppressions.c.scope.in_(scopes),
        suppressions.c.reason == reason,
        suppressions.c.address.in_(mine),
    )
    rows = connection.execute(gone.returning(suppressions.c.channel, suppressions.c.scope))
    return [(row.channel, row.scope) for row in rows]


def carry(
    connection: sa.Connection, tenant_id: UUID, channel: Channel, moved: Mapping[str, Collection[str]], now: datetime
) -> None:
    """Say of other folded addresses what their owners said themselves of the former one: `moved` is by that.

    A bounce is the address's own, and stays with it.
    """
    wanted = (
        suppressions.c.tenant_id == tenant_id,
        suppressions.c.channel == channel,
        any_of(connection, suppressions.c.address, list(moved)),
        suppressions.c.reason.in_(OWN_WORD),
    )
    rows = connection.execute(sa.select(suppressions).where(*wanted)).all() if moved else []
    said = [replace(_kept(row).suppression, address=address) for row in rows for address in moved[row.address]]
    add(connection, tenant_id, said, now)


def of_addresses(
    connection: sa.Connection, tenant_id: UUID, channel: Channel, folded: Collection[str], secrets: Sequence[str]
) -> dict[str, list[Suppression]]:
    """The suppressions of these folded addresses, by address: one statement, and one more where there are tombstones.

    `secrets` are those under which tombstones were made (`Settings.secrets`).
    """
    if not folded:
        return {}
    found: dict[str, list[Suppression]] = defaultdict(list)
    asked = {"tenant": tenant_id, "channel": channel}
    reading = _reading(connection.dialect.name)
    any_tombstones = False
    for row in connection.execute(reading, {**asked, "addresses": list(folded)}):
        if row.address is None:
            any_tombstones = True
        else:
            found[row.address].append(_suppression(row))
    if any_tombstones:
        whose = {mark: one for one in folded for mark in tombstones.all_of(secrets, channel, one)}
        for row in connection.execute(reading, {**asked, "addresses": list(whose)}):
            if row.address is not None:
                found[whose[row.address]].append(_suppression(row))
    return found


@cache
def _reading(dialect: str) -> sa.CompoundSelect[Any]:
    """Those of the addresses, and a row without an address when the tenant has any tombstone of the channel."""
    theirs = (suppressions.c.tenant_id == sa.bindparam("tenant"), suppressions.c.channel == sa.bindparam("channel"))
    fields = [suppressions.c[name] for name in _FIELDS]
    named = sa.select(*fields).where(*theirs, any_bound(dialect, suppressions.c.address, "addresses"))
    first = sa.select(suppressions.c.channel).where(*theirs, IS_TOMBSTONE).limit(1).subquery()
    nothing = [sa.cast(sa.null(), field.type).label(field.name) for field in fields[1:]]
    return sa.union_all(named, sa.select(first.c.channel, *nothing))


def _suppression(row: Any) -> Suppression:
    return Suppression(Channel(row.channel), row.address, row.reason, row.source, row.scope, row.expires_at)


def at(
    connection: sa.Connection,
    tenant_id: UUID,
    channel: Channel,
    folded: str,
    secrets: Sequence[str],
    *,
    scope: str | None = None,
    lock: bool = False,
) -> list[Kept]:
    """Every row of one folded address, expired ones and tombstones too, the oldest first."""
    named = [folded, *tombstones.all_of(secrets, channel, folded)]
    wanted = [
        suppressions.c.tenant_id == tenant_id,
        suppressions.c.channel == channel,
        any_of(connection, suppressions.c.address, named),
    ]
    if scope is not None:
        wanted.append(suppressions.c.scope == scope)
    chosen = sa.select(suppressions).where(*wanted).order_by(suppressions.c.id)
    return [_kept(row) for row in connection.execute(chosen.with_for_update() if lock else chosen)]


def remove(connection: sa.Connection, ids: Collection[UUID]) -> None:
    """These stand no longer."""
    connection.execute(sa.delete(suppressions).where(any_of(connection, suppressions.c.id, list(ids))))


def listing(
    connection: sa.Connection,
    tenant_id: UUID,
    *,
    channel: Channel | None = None,
    reason: str | None = None,
    scope: str | None = None,
    before: UUID | None = None,
    limit: int = 20,
) -> list[Kept]:
    """Suppressions, the latest first; those after the row `before`, for the next page."""
    wanted = [suppressions.c.tenant_id == tenant_id]
    for column, value in ((suppressions.c.channel, channel), (suppressions.c.reason, reason)):
        if value is not None:
            wanted.append(column == value)
    if scope is not None:
        wanted.append(suppressions.c.scope == scope)
    if before is not None:
        wanted.append(suppressions.c.id < before)
    rows = connection.execute(sa.select(suppressions).where(*wanted).order_by(suppressions.c.id.desc()).limit(limit))
    return [_kept(row) for row in rows]


def everything(connection: sa.Connection, tenant_id: UUID) -> Iterator[Kept]:
    """Every suppression of the tenant, the latest first, a page at a time."""
    last: UUID | None = None
    while rows := listing(connection, tenant_id, before=last, limit=PAGE):
        yield from rows
        last = rows[-1].id


def holders(connection: sa.Connection, tenant_id: UUID, channel: Channel, folded: str) -> list[str]:
    """The keys of the recipients who have this folded address."""
    has = (addresses.c.tenant_id == tenant_id, addresses.c.channel == channel, addresses.c.folded == folded)
    chosen = sa.select(recipients.c.key).join(addresses, addresses.c.recipient_id == recipients.c.id).where(*has)
    return list(connection.scalars(chosen.order_by(recipients.c.key)))


def bury(connection: sa.Connection, tenant_id: UUID, channel: Channel, folded: str, secret: str) -> int:
    """Leave tombstones in the place of this address; returns how many rows it had. What they forbid stays forbidden."""
    wanted = (
        suppressions.c.tenant_id == tenant_id,
        suppressions.c.channel == channel,
        suppressions.c.address == folded,
    )
    rows = connection.execute(sa.delete(suppressions).where(*wanted).returning(suppressions)).all()
    mark = tombstones.of(secret, channel, folded)
    for row in rows:  # the note may name the person
        buried = Suppression(channel, mark, row.reason, row.source, row.scope, row.expires_at, since=row.created_at)
        add(connection, tenant_id, [buried], row.created_at)
    return len(rows)


def _kept(row: Any) -> Kept:
    one = Suppression(
        Channel(row.channel), row.address, row.reason, row.source, row.scope, row.expires_at, row.note, row.created_at
    )
    return Kept(row.id, one, row.created_at)
