"""What an unsubscribe link names, what somebody said by it, and the rows that follow from that.

What was said by a link is kept in an event of its own. Undoing takes away exactly what was added by this link, and puts
back what stood there before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Channel, EventType
from notify.store.engine import upsert_on
from notify.store.tables import (
    addresses,
    events,
    messages,
    notifications,
    recipients,
    suppressions,
)

PROVIDER = "notify"
REASON = "unsubscribed"
OWN_WORDS = (REASON, "complained")


@dataclass(frozen=True, slots=True)
class Whose:
    """What a link leads to: `addresses` are folded, that of the message and the one in use now. `kind` may be gone."""

    tenant_id: UUID
    event: str
    addresses: tuple[str, ...]
    recipient_id: UUID | None = None
    message_id: UUID | None = None
    kind: str | None = None
    locale: str | None = None
    channel: Channel = Channel.EMAIL
    said: tuple[str, ...] = ()
    """The scopes that were left by this link before."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said by a link and stands: for each scope when, by which way, and what it took the place of."""

    id: UUID | None = None
    scopes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_IN_USE = (
    sa.select(addresses.c.folded)
    .where(addresses.c.recipient_id == recipients.c.id, addresses.c.channel == Channel.EMAIL, addresses.c.is_primary)
    .limit(1)
    .scalar_subquery()
    .label("in_use")
)
_WHOSE = (
    sa.select(
        *(recipients.c[name] for name in ("tenant_id", "locale")),
        _IN_USE,
        sa.select(events.c.detail)
        .where(
            events.c.tenant_id == recipients.c.tenant_id,
            events.c.provider == PROVIDER,
            events.c.provider_event_id == sa.bindparam("event"),
        )
        .scalar_subquery()
        .label("said"),
        messages.c.id.label("message_id"),
        messages.c.address,
        notifications.c.kind,
    )
    .select_from(
        recipients.outerjoin(
            messages, sa.and_(messages.c.id == sa.bindparam("message"), messages.c.recipient_id == recipients.c.id)
        ).outerjoin(notifications, notifications.c.id == messages.c.notification_id)
    )
    .where(recipients.c.id == sa.bindparam("recipient"), recipients.c.erased_at.is_(None))
)
_OF_LINK = (
    events.c.tenant_id == sa.bindparam("tenant"),
    events.c.provider == PROVIDER,
    events.c.provider_event_id == sa.bindparam("event"),
)
_SAID = sa.select(events.c.id, events.c.detail).where(*_OF_LINK).with_for_update()
_DETAIL = sa.select(events.c.detail).where(*_OF_LINK)


def whose(connection: sa.Connection, message_id: UUID, recipient_id: UUID) -> Whose | None:
    """Whom this message went to; None for somebody who is not there, or was erased. The message may be gone."""
    event = f"{EventType.UNSUBSCRIBED}:{message_id}"
    asked = {"message": message_id, "recipient": recipient_id, "event": event}
    row = connection.execute(_WHOSE, asked).one_or_none()
    if row is None:
        return None
    reached = (one.casefold() for one in (row.address, row.in_use) if one)
    return Whose(
        row.tenant_id,
        event,
        tuple(dict.fromkeys(reached)),
        recipient_id,
        row.message_id,
        row.kind,
        row.locale,
        said=tuple(row.said["scopes"]) if row.said else (),
    )


def said(connection: sa.Connection, link: Whose) -> Said:
    """What stands of what was said by this link. Nobody else changes it until the transaction ends."""
    row = connection.execute(_SAID, {"tenant": link.tenant_id, "event": link.event}).one_or_none()
    return Said() if row is None else Said(row.id, row.detail["scopes"])


def with_said(connection: sa.Connection, link: Whose) -> Whose:
    """The link, with the scopes that were left by it; nothing is locked."""
    detail = connection.scalar(_DETAIL, {"tenant": link.tenant_id, "event": link.event})
    return replace(link, said=tuple(detail["scopes"]) if detail else ())


def standing(connection: sa.Connection, link: Whose, scopes: Collection[str]) -> list[str]:
    """Those of these scopes for which an address of the link is suppressed by the person's own word."""
    if not scopes:
        return []
    mine = (
        suppressions.c.tenant_id == link.tenant_id,
        suppressions.c.channel == link.channel,
        suppressions.c.address.in_(link.addresses),
        suppressions.c.scope.in_(scopes),
        suppressions.c.reason.in_(OWN_WORDS),
    )
    return sorted(set(connection.scalars(sa.select(suppressions.c.scope).where(*mine))))


