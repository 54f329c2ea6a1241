"""Mails that came back: each is a row once for its mailbox; and how far each mailbox was read.

`body` and `text` are looked at one by one, for they may be large.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Checkpoint, IncomingKind, IncomingState
from notify.store.dialect import any_of, upsert
from notify.store.tables import incoming_mails, mailboxes
from notify.store.tenants import DEFAULT_ID

_FACTS = tuple(
    incoming_mails.c[name]
    for name in (
        *("id", "tenant_id", "mailbox", "digest", "place", "kind", "state", "reason", "message_id", "recipient_id"),
        *(
            "sender",
            "subject",
            "header_id",
            "envelope_to",
            "size",
            "report",
            "text",
            "received_at",
            "resolved_at",
            "resolved_by",
        ),
    )
)


OPEN = (IncomingState.UNMATCHED, IncomingState.REJECTED)
"""Nothing followed from these: an operator may decide, or have them read again."""
NO_OCTETS: dict[str, Any] = {"body": None, "envelope_to": None}
NO_WORDS: dict[str, Any] = {
    **NO_OCTETS,
    **dict.fromkeys(("sender", "subject", "header_id", "text")),
    "report": sa.null(),
}
"""What is left of a mail of somebody who is erased."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A mail as it is kept. `report` is what it says of each recipient; `text` the words of a reply."""

    mailbox: str
    digest: str
    kind: IncomingKind
    state: IncomingState
    size: int
    received_at: datetime
    place: str | None = None
    reason: str | None = None
    message_id: UUID | None = None
    recipient_id: UUID | None = None
    sender: str | None = None
    subject: str | None = None
    header_id: str | None = None
    envelope_to: str | None = None
    report: Mapping[str, Any] | None = None
    body: bytes | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    tenant_id: UUID = DEFAULT_ID
    id: UUID = field(default_factory=uuid7)

    def as_json(self) -> dict[str, Any]:
        """What operators are shown, as JSON values; without the body."""
        return {
            "id": str(self.id),
            "mailbox": self.mailbox,
            "place": self.place,
            "kind": self.kind,
            "state": self.state,
            "reason": self.reason,
            "message": str(self.message_id) if self.message_id else None,
            "sender": self.sender,
            "subject": self.subject,
            "header_id": self.header_id,
            "size": self.size,
            "report": self.report,
            "text": self.text,
            "received_at": self.received_at.isoformat(),
            "resolved_at": self.resolved_at.isoformat() if self.resolved_at else None,
            "resolved_by": self.resolved_by,
        }


def known(
    connection: sa.Connection, mailbox: str, digests: Collection[str]
) -> tuple[dict[str, IncomingState], dict[str, str | None]]:
    """Which of these mails were taken from this mailbox before: where they stand, and the place that they lay at."""
    of = incoming_mails.c
    of_these = (of.mailbox == mailbox, any_of(connection, of.digest, list(digests)))
    rows = connection.execute(sa.select(of.digest, of.state, of.place).where(*of_these)).all()
    return {row.digest: IncomingState(row.state) for row in rows}, {row.digest: row.place for row in rows}


def insert(connection: sa.Connection, rows: Sequence[Incoming]) -> list[Incoming]:
    """Keep these; returns those that were not known. In one order everywhere: two writers do not wait in a circle."""
    if not rows:
        return []
    ordered = sorted(rows, key=lambda one: (one.mailbox, one.digest))
    adding = upsert(connection, incoming_mails).on_conflict_do_nothing().returning(incoming_mails.c.id)
    made = set(connection.execute(adding, [_row(one) for one in ordered]).scalars())
    return [one for one in ordered if one.id in made]


def advance(connection: sa.Connection, mailbox: str, checkpoint: Checkpoint | None, mails: int) -> None:
    """So many new mails were taken, and the mailbox was read up to here; never back under the same UIDVALIDITY."""
    insert = upsert(connection, mailboxes)
    counted = {"mails": mailboxes.c.mails + insert.excluded.mails}
    facts = {"id": uuid7(), "tenant_id": DEFAULT_ID, "name": mailbox, "mails": mails}
    if checkpoint is not None:
        uid, said = checkpoint.last_uid, insert.excluded
        uids = {"last_uid": uid, "settled_uid": uid if checkpoint.settled else 0}
        facts |= {"uid_validity": checkpoint.uid_validity, **uids}
        counted["uid_validity"] = said.uid_validity
        for name in uids:  # another scan may have been quicker
            before = mailboxes.c[name]
            further = sa.and_(mailboxes.c.uid_validity == said.uid_validity, before > said[name])
            counted[name] = sa.case((further, before), else_=said[name])
    connection.execute(insert.values(facts).on_conflict_do_update(index_elements=["name"], set_=counted))


