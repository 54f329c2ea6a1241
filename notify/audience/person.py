"""The one recipient that a choice or a consent is about: found by key or id, or refused by name."""

from __future__ import annotations

from uuid import UUID

from notify.errors import InvalidRecipient, NotFound
from notify.store import Connection, preferences, tenants
from notify.store.preferences import Holder
from notify.store.text import line

Who = str | UUID
"""A recipient's key, which belongs to a tenant, or its id, which is one of a kind."""


def person(connection: Connection, who: Who, tenant: str | None = None, *, lock: bool = False) -> Holder:
    """Raises `NotFound` for one that is not there, or was erased. With `lock`, nobody else changes it meanwhile."""
    if isinstance(who, UUID):
        found = preferences.by_id(connection, who, lock=lock)
    else:
        key = line("a recipient's key", who, InvalidRecipient)
        found = preferences.by_key(connection, tenants.tenant_id(connection, tenant), key, lock=lock)
    if found is None or found.erased:
        raise NotFound(f"no recipient {str(who)!r} in this tenant; `notify recipients list` shows them")
    return found
