"""What an unsubscribe link names, what somebody said by it, and the rows that follow from that.

What was said by a link is kept in an event of its own, also where another link had said it before. So a suppression
goes with the last link that says no. A no counts for the suppressions that began when it was said, or before: whoever
came back since has taken it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Channel, EventType, fold
from notify.store.dialect import Upsert, any_bound, upsert_on
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
WAYS = ("one-click", "page", "provider")
"""The sources of what was suppressed by a link, or by the provider that has a button for it."""


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
    said: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What was said by this link before, by scope."""
    named: UUID | None = None
    """The message that the link names, whether it is still there or not; None for a link of the predecessor."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said by a link: for each scope when, by which way, and which consent that withdrew."""

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
    reached = (fold(one) for one in (row.address, row.in_use) if one)
    return Whose(
        row.tenant_id,
        event,
        tuple(dict.fromkeys(reached)),
        recipient_id,
        row.message_id,
        row.kind,
        row.locale,
        said=row.said["scopes"] if row.said else {},
        named=message_id,
    )


def said(connection: sa.Connection, link: Whose) -> Said:
    """What stands of what was said by this link. Nobody else changes it until the transaction ends."""
    row = connection.execute(_SAID, {"tenant": link.tenant_id, "event": link.event}).one_or_none()
    return Said() if row is None else Said(row.id, row.detail["scopes"])


def with_said(connection: sa.Connection, link: Whose) -> Whose:
    """The link, with what was said by it; nothing is locked."""
    detail = connection.scalar(_DETAIL, {"tenant": link.tenant_id, "event": link.event})
    return replace(link, said=detail["scopes"] if detail else {})


def standing(connection: sa.Connection, link: Whose) -> list[str]:
    """The scopes that were left by this link, and for which an address of the person still is suppressed."""
    rows = connection.execute(sa.select(suppressions).where(*_own(link))) if link.said else ()
    return sorted({row.scope for row in rows if _counts(link.said.get(row.scope), row)})


def others(connection: sa.Connection, link: Whose) -> list[Said]:
    """What the same person said by other links, as far as it stands."""
    theirs = (
        events.c.tenant_id == link.tenant_id,
        events.c.recipient_id == link.recipient_id,
        events.c.type == EventType.UNSUBSCRIBED,
        events.c.provider == PROVIDER,
        events.c.provider_event_id != link.event,
    )
    found = connection.execute(sa.select(events.c.id, events.c.detail).where(*theirs)).all() if _known(link) else []
    rows = connection.execute(sa.select(suppressions).where(*_own(link))).all() if found else []
    return [
        Said(id_, {row.scope: scopes[row.scope] for row in rows if _counts(scopes.get(row.scope), row)})
        for id_, scopes in ((row.id, row.detail["scopes"]) for row in found)
    ]


def suppress(
    connection: sa.Connection, link: Whose, scope: str, *, source: str, note: str | None, now: datetime
) -> bool:
    """Suppress the link's addresses for `scope`, for ever; False when they all were so already."""
    words = {"reason": REASON, "source": source, "note": note, "created_at": now, "expires_at": None}
    place = {"tenant_id": link.tenant_id, "channel": link.channel, "scope": scope}
    rows = [{"id": uuid7(), **place, "address": one, **words} for one in sorted(link.addresses)]
    return bool(connection.execute(_adding(connection.dialect.name), rows).scalars().all())


def moment(connection: sa.Connection, link: Whose, scope: str, now: datetime) -> datetime:
    """When a no is said that met suppressions of others: not before these began, though clocks differ."""
    asked = {
        "tenant": link.tenant_id,
        "of": link.channel,
        "named": list(link.addresses),
        "recipient": link.recipient_id,
        "scoped": scope,
    }
    began = connection.scalar(_since(connection.dialect.name), asked)
    return now if began is None else max(now, began)


