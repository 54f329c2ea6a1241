"""Reads one mail that came to a return path; never raises, whatever the bytes."""

from __future__ import annotations

import re

from notify.feedback.bounces import (
    automatic,
    complaints,
    delivery_status,
    mime,
    origin,
    prose,
    sns_mails,
    weighing,
    wording,
)
from notify.feedback.bounces.delivery_status import Block
from notify.feedback.bounces.mime import Part
from notify.feedback.bounces.report import Kind, Recipient, Report, Verdict
from notify.feedback.bounces.wording import Wording
from notify.feedback.bounces.words import any_of

DIAGNOSTIC_LIMIT = 500

_DELAY = any_of(
    r"""
    (?:not|n't) yet (?:been|be)\b
    (?:will|shall) (?:continue|keep|be retried|retry|try)
    still (?:undelivered|being (?:re)?tried|trying|in the)
    delivery (?:is |has been |was |will be )?delayed
    has been delayed
    delayed (?:delivery|mail|message)
    message delayed
    do not need to resend
    don't need to resend
    no action is required
    warning message only
    this is a warning
    only a warning
    just a warning
    temporarily (?:delayed|unable)
    continue to (?:try|be)
    not necessary to resend
    try again (?:for|until)
    keep(?:s)? trying
    attempts will be made
    being queued
    queued for
    (?:wird|werden) weiter
    noch nicht zugestellt
    continuera
    seguir[áa] intentando
    continuar[áa]
    """,
)
_DELAY_SUBJECT = re.compile(r"delay|warning|still|verzögert|tempor|deferred|could not send message for past", re.I)
_GAVE_UP = any_of(
    r"""
    permanent
    giving up
    gave up
    no longer be tried
    will not (?:be retried|retry|try)
    given up
    (?<!will be )returned to (?:you|sender)
    delivery (?:has )?failed
    maximum (?:time|retry)
    expired
    fatal error
    have failed
    cannot be delivered
    further delivery attempts will be made
    """,
)
_SPACE = re.compile(r"\s+")
_REFUSAL = re.compile(
    r"(?:^|[\s:(<\"'])([45]\d\d[ -][^\n]{3,}(?:\n[ \t>]{1,12}[^\n]{1,300}){0,3}|#?[45]\.\d{1,3}\.\d{1,3}[ )-][^\n]{3,})"
)
UNREADABLE = (ValueError, LookupError, RecursionError, ArithmeticError, TypeError, AttributeError)
"""What the octets of a mail may lead to: a mailbox holds anything, and one must not keep the others from being read."""

_FINE = ("delivered", "relayed", "expanded")


def read(raw: bytes) -> Report:
    """What the mail says. Looks at its first megabyte; one that cannot be read is `other`."""
    try:
        return read_mail(mime.parse(raw))
    except UNREADABLE:
        return Report(Kind.OTHER)


def read_mail(mail: Part) -> Report:
    """What a parsed mail says. May raise what `UNREADABLE` names."""
    parts = [part for part in mail.walk(into_mails=False) if part is not mail or not part.children]
    if not _worth_reading(mail, parts):
        return Report(Kind.OTHER)
    said = wording.read(mail)
    return (
        sns_mails.read(mail, said.text)
        or complaints.read(mail, parts, said.returned)
        or _receipt_or_challenge(mail, parts, said)
        or _wrapped(mail, parts)
        or _failure(mail, parts, said)
        or Report(Kind.OTHER)
    )


def _receipt_or_challenge(mail: Part, parts: list[Part], said: Wording) -> Report | None:
    if automatic.is_read_receipt(mail, parts) and not automatic.is_rejection(mail, said.text):
        return Report(Kind.READ_RECEIPT, original_message_id=_message_id(said))
    if automatic.is_challenge(mail, said.text):
        return Report(Kind.CHALLENGE, original_message_id=_message_id(said))
    return None


def _failure(mail: Part, parts: list[Part], said: Wording) -> Report | None:
    """A report of a delivery; an auto-reply where a person's program answered; None where a person wrote."""
    passed_on = origin.is_passed_on(mail)
    blocks = [] if passed_on else _blocks(mail, parts, said)
    if blocks:
        return _from_blocks(mail, said, blocks)
    failure = not passed_on and origin.is_failure(mail, said.text, said.returned)
    if automatic.is_auto_reply(mail) and not (failure and origin.is_machine(mail)):
        return Report(Kind.AUTO_REPLY, original_message_id=_message_id(said))
    return _from_prose(mail, said) if failure else None


def _worth_reading(mail: Part, parts: list[Part]) -> bool:
    """Whether the fields and the types of the parts leave anything but ordinary mail open; most of it ends here."""
    return (
        mail.type == "multipart/report"
        or "report-type" in mail.parameters
        or any(part.type.startswith("message/") for part in parts)
        or origin.may_report(mail)
        or automatic.is_auto_reply(mail)
        or automatic.may_be_challenge(mail)
        or complaints.may_be_one(mail)
        or sns_mails.is_one(mail)
    )


