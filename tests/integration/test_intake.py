"""What send() stores, refuses and repeats."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import notify
from notify.app import App, connections, using
from notify.audience import describe
from notify.delivery import relay
from notify.dev.mailbox import Mailbox
from notify.errors import (
    IdempotencyConflict,
    InvalidAddress,
    InvalidAttachment,
    InvalidData,
    InvalidHeader,
    InvalidKind,
    InvalidRecipient,
    MigrationNeeded,
    NotFound,
    RequestError,
    UnknownKind,
    Unreachable,
)
from notify.model import Channel, MessageState, Suppression
from notify.store import messages, recipients, suppressions, tables, tenants
from tests.drain import drain
from tests.kinds import make_kind
from tests.mails import all_in

ADA = {
    "key": "ada",
    "email": "ada@example.org",
    "name": "Ada Łovelace",
    "locale": "nl-BE",
    "timezone": "Europe/Brussels",
}


@pytest.fixture(autouse=True)
def _hello(templates: Path) -> None:
    make_kind(templates)


def rows(app: App, table: sa.Table) -> int:
    with app.store.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_a_notification_reaches_the_mailbox(app: App, mailbox: Mailbox) -> None:
    sent = notify.send("hello", to=ADA, data={"word": "Grüezi"})
    assert sent.messages == {"queued": 1}
    drain(app)
    [mail] = all_in(mailbox.folder)
    assert mail["subject"] == "Grüezi"
    assert mail["to"].addresses[0].display_name == "Ada Łovelace"
    assert mail["auto-submitted"] == "auto-generated"
    assert mail["message-id"].endswith("@example.org>")


def test_an_inline_recipient_is_known_by_key_afterwards(app: App) -> None:
    notify.send("hello", to=ADA)
    notify.send("hello", to="ada")
    notify.send("hello", to={"key": "ada", "locale": "fr"})
    with app.store.read() as connection:
        ada = recipients.by_keys(connection, tenants.DEFAULT_ID, ["ada"])["ada"]
    assert (ada.locale, ada.timezone, ada.attributes) == ("fr", "Europe/Brussels", {"name": "Ada Łovelace"})
    assert ada.addresses[Channel.EMAIL].value == "ada@example.org"
    assert rows(app, tables.recipients) == 1


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        ({"kind": "helo"}, UnknownKind, "did you mean 'hello'?"),
        ({"to": "nobody"}, InvalidRecipient, "no recipient 'nobody'"),
        ({"to": {"email": "ada@example.org"}}, InvalidRecipient, "needs a key"),
        ({"to": {"key": "a", "emial": "ada@example.org"}}, InvalidRecipient, "did you mean 'email'?"),
        ({"to": {"key": "a", "email": "ada@@example.org"}}, InvalidAddress, "recipient 'a'"),
        ({"to": {"key": "a", "email": ["ada@example.org"]}}, InvalidAddress, "must be text, not list"),
        ({"to": {"key": "a", "timezone": "Mars/Olympus"}}, InvalidRecipient, "unknown time zone"),
        ({"to": {"key": "a", "locale": "xx-klingon"}}, InvalidRecipient, "unknown locale"),
        ({"to": {"key": "a", "name": "Ada\r\nBcc: eve@example.org"}}, InvalidRecipient, "one line"),
        ({"to": 42}, InvalidRecipient, "not int"),
        ({"data": {"wrod": "hi"}}, InvalidData, "did you mean 'word'?"),
        ({"data": {"word": 3}}, InvalidData, "word"),
        ({"data": {"word": "hi\nBcc: eve@example.org"}}, InvalidHeader, "word"),
        ({"data": {"word": "a\x00b"}}, RequestError, "NUL"),
        ({"channels": ["sms"]}, InvalidData, "not made for channel 'sms'"),
        ({"channels": []}, InvalidData, "empty"),
        ({"mode": "dryrun"}, InvalidData, "did you mean 'dry_run'?"),
        ({"at": datetime(2027, 1, 1)}, InvalidData, "time zone"),
        ({"key": " "}, InvalidData, "key"),
        ({"tenant": "acme"}, InvalidRecipient, "no tenant 'acme'"),
        ({"attachments": [notify.Attachment("a/b", b"")]}, InvalidAttachment, "plain file name"),
        ({"attachments": [notify.Attachment("a.bin", b"x" * 10_000_001)]}, InvalidAttachment, "limit of 10,000,000"),
    ],
)
def test_a_request_that_cannot_be_honoured_is_refused_whole(
    app: App, call: dict[str, Any], error: type[Exception], says: str
) -> None:
    before = rows(app, tables.recipients), rows(app, tables.notifications)
    with pytest.raises(error, match=says.replace("?", r"\?")):
        notify.send(**{"kind": "hello", "to": ADA, **call})
    assert (rows(app, tables.recipients), rows(app, tables.notifications)) == before


def test_an_address_that_development_admits_is_still_refused_in_production() -> None:
    to = {"key": "ada", "email": "ada@lab.test"}
    assert describe(to, allow_test=True) == describe(to, allow_test=True)
    with pytest.raises(InvalidAddress, match="recipient 'ada'"):
        describe(to)


def test_an_undeclared_variable_is_refused_with_file_line_and_the_nearest_name(app: App, templates: Path) -> None:
    make_kind(templates, "typo", html="<html><body>\n<p>{{ wrod }}</p></body></html>")
    with pytest.raises(InvalidKind, match=r"typo/email\.html:2: .*'wrod'.*did you mean 'word'\?"):
        notify.send("typo", to=ADA)


def test_the_same_key_and_request_is_the_same_notification(app: App, mailbox: Mailbox) -> None:
    first = notify.send("hello", to=ADA, data={"word": "once"}, key="k1")
    again = notify.send("hello", to=ADA, data={"word": "once"}, key="k1")
    assert (again.id, again.repeated, first.repeated) == (first.id, True, False)
    drain(app)
    assert mailbox.count == 1


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"word": "other"}},
        {"to": {**ADA, "key": "bob"}},
        {"kind": "hello2"},
        {"at": datetime(2030, 1, 1, tzinfo=UTC)},
        {"attachments": [notify.Attachment("a.txt", b"x")]},
    ],
)
def test_the_same_key_with_another_request_is_a_conflict(app: App, templates: Path, change: dict[str, Any]) -> None:
    make_kind(templates, "hello2")
    call: dict[str, Any] = {"kind": "hello", "to": ADA, "data": {"word": "once"}, "key": "k1"}
    first = notify.send(**call)
    with pytest.raises(IdempotencyConflict, match=str(first.id)):
        notify.send(**{**call, **change})


def test_twenty_callers_with_one_key_send_one_mail(app: App, mailbox: Mailbox) -> None:
    gate = threading.Barrier(20)

    def call(_: int) -> notify.Notification:
        gate.wait()
        return notify.send("hello", to=ADA, key="together")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(call, range(20)))
    assert len({answer.id for answer in answers}) == 1
    assert sum(not answer.repeated for answer in answers) == 1
    drain(app)
    assert mailbox.count == 1


@pytest.mark.parametrize("mode", ["dry_run", "test"])
def test_a_rehearsal_uses_up_no_key(app: App, mailbox: Mailbox, mode: str) -> None:
    notify.send("hello", to=ADA, key="k1", mode=mode)
    drain(app)
    assert mailbox.count == 0
    live = notify.send("hello", to=ADA, key="k1")
    drain(app)
    assert (live.repeated, mailbox.count) == (False, 1)


def test_a_thousand_recipients_take_a_handful_of_statements(app: App) -> None:
    def statements(count: int, start: int) -> int:
        seen: list[str] = []
        people = [{"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(start, start + count)]
        listener = lambda *args: seen.append(args[2])  # noqa: E731
        sa.event.listen(app.store.engine, "before_cursor_execute", listener)
        sent = notify.send_many("hello", people)
        sa.event.remove(app.store.engine, "before_cursor_execute", listener)
        assert sent.messages == {"queued": count}
        return len([statement for statement in seen if "FROM tenants" not in statement])  # once in two seconds

    few, many = statements(10, 0), statements(10_000, 10)
    assert many == few + 1  # of more than one batch, the window of bells is asked how many to ring for
    assert many <= 20
    assert rows(app, tables.batches) == 1 + 20


def test_a_single_send_takes_few_statements(app: App) -> None:
    counts = []
    for to in (ADA, ADA, "ada"):
        seen: list[str] = []
        listener = lambda *args, seen=seen: seen.append(args[2])  # noqa: E731
        sa.event.listen(app.store.engine, "before_cursor_execute", listener)
        notify.send("hello", to)
        sa.event.remove(app.store.engine, "before_cursor_execute", listener)
        now_and_then = ("BEGIN", "SELECT tenants.preferences")  # the latter once in two seconds
        counts.append(len([statement for statement in seen if not statement.startswith(now_and_then)]))
    assert counts == [8, 5, 5]  # of a new recipient it is asked who has the address


def test_only_a_request_with_a_key_is_hashed_for_nobody_asks_for_another(app: App) -> None:
    for key in (None, "k1"):
        notify.send("hello", to=ADA, key=key)
    with app.store.read() as connection:
        rows = connection.execute(
            sa.select(tables.notifications.c.idempotency_key, tables.notifications.c.request_hash)
        )
        hashes = {row.idempotency_key: row.request_hash for row in rows}
    assert hashes[None] == ""
    assert len(hashes["k1"]) == 64


def test_many_callers_share_the_connections_that_the_settings_allow(app: App, make_app: Callable[..., App]) -> None:
    if app.store.engine.dialect.name == "sqlite":
        return  # it has no server that counts
    small = make_app(app.settings, worker_concurrency=1)
    together = threading.Barrier(16)

    def call(number: int) -> int:
        together.wait(30)
        for turn in range(5):
            notify.send("hello", to={"key": f"u{number}-{turn}", "email": f"u{number}-{turn}@example.org"})
        with small.store.read() as connection:
            own = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            return connection.scalar(sa.text(own)) or 0

    app.store.close()
    with using(small), ThreadPoolExecutor(16) as callers:
        seen = list(callers.map(call, range(16)))
    assert max(seen) <= connections(small.settings) == 4
    assert rows(small, tables.messages) == 80


def test_everyone_may_bring_data_of_their_own(app: App, mailbox: Mailbox) -> None:
    people = [{"key": f"u{n}", "email": f"u{n}@example.org", "data": {"word": f"word {n}"}} for n in range(3)]
    notify.send_many("hello", people)
    drain(app)
    assert {mail["subject"] for mail in all_in(mailbox.folder)} == {"word 0", "word 1", "word 2"}


def test_a_recipient_named_twice_gets_one_mail_but_not_two_descriptions(app: App) -> None:
    assert notify.send_many("hello", [ADA, ADA]).messages == {"queued": 1}
    with pytest.raises(InvalidRecipient, match="described twice"):
        notify.send_many("hello", [ADA, {**ADA, "locale": "fr"}])


def test_a_single_recipient_is_no_list(app: App) -> None:
    with pytest.raises(TypeError, match="call send"):
        notify.send_many("hello", "ada")


def test_skips_are_rows_with_reasons(app: App) -> None:
    eve = Suppression(Channel.EMAIL, "eve@example.org", "bounced", "test")
    with app.store.begin() as connection:
        suppressions.add(connection, tenants.DEFAULT_ID, [eve], app.clock.now())
    people = [ADA, {"key": "eve", "email": "Eve@Example.org"}, {"key": "mute", "locale": "en"}]
    sent = notify.send_many("hello", people)
    assert sent.messages == {"queued": 1, "skipped": 2}
    with app.store.read() as connection:
        skipped = messages.listing(connection, tenants.DEFAULT_ID, states=[MessageState.SKIPPED])
    assert {(row.recipient, row.message.reason) for row in skipped} == {("eve", "suppressed"), ("mute", "no_address")}
    eves = next(row.message for row in skipped if row.recipient == "eve")
    assert "bounced (test)" in str(notify.explain(eves.id))


def test_what_is_scheduled_waits_and_can_be_cancelled(app: App, mailbox: Mailbox) -> None:
    later = app.clock.now() + timedelta(hours=1)
    by_id = notify.send("hello", to=ADA, at=later)
    notify.send("hello", to=ADA, at=later, key="by-key")
    drain(app)
    assert mailbox.count == 0
    assert notify.cancel(by_id.id) == 1
    assert notify.cancel("by-key") == 1
    assert notify.cancel("by-key") == 0
    with pytest.raises(NotFound):
        notify.cancel("nothing")


def test_a_rolled_back_session_takes_the_message_along(app: App, mailbox: Mailbox) -> None:
    with Session(app.store.engine) as session:
        notify.send("hello", to=ADA, session=session)
        session.rollback()
    assert rows(app, tables.notifications) == rows(app, tables.batches) == rows(app, tables.messages) == 0
    assert relay(app) == 0


def test_a_committed_session_rings_only_then(app: App, mailbox: Mailbox, make_app: Callable[..., App]) -> None:
    rung: list[object] = []
    listening = App(app.settings, app.store, app.channels, app.kinds, app.redis, app.clock, rung.extend)
    with using(listening), Session(app.store.engine) as session:
        notify.send("hello", to=ADA, session=session)
        with session.begin_nested():
            notify.send("hello", to="ada", session=session)
        assert rung == []  # a released savepoint is no commit
        session.commit()
        assert len(rung) == 2
        session.commit()
        assert len(rung) == 2
    drain(app)
    assert mailbox.count == 2


def test_a_rolled_back_savepoint_takes_only_its_message_along(app: App, mailbox: Mailbox) -> None:
    if app.store.engine.dialect.name == "sqlite":
        sa.event.listen(app.store.engine, "begin", lambda _: None)
    with Session(app.store.engine) as session:
        notify.send("hello", to=ADA, session=session)
        savepoint = session.begin_nested()
        notify.send("hello", to="ada", data={"word": "undone"}, session=session)
        savepoint.rollback()
        session.commit()
    drain(app)
    assert [mail["subject"] for mail in all_in(mailbox.folder)] == ["hello"]


KILLED = """
import os, signal, sys
import notify
from notify.app import App, current, using
app = current()
die = lambda batches: os.kill(os.getpid(), signal.SIGKILL)
with using(App(app.settings, app.store, app.channels, app.kinds, app.redis, app.clock, die)):
    notify.send("hello", to={"key": "ada", "email": "ada@example.org"})
