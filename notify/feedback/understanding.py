"""What a mail is and which message it names, from its octets alone; whatever they are, no error is raised.

A message is named by the signed token of the return path that the mail came to, by the Message-ID of the mail that it
returns, and by what it answers (RFC 5322 §3.6.4).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from notify.channels.email import verp
from notify.feedback.bounces import Kind, Report, addresses, mime, reading
from notify.feedback.bounces.mime import Part
from notify.model import IncomingKind
from notify.settings import Settings

LONGEST_THREAD = 20
_CAME_TO = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-rcpt-to", "to", "cc")
_RETURNED_TO = ("return-path", "x-envelope-from", "original-mail-from")
_NOTIFICATIONS = ("message/disposition-notification", "message/global-disposition-notification")
_HEADER_ID = re.compile(r"<[^<>\s]{3,500}>")
_DISPLAYED = re.compile(r";\s*displayed\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Understood:
    """A mail, read. `digest` is the SHA-256 of its octets, as far as they were read.

    `named` is the message that a token of ours names; `forged`: it came to the place of a token, and none of ours is
    there. `header_ids` are the Message-IDs that it may be about, the likeliest first. Without a `part` it could not be
    read at all. `displayed` says of a receipt that somebody saw the mail (RFC 8098 §3.2.6.2).
    """

    digest: str
    kind: IncomingKind
    report: Report
    part: Part | None = None
    named: UUID | None = None
    forged: bool = False
    header_ids: tuple[str, ...] = ()
    displayed: bool = False

    def field(self, name: str) -> str | None:
        """A header field of its own, decoded."""
        return (self.part.get(name) or None) if self.part else None


def not_given(place: str) -> Understood:
    """A mail that lies there and cannot be had. Its digest is that of its place: it is told of once."""
    return Understood(hashlib.sha256(place.encode()).hexdigest(), IncomingKind.REJECTED, Report(Kind.OTHER))


def understand(settings: Settings, octets: bytes, envelope_to: str | None = None) -> Understood:
    """Read a mail. `envelope_to` is whom it came to, where the transport knows."""
    digest = hashlib.sha256(octets).hexdigest()
    try:
        mail = mime.parse(octets)
        if not mail.fields:
            return Understood(digest, IncomingKind.REJECTED, Report(Kind.OTHER))
        report = reading.read_mail(mail)
        named, forged = _token(settings, mail, envelope_to)
        notices = _notices(mail)
        header_ids = tuple(_about(mail, report, notices))[:LONGEST_THREAD]
    except reading.UNREADABLE:
        return Understood(digest, IncomingKind.REJECTED, Report(Kind.OTHER))
    shown = any(_DISPLAYED.search(value) for one in notices for value in one.get("disposition", ()))
    return Understood(digest, IncomingKind(report.kind), report, mail, named, forged, header_ids, shown)


def _token(settings: Settings, mail: Part, envelope_to: str | None) -> tuple[UUID | None, bool]:
    """The message that a return path names, and whether one was forged where none names any."""
    forged = False
    for address in _came_to(mail, envelope_to):
        try:
            named = verp.message_of(settings, address)
        except verp.ForgedToken:
            forged = True
            continue
        if named is not None:
            return named, False
    for address in _returned_to(mail):
        try:
            named = verp.message_of(settings, address)
        except verp.ForgedToken:
            continue  # it stands in what somebody quotes
        if named is not None and not forged:
            return named, False
    return None, forged


def _came_to(mail: Part, envelope_to: str | None) -> Iterator[str]:
    if envelope_to:
        yield envelope_to
    yield from _addresses(mail, _CAME_TO)


def _returned_to(mail: Part) -> Iterator[str]:
    """The return paths of the mails that it returns, and what a complaint tells of it (RFC 5965 §3.2)."""
    for part in mail.walk():
        if part is not mail:
            yield from _addresses(part, _RETURNED_TO)
        if part.type == "message/feedback-report":
            yield from _addresses(Part(mime.read_fields(part.text()), ""), _RETURNED_TO)


def _addresses(part: Part, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        for value in part.fields.get(name, ())[:LONGEST_THREAD]:
            for _, address in addresses.find(value)[:LONGEST_THREAD]:
                yield address


def _notices(mail: Part) -> list[dict[str, list[str]]]:
    """The fields of its disposition notifications (RFC 8098 §3.1)."""
    parts = (part for part in mail.walk(into_mails=False) if part.type in _NOTIFICATIONS)
    return [mime.read_fields(part.text()) for part in parts]


def _about(mail: Part, report: Report, notices: list[dict[str, list[str]]]) -> Iterator[str]:
    """The Message-IDs that it names, each once."""
    said = [report.original_message_id or ""]
    said += [value for one in notices for value in one.get("original-message-id", ())]
    said += mail.fields.get("in-reply-to", [])
    found = [match for value in said for match in _HEADER_ID.findall(value)]
    for value in mail.fields.get("references", ()):
        found += reversed(_HEADER_ID.findall(value))  # the nearest stands last (RFC 5322 §3.6.4)
    yield from dict.fromkeys(found)
