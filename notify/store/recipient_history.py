"""The history of recipients: for each change who made it, by which way, and why; rows are only ever added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Author, Changed, Recipient
from notify.store import bulk
from notify.store.tables import recipient_changes

Difference = Mapping[str, tuple[Any, Any]]
"""By field what was before and what came after; see `Changed`."""


def difference(before: Recipient, after: Recipient) -> dict[str, tuple[Any, Any]]:
    """What distinguishes two states of a recipient; preferences have rows of their own."""
    return {field: (was, now) for field, was, now in _fields(before, after) if was != now}


def _fields(before: Recipient, after: Recipient) -> Iterator[tuple[str, Any, Any]]:
    yield "locale", before.locale, after.locale
    yield "timezone", before.timezone, after.timezone
    yield "tags", list(before.tags), list(after.tags)
    yield "status", _status(before), _status(after)
    for name in {**before.attributes, **after.attributes}:
        yield f"attributes.{name}", before.attributes.get(name), after.attributes.get(name)
    for channel in {**before.addresses, **after.addresses}:
        was, now = before.addresses.get(channel), after.addresses.get(channel)
        yield channel.value, was and was.value, now and now.value


def _status(one: Recipient) -> str:
    return "active" if one.active else "inactive"


def write(
    connection: sa.Connection, tenant_id: UUID, rows: Sequence[tuple[UUID, Difference]], now: datetime, by: Author
) -> None:
    """Add a row for each recipient's id and what changed of it; one statement, and none where nothing changed."""
    changed = [(recipient_id, changes) for recipient_id, changes in rows if changes]
    if not changed:
        return
    if len(changed) == 1:  # an INSERT is cheaper than a COPY of one row
        [(recipient_id, changes)] = changed
        row = {"id": uuid7(), "tenant_id": tenant_id, "recipient_id": recipient_id, "at": now, "actor": by.actor}
        words = {"source": by.source.value, "reason": by.reason}
        kept = {field: list(pair) for field, pair in changes.items()}
        connection.execute(sa.insert(recipient_changes), {**row, **words, "changes": kept})
        return
    columns: dict[str, bulk.Column] = {
        "id": [uuid7() for _ in changed],
        "tenant_id": tenant_id,
        "recipient_id": [recipient_id for recipient_id, _ in changed],
        "at": now,
        "actor": by.actor,
        "source": by.source.value,
        "reason": by.reason,
        "changes": [{field: list(pair) for field, pair in changes.items()} for _, changes in changed],
    }
    bulk.insert(connection, recipient_changes, columns)


def read(
    connection: sa.Connection, recipient_id: UUID, *, limit: int | None = None, since: datetime | None = None
) -> list[Changed]:
    """The latest changes of a recipient, or those after a moment, newest first."""
    rows = recipient_changes.c
    wanted = [rows.recipient_id == recipient_id, *([] if since is None else [rows.at > since])]
    chosen = sa.select(rows.at, rows.actor, rows.source, rows.reason, rows.changes)
    newest = chosen.where(*wanted).order_by(rows.at.desc(), rows.id.desc()).limit(limit)
    return [
        Changed(at, actor, source, reason, {field: (was, now) for field, (was, now) in changes.items()})
        for at, actor, source, reason, changes in connection.execute(newest)
    ]
