"""Whether a mailbox can be opened: connect, secure, log in, look into the folder, leave. Nothing is read or marked."""

from __future__ import annotations

from notify.feedback.mailboxes.imap import opened
from notify.feedback.mailboxes.url import ImapMailbox


def probe(box: ImapMailbox) -> int:
    """How many mails lie in the folder. Raises `UnreachableMailbox`."""
    with opened(box) as session:
        return session.select(read_only=True).mails
