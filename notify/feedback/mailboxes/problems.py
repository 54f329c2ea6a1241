"""Whatever goes wrong with a mailbox is one error in words: what, where, the next step, and never a secret."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from imapclient.exceptions import IMAPClientError

from notify.errors import UnreachableMailbox
from notify.feedback.mailboxes.url import ImapMailbox

LONGEST_PROBLEM = 300  # characters
_LONG = re.compile(r"\S{32,}")
"""No word of a server is so long; access tokens mostly are, in whatever form they are repeated."""


def failed(box: ImapMailbox, problem: str, step: str) -> UnreachableMailbox:
    """The error to raise when this mailbox cannot be read."""
    problem = problem[:LONGEST_PROBLEM]
    return UnreachableMailbox(problem, f"mailbox {box.place}: {problem}\nNext: {step}")


@contextmanager
def named(box: ImapMailbox, what: str, step: str) -> Iterator[None]:
    """Whatever goes wrong inside, as one error in words."""
    try:
        yield
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or "TLS failed"
        raise failed(box, f"{what}: TLS: {why}", "look at its certificate; ?ca=FILE names an authority") from None
    except TimeoutError:
        raise failed(box, f"{what}: no answer in time", step) from None
    except socket.gaierror:
        raise failed(box, f"{what}: its host has no address", step) from None
    except OSError as error:
        raise failed(box, f"{what}: {error.strerror or 'the line was lost'}", step) from None
    except (IMAPClientError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        # the library parses whatever a server says, and a server may say anything
        raise failed(box, f"{what}: {_said(box, error)}", step) from None


def _said(box: ImapMailbox, error: Exception) -> str:
    """What the server or the library says, in one line; should it repeat a password or a token, without that."""
    text = str(error)
    for secret in sorted({form for one in box.said if one for form in _forms(one)}, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"\s+", " ", text).strip()
    if text.startswith(("b'", 'b"')):
        text = text[2:-1]
    return _LONG.sub("***", text) if box.tokens else text


def _forms(secret: str) -> Iterator[str]:
    """How it may be repeated: as it is or quoted (RFC 9051 §4.3), and each as Python writes octets in an error."""
    for form in (secret, secret.replace("\\", "\\\\").replace('"', '\\"')):
        octets = form.encode().decode("latin-1").encode("unicode_escape").decode("ascii")
        yield from (form, octets, octets.replace("'", "\\'"))
