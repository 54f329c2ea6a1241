"""Mails as other people's machines, and other people, answer ours."""

from __future__ import annotations

from uuid import UUID

HARD = ("5.1.1", "550 5.1.1 <{address}>: Recipient address rejected: User unknown in local recipient table")
SOFT = ("4.2.2", "452 4.2.2 The email account that you tried to reach is over quota")
BLOCK = ("5.7.1", "550 5.7.1 Service unavailable; client host blocked using Spamhaus")


def ours(message: UUID) -> str:
    """Our Message-ID."""
    return f"<{message}@example.org>"


def dsn(
    address: str,
    *,
    to: str = "bounces@example.org",
    said: tuple[str, str] = HARD,
    action: str = "failed",
    header_id: str | None = None,
    more: str = "",
) -> bytes:
    """A delivery report (RFC 3464); with a `header_id` it returns the header of the mail."""
    status, words = said
    returned = f"""
--=_b
Content-Type: text/rfc822-headers

Message-ID: {header_id}
From: Notify <notify@example.org>
To: {address}
Subject: Hello
"""
    return _mail(f"""From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <report.1@mx.example.net>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_b"

--=_b
Content-Type: text/plain

Your mail could not be delivered.

--=_b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; {address}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {words.format(address=address)}
{more}{returned if header_id else ""}
--=_b--
""")


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
    return _mail(f"""From: <feedback@fbl.example.net>
To: <abuse@example.org>
Subject: FW: Hello
Message-ID: <complaint.1@fbl.example.net>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="=_c"

--=_c
Content-Type: text/plain

This is an email abuse report for an email message.

--=_c
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Rcpt-To: <{address}>

--=_c
Content-Type: message/rfc822

{named}From: Notify <notify@example.org>
To: {address}
Subject: Hello

Good morning.
--=_c--
""")


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
    return _mail(f"""From: Ada <ada@example.org>
To: bounces@example.org
Subject: Read: Hello
Message-ID: <receipt.1@example.org>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary="=_r"

--=_r
Content-Type: text/plain

Your mail was displayed.

--=_r
Content-Type: message/disposition-notification

Reporting-UA: mua.example.org; Reader 1.0
Final-Recipient: rfc822;ada@example.org
Original-Message-ID: {header_id}
Disposition: manual-action/MDN-sent-manually; {disposition}

--=_r--
""")


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