"""


def test_a_process_killed_between_commit_and_publish_loses_nothing(app: App, mailbox: Mailbox) -> None:
    settings = app.settings
    environment = {
        **os.environ,
        "NOTIFY_DATABASE_URL": settings.database,
        "NOTIFY_REDIS_URL": settings.redis,
        "NOTIFY_DATA_DIR": str(settings.data_dir),
        "NOTIFY_TEMPLATES_DIR": str(settings.templates_dir),
    }
    died = subprocess.run(
        [sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert rows(app, tables.messages) == 1
    assert app.redis.llen("notify:email.normal") == 0  # nobody rang
    late = settings.model_copy(update={"republish_seconds": 0.001})
    rescuer = App(late, app.store, app.channels, app.kinds, app.redis, app.clock, app.publish)
    assert relay(rescuer) == 1
    [raw] = app.redis.lrange("notify:email.normal", 0, -1)
    assert json.loads(raw)["headers"]["task"] == "notify.deliver"
    drain(app)
    assert mailbox.count == 1


def test_an_unreachable_broker_is_no_error(app: App, mailbox: Mailbox, make_app: Callable[..., App]) -> None:
    from pydantic import SecretStr

    lonely = make_app(app.settings, broker_url=SecretStr("redis://:hunter2@127.0.0.1:1/0"))
    with using(lonely):
        sent = notify.send("hello", to=ADA)
    assert sent.messages == {"queued": 1}
    make_app(app.settings)  # the broker is back
    assert relay(app) == 1  # at once, not after a minute: the batch is known never to have been rung for
    drain(app)
    assert mailbox.count == 1


def test_an_unreachable_database_says_so_without_its_password(
    app: App, make_app: Callable[..., App], templates: Path
) -> None:
    from pydantic import SecretStr

    url = SecretStr("postgresql+psycopg://notify:hunter2@127.0.0.1:1/notify")
    with using(make_app(app.settings, database_url=url)), pytest.raises(Unreachable) as caught:
        notify.send("hello", to=ADA)
    assert "127.0.0.1:1" in str(caught.value)
    assert "Next:" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_preview_stores_nothing(app: App) -> None:
    shown = notify.preview("hello", to={"key": "x", "name": "Grace"}, data={"word": "Salut"})
    assert shown.subject == "Salut"
    assert "Grace" in shown.text
    assert "Grace" in (shown.html or "")
    assert shown.eml.startswith(b"From: ")
    assert rows(app, tables.recipients) == rows(app, tables.notifications) == 0


def test_tenants_are_apart(app: App) -> None:
    with app.store.begin() as connection:
        assert tenants.add(connection, "acme", app.clock.now())
        assert not tenants.add(connection, "acme", app.clock.now())
    notify.send("hello", to=ADA, key="same", tenant="acme")
    assert not notify.send("hello", to=ADA, key="same").repeated
    with pytest.raises(NotFound):
        notify.cancel("elsewhere", tenant="acme")
    with pytest.raises(InvalidRecipient, match="did you mean 'acme'"):
        notify.send("hello", to=ADA, tenant="acmee")


def test_a_scoped_session_is_joined_and_leaves_other_sessions_alone(app: App, mailbox: Mailbox) -> None:
    sessions = scoped_session(sessionmaker(app.store.engine))
    notify.send("hello", to=ADA, session=sessions)  # type: ignore[arg-type]  # what Flask-SQLAlchemy calls db.session
    errors: list[Exception] = []

    def elsewhere() -> None:
        try:
            with sessions.session_factory() as other:
                other.execute(sa.text("SELECT 1"))
                other.commit()
        except Exception as error:
            errors.append(error)

    if app.store.engine.dialect.name == "postgresql":  # SQLite has one writer at a time
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    sessions.commit()
    elsewhere()
    sessions.remove()
    assert errors == []
    drain(app)
    assert mailbox.count == 1


@pytest.mark.parametrize("wrong", ["a string", 5])
def test_what_is_no_session_is_refused(app: App, wrong: Any) -> None:
    with pytest.raises(RequestError, match="SQLAlchemy Session"):
        notify.send("hello", to=ADA, session=wrong)
    with Session() as unbound, pytest.raises(RequestError, match="bound to no engine"):
        notify.send("hello", to=ADA, session=unbound)


def test_a_session_on_a_database_without_our_tables_is_told_what_to_do(app: App, tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    with Session(engine) as session, pytest.raises(MigrationNeeded, match="notify db upgrade"):
        notify.send("hello", to={"key": "new", "email": "new@example.org"}, session=session)
    engine.dispose()


def test_two_callers_who_say_different_things_of_one_person_are_both_heard(app: App) -> None:
    for round_ in range(5):
        key = f"both-{round_}"
        gate = threading.Barrier(2)

        def say(attribute: str, key: str = key, gate: threading.Barrier = gate) -> None:
            gate.wait()
            notify.send("hello", to={"key": key, "email": f"{key}@example.org", "attributes": {attribute: 1}})

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(say, ["left", "right"]))
        with app.store.read() as connection:
            person = recipients.by_keys(connection, tenants.DEFAULT_ID, [key])[key]
        assert person.attributes == {"left": 1, "right": 1}


def test_preview_shows_the_recipient_of_the_sample(app: App, templates: Path) -> None:
    html = "<html lang='en'><body>{{ recipient.company }}, {{ recipient.key }}</body></html>"
    make_kind(templates, "b2b", html=html, sample={"recipient": {"company": "Analytical Engines"}})
    assert "Analytical Engines, user-42" in notify.preview("b2b").text


def test_a_person_described_as_known_already_keeps_nobody_waiting(app: App) -> None:
    if app.store.engine.dialect.name == "sqlite":
        return  # one writer at a time, whatever it writes
    notify.send("hello", to=ADA)
    with Session(app.store.engine) as first, Session(app.store.engine) as second:
        for session in (first, second):
            session.execute(sa.text("SET LOCAL statement_timeout = 2000"))
            notify.send("hello", to=ADA, session=session)  # the first has not committed yet
        second.commit()
        first.commit()


def test_a_session_whose_database_is_away_says_so(app: App) -> None:
    engine = sa.create_engine("postgresql+psycopg://notify:hunter2@127.0.0.1:1/notify")
    with Session(engine) as session, pytest.raises(Unreachable, match="does not answer"):
        notify.send("hello", to=ADA, session=session)
    engine.dispose()
