"""Opens and clicks that our own pages saw: of which mails they are, which a machine made, and what they add up to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import EventType, MessageState, Outcome
from notify.store.dialect import any_of
from notify.store.tables import attempts, events, messages, notifications, recipients, tracked_links

PROVIDER = "tracking"
_ON_ITS_WAY = (MessageState.QUEUED, MessageState.SENDING)
_LINK = events.c.detail["link"].as_string()
_WHY = events.c.detail["why"].as_string()


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was tracked: when a provider took it, if that is noted by now."""

    accepted_at: datetime | None
    on_its_way: bool
    erased: bool


def sent(connection: sa.Connection, ids: Collection[UUID]) -> dict[UUID, Sent]:
    """What is known of these messages, by their ids."""
    accepted = (
        sa.select(sa.func.max(attempts.c.at))
        .where(attempts.c.message_id == messages.c.id, attempts.c.outcome == Outcome.ACCEPTED)
        .correlate(messages)
        .scalar_subquery()
    )
    rows = connection.execute(
        sa.select(messages.c.id, accepted.label("accepted_at"), messages.c.state, recipients.c.erased_at)
        .join(recipients, recipients.c.id == messages.c.recipient_id)
        .where(any_of(connection, messages.c.id, list(ids)))
    )
    return {
        row.id: Sent(row.accepted_at, MessageState(row.state) in _ON_ITS_WAY, row.erased_at is not None) for row in rows
    }


def clicks(
    connection: sa.Connection, ids: Collection[UUID], since: datetime
) -> list[tuple[UUID, UUID, str | None, datetime, bool, str | None]]:
    """Clicks of these messages: each message, the event's id, link, time, whether a machine's, and why it is."""
    of_these = any_of(connection, events.c.message_id, list(ids))
    what = (events.c.type == EventType.CLICKED, events.c.provider == PROVIDER, events.c.at >= since)
    rows = connection.execute(
        sa.select(events.c.message_id, events.c.id, _LINK, events.c.at, events.c.bot, _WHY).where(of_these, *what)
    )
    return [(message_id, id_, link, at, bool(bot), why) for message_id, id_, link, at, bot, why in rows]


def mark_machines(connection: sa.Connection, ids: Sequence[UUID]) -> None:
    """It turned out later that a machine made these."""
    if ids:
        connection.execute(sa.update(events).where(any_of(connection, events.c.id, ids)).values(bot=True))


@dataclass(frozen=True, slots=True)
class Figures:
    """How often mails were opened, or links followed: in all by people, by how many of them, and by machines."""

    total: int = 0
    unique: int = 0
    machines: int = 0


@dataclass(frozen=True, slots=True)
class OfKind:
    """A kind's opens and clicks."""

    kind: str
    opens: Figures
    clicks: Figures


@dataclass(frozen=True, slots=True)
class OfLink:
    """The clicks on one link; its address is None when it is kept no longer."""

    id: str
    url: str | None
    clicks: Figures


@dataclass(frozen=True, slots=True)
class Asked:
    """Of which events figures are wanted: None means any."""

    tenant_id: UUID
    kind: str | None = None
    notification_id: UUID | None = None
    since: datetime | None = None

    def where(self) -> Iterable[sa.ColumnElement[bool]]:
        """The conditions on events joined with their notifications."""
        yield events.c.tenant_id == self.tenant_id
        if self.kind is not None:
            yield notifications.c.kind == self.kind
        if self.notification_id is not None:
            yield notifications.c.id == self.notification_id
        if self.since is not None:
            yield events.c.at >= self.since


_COUNTED = events.join(messages, messages.c.id == events.c.message_id).join(
    notifications, notifications.c.id == messages.c.notification_id
)
_BY_A_PERSON = sa.not_(events.c.bot)
_FIGURES = (
    sa.func.count().filter(_BY_A_PERSON),
    sa.func.count(sa.distinct(events.c.message_id)).filter(_BY_A_PERSON),
    sa.func.count().filter(events.c.bot),
)
_READ = sa.text("events.type IN ('opened', 'clicked')")


def by_kind(connection: sa.Connection, asked: Asked) -> list[OfKind]:
    """The figures of each kind, in alphabetical order, whoever told of it: a provider or our own pages."""
    rows = connection.execute(
        sa.select(notifications.c.kind, events.c.type, *_FIGURES)
        .select_from(_COUNTED)
        .where(_READ, *asked.where())
        .group_by(notifications.c.kind, events.c.type)
    )
    found: dict[str, dict[str, Figures]] = {}
    for kind, type_, *figures in rows:
        found.setdefault(kind, {})[type_] = Figures(*figures)
    return [
        OfKind(kind, one.get("opened", Figures()), one.get("clicked", Figures())) for kind, one in sorted(found.items())
    ]


def by_link(connection: sa.Connection, asked: Asked, limit: int) -> list[OfLink]:
    """The links that people followed most, and the figures of each."""
    people = _FIGURES[0].label("people")
    rows = connection.execute(
        sa.select(_LINK.label("link"), people, *_FIGURES[1:])
        .select_from(_COUNTED)
        .where(events.c.type == EventType.CLICKED, events.c.provider == PROVIDER, _LINK.is_not(None), *asked.where())
        .group_by(sa.text("link"))
        .order_by(people.desc(), sa.text("link"))
        .limit(limit)
    ).all()
    urls = _urls(connection, [UUID(row.link) for row in rows])
    return [OfLink(link, urls.get(UUID(link)), Figures(*figures)) for link, *figures in rows]


def _urls(connection: sa.Connection, ids: Sequence[UUID]) -> Mapping[UUID, str]:
    if not ids:
        return {}
    rows: Any = connection.execute(
        sa.select(tracked_links.c.id, tracked_links.c.url).where(any_of(connection, tracked_links.c.id, list(ids)))
    )
    return {row.id: row.url for row in rows}
