"""The fields of a recipient that were set by hand: imports and descriptions given to send() leave them as they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.store.dialect import any_bound
from notify.store.tables import recipients

OWN = "own:"
"""Before the name of a field among the overrides: the person chose it for themself."""


def of(
    connection: sa.Connection, tenant_id: UUID, keys: Sequence[str], *, own: bool = False
) -> dict[str, frozenset[str]]:
    """The fields that were set by hand, by key of the recipient; only of those who have any.

    With `own`, those alone that the person chose for themself.
    """
    if not keys:
        return {}
    found = connection.execute(_overridden(connection.dialect.name), {"tenant": tenant_id, "keys": list(keys)})
    if own:
        return {
            key: frozenset(field.removeprefix(OWN) for field in fields if field.startswith(OWN))
            for key, fields in found
        }
    return {key: frozenset(fields) for key, fields in found}


def keep(connection: sa.Connection, recipient_id: UUID, fields: Collection[str]) -> None:
    """Keep the names of the fields that imports are to leave."""
    kept = sa.update(recipients).where(recipients.c.id == recipient_id)
    connection.execute(kept.values(overrides=sorted(fields)))


@cache
def _overridden(dialect: str) -> sa.Select[Any]:
    these = recipients.c.tenant_id == sa.bindparam("tenant"), any_bound(dialect, recipients.c.key, "keys")
    some = sa.cast(recipients.c.overrides, sa.Text) != "[]"
    return sa.select(recipients.c.key, recipients.c.overrides).where(*these, some)
