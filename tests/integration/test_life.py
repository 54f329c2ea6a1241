"""The whole life of a notification on real parts: send, deliver, read what arrived."""

from __future__ import annotations

import email
import email.policy
import threading
from pathlib import Path

import notify
from notify.app import App
from notify.delivery import deliver, relay
from notify.dev.mailbox import Mailbox
from notify.store import batches
from tests.kinds import make_kind


def drain(app: App) -> None:
    """Deliver everything that is due, as workers would."""
    from datetime import timedelta

    while True:
        now = app.clock.now()
        with app.store.begin() as connection:
            found = batches.due(connection, now, unclaimed_since=now + timedelta(days=1), limit=500)
        if not found:
            return
        for batch in found:
            deliver(app, batch.id, worker="test", stopping=threading.Event())


def test_a_notification_reaches_the_mailbox(app: App, mailbox: Mailbox, templates: Path) -> None:
    make_kind(templates)
    sent = notify.send("hello", to={"key": "user-43", "email": "ada@example.org", "name": "Ada Łovelace"}, data={"word": "Grüezi"})
    assert sent.messages == {"queued": 1}
    drain(app)
    [path] = mailbox.folder.glob("*.eml")
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert mail["subject"] == "Grüezi"
    assert "Łovelace" in mail["to"]
    print(path.read_text())
    assert relay(app) == 0
