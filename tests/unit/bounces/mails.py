"""Builds the mails that the tests of bounces read."""

from __future__ import annotations

from tests import answers

US = "news@sender.example"
THEM = "ada@receiver.example"
RETURNED = f"""Received: from app.sender.example by mx.sender.example; Mon, 2 Mar 2026 09:00:00 +0000
Message-ID: <0198c5f2@sender.example>
From: News <{US}>
To: Ada <{THEM}>
Subject: March
MIME-Version: 1.0
Content-Type: text/plain

Hello Ada.
"""


def plain(
    text: str, *, sender: str = "MAILER-DAEMON@mx.receiver.example", subject: str = "failure notice", **more: str
) -> bytes:
    """A mail of one text."""
    fields = {"From": sender, "To": US, "Subject": subject, "Date": "Mon, 2 Mar 2026 09:00:05 +0000"}
    fields |= {name.replace("_", "-"): value for name, value in more.items()}
    head = "".join(f"{name}: {value}\n" for name, value in fields.items())
    return f"{head}Content-Type: text/plain; charset=utf-8\n\n{text}".encode()


def multipart(
    *parts: tuple[str, str],
    kind: str = "mixed",
    sender: str = "MAILER-DAEMON@mx.receiver.example",
    subject: str = "Delivery failure",
    **more: str,
) -> bytes:
    """A mail of several parts, each a content type and a text."""
    return answers.multipart(*parts, kind=kind, From=sender, To=US, Subject=subject, **more).encode()


def report(
    status: str, *, text: str = "It could not be delivered.", subject: str = "Delivery Status Notification"
) -> bytes:
    """A delivery report (RFC 3464) with these blocks."""
    returned = ("message/rfc822", RETURNED)
    sender = "MAILER-DAEMON@mx.receiver.example"
    return answers.report(status, returned, text=text, From=sender, To=US, Subject=subject).encode()


def block(
    address: str = THEM, *, action: str = "failed", status: str = "5.1.1", said: str = "", original: str = ""
) -> str:
    """The block of one recipient."""
    return answers.block(address, action=action, status=status, said=said, original=original)
