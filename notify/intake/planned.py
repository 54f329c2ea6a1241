"""What a notification becomes: a message for every recipient and channel, as policy decides, and the batches for them.

Nobody is passed over: who gets nothing has a message that says which rule decided it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from notify.app import App
from notify.audience import ruling
from notify.intake.request import Request
from notify.model import (
    APPLICATION,
    Author,
    Batch,
    Channel,
    Defer,
    Message,
    MessageState,
    Notification,
    Recipient,
    Send,
    Skip,
    Source,
    Suppression,
)
from notify.policy import NO_RULES, decide, due_at
from notify.store import Connection, consents, recipients, suppressions

SENDER = Author(APPLICATION, Source.SEND)


class Planned:
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
    ) -> Planned:
        """Bring the recipients up to date, ask policy about each, and plan."""
        planned, tenant_id = cls(app, request, notification), notification.tenant_id
        people = _brought(connection, request, notification, known)
        planned._rules = ruling.rules(app, connection, tenant_id)
        kind = request.kind.facts
        if kind.consent:
            ids = [person.id for person in people.values()]
            planned._agreed = consents.granted(connection, ids, [kind.category])
        for channel in request.channels:
            addresses = [one.addresses[channel].folded for one in people.values() if channel in one.addresses]
            forbidden = suppressions.of_addresses(connection, tenant_id, channel, addresses, app.settings.secrets)
            planned._plan(channel, people, forbidden, app.settings.test_recipients)
        return planned

    @property
    def counts(self) -> dict[str, int]:
        """How many messages are in each state."""
        states = [message.state.value for message, _ in self.rows]
        return {state: states.count(state) for state in sorted(set(states))}

    def _plan(
        self,
        channel: Channel,
        people: Mapping[str, Recipient],
        forbidden: Mapping[str, Sequence[Suppression]],
        test_recipients: Collection[str],
    ) -> None:
        due: dict[datetime, list[_Waiting]] = {}
        for one in self._request.recipients:
            person = people[one.key]
            fate = self._decide(person, channel, forbidden, test_recipients, one.data)
            if fate is not None:
                moment = due_at(fate, self._request.at, self._notification.created_at, self._notification.expires_at)
                due.setdefault(moment, []).append(_Waiting(person, one.data, fate))
        for moment, waiting in due.items():
            self._batch(channel, moment, waiting)

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


def _brought(
    connection: Connection, request: Request, notification: Notification, known: Mapping[str, Recipient]
) -> dict[str, Recipient]:
    """Everyone by key: those that are known, and those that are described as they are now."""
    described = [one.change for one in request.recipients if one.change]
    made = recipients.apply(connection, notification.tenant_id, described, notification.created_at, by=SENDER)
    people = {**known, **made.people}
    for one in request.recipients:
        if one.address is not None:
            reached = {**people[one.key].addresses, one.address.channel: one.address}
            people[one.key] = replace(people[one.key], addresses=reached)
    return people
