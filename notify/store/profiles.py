"""Profiles: everything known of recipients, one by one or page by page in the order of their keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import Channel, OwnAddress, Preferences, Profile, Status, Suppression, fold
from notify.store.dialect import any_of
from notify.store.tables import addresses, recipient_changes, recipients, suppressions


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which recipients are meant: those of whom all that is given holds.

    `tags`: they have each of them. `channel`: they have an address on it. `address`: it is one of theirs, whatever its
    case. `search`: a piece of their key, name or one of their addresses. Without `status`, all but the erased ones.
    """

    tags: tuple[str, ...] = ()
    status: Status | None = None
    channel: Channel | None = None
    address: str | None = None
    search: str | None = None


def one(connection: sa.Connection, tenant_id: UUID, key: str) -> Profile | None:
    """The recipient with this key; three statements."""
    rows = connection.execute(_FIELDS.where(recipients.c.tenant_id == tenant_id, recipients.c.key == key)).all()
    return next(_profiles(connection, tenant_id, rows), None)


def page(connection: sa.Connection, tenant_id: UUID, wanted: Wanted, *, after: str | None, limit: int) -> list[Profile]:
    """At most so many of them in the order of keys, beginning behind the key `after`; three statements."""
    chosen = _FIELDS.where(*_conditions(connection, tenant_id, wanted)).order_by(recipients.c.key).limit(limit)
    if after is not None:
        chosen = chosen.where(recipients.c.key > after)
    return list(_profiles(connection, tenant_id, connection.execute(chosen).all()))


def count(connection: sa.Connection, tenant_id: UUID, wanted: Wanted) -> int:
    """How many they are."""
    chosen = sa.select(sa.func.count()).select_from(recipients).where(*_conditions(connection, tenant_id, wanted))
    return connection.scalar(chosen) or 0


def _conditions(connection: sa.Connection, tenant_id: UUID, wanted: Wanted) -> Iterator[sa.ColumnElement[bool]]:
    yield recipients.c.tenant_id == tenant_id
    yield _in_state(wanted.status)
    for tag in wanted.tags:
        yield _tagged(connection.dialect.name, tag)
    theirs = sa.select(1).where(addresses.c.recipient_id == recipients.c.id)
    if wanted.channel is not None:
        yield theirs.where(addresses.c.channel == wanted.channel).exists()
    if wanted.address is not None:
        found = sa.select(addresses.c.recipient_id).where(
            addresses.c.tenant_id == tenant_id,
            addresses.c.channel.in_([channel.value for channel in Channel]),  # the index begins with tenant and channel
            addresses.c.folded == fold(wanted.address),
        )
        yield recipients.c.id.in_(found)
    if wanted.search is not None:
        piece = wanted.search
        yield sa.or_(
            recipients.c.key.icontains(piece, autoescape=True),
            recipients.c.attributes["name"].as_string().icontains(piece, autoescape=True),
            theirs.where(addresses.c.value.icontains(piece, autoescape=True)).exists(),
        )


def _in_state(status: Status | None) -> sa.ColumnElement[bool]:
    alive = recipients.c.erased_at.is_(None)
    match status:
        case Status.ACTIVE:
            return alive & recipients.c.deactivated_at.is_(None)
        case Status.INACTIVE:
            return alive & recipients.c.deactivated_at.is_not(None)
        case Status.ERASED:
            return recipients.c.erased_at.is_not(None)
        case None:
            return alive


def _tagged(dialect: str, tag: str) -> sa.ColumnElement[bool]:
    if dialect == "sqlite":
        each = sa.func.json_each(recipients.c.tags).table_valued("value")
        return sa.select(1).select_from(each).where(each.c.value == tag).exists()
    return recipients.c.tags.op("?", is_comparison=True)(tag)


_FIELDS = sa.select(
    *(recipients.c[name] for name in ("id", "key", "locale", "timezone", "attributes", "tags", "preferences")),
    *(recipients.c[name] for name in ("overrides", "created_at", "updated_at", "deactivated_at", "erased_at")),
    sa.select(sa.func.count())
    .where(recipient_changes.c.recipient_id == recipients.c.id)
    .scalar_subquery()
    .label("changes"),
)


def _profiles(connection: sa.Connection, tenant_id: UUID, rows: Sequence[Any]) -> Iterator[Profile]:
    owned = _owned(connection, tenant_id, [row.id for row in rows])
    for row in rows:
        status = Status.INACTIVE if row.deactivated_at else Status.ACTIVE
        yield Profile(
            id=row.id,
            key=row.key,
            status=Status.ERASED if row.erased_at else status,
            locale=row.locale,
            timezone=row.timezone,
            attributes=row.attributes,
            tags=tuple(row.tags),
            addresses=tuple(owned[row.id]),
            overrides=tuple(row.overrides),
            created_at=row.created_at,
            updated_at=row.updated_at,
            preferences=Preferences.of_json(row.preferences),
            deactivated_at=row.deactivated_at,
            changes=row.changes,
        )


def _owned(connection: sa.Connection, tenant_id: UUID, ids: Collection[UUID]) -> dict[UUID, list[OwnAddress]]:
    """Their addresses, the primary one of each channel first, with what stands against each."""
    owned: dict[UUID, list[OwnAddress]] = defaultdict(list)
    if not ids:
        return owned
    order = addresses.c.channel, addresses.c.is_primary.desc(), addresses.c.id
    chosen = sa.select(addresses).where(any_of(connection, addresses.c.recipient_id, list(ids))).order_by(*order)
    rows = connection.execute(chosen).all()
    against = _suppressed(connection, tenant_id, {row.folded for row in rows})
    for row in rows:
        owned[row.recipient_id].append(
            OwnAddress(
                channel=Channel(row.channel),
                value=row.value,
                primary=row.is_primary,
                verified=row.verified,
                verified_at=row.verified_at,
                suppressions=tuple(against[row.channel, row.folded]),
            )
        )
    return owned


def _suppressed(
    connection: sa.Connection, tenant_id: UUID, folded: Collection[str]
) -> dict[tuple[str, str], list[Suppression]]:
    """What stands against these folded addresses, by channel and address, on whichever channel."""
    found: dict[tuple[str, str], list[Suppression]] = defaultdict(list)
    if folded:
        table = suppressions.c
        named = any_of(connection, table.address, list(folded))
        channels = table.channel.in_([channel.value for channel in Channel])  # the index begins with these
        chosen = sa.select(suppressions).where(table.tenant_id == tenant_id, channels, named)
        for row in connection.execute(chosen.order_by(table.created_at, table.id)):
            found[row.channel, row.address].append(
                Suppression(Channel(row.channel), row.address, row.reason, row.source, row.scope, row.expires_at)
            )
    return found
