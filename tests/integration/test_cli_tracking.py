"""`notify tracking show` and `notify messages show` tell what was opened and clicked."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner

import notify
from notify.app import App
from notify.cli.messages import messages as of_messages
from notify.cli.tracking import tracking
from notify.feedback.record import record
from notify.model import Event, EventType
from notify.store import messages
from notify.store.tenants import DEFAULT_ID
from tests.drain import drain
from tests.kinds import make_kind


def test_both_commands_tell_people_and_machines_apart(
    app: App, templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_kind(templates)
    note = notify.send("hello", {"key": "ada", "email": "ada@example.org"})
    drain(app)
    with app.store.read() as connection:
        [sent] = messages.listing(connection, DEFAULT_ID, notification_id=note.id)
    monkeypatch.setenv("NOTIFY_DATABASE_URL", app.settings.database)
    run = CliRunner().invoke
    assert "Nothing was opened" in run(tracking, ["show"], catch_exceptions=False).stdout
    link = str(uuid4())
    told = [(EventType.OPENED, False), (EventType.OPENED, True), (EventType.CLICKED, False), (EventType.CLICKED, True)]
    record(
        app,
        DEFAULT_ID,
        [
            Event(type_, app.clock.now(), "tracking", str(uuid4()), sent.message.id, bot=bot, detail={"link": link})
            for type_, bot in told
        ],
    )
    figures = {"total": 1, "unique": 1, "machines": 1}
    shown = json.loads(run(tracking, ["show", "--kind", "hello", "--json"], catch_exceptions=False).stdout)
    assert shown["kinds"] == [{"kind": "hello", "opens": figures, "clicks": figures}]
    assert shown["links"] == [{"link": link, "url": None, "clicks": figures}]
    text = run(tracking, ["show", "--notification", str(note.id)], catch_exceptions=False).stdout
    assert "hello" in text
    assert "(kept no longer)" in text
    text = run(of_messages, ["show", str(sent.message.id)], catch_exceptions=False).stdout
    assert text.count("1 by people, 1 by machines") == 2
    story = run(of_messages, ["show", str(sent.message.id), "--json"], catch_exceptions=False).stdout
    assert json.loads(story)["opens"] == {"total": 1, "machines": 1}