def take_back(connection: sa.Connection, link: Whose, said: Said, others: Sequence[Said]) -> set[str]:
    """Lift what `said` suppressed, but what another link says too; returns the scopes that are free."""
    rows = connection.execute(sa.select(suppressions).where(*_own(link), suppressions.c.source.in_(WAYS))).all()
    gone = [
        row
        for row in rows
        if _counts(said.scopes.get(row.scope), row)
        and not any(_counts(other.scopes.get(row.scope), row) for other in others)
    ]
    connection.execute(sa.delete(suppressions).where(suppressions.c.id.in_([row.id for row in gone])))
    return {row.scope for row in gone}


def inherit(connection: sa.Connection, heir: Said, withdrawn: Mapping[str, str]) -> None:
    """Let another link remember, too, which consent was withdrawn: its own undo grants it again."""
    scopes = connection.execute(sa.select(events.c.detail).where(events.c.id == heir.id)).scalar_one()["scopes"]
    first = next(iter(heir.scopes))
    known = scopes[first].get("withdrawn", {})
    _change(connection, heir, {**scopes, first: {**scopes[first], "withdrawn": {**known, **withdrawn}}})


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


def with_holder(connection: sa.Connection, link: Whose) -> Whose:
    """A link that names an address alone, with the recipient who has it, and their address in use."""
    has = (
        addresses.c.tenant_id == link.tenant_id,
        addresses.c.channel == link.channel,
        addresses.c.folded == link.addresses[0],
    )
    who = sa.select(addresses.c.recipient_id).where(*has).order_by(addresses.c.id).limit(1).scalar_subquery()
    row = connection.execute(sa.select(recipients.c.id, _IN_USE).where(recipients.c.id == who)).one_or_none()
    if row is None:
        return link
    reached = (link.addresses[0], *([row.in_use] if row.in_use else []))
    return replace(link, recipient_id=row.id, addresses=tuple(dict.fromkeys(reached)))


def _own(link: Whose) -> tuple[sa.ColumnElement[bool], ...]:
    """What the person unsubscribed from, by whichever of their addresses."""
    return _left(link.tenant_id, link.channel, link.recipient_id, suppressions.c.address.in_(link.addresses))


def _left(
    tenant: Any, channel: Any, recipient: Any, named: sa.ColumnElement[bool]
) -> tuple[sa.ColumnElement[bool], ...]:
    """The same of values, or of parameters that are bound to them later."""
    theirs = sa.select(addresses.c.folded).where(addresses.c.recipient_id == recipient, addresses.c.channel == channel)
    return (
        suppressions.c.tenant_id == tenant,
        suppressions.c.channel == channel,
        suppressions.c.reason == REASON,
        sa.or_(named, suppressions.c.address.in_(theirs)),
    )


def _known(link: Whose) -> bool:
    return link.recipient_id is not None


def _counts(remembered: Mapping[str, Any] | None, row: Any) -> bool:
    """Whether what was said then is a no to what this suppression forbids."""
    return remembered is not None and datetime.fromisoformat(remembered["at"]) >= row.created_at


@cache
def _since(dialect: str) -> sa.Select[Any]:
    """When the latest suppression of a scope began that `_own` finds; each click asks, so it is built once."""
    named = any_bound(dialect, suppressions.c.address, "named")
    own = _left(sa.bindparam("tenant"), sa.bindparam("of"), sa.bindparam("recipient"), named)
    return sa.select(sa.func.max(suppressions.c.created_at)).where(*own, suppressions.c.scope == sa.bindparam("scoped"))


@cache
def _adding(dialect: str) -> sa.Executable:
    """One that would end gives way to the one that does not."""
    insert: Upsert = upsert_on(dialect, suppressions)
    place = ["tenant_id", "channel", "address", "scope", "reason"]
    words = {name: insert.excluded[name] for name in ("source", "note", "created_at", "expires_at")}
    ends = suppressions.c.expires_at.is_not(None)
    return insert.on_conflict_do_update(index_elements=place, set_=words, where=ends).returning(suppressions.c.id)


@cache
def _telling(dialect: str) -> sa.Executable:
    return upsert_on(dialect, events).on_conflict_do_nothing().returning(events.c.id)
