"""Reads complaints: the Abuse Reporting Format (RFC 5965) and what providers wrote before it."""

from __future__ import annotations

import re

from notify.feedback.bounces import addresses
from notify.feedback.bounces.mime import Part, read_fields
from notify.feedback.bounces.report import Kind, Recipient, Report, Verdict
from notify.feedback.bounces.words import any_of

_IN_TEXT = re.compile(r"^feedback-type[ \t]*:", re.M | re.I)
_PROSE_SUBJECT = any_of(
    r"""
    complaint about message from
    abuse report
    email feedback report
    spam report from
    fbl report
    junk mail report
    """,
)
_MARKS = ("x-hmxmroriginalrecipient", "x-abuse-report", "x-complaint")
_REDACTED = re.compile(r"redacted|removed|undisclosed", re.I)


def may_be_one(mail: Part) -> bool:
    """Whether the fields of a mail that is no report (RFC 6522) leave it open that it is a complaint."""
    return "x-hmxmroriginalrecipient" in mail.fields or bool(_PROSE_SUBJECT.search(mail.get("subject")))


def read(mail: Part, parts: list[Part], returned: dict[str, list[str]]) -> Report | None:
    """The complaint that a mail is, or None. `returned` are the header fields of the mail complained about."""
    for part in parts:
        if part.type == "message/feedback-report":
            return _report(read_fields(part.text()), returned)
    if mail.parameters.get("report-type", "").lower() == "feedback-report":
        text = "\n".join(part.raw for part in parts if part.type.startswith("text/"))
        return _report(read_fields(text), returned)
    return _old_form(mail, parts, returned)


def _old_form(mail: Part, parts: list[Part], returned: dict[str, list[str]]) -> Report | None:
    """JMRP's mails attach what was complained about and say so in the subject; some put the fields into the text."""
    if mail.type.startswith("multipart/"):
        for part in parts:
            if part.type.startswith("text/") and _IN_TEXT.search(part.raw[:8192]):
                fields = read_fields(part.raw[:8192])
                if "user-agent" in fields or "version" in fields or "source-ip" in fields:
                    return _report(fields, returned)
    if "x-hmxmroriginalrecipient" in mail.fields:
        return _report({}, mail.fields)
    subject = mail.get("subject")
    sender = mail.get("from").lower()
    from_desk = "staff@hotmail." in sender or "@feedback" in sender or "abuse" in sender or "fbl" in sender
    marked = any(name in mail.fields or name in returned for name in _MARKS)
    if _PROSE_SUBJECT.search(subject) and returned and (from_desk or marked):
        return _report({}, returned)
    return None


def _report(fields: dict[str, list[str]], returned: dict[str, list[str]]) -> Report:
    names = [
        *fields.get("original-rcpt-to", ()),
        *fields.get("removal-recipient", ()),
        *returned.get("x-hmxmroriginalrecipient", ()),
    ]
    if not names:
        names = [*returned.get("to", ()), *fields.get("redacted-address", ())]
    found: dict[str, str] = {}
    for name in names:
        address = addresses.first(name)
        if address and not _REDACTED.search(address):
            found.setdefault(address.lower(), address)
    kind = (fields.get("feedback-type") or ["abuse"])[0].strip().lower()[:40]
    recipients = tuple(Recipient(address, Verdict.OTHER) for address in found.values())
    return Report(Kind.COMPLAINT, recipients, (returned.get("message-id") or [""])[0] or None, kind or "abuse")
