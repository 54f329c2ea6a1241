"""A composed mail taken apart for APIs that want its pieces: every header and every part is found, or it is refused.

Only what `mime.compose` writes is understood; anything else would be lost on the way, and is `inexpressible`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email import message_from_string
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from typing import NoReturn

from notify.channels.email.address import ascii_form
from notify.channels.provider import Envelope
from notify.errors import InvalidAddress, Rejected

_PLACED = frozenset({"from", "to", "reply-to", "subject"})
_STRUCTURE = frozenset({"mime-version", "content-type", "content-transfer-encoding"})
_OF_A_FILE = _STRUCTURE | {"content-disposition", "content-id"}
_PEOPLE = frozenset({"sender", "cc", "bcc"})
_CONTAINERS = frozenset({"multipart/mixed", "multipart/alternative", "multipart/related"})


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Who: a display name, maybe empty, and an address with an ASCII domain."""

    name: str
    address: str

    def __str__(self) -> str:
        """As in a header (RFC 5322 §3.4), the name always quoted, and in Unicode."""
        quoted = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{self.address}>' if self.name else self.address


@dataclass(frozen=True, slots=True)
class File:
    """An attachment; or, with a `content_id`, what the HTML shows as `cid:…`. `content_type` has its parameters."""

    name: str
    content_type: str
    content: bytes = field(repr=False)
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """Line ends of `text` and `html` are LF. `headers` are all others, unfolded and decoded, by their written names."""

    sender: Mailbox
    recipient: Mailbox
    reply_to: Mailbox | None
    subject: str
    headers: Mapping[str, str]
    text: str | None
    html: str | None
    files: tuple[File, ...]

    def without(self, *names: str) -> Mapping[str, str]:
        """The headers, when none of them is one of these, in lower case. Raises `Rejected`, `inexpressible`."""
        for name in self.headers:
            if name.lower() in names:
                inexpressible(f"the header {name}")
        return self.headers


def inexpressible(what: str) -> NoReturn:
    """Refuse what this provider has no field for. Raises `Rejected`."""
    raise Rejected("inexpressible", f"{what} cannot be handed to this provider")


def take_apart(envelope: Envelope) -> Parts:
    """The pieces of `envelope.content`. Raises `Rejected`, `inexpressible`, and names what has no place."""
    try:
        # An address may be beyond ASCII, as UTF-8 (RFC 6532 §3.2).
        mail = message_from_string(envelope.content.decode())
        return _taken_apart(mail, ascii_form(envelope.recipient))
    except (InvalidAddress, MessageError, LookupError, ValueError):
        inexpressible("what is no mail in UTF-8")


def _taken_apart(mail: Message, recipient_address: str) -> Parts:
    sender, recipient = _mailbox(mail, "from"), _mailbox(mail, "to")
    if sender is None:
        inexpressible("a mail without From")
    if recipient is None or recipient.address != recipient_address:
        inexpressible("a recipient who is not the one in the header To")
    headers = dict(_others(mail))
    found = _Found()
    found.take(mail, whole=True)
    return Parts(
        sender=sender,
        recipient=recipient,
        reply_to=_mailbox(mail, "reply-to"),
        subject=_decoded(mail.get("Subject", "")),
        headers=headers,
        text=found.text,
        html=found.html,
        files=tuple(found.files),
    )


def _mailbox(mail: Message, name: str) -> Mailbox | None:
    written = mail.get_all(name)
    if not written:
        return None
    people = getaddresses([_unfolded(value) for value in written])
    if len(people) != 1:
        inexpressible(f"a header {name} with {len(people)} addresses")
    ((phrase, address),) = people
    return Mailbox(_decoded(phrase), address)


def _unfolded(value: str) -> str:
    return value.replace("\r", "").replace("\n", "")


def _decoded(value: str) -> str:
    """A header's text (RFC 2047). The old parser of the standard library, for the new one takes five times as long."""
    value = _unfolded(value)
    return str(make_header(decode_header(value))) if "=?" in value else value


def _others(mail: Message) -> Iterator[tuple[str, str]]:
    seen = set()
    for name, value in mail.items():
        lower = name.lower()
        if lower in seen or lower in _PEOPLE:
            inexpressible(f"the header {name}" if lower in _PEOPLE else f"a second header {name}")
        seen.add(lower)
        if lower not in _PLACED | _OF_A_FILE:
            yield name, _decoded(value)


class _Found:
    """What was found so far, walking through the parts as a reader would."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.html: str | None = None
        self.files: list[File] = []

    def take(self, part: Message, *, whole: bool = False) -> None:
        """One part and all within it; `whole`: it is the mail itself, whose headers are asked about elsewhere."""
        kind, disposition = part.get_content_type(), part.get_content_disposition()
        if kind in _CONTAINERS and disposition is None and part.is_multipart():
            self._only(part, _STRUCTURE, whole)
            for inner in part.get_payload():
                assert isinstance(inner, Message)
                self.take(inner)
        elif disposition == "attachment" or (disposition == "inline" and part["Content-ID"]):
            self._only(part, _OF_A_FILE, whole)
            self.files.append(_file(part, inline=disposition == "inline"))
        elif kind == "text/plain" and disposition is None and self.text is None and self.html is None:
            self.text = self._words(part, whole)
        elif kind == "text/html" and disposition is None and self.html is None:
            self.html = self._words(part, whole)
        else:
            inexpressible(f"a part of type {kind} in this place")

    def _words(self, part: Message, whole: bool) -> str:
        self._only(part, _STRUCTURE, whole)
        _, *parameters = part.get_params() or [("text/plain", "")]
        if any(name.lower() != "charset" for name, _ in parameters):
            inexpressible("a text whose Content-Type says more than its charset")
        text = _octets(part).decode(part.get_content_charset("us-ascii"))
        return text.replace("\r\n", "\n")

    def _only(self, part: Message, known: frozenset[str], whole: bool) -> None:
        for name, _ in part.items():
            if not whole and name.lower() not in known:
                inexpressible(f"the header {name} of a part")


def _file(part: Message, *, inline: bool) -> File:
    name = part.get_filename()
    if not name:
        inexpressible("a file without a name")
    content_id = _unfolded(part["Content-ID"]).strip().removeprefix("<").removesuffix(">") if inline else None
    return File(name, _unfolded(part.get("Content-Type", "text/plain")), _octets(part), content_id)


def _octets(part: Message) -> bytes:
    written, octets = part.get_payload(), part.get_payload(decode=True)
    if not isinstance(written, str) or not isinstance(octets, bytes) or not written.isascii():
        inexpressible("a part that is itself in parts, or not in 7 bits")
    return octets