def listing(
    connection: sa.Connection, states: Collection[IncomingState], *, reason: str | None = None, limit: int
) -> list[Incoming]:
    """The latest in these states first."""
    wanted: list[sa.ColumnElement[bool]] = [incoming_mails.c.state.in_(list(states))]
    if reason is not None:
        wanted.append(incoming_mails.c.reason == reason)
    chosen = sa.select(*_FACTS).where(*wanted).order_by(incoming_mails.c.received_at.desc(), incoming_mails.c.id.desc())
    return [_incoming(row) for row in connection.execute(chosen.limit(limit))]


def waiting(connection: sa.Connection) -> int:
    """How many reports an operator has to look at."""
    counted = sa.select(sa.func.count()).where(incoming_mails.c.state == IncomingState.UNMATCHED)
    return connection.scalar(counted) or 0


def rejected_on(connection: sa.Connection, day: date, most: int) -> int:
    """How many of the mails that came on this day (UTC) were rejected; nobody counts beyond `most`."""
    begin, of = datetime.combine(day, time.min, UTC), incoming_mails.c
    within = (of.state == IncomingState.REJECTED, of.received_at >= begin, of.received_at < begin + timedelta(days=1))
    some = sa.select(of.id).where(*within).limit(most).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0


def get(connection: sa.Connection, id_: UUID, *, lock: bool = False) -> Incoming | None:
    """One with its body; locked, so that nobody else decides of it meanwhile."""
    chosen = sa.select(*_FACTS, incoming_mails.c.body).where(incoming_mails.c.id == id_)
    row = connection.execute(chosen.with_for_update() if lock else chosen).one_or_none()
    return None if row is None else replace(_incoming(row), body=row.body)


def to_read_again(connection: sa.Connection, chosen: Sequence[UUID], reason: str | None) -> list[UUID]:
    """Of these, or of all with that reason, those of which nothing followed and whose octets are kept; oldest first."""
    which = any_of(connection, incoming_mails.c.id, list(chosen)) if chosen else incoming_mails.c.reason == reason
    open_ = (incoming_mails.c.state.in_(OPEN), incoming_mails.c.body.is_not(None))
    ordered = sa.select(incoming_mails.c.id).where(which, *open_).order_by(incoming_mails.c.received_at)
    return list(connection.scalars(ordered))


def rewrite(connection: sa.Connection, row: Incoming) -> None:
    """It was read again: this is what it says by now."""
    connection.execute(sa.update(incoming_mails).where(incoming_mails.c.id == row.id).values(_row(row)))


def of_message(connection: sa.Connection, message_id: UUID) -> list[Incoming]:
    """The mails that came back of this message, the first first; none that only may be of it."""
    sure = incoming_mails.c.state.in_([IncomingState.MATCHED, IncomingState.RESOLVED])
    chosen = sa.select(*_FACTS).where(incoming_mails.c.message_id == message_id, sure)
    return [_incoming(row) for row in connection.execute(chosen.order_by(incoming_mails.c.received_at))]


def resolve(
    connection: sa.Connection,
    id_: UUID,
    *,
    by: str,
    at: datetime,
    reason: str,
    message_id: UUID | None = None,
    recipient_id: UUID | None = None,
    erased: bool = False,
) -> None:
    """An operator has decided; its octets are needed no longer, and none of its words if the recipient is erased."""
    values = {"state": IncomingState.RESOLVED, "reason": reason, "resolved_at": at, "resolved_by": by, **NO_OCTETS}
    whose: dict[str, Any] = {"message_id": message_id, "recipient_id": recipient_id}
    if erased:
        whose |= NO_WORDS
    connection.execute(sa.update(incoming_mails).where(incoming_mails.c.id == id_).values(values | whose))


def _row(one: Incoming) -> dict[str, Any]:
    return {
        **{column.name: getattr(one, column.name) for column in _FACTS},
        "body": one.body,
    }


def _incoming(row: Any) -> Incoming:
    facts = {column.name: getattr(row, column.name) for column in _FACTS}
    return Incoming(**{**facts, "kind": IncomingKind(row.kind), "state": IncomingState(row.state)})
