"""One transaction: the notification, a message for every recipient and channel, and the batches that carry them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from structlog.contextvars import get_contextvars
from uuid_utils.compat import uuid7

from notify import failpoints
from notify.app import App, ring
from notify.audience import ruling
from notify.errors import IdempotencyConflict, InvalidDeadline, InvalidRecipient, did_you_mean
from notify.intake import selecting
from notify.intake.request import Request
from notify.model import (
    Author,
    Batch,
    Channel,
    Defer,
    Message,
    MessageState,
    Mode,
    Notification,
    Recipient,
    Send,
    Skip,
    Source,
    Suppression,
)
from notify.policy import NO_RULES, decide, due_at, past
from notify.store import (
    Connection,
    batches,
    consents,
    messages,
    notifications,
    recipients,
    suppressions,
    tenants,
)
from notify.store import (
    session as sessions,
)
from notify.telemetry import emit

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

SHOWN_KEYS = 5  # of many unknown recipients, an error names this many
SENDER = Author("application", Source.SEND)


def plan(app: App, request: Request, session: Session | None = None) -> Notification:
    """Store what `request` asks for and ring for what is due.

    With `session`, everything joins its transaction and the bell rings after its commit. Raises
    `InvalidRecipient` for unknown keys, `IdempotencyConflict`, and `Unreachable` when the database is away; an
    unreachable broker is no error: the batches wait in the database until the relay finds them. In a transaction of
    isolation REPEATABLE READ or above, a key that another caller is just taking fails as the database's own
    serialization error, to be retried with the transaction.
    """
    now = app.clock.now()
    session = sessions.resolve(session) if session is not None else None
    changes = any(one.change for one in request.recipients)  # another recipient may have the address
    with app.store.join(session) as connection, sessions.whole(connection, session if changes else None):
        tenant_id = tenants.tenant_id(connection, request.tenant)
        known = _known(connection, tenant_id, request)
        notification = Notification(
            id=uuid7(),
            tenant_id=tenant_id,
            kind=request.kind.facts.name,
            mode=request.mode,
            created_at=now,
            key=request.key if request.mode is Mode.LIVE else None,  # a rehearsal uses up no key
            expires_at=request.deadline(now),
        )
        _require_time(connection, notification)
        if not notifications.insert(
            connection,
            notification,
            request_hash=request.digest if notification.key is not None else "",
            data=request.data,
            at=request.at,
            cancellation_key=request.cancellation_key,
            correlation_id=get_contextvars().get("correlation"),
        ):
            return _repeated(connection, notification, request)
        notifications.attach(connection, notification, request.attachments)
        if request.selection is not None:
            selecting.leave(app, connection, notification, request.channels, request.selection)
        planned = _Planned.of(app, connection, request, notification, known)
        rung = batches.insert(connection, planned.batches, now)
        messages.insert(connection, planned.rows)
        if session is not None:
            sessions.after_commit(session, lambda: ring(app, rung))
    if session is None:
        failpoints.reach("plan.committed")
        ring(app, rung)
    counts = planned.counts
    emit(
        "notification.planned",
        notification=notification.id,
        kind=notification.kind,
        mode=notification.mode,
        **counts,
    )
    return replace(notification, messages=counts)


def part(
    app: App, connection: Connection, request: Request, notification: Notification
) -> tuple[list[tuple[Message, Mapping[str, Any] | None]], list[Batch]]:
    """The rows for these recipients of a notification that is stored already, and the batches that carry them.

    They are named by key alone; who is not there any more was erased meanwhile, and gets none.
    """
    known = recipients.by_keys(connection, notification.tenant_id, [one.key for one in request.recipients])
    request = replace(request, recipients=tuple(one for one in request.recipients if one.key in known))
    planned = _Planned.of(app, connection, request, notification, known)
    return planned.rows, planned.batches


def _known(connection: Connection, tenant_id: UUID, request: Request) -> dict[str, Recipient]:
    """Those named by key alone. Fails before anything is written: the transaction may be the application's own."""
    named = [one.key for one in request.recipients if one.change is None]
    known = recipients.by_keys(connection, tenant_id, named)
    unknown = [key for key in named if key not in known]
    if unknown:
        shown = ", ".join(repr(key) for key in unknown[:SHOWN_KEYS])
        more = f" and {len(unknown) - SHOWN_KEYS} more" if len(unknown) > SHOWN_KEYS else ""
        key = unknown[0]
        described = {"key": key, "email": key if "@" in key else "…"}
        raise InvalidRecipient(
            f"no recipient {shown}{more}{did_you_mean(key, known) or '.'} "
            f"Describe a new one: to={described!r}, or import a roster: notify recipients import FILE"
        )
    return known


def _require_time(connection: Connection, notification: Notification) -> None:
    """Refuse a deadline that has passed, but for a request that came before: that is only told of."""
    deadline, key = notification.expires_at, notification.key
    if not past(deadline, notification.created_at):
        return
    if key is None or notifications.request_hash_of(connection, notification.tenant_id, key) is None:
        raise InvalidDeadline(f"expires is in the past: {deadline:%Y-%m-%d %H:%M:%S} UTC")


