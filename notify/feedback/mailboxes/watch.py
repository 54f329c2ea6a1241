"""Mailboxes are read as soon as something comes: by IDLE (RFC 2177), or by looking again and again.

Each has a thread and a connection of its own; one that fails is tried again later and later, while the others go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from notify.app import App
from notify.errors import NotifyError, UnreachableMailbox
from notify.feedback.mailboxes.imap import opened
from notify.feedback.mailboxes.scan import Progress, Reading, Scanned, note_failure, note_try
from notify.feedback.mailboxes.url import ImapMailbox
from notify.telemetry import emit

IDLE = timedelta(minutes=9)
"""A server may hang up after 30 minutes (RFC 2177 §3), and a firewall forgets a silent line earlier."""
FIRST_WAIT, LONGEST_WAIT = 2.0, 300.0  # seconds before a mailbox that failed is tried again
STOPPING_SECONDS = 20.0


def watch(app: App, boxes: Sequence[ImapMailbox], stop: threading.Event, progress: Progress | None = None) -> None:
    """Read these until `stop` is set, then leave within seconds: what is not stored by then is read another time.

    `progress` is told of each try that failed, too.
    """
    reading = Reading(app, stop=stop, progress=progress)
    threads = [
        threading.Thread(target=partial(_follow, reading, box, stop), name=f"mailbox-{number}", daemon=True)
        for number, box in enumerate(boxes)
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    until = time.monotonic() + STOPPING_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _follow(reading: Reading, box: ImapMailbox, stop: threading.Event) -> None:
    wait = FIRST_WAIT
    while not stop.is_set():
        began = time.monotonic()
        try:
            note_try(reading.app, box)
            try:
                _stay(reading, box, stop)
            except UnreachableMailbox as error:
                note_failure(reading.app, box, error)
                if reading.progress is not None:
                    reading.progress(Scanned(box, problem=error))
        except NotifyError as error:
            emit("mailbox.failed", mailbox=box.place, error=str(error).partition("\n")[0])
        except Exception as error:  # nobody would start this thread again
            emit("mailbox.failed", mailbox=box.place, error=type(error).__name__)
        wait = FIRST_WAIT if time.monotonic() - began > LONGEST_WAIT else min(2 * wait, LONGEST_WAIT)
        stop.wait(wait)


def _stay(reading: Reading, box: ImapMailbox, stop: threading.Event) -> None:
    """Read on one connection, again and again."""
    with opened(box) as session:
        while not stop.is_set():
            scanned = reading.read(box, session)
            if scanned.busy or not session.can_idle:
                stop.wait(box.poll)
            else:
                session.wait(stop, IDLE.total_seconds())