def _wrapped(mail: Part, parts: list[Part]) -> Report | None:
    """The report inside a mail that adds nothing to it: gateways and lists put one mail into another."""
    attached = [part for part in parts if part.type == "message/rfc822" and part.children]
    if len(attached) != 1 or any(part.type in delivery_status.TYPES for part in parts):
        return None
    inner = attached[0].children[0]
    wordless = not any(part.type.startswith("text/") and part.text().strip() for part in parts)
    passed_on = wordless or (inner.type == "multipart/report" and origin.is_machine(mail))
    return read_mail(inner) if passed_on and origin.is_machine(inner) else None


def _blocks(mail: Part, parts: list[Part], said: Wording) -> list[Block]:
    """What the status parts say, or a text without them. A person's letter may hold both and reports nothing."""
    is_report = mail.type == "multipart/report" or "report-type" in mail.parameters
    if not (is_report or origin.is_machine(mail) or origin.is_failure(mail, said.text, said.returned)):
        return []
    blocks = delivery_status.blocks_of([part for part in parts if part.type in delivery_status.TYPES])
    if blocks:
        return blocks
    texts = (part for part in parts if part.type.startswith("text/") and part.type != "text/rfc822-headers")
    return [block for part in texts for block in delivery_status.blocks_in(part.text())]


def _from_blocks(mail: Part, said: Wording, blocks: list[Block]) -> Report:
    spoken = prose.recipients(mail, said.text, said.returned) if _needs_prose(blocks) else []
    recipients: dict[str, Recipient] = {}
    actions: list[str] = []
    for number, block in enumerate(blocks):
        address = block.address or (spoken[min(number, len(spoken) - 1)].address if spoken else None)
        actions.append(_action(block))
        if address is None:
            continue
        words = _words_about(address, spoken, said)
        recipients.setdefault(address.lower(), _judged(address, block, actions[-1], words, said))
    kind = Kind.BOUNCE
    if "failed" not in actions:
        kind = Kind.DELAY if "delayed" in actions else Kind.DELIVERED
    return Report(kind, tuple(recipients.values()), _message_id(said))


def _needs_prose(blocks: list[Block]) -> bool:
    return any(block.address is None or not block.diagnostic for block in blocks)


def _action(block: Block) -> str:
    """The action (RFC 3464 §2.3.3), or what the status makes of a missing or unknown one."""
    if block.action in ("failed", "delayed", *_FINE):
        return block.action
    if block.action.startswith(("fail", "bounce", "reject")):
        return "failed"
    if block.action.startswith("delay"):
        return "delayed"
    if block.status and block.status.startswith("2"):
        return "delivered"
    return "failed"


def _judged(address: str, block: Block, action: str, words: str, said: Wording) -> Recipient:
    final = block.final_address if block.final_address and block.final_address != address else None
    if action != "failed":
        verdict = Verdict.DELAYED if action == "delayed" else Verdict.OTHER
        return Recipient(address, verdict, block.status, _short(block.diagnostic), final)
    own = words if block.is_answer else f"{block.diagnostic}\n{words}"
    verdict, status = weighing.weigh(block.status, block.diagnostic, said.text, own)
    if weighing.is_open(status, block.diagnostic):
        verdict, status = weighing.weigh(block.status, f"{block.diagnostic}\n{words}", said.text, own)
    return Recipient(address, verdict, status, _short(block.diagnostic or _refusal(words)), final)


def _words_about(address: str, spoken: list[prose.Said], said: Wording) -> str:
    for one in spoken:
        if one.address.lower() == address.lower():
            return one.words
    return said.text


def _from_prose(mail: Part, said: Wording) -> Report:
    found = prose.recipients(mail, said.text, said.returned)
    delayed = _is_delay(mail, said.text)
    subject = mail.get("subject")
    recipients = []
    for one in found:
        if delayed:
            verdict, status = Verdict.DELAYED, weighing.find_status(one.words)
        else:
            verdict, status = weighing.weigh(None, one.words, said.text, one.words)
            if verdict is Verdict.OTHER and one.words != said.text:
                verdict, status = weighing.weigh(None, said.text, said.text, said.text)
            if verdict is Verdict.OTHER:
                verdict, status = weighing.weigh(status, subject, own=subject)
        recipients.append(Recipient(one.address, verdict, status, _short(_refusal(one.words))))
    return Report(Kind.DELAY if delayed else Kind.BOUNCE, tuple(recipients), _message_id(said))


def _is_delay(mail: Part, text: str) -> bool:
    if _GAVE_UP.search(text):
        return False
    return bool(_DELAY.search(text)) or bool(_DELAY_SUBJECT.search(mail.get("subject")) and "delay" in text.lower())


def _refusal(words: str) -> str:
    """The line that tells most: the refusing server's answer, else all that is said."""
    match = _REFUSAL.search(words[:8192])
    return match[1] if match else words[:DIAGNOSTIC_LIMIT]


def _short(text: str) -> str | None:
    text = _SPACE.sub(" ", text[: 4 * DIAGNOSTIC_LIMIT]).strip()
    return text[:DIAGNOSTIC_LIMIT] or None


def _message_id(said: Wording) -> str | None:
    values = said.returned.get("message-id")
    if not values:
        return None
    value = _SPACE.sub("", values[0])[:500]
    return value or None
