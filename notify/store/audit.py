"""Every change made by a person leaves a row here. Rows are only ever added: the database refuses all else.

Its triggers let nothing through but what goes by `door`, for two reasons: a person who is erased, and rows that are
older than the operator keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.store.tables import audit, recipients, schedule_claims

DOOR = "audit.door"


def write(
    connection: sa.Connection,
    tenant_id: UUID,
    *,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    at: datetime,
) -> None:
    """Note that `actor` did `action` to `subject`."""
    row = {"id": uuid7(), "tenant_id": tenant_id, "actor": actor, "action": action, "subject": subject}
    connection.execute(sa.insert(audit), {**row, "detail": dict(detail), "at": at})


@dataclass(frozen=True, slots=True)
class Deed:
    """Who did what to whom or what, when."""

    id: UUID
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    at: datetime


def listing(
    connection: sa.Connection,
    tenant_id: UUID,
    *,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    limit: int = 20,
) -> list[Deed]:
    """What was done, the latest first. An action that ends in a dot stands for all that begin so.

    Of a recipient, key and id mean the same: some rows name the one, some the other.
    """
    wanted = [audit.c.tenant_id == tenant_id]
    if actor is not None:
        wanted.append(audit.c.actor == actor)
    if subject is not None:
        wanted.append(audit.c.subject.in_(_names(connection, tenant_id, subject)))
    if action is not None:
        named = audit.c.action.startswith(action, autoescape=True) if action.endswith(".") else audit.c.action == action
        wanted.append(named)
    if since is not None:
        wanted.append(audit.c.at >= since)
    rows = connection.execute(
        sa.select(audit).where(*wanted).order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit)
    )
    return [Deed(row.id, row.actor, row.action, row.subject, row.detail, row.at) for row in rows]


def _names(connection: sa.Connection, tenant_id: UUID, subject: str) -> set[str]:
    """The subject, and the other name that it has when it is a recipient."""
    named = [recipients.c.key == subject]
    with suppress(ValueError):
        named.append(recipients.c.id == UUID(subject))
    chosen = sa.select(recipients.c.key, recipients.c.id).where(recipients.c.tenant_id == tenant_id, sa.or_(*named))
    return {subject, *(str(name) for row in connection.execute(chosen) for name in row)}


@contextmanager
def door(connection: sa.Connection, tenant_id: UUID, at: datetime) -> Iterator[None]:
    """Let rows of this table be changed inside the block, by this transaction alone.

    The open door is a row that no other transaction sees, for it is gone again before the commit. Another that would
    open it waits.
    """
    row = {"name": DOOR, "tenant_id": tenant_id, "slot": 0, "claimed_at": at}
    connection.execute(sa.insert(schedule_claims), row)
    yield
    connection.execute(sa.delete(schedule_claims).where(schedule_claims.c.name == DOOR))
