"""What a mail tells of a message, in the closed vocabulary of events; what tells of nobody's wish is no complaint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from notify.feedback.bounces import Kind, Recipient, Report, Verdict
from notify.model import MAIL, BounceClass, Event, EventType, IncomingKind, fold

_SIMPLE: Mapping[IncomingKind, EventType] = {
    IncomingKind.DELAY: EventType.DEFERRED,
    IncomingKind.DELIVERED: EventType.DELIVERED,
    IncomingKind.AUTO_REPLY: EventType.AUTO_REPLIED,
    IncomingKind.READ_RECEIPT: EventType.READ,
    IncomingKind.REPLY: EventType.REPLIED,
}
_OPT_OUT = ("opt-out", "opt-out-list")
_ABOUT_NOBODY = ("not-spam", "auth-failure", "dmarc")  # RFC 6430 §2, RFC 6591 §3


def events(
    kind: IncomingKind,
    report: Report,
    *,
    digest: str,
    at: datetime,
    mail: UUID,
    message: UUID | None = None,
    header_id: str | None = None,
) -> list[Event]:
    """One event for each recipient of the report, or one for the whole.

    Each is known by the digest and its address: the same octets tell the same wherever they lie.
    """
    found = []
    for one in report.recipients or (None,):
        what = _what(kind, report, one)
        if what is None:
            continue
        address = one.address if one else None
        bounced = what is EventType.BOUNCED
        found.append(
            Event(
                what,
                at,
                MAIL,
                f"{digest}:{fold(address) if address else ''}",
                message_id=message,
                header_id=header_id,
                address=address,
                bounce=(BounceClass(one.verdict) if one else BounceClass.OTHER) if bounced else None,
                status=one.status if one else None,
                diagnostic=one.diagnostic if one else None,
                detail={"mail": str(mail), **({"feedback_type": report.feedback_type} if report.feedback_type else {})},
            )
        )
    return found


def of_message(report: Report, address: str | None) -> Report:
    """The part of a report that is about a message to this folded address.

    Where it names several others, as one from behind a mailing list does, an address is dead only if they all are.
    """
    own = tuple(one for one in report.recipients if address in (fold(one.address), fold(one.final_address or "")))
    if own or len(report.recipients) <= 1 or all(one.verdict is Verdict.HARD for one in report.recipients):
        return replace(report, recipients=own or report.recipients)
    milder = (replace(one, verdict=Verdict.OTHER) if one.verdict is Verdict.HARD else one for one in report.recipients)
    return replace(report, recipients=tuple(milder))


def as_json(report: Report) -> dict[str, Any]:
    """The report as it is kept."""
    return {
        "kind": report.kind,
        "recipients": [asdict(one) for one in report.recipients],
        "original_message_id": report.original_message_id,
        "feedback_type": report.feedback_type,
    }


def from_json(kept: Mapping[str, Any]) -> Report:
    """The same back."""
    recipients: Iterable[Mapping[str, Any]] = kept["recipients"]
    return Report(
        Kind(kept["kind"]),
        tuple(Recipient(**{**one, "verdict": Verdict(one["verdict"])}) for one in recipients),
        kept["original_message_id"],
        kept["feedback_type"],
    )


def _what(kind: IncomingKind, report: Report, one: Recipient | None) -> EventType | None:
    if kind is IncomingKind.COMPLAINT:
        if report.feedback_type in _ABOUT_NOBODY:
            return None
        return EventType.UNSUBSCRIBED if report.feedback_type in _OPT_OUT else EventType.COMPLAINED
    if kind is not IncomingKind.BOUNCE:
        return _SIMPLE.get(kind)
    if one is not None and one.verdict is Verdict.DELAYED:
        return EventType.DEFERRED
    arrived = one is not None and one.verdict is Verdict.OTHER and (one.status or "").startswith("2")
    return EventType.DELIVERED if arrived else EventType.BOUNCED
