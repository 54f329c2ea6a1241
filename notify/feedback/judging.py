"""What each mail means: by the message it names, else by the addresses it names; and what of it is kept.

Nothing is told of an address that no message of ours was sent to, nor, where return paths are signed, of one that is
named alone, for anybody can do that: such a report is for an operator to decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from notify.app import App
from notify.channels.email import verp
from notify.errors import RequestError
from notify.feedback import replies, telling
from notify.feedback.record import distinct, plain
from notify.feedback.understanding import Understood
from notify.model import MAIL, Event, EventType, IncomingKind, IncomingState
from notify.model.text import storable
from notify.store import Connection, notifications, owners
from notify.store.events import Told
from notify.store.incoming import Incoming
from notify.store.owners import Owner

LONGEST_FIELD = 500  # characters
REPORTS = (IncomingKind.BOUNCE, IncomingKind.COMPLAINT)
"""What an operator is asked about when nobody knows its message."""
BY_ADDRESS = (*REPORTS, IncomingKind.DELAY, IncomingKind.DELIVERED)
"""What may be known by its address alone."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as a mailbox or a listener gave it.

    `octets` are its first megabyte, None where the mailbox does not give it; `size` are those of the whole.
    `received_at` is when it came there; `envelope_to` whom it came to, where the transport knows; `place` says where
    it lies (`uidvalidity:uid`).
    """

    octets: bytes | None
    size: int
    received_at: datetime
    envelope_to: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A mail of this mailbox, read; with the id of its row."""

    mailbox: str
    mail: Mail
    seen: Understood
    id: UUID


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to be kept of a mail, and what it tells of messages that are known."""

    row: Incoming
    told: Sequence[Told] = ()


Owned = dict[UUID, list[tuple[Event, Owner]]]
"""Events, each with its message, by the mail that tells them."""


def judge(app: App, connection: Connection, opened: Sequence[Opened], now: datetime) -> list[Judged]:
    """Judge each of these, in their order."""
    genuine = [one for one in opened if one.seen.part is not None and not one.seen.forged]
    named = _owned(connection, [(one, _named(one)) for one in genuine], now)
    left = [one for one in genuine if one.id not in named and one.seen.kind in BY_ADDRESS]
    guessed = _owned(connection, [(one, _events(one)) for one in left], now)
    left = [one for one in opened if one.id not in named and one.id not in guessed]
    doubted = _owned(connection, [(one, _mentioned(one)) for one in left], now)
    sure, likely, unsure = _held(connection, _firsts(named), guessed, _firsts(doubted))
    judged = []
    for one in opened:
        if one.id in sure:
            judged.append(_matched(app, connection, one, sure[one.id][0][1], now))
        elif one.id in likely and verp.is_signed(app.settings):
            judged.append(Judged(_unproven(one)))
        elif one.id in likely:
            told = [Told(replace(event, message_id=owner.id), owner, now) for event, owner in likely[one.id]]
            judged.append(Judged(_of(_row(one, IncomingState.MATCHED), likely[one.id][0][1]), told))
        else:
            row = _unknown(connection, one, now)
            theirs = one.id in unsure and row.state is not IncomingState.IGNORED
            judged.append(Judged(_of(row, unsure[one.id][0][1]) if theirs else row))
    return judged


def _owned(connection: Connection, asked: Sequence[tuple[Opened, Sequence[Event]]], now: datetime) -> Owned:
    """Those of these events whose message is here, each with it, by mail."""
    flat = [(one.id, event) for one, events in asked for event in events]
    found: Owned = defaultdict(list)
    owned = owners.find(connection, [event for _, event in flat], now)
    for (id_, event), owner in zip(flat, owned, strict=True):
        if owner is not None:
            found[id_].append((event, owner))
    return found


def _held(connection: Connection, *found: Owned) -> list[Owned]:
    """The same, and nobody of them is erased before the transaction ends; all are locked in one order."""
    of_all = [owner for each in found for pairs in each.values() for _, owner in pairs]
    held = {one.id: one for one in owners.hold(connection, of_all) if one is not None}
    return [{id_: [(event, held[owner.id]) for event, owner in pairs] for id_, pairs in each.items()} for each in found]


def _firsts(found: Owned) -> Owned:
    return {id_: pairs[:1] for id_, pairs in found.items()}


def _named(one: Opened) -> list[Event]:
    """A question for each message that it may name, the surest first. A person's mail is known by what it answers."""
    mentioned = _mentioned(one)
    return [ask for ask in mentioned if ask.message_id is None or one.seen.kind is not IncomingKind.OTHER]


