"""Mailboxes and listeners: how mails that come back reach us; what they mean is for `feedback.incoming` to say."""

from notify.feedback.mailboxes.listener import serve
from notify.feedback.mailboxes.probing import answers, look_at_files, probe
from notify.feedback.mailboxes.scan import Progress, Scanned, scan
from notify.feedback.mailboxes.url import (
    ImapMailbox,
    Listening,
    chosen,
    configured,
    imap_mailboxes,
    listeners,
)
from notify.feedback.mailboxes.watch import watch

__all__ = [
    "ImapMailbox",
    "Listening",
    "Progress",
    "Scanned",
    "answers",
    "chosen",
    "configured",
    "imap_mailboxes",
    "listeners",
    "look_at_files",
    "probe",
    "scan",
    "serve",
    "watch",
]
