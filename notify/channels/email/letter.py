"""From a rendered message to its envelope: the headers that every mail of ours has, and the marks of a rehearsal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from notify.channels.email import mime, verp
from notify.channels.email.address import ascii_form
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
    read_receipt: bool = False,
) -> Envelope:
    """Compose a mail. With an `unsubscribe_url`, which is the message's own, it can be left with one click.

    With `read_receipt` it asks to be told when it was shown, at the return path: reading programs ask their user
    where the two differ (RFC 8098 §2.1).

    The same arguments give the same octets. Raises `InvalidHeader` and `InvalidAddress`.
    """
    test, sender = mode is Mode.TEST, verp.return_path(settings, message_id)
    headers = {"X-Notify-Mode": "test"} if test else {}
    if read_receipt:
        headers["Disposition-Notification-To"] = f"<{ascii_form(sender)}>"
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
        headers=headers,
        attachments=attachments,
    )
    return Envelope(message_id, address, sender, compose(mail))
