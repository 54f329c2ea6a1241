"""Where the links of tracked mails lead: stored before a mail with them goes out, looked up when one is followed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from notify.store.dialect import upsert
from notify.store.tables import tracked_links


class Target(NamedTuple):
    """A link of one recipient's mail. `recipient_id` None: of several people's."""

    id: UUID
    tenant_id: UUID
    recipient_id: UUID | None
    url: str


def store(connection: sa.Connection, targets: Iterable[Target], now: datetime) -> dict[UUID, UUID | None]:
    """Store these links in one statement, or note that they are still in use; returns whose alone each is.

    They are written in the order of their ids: two writers with the same must not wait for each other in a circle.
    """
    rows = [
        {**one._asdict(), "created_at": now, "used_at": now} for one in sorted(_merged(targets), key=lambda one: one.id)
    ]
    if not rows:
        return {}
    adding = upsert(connection, tracked_links)
    mine, theirs = tracked_links.c.recipient_id, adding.excluded.recipient_id
    values = {"used_at": adding.excluded.used_at, "recipient_id": sa.case((mine == theirs, mine))}
    kept = adding.on_conflict_do_update(index_elements=["id"], set_=values)
    found = connection.execute(kept.returning(tracked_links.c.id, mine), rows)
    return {row.id: row.recipient_id for row in found}


def _merged(targets: Iterable[Target]) -> Sequence[Target]:
    """Each link once: of several people's when more than one has it."""
    merged: dict[UUID, Target] = {}
    for one in targets:
        known = merged.setdefault(one.id, one)
        if known.recipient_id != one.recipient_id:
            merged[one.id] = one._replace(recipient_id=None)
    return list(merged.values())


def find(connection: sa.Connection, link_id: UUID) -> str | None:
    """Where this link leads; None when that is kept no longer."""
    found: str | None = connection.scalar(sa.select(tracked_links.c.url).where(tracked_links.c.id == link_id))
    return found
