"""What the suite asks of the other end of a provider's wire: a server with moods that says what it got.

A file of this folder that names a `SERVES` is the driver of that class (`module:Class` in `PROVIDERS`), and its
`serving(folder)` is a context manager that yields a `Driver`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import Enum
from typing import Protocol, cast

PATIENT, IMPATIENT = 30.0, 1.0  # seconds without an answer: only where none will come is the end waited for


class Mood(Enum):
    """How the server answers a message. An answer that refuses repeats the secret and the recipient's address."""

    ACCEPTING = "accepts"
    SILENT = "takes the whole message and says nothing"
    HANGING_UP = "takes the whole message and hangs up"
    GIBBERING = "answers the message with something that is no answer"
    THROTTLING = "asks to slow down, for a day"
    REFUSING_THE_KEY = "does not know the key"
    REFUSING_THE_RECIPIENT = "refuses the address"
    REFUSING_THE_MESSAGE = "refuses the message"
    BROKEN = "says that it failed"


@dataclass(frozen=True)
class Arrived:
    """One message as it was read from the wire. `files` holds name, type, octets and content id of each."""

    sender: tuple[str, str]
    recipient: tuple[str, str]
    reply_to: tuple[str, str] | None
    subject: str
    text: str | None
    html: str | None
    files: list[tuple[str, str, bytes, str | None]]
    headers: Mapping[str, str]  # all others, by name in lower case
    secret: str | None  # the credential that came with it
    octets: bytes | None = None  # where the wire carries the mail as it is
    idempotency_key: str | None = None
    tag: str | None = None  # the message id, as webhooks will repeat it


class Driver(Protocol):
    """A provider's wire, with the other end in our hands."""

    moods: frozenset[Mood]  # those that this wire has words for
    secret: str | None  # what must never be shown
    forwards_key: bool  # whether the wire has a place for an idempotency key
    tags: bool  # whether the wire has a place for the message id, beside the mail
    mood: Mood

    def url(self, *, port: int | None = None, timeout: float = PATIENT) -> str:
        """A provider that speaks to this server, or to a port where something else listens."""

    def handed_over(self) -> int:
        """How many messages were begun, as far as the server can see."""

    def arrived(self) -> list[Arrived]:
        """Every message that came whole, whatever the answer was."""


def from_mime(
    octets: bytes, *, secret: str | None, tag: str | None = None, structure: frozenset[str] = frozenset()
) -> Arrived:
    """What a mail that travelled as it is says, read by the standard library; `structure` are headers to pass over."""
    mail = message_from_bytes(octets, policy=policy.default)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    files = [
        (
            part.get_filename() or "",
            str(part["Content-Type"]),
            cast(bytes, part.get_payload(decode=True)),
            part["Content-ID"].strip("<>") if part["Content-ID"] else None,
        )
        for part in mail.walk()
        if part.get_filename()
    ]
    placed = {"from", "to", "reply-to", "subject", "mime-version", "content-type", "content-transfer-encoding"}
    return Arrived(
        sender=person(mail["From"]),
        recipient=person(mail["To"]),
        reply_to=person(mail["Reply-To"]) if "Reply-To" in mail else None,
        subject=mail["Subject"],
        text=None if text is None else text.get_content().replace("\r\n", "\n"),
        html=None if html is None else html.get_content().replace("\r\n", "\n"),
        files=files,
        headers={name.lower(): str(value) for name, value in mail.items() if name.lower() not in placed | structure},
        secret=secret,
        octets=octets,
        tag=tag,
    )


def person(header: object) -> tuple[str, str]:
    """Display name and address of a header that holds one; text is read as such a header."""
    if isinstance(header, str) and not hasattr(header, "addresses"):
        mail = EmailMessage(policy=policy.default)
        mail["To"] = header
        header = mail["To"]
    (one,) = header.addresses  # type: ignore[attr-defined]  # headers of the default policy have no common type
    return one.display_name, one.addr_spec


@dataclass
class Seen:
    """What a server noted."""

    begun: int = 0
    whole: list[Arrived] = field(default_factory=list)
