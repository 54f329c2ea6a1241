"""The whole story of a message: what was decided, what was tried, what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from notify.app import App
from notify.errors import NotFound
from notify.model import Address, Attempt, Consent, EventType, Message, MessageState, Notification, Suppression
from notify.store import (
    Connection,
    attempts,
    batches,
    consents,
    consequences,
    events,
    incoming,
    messages,
    notifications,
    suppressions,
)
from notify.store.consequences import Caused
from notify.store.events import Happened
from notify.store.incoming import Incoming


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the story."""

    at: datetime
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A message, its notification, its attempts, what came back of it, and the same as a timeline.

    `consent` is the entry of the log that covered it, `suppressions` are those of the address of what was skipped for
    one, as they stand now; `consequences` what followed from what came back; `mails` those that came back of it.
    """

    message: Message
    notification: Notification
    attempts: tuple[Attempt, ...]
    timeline: tuple[Moment, ...]
    events: tuple[Happened, ...] = ()
    consent: Consent | None = None
    suppressions: tuple[Suppression, ...] = ()
    consequences: tuple[Caused, ...] = ()
    mails: tuple[Incoming, ...] = ()

    def __str__(self) -> str:
        lines = [f"message {self.message.id}: {self.message.state}{_because(self.message)}"]
        lines += [
            f"  {moment.at:%Y-%m-%d %H:%M:%S.%f}  {moment.what}  {moment.detail}".rstrip() for moment in self.timeline
        ]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        message, notification = self.message, self.notification
        return {
            "message": str(message.id),
            "notification": str(notification.id),
            "kind": notification.kind,
            "key": notification.key,
            "mode": notification.mode,
            "channel": message.channel,
            "address": message.address,
            "state": message.state,
            "reason": message.reason,
            "rule": message.rule,
            "due_at": message.due_at.isoformat(),
            "expires_at": notification.expires_at.isoformat() if notification.expires_at else None,
            "sent_at": message.sent_at.isoformat() if message.sent_at else None,
            "attempts": [_attempt(one) for one in self.attempts],
            "events": [_event(one) for one in self.events],
            "opens": _count(self.events, EventType.OPENED),
            "clicks": _count(self.events, EventType.CLICKED),
            "consequences": [one.as_json() for one in self.consequences],
            "mails": [one.as_json() for one in self.mails],
            "consent": _consent(self.consent),
            "suppressions": [
                {"scope": one.scope, "reason": one.reason, "source": one.source} for one in self.suppressions
            ],
            "timeline": [
                {"at": moment.at.isoformat(), "what": moment.what, "detail": moment.detail} for moment in self.timeline
            ],
        }


def explain(app: App, message_id: UUID | str) -> Explanation:
    """What happened to this message, and which rule decided it. Raises `NotFound`."""
    try:
        wanted = message_id if isinstance(message_id, UUID) else UUID(message_id)
    except ValueError:
        raise NotFound(f"{message_id!r} is no message id; `notify messages list` shows them") from None
    with app.store.read() as connection:
        message = messages.find(connection, wanted)
        if message is None:
            raise NotFound(f"no message {wanted}; `notify messages list` shows them")
        notification = notifications.find(connection, message.tenant_id, message.notification_id)
        tried = tuple(attempts.of_message(connection, message.id))
        if message.state is MessageState.QUEUED and message.batch_id is not None:
            message = _with_its_batch(message, batches.waiting(connection, message.batch_id))
        happened = tuple(events.of_message(connection, message.id))
        followed = tuple(consequences.of_message(connection, message.id))
        came_back = tuple(incoming.of_message(connection, message.id))
        sealed = consents.find(connection, message.consent_id) if message.consent_id is not None else None
        forbidden = _forbidden(connection, message, app.settings.secrets)
    assert notification is not None
    consent = sealed.entry if sealed else None
    story = (*_timeline(message, notification, tried, happened, consent), *map(_followed, followed))
    timeline = tuple(sorted(story, key=lambda moment: moment.at))  # of the same moment, the cause stands before
    return Explanation(message, notification, tried, timeline, happened, consent, forbidden, followed, came_back)


def _forbidden(connection: Connection, message: Message, secrets: Sequence[str]) -> tuple[Suppression, ...]:
    """The suppressions of the address, where one of them was the reason."""
    if message.reason != "suppressed" or message.address is None:
        return ()
    folded = Address(message.channel, message.address).folded
    found = suppressions.of_addresses(connection, message.tenant_id, message.channel, [folded], secrets)
    return tuple(found.get(folded, ()))


def _with_its_batch(message: Message, waiting: tuple[datetime, str, str | None] | None) -> Message:
    """The message as it waits: with a batch that was put off as a whole, nothing is written to it."""
    if waiting is None:
        return message
    until, reason, rule = waiting
    return replace(message, due_at=max(until, message.due_at), reason=reason, rule=rule)


def _timeline(
    message: Message,
    notification: Notification,
    tried: tuple[Attempt, ...],
    happened: tuple[Happened, ...],
    consent: Consent | None,
) -> tuple[Moment, ...]:
    deadline = f", deadline {notification.expires_at:%Y-%m-%d %H:%M:%S}" if notification.expires_at else ""
    story = [] if consent is None else [Moment(consent.at, "consent", f"to {consent.category}, by {consent.source}")]
    story += [Moment(notification.created_at, "accepted", f"{notification.kind}, mode {notification.mode}{deadline}")]
    refused_at_once = message.state is MessageState.SKIPPED and message.updated_at == message.created_at
    if not refused_at_once:
        story.append(Moment(message.created_at, "decided", f"send by {message.channel}"))
    for attempt in tried:
        over = f"(passed over {attempt.passed_over})" if attempt.passed_over else None
        said = " ".join(part for part in (attempt.provider, attempt.reason, attempt.response, over) if part)
        story.append(Moment(attempt.at, f"attempt {attempt.number} {attempt.outcome}", said))
    told = {event.type.value for event in happened}
    story += [Moment(event.at, event.type.value.replace("_", " "), _told(event)) for event in happened]
    if message.state is MessageState.QUEUED:
        story.append(Moment(message.due_at, "due", _why(message)))
    elif message.state is not MessageState.SENT and message.state.value not in told:
        story.append(Moment(message.updated_at, message.state.value.replace("_", " "), _why(message)))
    return tuple(story)


def _told(event: Happened) -> str:
    by = "a machine, not a person" if event.bot else None
    return " ".join(part for part in (event.provider, event.bounce, event.status, event.diagnostic, by) if part)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    """What is known of it, but whose it is."""
    return {
        name: value if isinstance(value, int | str | None) else str(value)
        for name in Attempt.__dataclass_fields__
        if (value := getattr(attempt, name)) is not None and name not in ("tenant_id", "message_id")
    }


def _event(event: Happened) -> dict[str, Any]:
    return {
        "type": event.type,
        "at": event.at.isoformat(),
        "provider": event.provider,
        "bounce": event.bounce,
        "status": event.status,
        "diagnostic": event.diagnostic,
        "bot": event.bot,
    }


def _count(events: Sequence[Happened], what: EventType) -> dict[str, int]:
    """How often by people, and how often by machines."""
    machines = [event.bot for event in events if event.type is what]
    return {"total": machines.count(False), "machines": machines.count(True)}


def _followed(caused: Caused) -> Moment:
    one = caused.consequence
    until = f"until {one.until:%Y-%m-%d %H:%M}" if one.until else None
    told = (one.scope and f"for {one.scope}", one.detail, until)
    return Moment(one.at, one.effect.value, ": ".join(part for part in told if part))


def _consent(consent: Consent | None) -> dict[str, Any] | None:
    if consent is None:
        return None
    facts = {"category": consent.category, "source": consent.source, "wording": consent.wording}
    return {"id": str(consent.id), **facts, "at": consent.at.isoformat()}


def _why(message: Message) -> str:
    return ": ".join(part for part in (message.reason, message.rule) if part)


def _because(message: Message) -> str:
    return f" ({why})" if (why := _why(message)) else ""
