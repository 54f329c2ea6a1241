"""Mails that come back, as the tests of mailboxes put them there."""

from __future__ import annotations

ORDINARY = b"From: Ada <ada@example.net>\r\nTo: news@example.org\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"


def bounce(address: str, *, status: str = "5.1.1", said: str = "550 5.1.1 User unknown", padding: int = 0) -> bytes:
    """A delivery report (RFC 3464) that names this address and no message of ours; so many octets longer."""
    text = f"""From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
To: bounces@example.org
Subject: Undelivered Mail Returned to Sender
Date: Mon, 2 Mar 2026 09:00:05 +0000
Message-ID: <{address.replace("@", ".")}.{status}@mx.example.net>
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
Action: failed
Status: {status}
Diagnostic-Code: smtp; {said}

--=_b--
"""
    return (text + ("x" * 76 + "\n") * (padding // 78)).replace("\n", "\r\n").encode()