def _mentioned(one: Opened) -> list[Event]:
    """A question for each message that stands in it, whether anybody is to believe it or not."""
    seen, ask = one.seen, partial(Event, EventType.ACCEPTED, one.mail.received_at, MAIL, "")
    by_token = [ask(message_id=seen.named)] if seen.named else []
    return by_token + [ask(header_id=header_id) for header_id in seen.header_ids]


def _events(one: Opened) -> list[Event]:
    """What it tells of whomever its addresses belong to."""
    seen, first = one.seen, next(iter(one.seen.header_ids), None)
    tell = partial(telling.events, seen.kind, seen.report, digest=seen.digest, at=one.mail.received_at, mail=one.id)
    return distinct(tell(message=seen.named, header_id=first))


def _matched(app: App, connection: Connection, one: Opened, owner: Owner, now: datetime) -> Judged:
    """It names its message."""
    seen = one.seen
    kind = IncomingKind.REPLY if seen.kind is IncomingKind.OTHER else seen.kind
    report = telling.of_message(seen.report, owner.address)
    told = telling.events(kind, report, digest=seen.digest, at=one.mail.received_at, mail=one.id, message=owner.id)
    if not told or (kind is IncomingKind.READ_RECEIPT and not seen.displayed):
        return Judged(_row(one, IncomingState.IGNORED, "tells_nothing"))
    row = replace(_row(one, IncomingState.MATCHED), kind=kind)
    if kind is IncomingKind.REPLY and seen.part is not None and _keeps_replies(app, connection, owner):
        row = replace(row, text=replies.words(seen.part))
    return Judged(_of(row, owner), [Told(event, owner, now) for event in distinct(told)])


def _unknown(connection: Connection, one: Opened, now: datetime) -> Incoming:
    """Nobody knows its message: an operator sees reports, and what came to a return path and is not understood."""
    seen = one.seen
    if seen.part is None:
        return _row(one, IncomingState.REJECTED, "not_given" if one.mail.octets is None else "unreadable")
    if seen.forged and seen.kind is not IncomingKind.OTHER:
        return _row(one, IncomingState.REJECTED, "forged_token")
    if seen.kind in REPORTS and not _events(one):
        return _row(one, IncomingState.IGNORED, "tells_nothing")
    if seen.kind in REPORTS:
        addressed = "unknown_recipient" if seen.report.recipients else "no_recipient"
        named = seen.named or any(owners.of_our_header(id_) for id_ in seen.header_ids)
        if not named and any(len(owners.by_address(connection, event, now)) > 1 for event in _events(one)):
            addressed = "several_tenants"
        return _row(one, IncomingState.UNMATCHED, "no_message" if named else addressed)
    if seen.kind is IncomingKind.OTHER and seen.named:
        return _row(one, IncomingState.UNMATCHED, "not_understood")
    return _row(one, IncomingState.IGNORED)


def _unproven(one: Opened) -> Incoming:
    """It names an address alone, and no token of ours."""
    if one.seen.kind in REPORTS:
        return _row(one, IncomingState.UNMATCHED, "unproven")
    return _row(one, IncomingState.IGNORED)


def _row(one: Opened, state: IncomingState, reason: str | None = None) -> Incoming:
    """What is kept; of what is no business of ours, that it was there."""
    seen, mail = one.seen, one.mail
    row = Incoming(
        one.mailbox, seen.digest, seen.kind, state, mail.size, mail.received_at, mail.place, reason, id=one.id
    )
    if state is IncomingState.IGNORED:
        return row
    return replace(
        row,
        sender=_line(seen.field("from")),
        subject=_line(seen.field("subject")),
        header_id=_line(seen.field("message-id")),
        report=plain(telling.as_json(seen.report)),
        body=None if state is IncomingState.MATCHED else mail.octets,
        envelope_to=None if state is IncomingState.MATCHED else _line(mail.envelope_to),
    )


def _of(row: Incoming, owner: Owner) -> Incoming:
    """The row as it belongs to this message; of somebody who was erased nothing else is kept."""
    row = replace(row, tenant_id=owner.tenant_id, message_id=owner.id, recipient_id=owner.recipient_id)
    if owner.address is not None:
        return row
    return replace(row, sender=None, subject=None, header_id=None, envelope_to=None, report=None, body=None, text=None)


def _keeps_replies(app: App, connection: Connection, owner: Owner) -> bool:
    """As its kind says, else as the settings do."""
    notification = notifications.find(connection, owner.tenant_id, owner.notification_id)
    try:
        own = None if notification is None else app.kinds.get(notification.kind).facts.keep_replies
    except RequestError:  # the kind is gone
        own = None
    return app.settings.keep_replies if own is None else own


def _line(text: str | None) -> str | None:
    return None if text is None else storable(text, LONGEST_FIELD)
