"""Whoever was erased is written to no more, leaves no address behind, and does not come to life again."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

import notify
from notify.app import App
from notify.audience import erasure, leaving, recipients, ruling, suppressing
from notify.audience.roster.importing import import_roster
from notify.dev.mailbox import Mailbox
from notify.errors import InvalidRecipient
from notify.intake import fan_out
from notify.model import Author, Channel, Source
from notify.store import Connection, tables
from tests.drain import drain
from tests.kinds import make_kind

BY = Author("ada", Source.PYTHON)
ZOE = {"key": "zoe", "email": "zoe@example.org"}


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "reset", toml="transactional = true\nrequired = true\ncritical = true")


def erase(app: App, key: str = "zoe") -> erasure.Erased:
    """Forget somebody."""
    return erasure.erase(app, key, reason="asked", actor="ada")


def fates(app: App) -> list[tuple[str, str | None]]:
    """State and reason of every message, in the order of planning."""
    chosen = sa.select(tables.messages.c.state, tables.messages.c.reason).order_by(tables.messages.c.id)
    with app.store.read() as connection:
        return [(state, reason) for state, reason in connection.execute(chosen)]


def key_of_the_erased(app: App) -> str:
    """The key of the one recipient there is."""
    with app.store.read() as connection:
        return str(connection.scalar(sa.select(tables.recipients.c.key)))


def test_what_is_left_of_an_erased_person_in_a_queue_does_not_go_out(app: App) -> None:
    notify.send("reset", ZOE)
    with app.store.begin() as connection:  # an erasure that saw no such message yet
        connection.execute(sa.update(tables.recipients).values(erased_at=app.clock.now()))
    drain(app)
    assert fates(app) == [("skipped", "erased")]


def test_an_erasure_between_the_reading_of_recipients_and_their_messages_counts(
    app: App, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    if app.store.engine.dialect.name == "sqlite":
        pytest.skip("one writer at a time: nothing comes between")
    notify.send("hello", ZOE)
    drain(app)
    before, rules = len(list(mailbox.folder.rglob("*.eml"))), ruling.rules

    def erased_meanwhile(app: App, connection: Connection, tenant_id: UUID) -> Any:
        monkeypatch.setattr(ruling, "rules", rules)
        erase(app)
        return rules(app, connection, tenant_id)

    monkeypatch.setattr(ruling, "rules", erased_meanwhile)
    notify.send("reset", "zoe")
    drain(app)
    assert fates(app)[-1] == ("skipped", "erased")
    assert len(list(mailbox.folder.rglob("*.eml"))) == before


def test_who_was_erased_gets_nothing_of_what_goes_to_everyone(app: App) -> None:
    notify.send_many("hello", [ZOE, {"key": "eve", "email": "eve@example.org"}])
    drain(app)
    erase(app)
    notify.send_many("reset", notify.everyone())
    fan_out.run(app)
    drain(app)
    assert ("sent", None) in fates(app)
    assert [fate for fate in fates(app) if fate[0] not in ("sent", "skipped")] == []
    with app.store.read() as connection:
        assert connection.scalar(sa.select(tables.fan_outs.c.state)) == "planned"


def test_nobody_comes_to_life_again_by_the_key_of_who_was_erased(app: App, tmp_path: Path) -> None:
    notify.send("hello", ZOE)
    drain(app)
    erase(app)
    key, roster = key_of_the_erased(app), tmp_path / "roster.csv"
    roster.write_text(f"key,email,name\n{key},zoe@example.org,Zoe\n")
    assert import_roster(app, roster, actor="ada").refused_rows == 1
    for to in (key, {"key": key, "email": "zoe@example.org"}):
        with pytest.raises(InvalidRecipient, match="erased"):
            notify.send("reset", to)
    with app.store.read() as connection:
        assert connection.execute(sa.select(tables.addresses.c.value)).all() == []


def test_the_key_of_who_was_erased_is_free_for_somebody_new(app: App) -> None:
    notify.send("hello", ZOE)
    drain(app)
    erase(app)
    notify.send("hello", ZOE)
    drain(app)
    assert fates(app)[-1] == ("sent", None)


def hidden(app: App, *words: str) -> set[str]:
    """The tables in which any of these words stands."""
    with app.store.read() as connection:
        return {
            table.name
            for table in tables.metadata.sorted_tables
            for row in connection.execute(sa.select(table))
            if any(word in str(tuple(row)).casefold() for word in words)
        }


def test_an_address_that_was_taken_away_long_ago_is_forgotten_too(app: App) -> None:
    notify.send("hello", ZOE)
    drain(app)
    recipients.add_address(app, "zoe", Channel.EMAIL, "second@example.org", by=BY)
    suppressing.add(app, "second@example.org", actor="ada", reason="unsubscribed")
    recipients.remove_address(app, "zoe", Channel.EMAIL, "second@example.org", by=BY)
    assert erase(app).tombstones == 1
    assert hidden(app, "second@") == set()


def test_the_words_that_a_link_of_an_address_took_the_place_of_are_forgotten(app: App) -> None:
    notify.send("hello", ZOE)
    drain(app)
    suppressing.add(app, "zoe@example.org", actor="ada", reason="bounced", note="Quokka rang")
    leaving.leave(app, leaving.of_address(app, "zoe@example.org"), "all", "page", note="I am Quokka")
    erase(app)
    assert hidden(app, "zoe@", "quokka") == set()


def test_a_segment_that_names_the_person_is_told_of_and_what_was_sent_to_it_forgets_it(app: App) -> None:
    notify.send("hello", ZOE)
    notify.segments.add("zoe-alone", 'email = "zoe@example.org"')
    notify.segments.add("others", 'tags has "zoeology"')
    notify.send_many("hello", notify.segment("zoe-alone"))
    cancelled = notify.send_many("hello", notify.segment('key = "zoe"'))
    notify.cancel(cancelled.id)
    fan_out.run(app)
    drain(app)
    assert notify.privacy.export_person("zoe")["segments"] == ["zoe-alone"]
    assert erase(app).segments == ("zoe-alone",)
    assert hidden(app, "zoe@") == {"segments"}
    assert "fan_outs" not in hidden(app, "zoe")