def _repeated(connection: Connection, notification: Notification, request: Request) -> Notification:
    assert request.key is not None
    found = notifications.request_hash_of(connection, notification.tenant_id, request.key)
    assert found is not None
    first, digest = found
    if digest != request.digest:
        raise IdempotencyConflict(
            f"key {request.key!r} was used at {first.created_at:%Y-%m-%d %H:%M:%S} UTC for another request "
            f"(notification {first.id}, kind {first.kind}); use a key of its own for this one"
        )
    emit("notification.repeated", notification=first.id, kind=first.kind)
    return first


class _Planned:
    """The rows of one notification: a message per recipient and channel, those to send gathered in batches."""

    def __init__(self, app: App, request: Request, notification: Notification) -> None:
        self.rows: list[tuple[Message, Mapping[str, Any] | None]] = []
        self.batches: list[Batch] = []
        self._size = app.settings.batch_size
        self._request = request
        self._notification = notification
        self._rules = NO_RULES
        self._agreed: Mapping[tuple[UUID, str], UUID] = {}

    @classmethod
    def of(
        cls,
        app: App,
        connection: Connection,
        request: Request,
        notification: Notification,
        known: Mapping[str, Recipient],
    ) -> _Planned:
        """Bring the recipients up to date, ask policy about each, and plan."""
        planned, now, tenant_id = cls(app, request, notification), notification.created_at, notification.tenant_id
        described = [one.change for one in request.recipients if one.change]
        people = {**known, **recipients.apply(connection, tenant_id, described, now, by=SENDER).people}
        for one in request.recipients:
            if one.address is not None:
                reached = {**people[one.key].addresses, one.address.channel: one.address}
                people[one.key] = replace(people[one.key], addresses=reached)
        planned._rules = ruling.rules(app, connection, tenant_id)
        kind = request.kind.facts
        if kind.consent:
            ids = [person.id for person in people.values()]
            planned._agreed = consents.granted(connection, ids, [kind.category])
        for channel in request.channels:
            forbidden = suppressions.of_addresses(
                connection, tenant_id, channel, _folded(people.values(), channel), app.settings.secrets
            )
            due: dict[datetime, list[_Waiting]] = {}
            for one in request.recipients:
                person = people[one.key]
                fate = planned._decide(person, channel, forbidden, app.settings.test_recipients, one.data)
                if fate is not None:
                    moment = due_at(fate, request.at, now, notification.expires_at)
                    due.setdefault(moment, []).append(_Waiting(person, one.data, fate))
            for moment, waiting in due.items():
                planned._batch(channel, moment, waiting)
        return planned

    @property
    def counts(self) -> dict[str, int]:
        """How many messages are in each state."""
        states = [message.state.value for message, _ in self.rows]
        return {state: states.count(state) for state in sorted(set(states))}

    def _decide(
        self,
        person: Recipient,
        channel: Channel,
        forbidden: Mapping[str, Sequence[Suppression]],
        test_recipients: Collection[str],
        data: Mapping[str, Any] | None,
    ) -> Send | Defer | None:
        address, now = person.addresses.get(channel), self._notification.created_at
        decision = decide(
            self._request.kind.facts,
            person,
            channel,
            forbidden.get(address.folded, ()) if address else (),
            now,
            mode=self._request.mode,
            test_recipients=test_recipients,
            at=self._request.at,
            rules=self._rules,
            consent=self._consent(person),
        )
        if isinstance(decision, Skip):
            skipped = self._message(person, channel, now, decision, state=MessageState.SKIPPED)
            self.rows.append((skipped, data))
            return None
        return decision

    def _batch(self, channel: Channel, due_at: datetime, waiting: Sequence[_Waiting]) -> None:
        for start in range(0, len(waiting), self._size):
            part = waiting[start : start + self._size]
            lane = self._request.kind.facts.lane
            note, size = self._notification, len(part)
            batch = Batch(uuid7(), note.tenant_id, channel, lane, due_at, size=size, expires_at=note.expires_at)
            self.batches.append(batch)
            for person, data, fate in part:
                why = fate if isinstance(fate, Defer) else None
                self.rows.append((self._message(person, channel, due_at, why, batch=batch), data))

    def _message(
        self,
        person: Recipient,
        channel: Channel,
        due_at: datetime,
        why: Skip | Defer | None,
        *,
        state: MessageState = MessageState.QUEUED,
        batch: Batch | None = None,
    ) -> Message:
        address = person.addresses.get(channel)
        return Message(
            id=uuid7(),
            tenant_id=self._notification.tenant_id,
            notification_id=self._notification.id,
            recipient_id=person.id,
            channel=channel,
            address=address.value if address else None,
            state=state,
            attempts=0,
            due_at=due_at,
            created_at=self._notification.created_at,
            updated_at=self._notification.created_at,
            batch_id=batch.id if batch else None,
            reason=why.reason if why else None,
            rule=why.rule if why else None,
            consent_id=self._consent(person),
        )

    def _consent(self, person: Recipient) -> UUID | None:
        """The entry of the log that covers it, where the kind asks for one."""
        return self._agreed.get((person.id, self._request.kind.facts.category)) if self._agreed else None


class _Waiting(NamedTuple):
    """Who gets a message, their own part of the data, and whether it has to wait."""

    person: Recipient
    data: Mapping[str, Any] | None
    fate: Send | Defer


def _folded(people: Collection[Recipient], channel: Channel) -> list[str]:
    return [person.addresses[channel].folded for person in people if channel in person.addresses]
