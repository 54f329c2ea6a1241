"""How each mailbox stands: when it was tried, read and to where, and what was wrong at the last try."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.store.dialect import upsert
from notify.store.tables import mailboxes
from notify.store.tenants import DEFAULT_ID

_FIELDS = tuple(
    mailboxes.c[name]
    for name in ("name", "uid_validity", "last_uid", "settled_uid", "scanned_at", "tried_at", "problem", "mails")
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A mailbox as it stands: its mails are stored up to `last_uid`, and marked or moved up to `settled_uid`.

    `scanned_at` is its last success, `problem` that of the last try, in words.
    """

    name: str
    uid_validity: int | None
    last_uid: int
    settled_uid: int
    scanned_at: datetime | None
    tried_at: datetime | None
    problem: str | None
    mails: int


def begin(connection: sa.Connection, name: str, now: datetime) -> Standing:
    """Note a try; returns how the mailbox stands. One that was not known is now."""
    insert = upsert(connection, mailboxes)
    values = {"id": uuid7(), "tenant_id": DEFAULT_ID, "name": name, "tried_at": now}
    row = connection.execute(
        insert.on_conflict_do_update(index_elements=["name"], set_={"tried_at": now}).returning(*_FIELDS), values
    ).one()
    return Standing(**row._mapping)


def succeed(connection: sa.Connection, name: str, now: datetime) -> None:
    """It was read to its end, or a listener is there."""
    values = {"scanned_at": now, "problem": None}
    connection.execute(sa.update(mailboxes).where(mailboxes.c.name == name).values(values))


def fail(connection: sa.Connection, name: str, problem: str) -> None:
    """It could not be read."""
    connection.execute(sa.update(mailboxes).where(mailboxes.c.name == name).values(problem=problem))


def listing(connection: sa.Connection) -> dict[str, Standing]:
    """Each that was ever tried, by name. They are few."""
    rows = connection.execute(sa.select(*_FIELDS).order_by(mailboxes.c.name))
    return {row.name: Standing(**row._mapping) for row in rows}
