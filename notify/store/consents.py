"""The log of consent: entries are added at the end of their tenant's chain, one writer at a time, and never changed.

Only the proof of an entry can go, when the person is erased: the chain holds its digest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import Consent, ConsentAction, Sealed
from notify.model.consent import GENESIS
from notify.store.dialect import any_bound
from notify.store.tables import consents

AT_ONCE = 1000  # rows in memory while a chain is read

_DECIDES = consents.c.action != ConsentAction.ASKED  # having been asked changes nothing
_LAST = (
    sa.select(consents.c.number, consents.c.digest)
    .where(consents.c.tenant_id == sa.bindparam("tenant"))
    .order_by(consents.c.number.desc())
    .limit(1)
)


def append(connection: sa.Connection, tenant_id: UUID, entry: Consent) -> Sealed:
    """Add an entry to the tenant's chain. Until the transaction ends, whoever else wants to add one waits."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        # not the tenant's row: an import holds that for minutes
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_lock_number(tenant_id))))
    last = connection.execute(_LAST, {"tenant": tenant_id}).one_or_none()
    number, previous = (last.number + 1, last.digest) if last else (1, GENESIS)
    sealed = Sealed.after(entry, tenant_id, number, previous)
    row = {name: getattr(entry, name) for name in ("id", "recipient_id", "category", "action", "source", "wording")}
    place = {name: getattr(sealed, name) for name in ("tenant_id", "number", "proof_digest", "previous", "digest")}
    proof = sa.null() if entry.proof is None else dict(entry.proof)
    connection.execute(sa.insert(consents), {**row, **place, "proof": proof, "at": entry.at})
    return sealed


def granted(
    connection: sa.Connection, recipient_ids: Collection[UUID], categories: Collection[str]
) -> dict[tuple[UUID, str], UUID]:
    """The entries by which these recipients agree to these categories now, by both; one statement."""
    if not recipient_ids or not categories:
        return {}
    rows = connection.execute(
        _deciding(connection.dialect.name), {"recipients": list(recipient_ids), "categories": list(categories)}
    )
    last = {(row.recipient_id, row.category): row for row in rows}
    return {place: row.id for place, row in last.items() if row.action == ConsentAction.GRANTED}


@cache
def _deciding(dialect: str) -> sa.Select[Any]:
    fields = (consents.c[name] for name in ("id", "recipient_id", "category", "action"))
    return (
        sa.select(*fields)
        .where(
            any_bound(dialect, consents.c.recipient_id, "recipients"),
            any_bound(dialect, consents.c.category, "categories"),
            _DECIDES,
        )
        .order_by(consents.c.number)
    )


def find(connection: sa.Connection, consent_id: UUID) -> Sealed | None:
    """One entry by id."""
    row = connection.execute(sa.select(consents).where(consents.c.id == consent_id)).one_or_none()
    return None if row is None else _sealed(row)


def standing(connection: sa.Connection, recipient_id: UUID) -> dict[str, Consent]:
    """By category, the last entry of a recipient; who agreed and is asked again still agrees."""
    found: dict[str, Consent] = {}
    for sealed in log(connection, recipient_id=recipient_id):
        before = found.get(sealed.entry.category)
        agreed = before is not None and before.action is ConsentAction.GRANTED
        if not (agreed and sealed.entry.action is ConsentAction.ASKED):
            found[sealed.entry.category] = sealed.entry
    return found


def log(
    connection: sa.Connection,
    *,
    tenant_id: UUID | None = None,
    recipient_id: UUID | None = None,
    after: int = 0,
    limit: int | None = None,
) -> Iterator[Sealed]:
    """The entries of a tenant or of a recipient after this number, oldest first, at most `limit`; few in memory."""
    wanted = [consents.c.number > after]
    if tenant_id is not None:
        wanted.append(consents.c.tenant_id == tenant_id)
    if recipient_id is not None:
        wanted.append(consents.c.recipient_id == recipient_id)
    chosen = sa.select(consents).where(*wanted).order_by(consents.c.number).limit(limit)
    yield from map(_sealed, connection.execute(chosen, execution_options={"yield_per": AT_ONCE}))


def _lock_number(tenant_id: UUID) -> int:
    """A number of PostgreSQL's 64 bits for the lock of this chain."""
    return int.from_bytes(tenant_id.bytes[8:], "big", signed=True) ^ 0x636F6E73  # "cons"


def _sealed(row: Any) -> Sealed:
    entry = Consent(
        row.id, row.recipient_id, row.category, ConsentAction(row.action), row.source, row.at, row.wording, row.proof
    )
    return Sealed(entry, row.tenant_id, row.number, row.proof_digest, row.previous, row.digest)
