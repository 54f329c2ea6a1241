"""What a recipient chose, read under a lock and written back: of two who change it at once, neither loses a cell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from notify.model import Preferences
from notify.store.tables import recipients


@dataclass(frozen=True, slots=True)
class Holder:
    """A recipient, by what the choices of one need."""

    id: UUID
    tenant_id: UUID
    key: str
    locale: str | None
    preferences: Preferences
    erased: bool


def by_key(connection: sa.Connection, tenant_id: UUID, key: str, *, lock: bool = False) -> Holder | None:
    """The recipient with this key. With `lock`, nobody else changes it until the transaction ends."""
    return _one(connection, lock, recipients.c.tenant_id == tenant_id, recipients.c.key == key)


def by_id(connection: sa.Connection, recipient_id: UUID, *, lock: bool = False) -> Holder | None:
    """The recipient with this id, whichever tenant it belongs to."""
    return _one(connection, lock, recipients.c.id == recipient_id)


def write(connection: sa.Connection, holder: Holder, chosen: Preferences, now: datetime) -> None:
    """Store what a locked recipient chose."""
    changed = sa.update(recipients).where(recipients.c.id == holder.id)
    connection.execute(changed.values(preferences=chosen.as_json(), updated_at=now))


def _one(connection: sa.Connection, lock: bool, *wanted: sa.ColumnElement[bool]) -> Holder | None:
    fields = (recipients.c[name] for name in ("id", "tenant_id", "key", "locale", "preferences", "erased_at"))
    chosen = sa.select(*fields).where(*wanted)
    row = connection.execute(chosen.with_for_update(key_share=True) if lock else chosen).one_or_none()
    if row is None:
        return None
    wishes = Preferences.of_json(row.preferences)
    return Holder(row.id, row.tenant_id, row.key, row.locale, wishes, row.erased_at is not None)
