"""Builds the mails that the tests of bounces read."""

from __future__ import annotations

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
    more: str = "",
) -> bytes:
    """A mail of several parts, each a content type and a text."""
    body = "".join(f"--=_b\nContent-Type: {name}\n\n{text}\n" for name, text in parts)
    return (
        f"From: {sender}\nTo: {US}\nSubject: {subject}\nMIME-Version: 1.0\n{more}"
        f'Content-Type: multipart/{kind}; boundary="=_b"\n\n{body}--=_b--\n'
    ).encode()


def report(
    status: str, *, text: str = "It could not be delivered.", subject: str = "Delivery Status Notification"
) -> bytes:
    """A delivery report (RFC 3464) with these blocks."""
    return multipart(
        ("text/plain", text),
        ("message/delivery-status", f"Reporting-MTA: dns; mx.receiver.example\n\n{status}"),
        ("message/rfc822", RETURNED),
        kind="report; report-type=delivery-status",
        subject=subject,
    )


def block(
    address: str = THEM, *, action: str = "failed", status: str = "5.1.1", said: str = "", original: str = ""
) -> str:
    """The block of one recipient."""
    lines = [f"Original-Recipient: rfc822;{original}"] if original else []
    lines += [f"Final-Recipient: rfc822; {address}", f"Action: {action}", f"Status: {status}"]
    if said:
        lines.append(f"Diagnostic-Code: smtp; {said}")
    return "\n".join(lines) + "\n"
