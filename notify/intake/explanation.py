"""The whole story of a message: what was decided, what was tried, what was answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from notify.app import App
from notify.errors import NotFound
from notify.model import Attempt, Message, MessageState, Notification
from notify.store import attempts, batches, messages, notifications


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the story."""

    at: datetime
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A message, its notification, its attempts, and the same as a timeline."""

    message: Message
    notification: Notification
    attempts: tuple[Attempt, ...]
    timeline: tuple[Moment, ...]

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
            "attempts": [
                {
                    name: value if isinstance(value, int | str | None) else str(value)
                    for name in Attempt.__dataclass_fields__
                    if (value := getattr(attempt, name)) is not None and name not in ("tenant_id", "message_id")
                }
                for attempt in self.attempts
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
    assert notification is not None
    return Explanation(message, notification, tried, _timeline(message, notification, tried))


def _with_its_batch(message: Message, waiting: tuple[datetime, str, str | None] | None) -> Message:
    """The message as it waits: with a batch that was put off as a whole, nothing is written to it."""
    if waiting is None:
        return message
    until, reason, rule = waiting
    return replace(message, due_at=max(until, message.due_at), reason=reason, rule=rule)


def _timeline(message: Message, notification: Notification, tried: tuple[Attempt, ...]) -> tuple[Moment, ...]:
    deadline = f", deadline {notification.expires_at:%Y-%m-%d %H:%M:%S}" if notification.expires_at else ""
    story = [Moment(notification.created_at, "accepted", f"{notification.kind}, mode {notification.mode}{deadline}")]
    refused_at_once = message.state is MessageState.SKIPPED and message.updated_at == message.created_at
    if not refused_at_once:
        story.append(Moment(message.created_at, "decided", f"send by {message.channel}"))
    for attempt in tried:
        over = f"(passed over {attempt.passed_over})" if attempt.passed_over else None
        said = " ".join(part for part in (attempt.provider, attempt.reason, attempt.response, over) if part)
        story.append(Moment(attempt.at, f"attempt {attempt.number} {attempt.outcome}", said))
    if message.state is MessageState.QUEUED:
        story.append(Moment(message.due_at, "due", _why(message)))
    elif message.state is not MessageState.SENT:
        story.append(Moment(message.updated_at, message.state.value.replace("_", " "), _why(message)))
    return tuple(story)


def _why(message: Message) -> str:
    return ": ".join(part for part in (message.reason, message.rule) if part)


def _because(message: Message) -> str:
    return f" ({why})" if (why := _why(message)) else ""
