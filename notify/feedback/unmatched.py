"""Reports that nobody knew the message of: an operator says whose they are, or that they are nobody's; once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from notify.app import App
from notify.errors import NotFound
from notify.feedback import telling
from notify.feedback.record import Recorded, announce, distinct, record_in
from notify.feedback.understanding import understand
from notify.model import MAIL, Event, EventType, IncomingState, fold
from notify.store import Connection, audit, incoming, owners, tenants
from notify.store.events import Told
from notify.store.incoming import OPEN, Incoming
from notify.store.owners import Owner
from notify.telemetry import emit

ATTACHED, DISMISSED = "attached", "dismissed"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of a report. Unless it was resolved just now, `by` says who had done so before.

    `address` is the one that what follows is of: the message's, folded. `instead` are those that the report names,
    where it does not name that one.
    """

    now: bool
    reason: str
    by: str
    message_id: UUID | None = None
    recorded: Recorded = field(default_factory=Recorded)
    address: str | None = None
    instead: tuple[str, ...] = ()


def attach(
    app: App,
    mail_id: UUID,
    *,
    actor: str,
    message: UUID | None = None,
    recipient: str | None = None,
    tenant: str | None = None,
) -> Resolved:
    """Say which message a report is of, or to whom it was; what it tells is recorded, with what follows from it.

    Of a recipient it is the last message that was sent before the report came, one to the address that it names rather
    than another. Raises `NotFound` for a report, message or recipient that is not here.
    """
    now = app.clock.now()
    with app.store.begin() as connection:
        mail = _open(connection, mail_id)
        if mail.state is IncomingState.RESOLVED:
            return _before(mail)
        if message is not None:
            owner = _of_message(connection, message, now)
        else:
            owner = _of_recipient(connection, mail, recipient or "", tenant)
        held = _held(connection, owner)  # before the mail, as an erasure does
        mail = _open(connection, mail_id, lock=True)
        if mail.state is IncomingState.RESOLVED:
            return _before(mail)
        told = [Told(event, held, now) for event in _events(app, mail, held)]
        recorded = record_in(app, connection, owner.tenant_id, told, now)
        _belongs(connection, mail, held, actor, now)
    announce(recorded, known=len(told) - recorded.new)
    emit("mail.resolved", mail=mail.id, reason=ATTACHED, message=owner.id)
    return Resolved(True, ATTACHED, actor, owner.id, recorded, held.address, _instead(mail, held.address))


def dismiss(app: App, mail_id: UUID, *, actor: str) -> Resolved:
    """Say that a report is nobody's: nothing follows from it. Raises `NotFound`."""
    now = app.clock.now()
    with app.store.begin() as connection:
        mail = _open(connection, mail_id, lock=True)
        if mail.state is IncomingState.RESOLVED:
            return _before(mail)
        incoming.resolve(connection, mail.id, by=actor, at=now, reason=DISMISSED)
        _audit(connection, mail.tenant_id, mail, actor, now)
    emit("mail.resolved", mail=mail.id, reason=DISMISSED)
    return Resolved(True, DISMISSED, actor)


def _held(connection: Connection, owner: Owner) -> Owner:
    """The same, locked until the transaction ends, as it is by then."""
    [held] = owners.hold(connection, [owner])
    assert held is not None, "whoever is patient has it"
    return held


def _belongs(connection: Connection, mail: Incoming, owner: Owner, actor: str, now: datetime) -> None:
    """Write down whose it is, and who said so."""
    incoming.resolve(
        connection,
        mail.id,
        by=actor,
        at=now,
        reason=ATTACHED,
        message_id=owner.id,
        recipient_id=owner.recipient_id,
        erased=owner.address is None,
    )
    _audit(connection, owner.tenant_id, mail, actor, now, message=str(owner.id), recipient=str(owner.recipient_id))


def _open(connection: Connection, mail_id: UUID, *, lock: bool = False) -> Incoming:
    mail = incoming.get(connection, mail_id, lock=lock)
    if mail is None or mail.state not in (*OPEN, IncomingState.RESOLVED):
        raise NotFound(f"no report {mail_id} waits for anybody\nNext: notify bounces unmatched list")
    return mail


def _instead(mail: Incoming, address: str | None) -> tuple[str, ...]:
    """The addresses that it names, unless this is one of them."""
    named = [one for each in _recipients(mail) for one in (each["address"], each["final_address"]) if one]
    return () if address is None or address in map(fold, named) else tuple(dict.fromkeys(named))


def _recipients(mail: Incoming) -> Sequence[Mapping[str, Any]]:
    named: Sequence[Mapping[str, Any]] = (mail.report or {}).get("recipients", ())
    return named


def _before(mail: Incoming) -> Resolved:
    return Resolved(False, mail.reason or "", mail.resolved_by or "", mail.message_id)


def _of_message(connection: Connection, message: UUID, now: datetime) -> Owner:
    asked = Event(EventType.ACCEPTED, now, MAIL, "", message_id=message)
    [owner] = owners.find(connection, [asked], now)
    if owner is None:
        raise NotFound(f"no message {message}\nNext: notify messages list")
    return owner


def _of_recipient(connection: Connection, mail: Incoming, key: str, tenant: str | None) -> Owner:
    tenant_id = tenants.tenant_id(connection, tenant)
    named = [one["address"] for one in _recipients(mail)]
    owner = owners.latest(connection, tenant_id, key, named, mail.received_at)
    if owner is None:
        raise NotFound(
            f"nothing was sent by mail to a recipient {key!r:.80} before this report came\n"
            "Next: notify recipients show, or notify suppressions add for an address that is dead"
        )
    return owner


def _events(app: App, mail: Incoming, owner: Owner) -> list[Event]:
    """What it tells; nothing where it is not understood. One that failed is read now."""
    if mail.report is not None:
        kind, whole = mail.kind, telling.from_json(mail.report)
    elif mail.body is not None:
        seen = understand(app.settings, mail.body, mail.envelope_to)
        kind, whole = seen.kind, seen.report
    else:
        return []
    report, at = telling.of_message(whole, owner.address), mail.received_at
    return distinct(telling.events(kind, report, digest=mail.digest, at=at, mail=mail.id, message=owner.id))


def _audit(connection: Connection, tenant_id: UUID, mail: Incoming, actor: str, now: datetime, **whose: str) -> None:
    detail = {"was": mail.reason, "kind": mail.kind, **whose}
    action = "bounces.resolve" if whose else "bounces.dismiss"
    audit.write(connection, tenant_id, actor=actor, action=action, subject=str(mail.id), detail=detail, at=now)
