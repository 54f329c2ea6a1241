"""Dead letters: written in the transaction that makes a message dead, gone in the one that gives it back its life."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Channel, DeadLetter, Death, ErrorClass, Filter, MessageState
from notify.policy.fingerprint import fingerprint
from notify.store.dialect import any_of, upsert
from notify.store.engine import Store
from notify.store.tables import dead_letters, kept_mails, messages, recipients

PAGE = 500
LONGEST_DETAIL = 2000  # characters


def bury(connection: sa.Connection, deaths: Sequence[Death]) -> set[UUID]:
    """Write a dead letter for each; returns the messages that have one now.

    Written again, when the commit's answer was lost, it is the same row and no other; and a message that was replayed
    meanwhile gets none.
    """
    if not deaths:
        return set()
    named = [death.message_id for death in deaths if death.message_id]
    dead = set(_dead(connection, named)) if named else set[UUID]()
    rows = [_row(death) for death in deaths if death.message_id is None or death.message_id in dead]
    if rows:
        connection.execute(upsert(connection, dead_letters).on_conflict_do_nothing(), rows)
    return dead


def _dead(connection: sa.Connection, ids: Sequence[UUID]) -> Sequence[UUID]:
    wanted = any_of(connection, messages.c.id, ids)
    return connection.scalars(sa.select(messages.c.id).where(wanted, messages.c.state == MessageState.DEAD)).all()


def _row(death: Death) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "tenant_id": death.tenant_id,
        "message_id": death.message_id,
        "kind": death.kind,
        "channel": death.channel,
        "provider": death.provider,
        "error": death.error,
        "reason": death.reason,
        "detail": death.detail[:LONGEST_DETAIL] if death.detail else None,
        "fingerprint": fingerprint(death.kind, death.error, death.reason, death.detail),
        "payload": death.payload,
        "died_at": death.at,
    }


def chosen(connection: sa.Connection, tenant_id: UUID, wanted: Filter) -> list[sa.ColumnElement[bool]]:
    """The conditions under which a dead letter of this tenant is meant."""
    found = [dead_letters.c.tenant_id == tenant_id]
    for name in ("kind", "channel", "error", "reason", "provider", "fingerprint"):
        if (value := getattr(wanted, name)) is not None:
            found.append(dead_letters.c[name] == value)
    if wanted.ids:
        by = (dead_letters.c.id, dead_letters.c.message_id)
        found.append(sa.or_(*(any_of(connection, column, list(wanted.ids)) for column in by)))
    if wanted.notification_id:
        of = sa.select(messages.c.id).where(messages.c.notification_id == wanted.notification_id)
        found.append(dead_letters.c.message_id.in_(of))
    if wanted.since:
        found.append(dead_letters.c.died_at >= wanted.since)
    if wanted.until:
        found.append(dead_letters.c.died_at < wanted.until)
    return found


@dataclass(frozen=True, slots=True)
class Group:
    """All dead letters of one fingerprint. `providers` says how many had a part in it, `provider` names one."""

    example: DeadLetter
    count: int
    first: datetime
    last: datetime
    provider: str | None
    providers: int


def groups(connection: sa.Connection, tenant_id: UUID, wanted: Filter, *, limit: int) -> list[Group]:
    """Dead letters by cause, the most frequent first."""
    counted = sa.func.count()
    rows = connection.execute(
        sa.select(
            counted.label("size"),
            sa.func.min(dead_letters.c.died_at).label("first"),
            sa.func.max(dead_letters.c.died_at).label("last"),
            sa.func.min(dead_letters.c.provider).label("provider"),
            sa.func.count(dead_letters.c.provider.distinct()).label("providers"),
            sa.func.min(sa.cast(dead_letters.c.id, sa.Text)).label("example"),  # not every PostgreSQL has min(uuid)
        )
        .where(*chosen(connection, tenant_id, wanted))
        .group_by(dead_letters.c.fingerprint)
        .order_by(counted.desc(), sa.text("example"))
        .limit(limit)
    ).all()
    if not rows:
        return []
    shown = Filter(ids=tuple(UUID(row.example) for row in rows))
    examples = {one.id: one for one in listing(connection, tenant_id, shown, limit=limit)}
    return [
        Group(examples[UUID(row.example)], row.size, row.first, row.last, row.provider, row.providers) for row in rows
    ]


def listing(
    connection: sa.Connection, tenant_id: UUID, wanted: Filter, *, after: UUID | None = None, limit: int = PAGE
) -> list[DeadLetter]:
    """Dead letters with who they were for, in the order of their ids; those behind `after`."""
    conditions = chosen(connection, tenant_id, wanted)
    if after is not None:
        conditions.append(dead_letters.c.id > after)
    rows = connection.execute(_LETTERS.where(*conditions).order_by(dead_letters.c.id).limit(limit))
    return [_letter(row) for row in rows]


def every(store: Store, tenant_id: UUID, wanted: Filter) -> Iterator[DeadLetter]:
    """All that are meant, page by page, each in a transaction of its own: nothing grows with their number."""
    last: UUID | None = None
    while True:
        with store.read() as connection:
            page = listing(connection, tenant_id, wanted, after=last)
        if not page:
            return
        yield from page
        last = page[-1].id


def count(connection: sa.Connection, tenant_id: UUID, wanted: Filter) -> tuple[int, UUID | None]:
    """How many are meant, and the last of them in the order of ids."""
    row = connection.execute(
        sa.select(sa.func.count(), sa.func.max(sa.cast(dead_letters.c.id, sa.Text))).where(
            *chosen(connection, tenant_id, wanted)
        )
    ).one()
    return row[0], UUID(row[1]) if row[1] else None


def discard(connection: sa.Connection, tenant_id: UUID, wanted: Filter) -> int:
    """Forget these, and the mails kept for them: their messages stay dead for good. Returns how many."""
    conditions = chosen(connection, tenant_id, wanted)
    of = sa.select(dead_letters.c.message_id).where(*conditions, dead_letters.c.message_id.is_not(None))
    connection.execute(sa.delete(kept_mails).where(kept_mails.c.message_id.in_(of)))
    return connection.execute(sa.delete(dead_letters).where(*conditions)).rowcount


def remove(connection: sa.Connection, ids: Collection[UUID]) -> None:
    """Take these off the list."""
    if ids:
        connection.execute(sa.delete(dead_letters).where(any_of(connection, dead_letters.c.id, list(ids))))


def payload(connection: sa.Connection, letter_id: UUID) -> str | None:
    """What a task that could not run was made of."""
    found: str | None = connection.scalar(sa.select(dead_letters.c.payload).where(dead_letters.c.id == letter_id))
    return found


def one_by_one(table: sa.Table, found: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether `table` has such a row. Looked up for each: for EXISTS, PostgreSQL may read the whole table."""
    looked_up = sa.select(sa.true()).select_from(table).where(found).limit(1)
    return looked_up.correlate(dead_letters).scalar_subquery().is_not(None)


_LETTERS = (
    sa.select(
        *dead_letters.c,
        messages.c.notification_id,
        messages.c.address,
        recipients.c.key.label("recipient"),
        one_by_one(kept_mails, kept_mails.c.message_id == dead_letters.c.message_id).label("kept"),
    )
    .outerjoin(messages, messages.c.id == dead_letters.c.message_id)
    .outerjoin(recipients, recipients.c.id == messages.c.recipient_id)
)


def _letter(row: Any) -> DeadLetter:
    death = Death(
        tenant_id=row.tenant_id,
        message_id=row.message_id,
        error=ErrorClass(row.error),
        reason=row.reason,
        detail=row.detail,
        at=row.died_at,
        kind=row.kind,
        channel=Channel(row.channel) if row.channel else None,
        provider=row.provider,
        payload=row.payload,
    )
    return DeadLetter(
        id=row.id,
        fingerprint=row.fingerprint,
        death=death,
        notification_id=row.notification_id,
        recipient=row.recipient,
        address=row.address,
        kept=bool(row.kept),
    )
