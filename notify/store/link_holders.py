"""Whose link it is: recipients found by their id alone, as signed links name them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from notify.store.tables import recipients, tenants


@dataclass(frozen=True, slots=True)
class Holder:
    """A recipient by the names under which everything else knows them."""

    id: UUID
    tenant: str
    key: str
    locale: str | None


def find(connection: sa.Connection, recipient_id: UUID) -> Holder | None:
    """The recipient of this id; None when there is none, or none any more."""
    fields = recipients.c.id, tenants.c.key, recipients.c.key, recipients.c.locale
    asked = (
        sa.select(*fields)
        .join(tenants, tenants.c.id == recipients.c.tenant_id)
        .where(recipients.c.id == recipient_id, recipients.c.erased_at.is_(None))
    )
    found = connection.execute(asked).first()
    return Holder(*found) if found else None