def suppress(
    connection: sa.Connection, link: Whose, scope: str, *, source: str, note: str | None, now: datetime
) -> dict[str, Any] | None:
    """Suppress the link's addresses for `scope`; returns what is to be remembered of it, None when they were already.

    The person's own word takes the place of a bounce, which says less, and of one that would end.
    """
    place = {"tenant_id": link.tenant_id, "channel": link.channel, "scope": scope}
    words = {"reason": REASON, "source": source, "note": note, "created_at": now, "expires_at": None}
    fresh = [{"id": uuid7(), **place, "address": one, **words} for one in sorted(link.addresses)]
    added = connection.execute(_adding(connection.dialect.name), fresh if len(fresh) > 1 else fresh[0]).scalars()
    met = sorted(set(link.addresses) - set(added))
    weaker = [row for row in _rows(connection, link, scope, met) if not _final(row)]
    for row in weaker:
        connection.execute(sa.update(suppressions).where(suppressions.c.id == row.id).values(words))
    if len(met) == len(fresh) and not weaker:
        return None
    replaced = [_kept(link, row) for row in weaker]
    return {"at": now.isoformat(), "source": source, **({"replaced": replaced} if replaced else {})}


def restore(connection: sa.Connection, link: Whose, scope: str, remembered: Mapping[str, Any]) -> None:
    """Take back what `suppress` did."""
    at = datetime.fromisoformat(remembered["at"])
    gone = connection.execute(sa.delete(suppressions).where(*_mine(link, scope, at)).returning(suppressions.c.address))
    freed = set(gone.scalars())
    for one in remembered.get("replaced", ()):
        address = link.addresses[one["which"]] if one["which"] < len(link.addresses) else None
        if address in freed:
            times = {name: one[name] and datetime.fromisoformat(one[name]) for name in ("created_at", "expires_at")}
            words = {name: one[name] for name in ("reason", "source", "note")}
            place = {"tenant_id": link.tenant_id, "channel": link.channel, "address": address, "scope": scope}
            connection.execute(sa.insert(suppressions), {"id": uuid7(), **place, **words, **times})


def remember(connection: sa.Connection, link: Whose, added: Mapping[str, Any], now: datetime) -> None:
    """Keep what was said by this link, besides what it said before."""
    if connection.execute(_telling(connection.dialect.name), _row(link, added, now)).first() is None:
        before = said(connection, link)
        _change(connection, before, {**before.scopes, **added})


def forget(connection: sa.Connection, before: Said) -> None:
    """Nothing of what was said by this link stands any more; that it was said stays."""
    _change(connection, before, {})


def _change(connection: sa.Connection, before: Said, scopes: Mapping[str, Any]) -> None:
    connection.execute(sa.update(events).where(events.c.id == before.id).values(detail={"scopes": dict(scopes)}))


def _row(link: Whose, scopes: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "tenant_id": link.tenant_id,
        "message_id": link.message_id,
        "recipient_id": link.recipient_id,
        "type": EventType.UNSUBSCRIBED,
        "provider": PROVIDER,
        "provider_event_id": link.event,
        "detail": {"scopes": dict(scopes)},
        "at": now,
        "received_at": now,
    }


def holder(connection: sa.Connection, tenant_id: UUID, folded: str) -> UUID | None:
    """The recipient who has this e-mail address."""
    has = (addresses.c.tenant_id == tenant_id, addresses.c.channel == Channel.EMAIL, addresses.c.folded == folded)
    found: UUID | None = connection.scalar(sa.select(addresses.c.recipient_id).where(*has).limit(1))
    return found


def _rows(connection: sa.Connection, link: Whose, scope: str, folded: Sequence[str]) -> list[Any]:
    """The suppressions of these addresses of the link for `scope`, locked."""
    if not folded:
        return []
    wanted = (
        suppressions.c.tenant_id == link.tenant_id,
        suppressions.c.channel == link.channel,
        suppressions.c.scope == scope,
        suppressions.c.address.in_(folded),
    )
    return list(connection.execute(sa.select(suppressions).where(*wanted).with_for_update()))


@cache
def _adding(dialect: str) -> sa.Executable:
    return upsert_on(dialect, suppressions).on_conflict_do_nothing().returning(suppressions.c.address)


@cache
def _telling(dialect: str) -> sa.Executable:
    return upsert_on(dialect, events).on_conflict_do_nothing().returning(events.c.id)


def _final(row: Any | None) -> bool:
    """Whether a suppression says already what the person says, and for ever."""
    return row is not None and row.reason in OWN_WORDS and row.expires_at is None


def _mine(link: Whose, scope: str, at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Those that this link added for `scope` at this moment, and no others."""
    return (
        suppressions.c.tenant_id == link.tenant_id,
        suppressions.c.channel == link.channel,
        suppressions.c.address.in_(link.addresses),
        suppressions.c.scope == scope,
        suppressions.c.reason == REASON,
        suppressions.c.created_at == at,
    )


def _kept(link: Whose, row: Any) -> dict[str, Any]:
    """A row that gave way, without its address: which of the link's it is."""
    times = {name: value and value.isoformat() for name, value in _times(row)}
    return {"which": link.addresses.index(row.address), **times} | {
        name: getattr(row, name) for name in ("reason", "source", "note")
    }


def _times(row: Any) -> list[tuple[str, datetime | None]]:
    return [("created_at", row.created_at), ("expires_at", row.expires_at)]
