"""Saved segments, and who is in a segment: counted, listed, cut into slices, explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.errors import InvalidSegment
from notify.model.segment import Condition
from notify.store.dialect import upsert
from notify.store.failures import refused
from notify.store.segment_conditions import Terms
from notify.store.tables import addresses, recipients, segments


@dataclass(frozen=True, slots=True)
class Saved:
    """A segment under its name."""

    name: str
    expression: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """A condition, of whose recipients, and when."""

    condition: Condition
    tenant_id: UUID
    now: datetime

    def where(self, connection: sa.Connection) -> tuple[sa.ColumnElement[bool], ...]:
        """What the recipients of a statement are narrowed down to. Who was erased is in no segment."""
        terms = Terms(self.tenant_id, connection.dialect.name, self.now)
        theirs = (recipients.c.tenant_id == self.tenant_id, recipients.c.erased_at.is_(None))
        return (*theirs, terms.of(self.condition))


# saved ones


def save(connection: sa.Connection, tenant_id: UUID, name: str, expression: str, now: datetime) -> bool:
    """Save a segment under its name, in place of another of that name; True when there was none."""
    row = {"id": uuid7(), "tenant_id": tenant_id, "name": name, "expression": expression}
    insert = upsert(connection, segments).values({**row, "created_at": now, "updated_at": now})
    changed = {"expression": insert.excluded.expression, "updated_at": insert.excluded.updated_at}
    keys = ["tenant_id", "name"]
    made = connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed).returning(segments.c.id))
    return bool(made.scalar_one() == row["id"])


def remove(connection: sa.Connection, tenant_id: UUID, name: str) -> bool:
    """Forget a segment; False when there is none of that name."""
    gone = connection.execute(sa.delete(segments).where(segments.c.tenant_id == tenant_id, segments.c.name == name))
    return gone.rowcount == 1


def find(connection: sa.Connection, tenant_id: UUID, name: str) -> Saved | None:
    """The segment of this name."""
    row = connection.execute(_saved(tenant_id).where(segments.c.name == name)).one_or_none()
    return None if row is None else Saved(*row)


def listing(connection: sa.Connection, tenant_id: UUID) -> list[Saved]:
    """Every saved segment, in the order of names."""
    return [Saved(*row) for row in connection.execute(_saved(tenant_id).order_by(segments.c.name))]


def _saved(tenant_id: UUID) -> sa.Select[Any]:
    fields = (segments.c.name, segments.c.expression, segments.c.created_at, segments.c.updated_at)
    return sa.select(*fields).where(segments.c.tenant_id == tenant_id)


# who is in one


def count(connection: sa.Connection, asked: Asked) -> int:
    """How many recipients."""
    counted = sa.select(sa.func.count()).select_from(recipients).where(*asked.where(connection))
    return int(connection.execute(counted).scalar_one())


@dataclass(frozen=True, slots=True)
class Member:
    """A recipient of a segment; `addresses` holds the primary one of each channel."""

    key: str
    locale: str | None
    tags: tuple[str, ...]
    addresses: Mapping[str, str]


def members(connection: sa.Connection, asked: Asked, *, after: str, limit: int) -> list[Member]:
    """The first of them after a key, in the order of keys."""
    chosen = sa.select(recipients.c.id, recipients.c.key, recipients.c.locale, recipients.c.tags)
    chosen = chosen.where(*asked.where(connection), recipients.c.key > after).order_by(recipients.c.key)
    rows = connection.execute(chosen.limit(limit)).all()
    reached: dict[UUID, dict[str, str]] = {}
    theirs = addresses.c.recipient_id.in_([row.id for row in rows])
    listed = sa.select(addresses.c.recipient_id, addresses.c.channel, addresses.c.value)
    for id_, channel, value in connection.execute(listed.where(theirs, addresses.c.is_primary)):
        reached.setdefault(id_, {})[channel] = value
    return [Member(row.key, row.locale, tuple(row.tags), reached.get(row.id, {})) for row in rows]


def require_answer(connection: sa.Connection, asked: Asked) -> None:
    """Raise `InvalidSegment` for what the database refuses to be asked: it asks as planning does, about nobody."""
    try:
        with connection.begin_nested():
            within(connection, asked, after="", until="")
    except sa.exc.DBAPIError as error:
        if not refused(error):
            raise
        text = str(error.orig).splitlines()[0]
        raise InvalidSegment(
            f"the database cannot answer it: {text}\nNext: write it with fewer or simpler terms"
        ) from None


def within(connection: sa.Connection, asked: Asked, *, after: str, until: str) -> list[UUID]:
    """The ids of those whose keys lie after the one and up to the other, in the order of keys."""
    part = (recipients.c.key > after, recipients.c.key <= until)
    chosen = sa.select(recipients.c.id).where(*asked.where(connection), *part).order_by(recipients.c.key)
    return list(connection.scalars(chosen))


def answers(
    connection: sa.Connection, tenant_id: UUID, key: str, conditions: Sequence[Condition], now: datetime
) -> list[bool] | None:
    """Which of these conditions hold for one recipient, by the statement that decides it; None: there is no such."""
    terms = Terms(tenant_id, connection.dialect.name, now)
    asked = [sa.case((terms.of(condition), 1), else_=0).label(f"t{n}") for n, condition in enumerate(conditions)]
    theirs = (recipients.c.tenant_id == tenant_id, recipients.c.key == key, recipients.c.erased_at.is_(None))
    row = connection.execute(sa.select(*asked).select_from(recipients).where(*theirs)).one_or_none()
    return None if row is None else [bool(held) for held in row]
