"""Who we are, said to an IMAP server: by a password, or by an access token that is renewed once when it is refused.

Of a refusal only its code is repeated: the words of a server may hold what it was given, in any form.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from notify.errors import UnreachableMailbox
from notify.feedback.mailboxes.problems import failed, named
from notify.feedback.mailboxes.tokens import GUIDE, NoToken, Tokens
from notify.feedback.mailboxes.url import ImapMailbox

_CODE = re.compile(
    r"\[(?:AUTHENTICATIONFAILED|AUTHORIZATIONFAILED|EXPIRED|PRIVACYREQUIRED|CONTACTADMIN|UNAVAILABLE|INUSE|LIMIT|ALERT"
    r"|SERVERBUG|CLIENTBUG)\]",
    re.IGNORECASE,
)
"""The response codes of RFC 9051 §7.1 that tell why a login is refused."""
CORRECT = "correct user and password in its URL"
REACH = f"look at the token's scope, and whether this user may use IMAP with it; {GUIDE}"


class Refused(Exception):
    """The server said no to what it was given, with this code."""


def log_in(box: ImapMailbox, client: IMAPClient) -> None:
    """Say who we are. Raises `UnreachableMailbox`."""
    if box.tokens is None:
        _by_password(box, client)
    else:
        _by_token(box, client, box.tokens)


def _by_password(box: ImapMailbox, client: IMAPClient) -> None:
    box.said.extend((box.password, b64encode(f"\0{box.user}\0{box.password}".encode()).decode()))
    try:
        with named(box, "login failed", CORRECT), _discreet(box, CORRECT):
            if client.has_capability("LOGINDISABLED"):
                raise failed(box, "the server takes no password without TLS", "write imaps://, or ?tls=starttls")
            if client.has_capability("AUTH=PLAIN"):
                client.plain_login(box.user, box.password)
            else:
                client.login(box.user, box.password)
    except Refused as error:
        raise failed(box, f"it refuses user and password{error}", CORRECT) from None


def _by_token(box: ImapMailbox, client: IMAPClient, tokens: Tokens) -> None:
    token = _token(box, tokens)
    try:
        _say_token(box, client, token)
        return
    except Refused as error:
        refused = error
    renewed = _token(box, tokens, anew=True)
    try:
        if renewed != token:
            _say_token(box, client, renewed)
            return
    except Refused as error:
        refused = error
    raise failed(box, f"it refuses the access token{refused}", REACH)


def _token(box: ImapMailbox, tokens: Tokens, *, anew: bool = False) -> str:
    try:
        return tokens.token(anew=anew)
    except NoToken as error:
        raise failed(box, error.problem, error.step) from None


def _say_token(box: ImapMailbox, client: IMAPClient, token: str) -> None:
    """XOAUTH2: a server that refuses tells why first, and is answered with nothing before it says no."""
    words = f"user={box.user}\1auth=Bearer {token}\1\1".encode()
    said = iter([words])
    box.said.extend((token, b64encode(words).decode()))
    with named(box, "login failed", REACH), _discreet(box, REACH):
        if not client.has_capability("AUTH=XOAUTH2"):
            raise failed(box, "the server takes no access tokens (AUTH=XOAUTH2)", "write user:password@ in its URL")
        client.sasl_login("XOAUTH2", lambda _challenge: next(said, b""))


@contextmanager
def _discreet(box: ImapMailbox, step: str) -> Iterator[None]:
    try:
        yield
    except UnreachableMailbox:
        raise
    except UnicodeError:
        raise failed(box, "login failed: the server takes no password beyond ASCII", step) from None
    except (IMAPClientError, ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error.__context__, IMAPClientAbortError) or not isinstance(error, LoginError):
            raise failed(box, "login failed: the line was lost, or held nonsense", step) from None
        code = _CODE.search(str(error))
        raise Refused(f": {code[0]}" if code else "") from None
