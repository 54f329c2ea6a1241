"""A mail server is greeted, by SMTP or LMTP, and left again: whether it is one, and by which certificate it secures."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass

NOT_NOW = 421  # RFC 5321 §4.2.3
WE = "localhost"


class NoMailServer(Exception):
    """Something listens there that does not speak as a mail server does, or no longer."""


@dataclass(frozen=True, slots=True)
class Greeted:
    """What it said. `busy`: that it takes nobody just now, and no more. `certificate`: that of its TLS, in DER form."""

    busy: bool = False
    certificate: bytes | None = None


def greet(host: str, port: int, *, lmtp: bool, secure: bool, seconds: float) -> Greeted:
    """Say who we are, by LMTP (RFC 2033) or SMTP; with `secure` begin TLS where it is offered (RFC 3207).

    Its certificate may be for anybody. No step takes longer than `seconds`. Raises `OSError` when nobody is there,
    `ssl.SSLError` when TLS fails, and `NoMailServer`.
    """
    kind = smtplib.LMTP if lmtp else smtplib.SMTP
    try:
        with kind(host, port, local_hostname=WE, timeout=seconds) as client:
            code, _ = client.ehlo(WE)
            if not 200 <= code < 300:  # noqa: PLR2004 - RFC 5321 §4.2.1
                raise NoMailServer
            offered = secure and client.has_extn("starttls")
            return Greeted(certificate=_certificate(client) if offered else None)
    except smtplib.SMTPConnectError as error:
        if error.smtp_code == NOT_NOW:
            return Greeted(busy=True)
        raise NoMailServer from None
    except smtplib.SMTPException:
        raise NoMailServer from None


def _certificate(client: smtplib.SMTP) -> bytes | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # who it is for, its senders decide
    client.starttls(context=context)
    assert isinstance(client.sock, ssl.SSLSocket)
    return client.sock.getpeercert(True)
