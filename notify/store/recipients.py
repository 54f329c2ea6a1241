"""Recipients and their addresses: read by key, and changed in bulk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Address, Author, Channel, Preferences, Recipient, Source
from notify.store import recipient_addresses, recipient_history, recipient_overrides
from notify.store.dialect import Upsert, any_bound, upsert_on
from notify.store.tables import Json, addresses, recipients


@dataclass(frozen=True, slots=True)
class Change:
    """What is said of a recipient. None leaves a field as it is; attributes are merged by name."""

    key: str
    locale: str | None = None
    timezone: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] | None = None
    addresses: Mapping[Channel, str] = field(default_factory=dict)
    """The address to write to, by channel: it takes the place of the one before."""
    active: bool | None = None


_FIELDS = ("id", "key", "locale", "timezone", "attributes", "tags", "preferences", "deactivated_at")


def by_keys(
    connection: sa.Connection, tenant_id: UUID, keys: Collection[str], *, lock: bool = False
) -> dict[str, Recipient]:
    """The recipients with these keys that exist, with their addresses: one statement. Who was erased is not there.

    With `lock`, nobody else changes them until the transaction ends; they are locked in the order of their keys.
    """
    if not keys:
        return {}
    if lock:
        # by a statement of its own: what was waited for has changed, and only a later statement sees all of it
        connection.execute(_locking(connection.dialect.name), {"tenant": tenant_id, "keys": list(keys)})
    rows = connection.execute(_reading(connection.dialect.name), {"tenant": tenant_id, "keys": list(keys)})
    return {
        key: Recipient(
            id_,
            key,
            locale,
            timezone,
            attributes,
            tuple(tags),
            {one.channel: one for one in _reached(listed)},
            Preferences.of_json(preferences),
            deactivated_at is None,
        )
        for id_, key, locale, timezone, attributes, tags, preferences, deactivated_at, listed in rows
    }


def _reached(listed: Sequence[tuple[str, str, bool]] | None) -> Iterator[Address]:
    for channel, value, verified in listed or ():
        yield Address(Channel(channel), value, bool(verified))


@cache
def _reading(dialect: str) -> sa.Select[Any]:
    fields = (recipients.c[name] for name in _FIELDS)
    # as a subquery: of a join PostgreSQL would read the whole table of addresses for a few hundred recipients
    agg, array = (
        (sa.func.json_group_array, sa.func.json_array)
        if dialect == "sqlite"
        else (sa.func.jsonb_agg, sa.func.jsonb_build_array)
    )
    each = array(addresses.c.channel, addresses.c.value, addresses.c.verified)
    first = addresses.c.recipient_id == recipients.c.id, addresses.c.is_primary
    listed = sa.select(agg(each, type_=Json)).where(*first).scalar_subquery()
    return sa.select(*fields, listed).where(*_with_these_keys(dialect), recipients.c.erased_at.is_(None))


@cache
def _locking(dialect: str) -> sa.Select[Any]:
    chosen = sa.select(recipients.c.id).where(*_with_these_keys(dialect)).order_by(recipients.c.key)
    return chosen.with_for_update(key_share=True)


def _with_these_keys(dialect: str) -> tuple[sa.ColumnElement[bool], ...]:
    return recipients.c.tenant_id == sa.bindparam("tenant"), any_bound(dialect, recipients.c.key, "keys")


@dataclass(frozen=True, slots=True)
class Written:
    """How many recipients a bulk change made, changed and left as they were; all of them as they are now, by key."""

    inserted: int
    updated: int
    unchanged: int
    people: Mapping[str, Recipient] = field(default_factory=dict, compare=False, repr=False)


def apply(
    connection: sa.Connection, tenant_id: UUID, changes: Sequence[Change], now: datetime, *, by: Author
) -> Written:
    """Make or change these recipients (distinct keys), in a number of statements that does not grow with theirs.

    An import leaves fields that were set by hand, and activates nobody; a description given to send() leaves what the
    person chose for themself. Raises `AddressTaken` for an address that
    another recipient has, unless that one moves away from it in the same call.
    """
    people = by_keys(connection, tenant_id, [change.key for change in changes])
    # in one order everywhere: two callers who write the same recipients must not wait for each other in a circle
    ordered = sorted(changes, key=lambda change: change.key)
    afterwards = {change.key: merged(change, people.get(change.key), by) for change in ordered}
    news = [change for change in ordered if afterwards[change.key] != people.get(change.key)]
    if not news:
        return Written(0, 0, len(changes), people)  # and nothing is locked: nothing new keeps nobody waiting
    present = by_keys(connection, tenant_id, [change.key for change in news if change.key in people], lock=True)
    if by.source in (Source.IMPORT, Source.SEND):
        overridden = recipient_overrides.of(connection, tenant_id, list(present), own=by.source is Source.SEND)
        news = [_without(change, overridden.get(change.key, frozenset())) for change in news]
    again = [merged(change, present[change.key], by) for change in news if change.key in present]
    known = [after for after in again if after != present[after.key]]
    # one who was there a moment ago was erased: who is described now is another
    erased = people.keys() - present.keys()
    gone = {change.key: merged(change, None, by) for change in news if change.key in erased}
    unseen = [gone.get(change.key, afterwards[change.key]) for change in news if change.key not in present]
    _write_known(connection, tenant_id, known, now)
    ids = _write_unseen(connection, tenant_id, unseen, now)
    made = [replace(one, id=ids[one.key]) for one in unseen]
    shared = [one.key for one in unseen if ids[one.key] != one.id]  # another caller made them meanwhile, and said more
    before = {**present, **by_keys(connection, tenant_id, shared)}
    written = sorted([*known, *made], key=lambda one: one.key)
    promoted = recipient_addresses.replace(connection, tenant_id, written, before, now)
    recipient_history.write(
        connection, tenant_id, [(one.id, recipient_history.difference(present[one.key], one)) for one in known], now, by
    )
    people.update(present)
    people.update({one.key: one for one in written})
    people.update(by_keys(connection, tenant_id, [*shared, *promoted]))
    return Written(len(unseen), len(known), len(changes) - len(unseen) - len(known), people)


def rewrite(connection: sa.Connection, tenant_id: UUID, before: Recipient, after: Recipient, now: datetime) -> None:
    """Write one recipient, who is locked, as `after` says: fields, attributes, tags, status, new primary addresses.

    Writes no history. Raises `AddressTaken`.
    """
    _write_known(connection, tenant_id, [after], now)
    recipient_addresses.replace(connection, tenant_id, [after], {before.key: before}, now)


def _without(change: Change, overridden: frozenset[str]) -> Change:
    """What an import, or send(), may still say of a recipient whose fields were in part set by hand."""
    if not overridden:
        return change
    return replace(
        change,
        locale=None if "locale" in overridden else change.locale,
        timezone=None if "timezone" in overridden else change.timezone,
        attributes={k: v for k, v in change.attributes.items() if f"attributes.{k}" not in overridden},
        tags=None if "tags" in overridden else change.tags,
        addresses={channel: v for channel, v in change.addresses.items() if channel.value not in overridden},
        active=None if "status" in overridden else change.active,
    )


def merged(change: Change, before: Recipient | None, by: Author) -> Recipient:
    """What a recipient is after a change, or a new one."""
    active = change.active
    if before is not None and by.source is Source.IMPORT and active:
        active = None  # an import brings nobody back
    before = before or Recipient(id=uuid7(), key=change.key)
    return Recipient(
        id=before.id,
        key=change.key,
        locale=change.locale if change.locale is not None else before.locale,
        timezone=change.timezone if change.timezone is not None else before.timezone,
        attributes={**before.attributes, **change.attributes},
        tags=change.tags if change.tags is not None else before.tags,
        addresses={
            **before.addresses,
            **{channel: before.at(channel, value) for channel, value in change.addresses.items()},
        },
        preferences=before.preferences,
        active=before.active if active is None else active,
    )


def _write_known(connection: sa.Connection, tenant_id: UUID, rows: Sequence[Recipient], now: datetime) -> None:
    if rows:
        connection.execute(_changing(connection.dialect.name), [_row(tenant_id, row, now) for row in rows])


def _write_unseen(
    connection: sa.Connection, tenant_id: UUID, rows: Sequence[Recipient], now: datetime
) -> dict[str, UUID]:
    """Write those that nobody knew of; returns their ids by key. One that another caller made meanwhile has its own."""
    if not rows:
        return {}
    dialect = connection.dialect.name
    if len(rows) == 1:
        made = connection.execute(_making_one(dialect), _row(tenant_id, rows[0], now))
        return {rows[0].key: made.scalar_one()}
    connection.execute(_making(dialect), [_row(tenant_id, row, now) for row in rows])
    return ids_by_key(connection, tenant_id, [row.key for row in rows])


@cache
def _changing(dialect: str) -> Upsert:
    insert = upsert_on(dialect, recipients)
    said, known = insert.excluded, recipients.c
    kept = {name: said[name] for name in ("locale", "timezone", "attributes", "tags", "updated_at")}
    first = sa.func.coalesce(known.deactivated_at, said.deactivated_at)
    since = sa.case((said.deactivated_at.is_(None), None), else_=first)
    return insert.on_conflict_do_update(index_elements=["tenant_id", "key"], set_={**kept, "deactivated_at": since})


@cache
def _making(dialect: str) -> Upsert:
    """What another caller made meanwhile keeps what ours do not say."""
    if dialect == "sqlite":
        return _changing(dialect)  # it has one writer at a time: nothing is made meanwhile
    insert = upsert_on(dialect, recipients)
    said, known = insert.excluded, recipients.c
    kept = {
        "locale": sa.func.coalesce(said.locale, known.locale),
        "timezone": sa.func.coalesce(said.timezone, known.timezone),
        "attributes": known.attributes.op("||")(said.attributes),
        "tags": sa.case((sa.cast(said.tags, sa.Text) == "[]", known.tags), else_=said.tags),
        "updated_at": said.updated_at,
        "deactivated_at": sa.func.coalesce(known.deactivated_at, said.deactivated_at),
    }
    return insert.on_conflict_do_update(index_elements=["tenant_id", "key"], set_=kept)


@cache
def _making_one(dialect: str) -> sa.Executable:
    return _making(dialect).returning(recipients.c.id)


def _row(tenant_id: UUID, row: Recipient, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "tenant_id": tenant_id,
        "key": row.key,
        "locale": row.locale,
        "timezone": row.timezone,
        "attributes": dict(row.attributes),
        "tags": list(row.tags),
        "created_at": now,
        "updated_at": now,
        "deactivated_at": None if row.active else now,
    }


def hold(connection: sa.Connection, tenant_id: UUID, key: str) -> UUID | None:
    """The id of the recipient with this key, who is not erased until the transaction ends; None without one."""
    wanted = (recipients.c.tenant_id == tenant_id, recipients.c.key == key, recipients.c.erased_at.is_(None))
    return connection.scalar(sa.select(recipients.c.id).where(*wanted).with_for_update(read=True, key_share=True))


def ids_by_key(connection: sa.Connection, tenant_id: UUID, keys: Sequence[str]) -> dict[str, UUID]:
    """The ids of the recipients with these keys."""
    found = connection.execute(_naming(connection.dialect.name), {"tenant": tenant_id, "keys": list(keys)})
    return {row.key: row.id for row in found}


@cache
def _naming(dialect: str) -> sa.Select[Any]:
    return sa.select(recipients.c.key, recipients.c.id).where(*_with_these_keys(dialect))


def all_keys(connection: sa.Connection, tenant_id: UUID) -> list[str]:
    """The key of every recipient of this tenant, in order."""
    return list(
        connection.scalars(
            sa.select(recipients.c.key).where(recipients.c.tenant_id == tenant_id).order_by(recipients.c.key)
        )
    )
