"""Mails as other people's machines, and other people, answer ours."""

from __future__ import annotations

from uuid import UUID

HARD = ("5.1.1", "550 5.1.1 <{address}>: Recipient address rejected: User unknown in local recipient table")
SOFT = ("4.2.2", "452 4.2.2 The email account that you tried to reach is over quota")
BLOCK = ("5.7.1", "550 5.7.1 Service unavailable; client host blocked using Spamhaus")

ORDINARY = b"From: Ada <ada@example.net>\r\nTo: news@example.org\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"


def ours(message: UUID) -> str:
    """Our Message-ID."""
    return f"<{message}@example.org>"


def multipart(*parts: tuple[str, str], kind: str, **fields: str) -> str:
    """A mail of several parts, each a content type and a text; a field's name has `_` where its mail has `-`."""
    head = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in fields.items())
    body = "".join(f"--=_b\nContent-Type: {name}\n\n{text}\n" for name, text in parts)
    return f'{head}MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary="=_b"\n\n{body}--=_b--\n'


def report(blocks: str, *more: tuple[str, str], text: str, **fields: str) -> str:
    """A delivery report (RFC 3464): words, what they say to machines, and parts of the mail that it is about."""
    status = ("message/delivery-status", f"Reporting-MTA: dns; mx.example.net\n\n{blocks}")
    return multipart(("text/plain", text), status, *more, kind="report; report-type=delivery-status", **fields)


def block(address: str, *, action: str = "failed", status: str = "5.1.1", said: str = "", original: str = "") -> str:
    """What a delivery report says to machines of one recipient."""
    lines = [f"Original-Recipient: rfc822;{original}"] if original else []
    lines += [f"Final-Recipient: rfc822; {address}", f"Action: {action}", f"Status: {status}"]
    if said:
        lines.append(f"Diagnostic-Code: smtp; {said}")
    return "\n".join(lines) + "\n"


def dsn(
    address: str,
    *,
    to: str = "bounces@example.org",
    said: tuple[str, str] = HARD,
    action: str = "failed",
    header_id: str | None = None,
    more: str = "",
    padding: int = 0,
) -> bytes:
    """A delivery report about one recipient; with a `header_id` it returns the header of the mail.

    `more` are the blocks of others, and it is longer by `padding` octets.
    """
    status, words = said
    header = f"Message-ID: {header_id}\nFrom: Notify <notify@example.org>\nTo: {address}\nSubject: Hello\n"
    told = report(
        block(address, action=action, status=status, said=words.format(address=address)) + more,
        *([("text/rfc822-headers", header)] if header_id else []),
        text="Your mail could not be delivered.\n",
        From="MAILER-DAEMON@mx.example.net (Mail Delivery System)",
        To=to,
        Subject="Undelivered Mail Returned to Sender",
        Message_ID="<report.1@mx.example.net>",
        Auto_Submitted="auto-replied",
    )
    return _mail(told + ("x" * 76 + "\n") * (padding // 78))


def prose(address: str, *, to: str = "bounces@example.org", header_id: str) -> bytes:
    """A bounce in qmail's words."""
    return _mail(f"""From: MAILER-DAEMON@mx.example.net
To: {to}
Subject: failure notice
Message-ID: <prose.1@mx.example.net>

Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{address}>:
192.0.2.25 does not like recipient.
Remote host said: 550 5.1.1 <{address}>: User unknown
Giving up on 192.0.2.25.

--- Below this line is a copy of the message.

Return-Path: <{to}>
Message-ID: {header_id}
From: Notify <notify@example.org>
To: {address}
Subject: Hello

Good morning.
""")


def complaint(address: str, *, header_id: str | None = None, kind: str = "abuse") -> bytes:
    """A report in the Abuse Reporting Format (RFC 5965)."""
    named = f"Message-ID: {header_id}\n" if header_id else ""
    told = multipart(
        ("text/plain", "This is an email abuse report for an email message.\n"),
        (
            "message/feedback-report",
            f"Feedback-Type: {kind}\nUser-Agent: SomeGenerator/1.0\nVersion: 1\nOriginal-Rcpt-To: <{address}>\n",
        ),
        (
            "message/rfc822",
            f"{named}From: Notify <notify@example.org>\nTo: {address}\nSubject: Hello\n\nGood morning.",
        ),
        kind="report; report-type=feedback-report",
        From="<feedback@fbl.example.net>",
        To="<abuse@example.org>",
        Subject="FW: Hello",
        Message_ID="<complaint.1@fbl.example.net>",
    )
    return _mail(told)


def away(header_id: str | None = None) -> bytes:
    """An auto-reply (RFC 3834)."""
    return _mail(f"""From: Ada <ada@example.org>
To: notify@example.org
Subject: Auto: Hello
Message-ID: <away.1@example.org>
Auto-Submitted: auto-replied
{f"In-Reply-To: {header_id}" if header_id else "X-Loop: 1"}

I am away until Monday. My mailbox may be full, and this user does not exist any more.
""")


def receipt(header_id: str, *, disposition: str = "displayed") -> bytes:
    """A disposition notification (RFC 8098)."""
    told = multipart(
        ("text/plain", "Your mail was displayed.\n"),
        (
            "message/disposition-notification",
            "Reporting-UA: mua.example.org; Reader 1.0\nFinal-Recipient: rfc822;ada@example.org\n"
            f"Original-Message-ID: {header_id}\nDisposition: manual-action/MDN-sent-manually; {disposition}\n",
        ),
        kind="report; report-type=disposition-notification",
        From="Ada <ada@example.org>",
        To="bounces@example.org",
        Subject="Read: Hello",
        Message_ID="<receipt.1@example.org>",
    )
    return _mail(told)


def reply(*threading: str, words: str = "Yes, at noon.\n\nOn Monday, Notify wrote:\n> Good morning.\n") -> bytes:
    """What a person answers; `threading` are its header fields In-Reply-To and References."""
    fields = "".join(f"{one}\n" for one in threading)
    return _mail(f"""From: Ada <ada@example.org>
To: notify@example.org
Subject: Re: Hello
Message-ID: <reply.1@example.org>
{fields}
{words}""")


def _mail(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()
