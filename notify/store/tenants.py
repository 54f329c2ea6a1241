"""Whose rows these are."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.errors import InvalidRecipient, did_you_mean
from notify.model import Preferences
from notify.store.dialect import upsert
from notify.store.tables import tenants
from notify.store.text import line

DEFAULT_KEY = "default"
DEFAULT_ID = UUID("00000000-0000-7000-8000-000000000000")  # written by the first migration
KNOWN, MADE = "notify.tenants.known", "notify.tenants.made"
_PREFERENCES = sa.select(tenants.c.preferences).where(tenants.c.id == sa.bindparam("id"))
_BY_KEY = sa.select(tenants.c.id).where(tenants.c.key == sa.bindparam("key"))


def tenant_id(connection: sa.Connection, key: str | None) -> UUID:
    """The id of the tenant with this key; without a key, the default one. Unknown, or no key: `InvalidRecipient`."""
    if key is None or key == DEFAULT_KEY:
        return DEFAULT_ID
    # no tenant is ever renamed or deleted: its id is asked for once per connection
    known: dict[str, UUID] = connection.info.setdefault(KNOWN, {})
    if isinstance(key, str) and key in known:
        return known[key]
    line("a tenant's key", key, InvalidRecipient)
    found: UUID | None = connection.scalar(_BY_KEY, {"key": key})
    if found is None:
        raise InvalidRecipient(
            f"no tenant {key!r}{did_you_mean(key, keys(connection))}\nNext: notify tenants add {key}"
        )
    if key not in connection.info.get(MADE, ()):
        known[key] = found
    return found


def add(connection: sa.Connection, key: str, now: datetime) -> bool:
    """Make a tenant; False when it was there already."""
    row = {"id": uuid7(), "key": key, "created_at": now}
    made = upsert(connection, tenants).values(row).on_conflict_do_nothing().returning(tenants.c.id)
    connection.info.setdefault(MADE, set()).add(key)  # what is rolled back must not be remembered
    return connection.execute(made).first() is not None


def lock(connection: sa.Connection, tenant_id: UUID) -> None:
    """Wait for, and keep out, others who lock this tenant, until the transaction ends. Sending goes on meanwhile."""
    connection.execute(sa.select(tenants.c.id).where(tenants.c.id == tenant_id).with_for_update(key_share=True))


def preferences(connection: sa.Connection, tenant_id: UUID) -> Preferences:
    """What counts for its recipients who chose nothing."""
    return Preferences.of_json(connection.scalar(_PREFERENCES, {"id": tenant_id}) or {})


def set_preferences(connection: sa.Connection, tenant_id: UUID, chosen: Preferences) -> None:
    """Store what counts for its recipients who chose nothing."""
    connection.execute(sa.update(tenants).where(tenants.c.id == tenant_id).values(preferences=chosen.as_json()))


def key_of(connection: sa.Connection, tenant_id: UUID) -> str:
    """The key of the tenant with this id."""
    found: str = connection.execute(sa.select(tenants.c.key).where(tenants.c.id == tenant_id)).scalar_one()
    return found


def keys(connection: sa.Connection) -> list[str]:
    """Every tenant's key, in order."""
    return list(connection.scalars(sa.select(tenants.c.key).order_by(tenants.c.key)))
