"""Providers that are passed over until an operator resumes them, or until their URL changes."""

from __future__ import annotations

import sqlalchemy as sa

from notify.model import Pause
from notify.store.dialect import upsert
from notify.store.tables import provider_pauses as pauses
from notify.store.tenants import DEFAULT_ID

_FIELDS = tuple(pauses.c[name] for name in ("name", "digest", "reason", "response", "actor", "paused_at"))


def add(connection: sa.Connection, pause: Pause) -> bool:
    """Pause a provider; False when it is paused already, under the same URL or by an operator."""
    values = {name: getattr(pause, name) for name in ("digest", "reason", "response", "actor", "paused_at")}
    held = pauses.c.digest.in_([pause.digest, ""])
    made = connection.execute(
        upsert(connection, pauses)
        .values(tenant_id=DEFAULT_ID, name=pause.name, **values)
        .on_conflict_do_update(index_elements=[pauses.c.name], set_=values, where=~held)
        .returning(pauses.c.name)
    )
    return made.first() is not None


def remove(connection: sa.Connection, name: str, digest: str | None = None) -> bool:
    """End a pause, or only the one of the URL with this digest; False when there is none."""
    wanted = [pauses.c.name == name, *([pauses.c.digest == digest] if digest is not None else [])]
    return connection.execute(sa.delete(pauses).where(*wanted)).rowcount == 1


def listing(connection: sa.Connection) -> list[Pause]:
    """Every pause, by name. They are few."""
    rows = connection.execute(sa.select(*_FIELDS).order_by(pauses.c.name))
    return [Pause(**row._mapping) for row in rows]


def find(connection: sa.Connection, name: str) -> Pause | None:
    """The pause of this provider."""
    row = connection.execute(sa.select(*_FIELDS).where(pauses.c.name == name)).one_or_none()
    return None if row is None else Pause(**row._mapping)
