"""From a rendered message to its envelope: the headers that every mail of ours has, and the marks of a rehearsal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from notify.channels.email import mime
from notify.channels.email.mime import Mail, compose
from notify.channels.provider import Envelope
from notify.model import Attachment, Mode
from notify.passages import Passage
from notify.settings import Settings

TEST_MARK = "[TEST] "


def header_id(settings: Settings, message_id: UUID) -> str:
    """The Message-ID header: of our own domain, and the same on every try (RFC 5322 §3.6.4)."""
    return mime.header_id(message_id, settings.message_id_domain)


def envelope(
    settings: Settings,
    *,
    message_id: UUID,
    address: str,
    name: str | None,
    subject: str,
    html: str | Passage | None,
    text: str | Passage,
    date: datetime,
    mode: Mode,
    attachments: Sequence[Attachment] = (),
    unsubscribe_url: str | None = None,
) -> Envelope:
    """Compose a mail. With an `unsubscribe_url`, which is the message's own, it can be left with one click.

    The same arguments give the same octets. Raises `InvalidHeader` and `InvalidAddress`.
    """
    test = mode is Mode.TEST
    mail = Mail(
        message_id=message_id,
        domain=settings.message_id_domain,
        date=date,
        sender=settings.email_from,
        recipient_name=name,
        recipient_address=address,
        reply_to=settings.email_reply_to,
        subject=TEST_MARK + subject if test else subject,
        text=text,
        html=html,
        unsubscribe_url=unsubscribe_url,
        headers={"X-Notify-Mode": "test"} if test else {},
        attachments=attachments,
    )
    return Envelope(message_id, address, settings.return_path, compose(mail))
