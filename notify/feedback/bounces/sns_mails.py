"""Reads what Amazon SES says through SNS by mail: bounces, complaints and deliveries as JSON in the text."""

from __future__ import annotations

import json
from typing import Any

from notify.feedback.bounces import weighing
from notify.feedback.bounces.mime import Part
from notify.feedback.bounces.report import Kind, Recipient, Report, Verdict

_MARK = "x-amz-sns-message-id"
_DECODER = json.JSONDecoder(strict=False)  # a mail on its way may fold the lines of a text


def is_one(mail: Part) -> bool:
    """Whether SNS sent this mail."""
    return _MARK in mail.fields


def read(mail: Part, text: str) -> Report | None:
    """The report in a mail of SNS; None when it holds none."""
    start = text.find("{")
    if not is_one(mail) or start < 0:
        return None
    try:
        told = _mapping(_opened(_DECODER.raw_decode(text, start)[0]))
    except (ValueError, RecursionError):
        return None
    kind = told.get("notificationType") or told.get("eventType")
    header_id = _mapping(_mapping(told.get("mail")).get("commonHeaders")).get("messageId")
    message_id = header_id if isinstance(header_id, str) else None
    if kind == "Bounce":
        bounce = _mapping(told.get("bounce"))
        transient = bounce.get("bounceType") == "Transient"
        return Report(Kind.BOUNCE, _bounced(bounce.get("bouncedRecipients"), transient), message_id)
    if kind == "Complaint":
        complaint = _mapping(told.get("complaint"))
        named = _others([_mapping(one).get("emailAddress") for one in _items(complaint.get("complainedRecipients"))])
        return Report(Kind.COMPLAINT, named, message_id, str(complaint.get("complaintFeedbackType") or "abuse"))
    if kind == "Delivery":
        return Report(Kind.DELIVERED, _others(_items(_mapping(told.get("delivery")).get("recipients"))), message_id)
    return None


def _opened(told: Any) -> Any:
    """What a notification holds; by default SNS puts it as a text into JSON of its own."""
    inner = _mapping(told).get("Message")
    return _DECODER.decode(inner) if isinstance(inner, str) else told


def _bounced(told: Any, transient: bool) -> tuple[Recipient, ...]:
    found = []
    for one in map(_mapping, _items(told)):
        address, status, said = one.get("emailAddress"), one.get("status"), one.get("diagnosticCode")
        if not (isinstance(address, str) and "@" in address):
            continue
        said = said[:500] if isinstance(said, str) else None
        verdict, code = weighing.weigh(weighing.find_status(str(status)), said or "")
        if transient and verdict is Verdict.HARD:  # SES itself says that it may work another time
            verdict = Verdict.SOFT
        found.append(Recipient(address, verdict, code, said))
    return tuple(found)


def _others(addresses: list[Any]) -> tuple[Recipient, ...]:
    return tuple(Recipient(one, Verdict.OTHER) for one in addresses if isinstance(one, str) and "@" in one)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value[:1000] if isinstance(value, list) else []
