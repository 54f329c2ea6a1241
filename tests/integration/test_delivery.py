"""What becomes of a message: accepted, retried, dead, in doubt, handed back, taken over."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

import notify
from notify.app import App, SystemClock, using
from notify.delivery import Worker, deliver, relay
from notify.delivery.journal import Journal
from notify.delivery.lease import claim
from notify.delivery.ledger import Ledger
from notify.delivery.prepare import Preparation
from notify.delivery.relay import tick
from notify.delivery.turn import GIVE_UP_AFTER
from notify.dev.mailbox import Mailbox
from notify.errors import Transient, Unreachable
from notify.model import Attempt, Batch, Channel, Message, MessageState, Outcome, Suppression
from notify.store import attempts as attempt_rows
from notify.store import batches, messages, notifications, presence, suppressions, tables, tallies, tenants, work
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind
from tests.mails import all_in, read
from tests.processes import until
from tests.providers import Hangup, Moody, free_port, sending

Server = TypeVar("Server", bound=Callable[..., Any])
ADA = {"key": "ada", "email": "ada@example.org", "name": "Ada"}


@pytest.fixture(autouse=True)
def _hello(templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "otp", toml='on_doubt = "hold"')


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def at(app: App, clock: MovableClock, make_app: Callable[..., App]) -> Callable[..., App]:
    """Opens the App with another provider and a clock that stands still."""

    def make(provider: str | None = None, **changes: object) -> App:
        if provider:
            changes["email_providers"] = (SecretStr(provider),)
        opened = make_app(app.settings, **changes)
        return App(
            opened.settings, opened.store, opened.channels, opened.kinds, opened.redis, clock, lambda _batches: None
        )

    return make


def people(count: int) -> list[dict[str, str]]:
    return [{"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(count)]


def only(app: App) -> Message:
    with app.store.read() as connection:
        [row] = messages.listing(connection, tenants.DEFAULT_ID)
    return row.message


def attempts(app: App, message: UUID | None = None) -> list[Attempt]:
    with app.store.read() as connection:
        return attempt_rows.of_message(connection, message or only(app).id)


def states(app: App) -> dict[str, int]:
    with app.store.read() as connection:
        counted: Counter[str] = Counter()
        for state, _, count in tallies.tally(connection):
            counted[state.value] += count
    return dict(counted)


def only_batch(app: App) -> Batch:
    with app.store.begin() as connection:
        now = app.clock.now()
        [found] = batches.due(connection, now, unclaimed_since=now + timedelta(days=1), limit=10)
    return found


def send(app: App, *to: dict[str, str], kind: str = "hello", **options: object) -> notify.Notification:
    with using(app):
        return notify.send_many(kind, to or [ADA], **options)  # type: ignore[arg-type]


def test_the_attempt_row_tells_everything(app: App) -> None:
    notify.send("hello", to=ADA, data={"word": "Hi"})
    drain(app)
    message = only(app)
    [attempt] = attempts(app)
    assert (message.state, message.attempts) == (MessageState.SENT, 1)
    assert message.sent_at is not None
    [provider] = app.channels.providers(Channel.EMAIL)
    assert (attempt.outcome, attempt.number, attempt.epoch, attempt.provider) == (Outcome.ACCEPTED, 1, 1, provider.name)
    assert attempt.header_id == f"<{message.id}@example.org>"
    assert attempt.subject == "Hi"
    assert attempt.provider_id == str(message.id)
    assert "queued as" in (attempt.response or "")
    assert attempt.template_version
    assert attempt.rendered_at is not None
    assert attempt.rendered_at <= attempt.at


def test_a_soft_failure_is_tried_again_at_growing_waits_until_accepted(
    at: Callable[..., App], clock: MovableClock, tmp_path: Path
) -> None:
    with Moody(tmp_path / "moody", data=["451 4.3.0 later", "451 4.3.0 later"]) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app)
        waits = []
        for _ in range(2):
            drain(app)
            message = only(app)
            assert message.state is MessageState.QUEUED
            assert message.reason
            waits.append(message.due_at - clock.now())
            assert drain(app) == 0  # not before its time
            clock.move(to=message.due_at)
        drain(app)
        assert only(app).state is MessageState.SENT
        assert server.count == 1
    assert timedelta(0) < waits[0] <= timedelta(seconds=31)
    assert timedelta(0) < waits[1] <= timedelta(seconds=61)
    tries = attempts(app)
    assert [attempt.outcome for attempt in tries] == [Outcome.TRANSIENT, Outcome.TRANSIENT, Outcome.ACCEPTED]
    assert [attempt.number for attempt in tries] == [1, 2, 3]
    assert len({attempt.header_id for attempt in tries}) == 1
    assert "451" in (tries[0].response or "")


def test_a_message_is_dead_after_the_last_attempt(at: Callable[..., App], clock: MovableClock, tmp_path: Path) -> None:
    with Moody(tmp_path / "moody", data=["451 4.3.0 later"] * 9) as server:
        app = at(f"smtp://127.0.0.1:{server.port}", retry_attempts=3)
        send(app)
        for _ in range(3):
            drain(app)
            clock.move(timedelta(hours=1))
        assert drain(app) == 0
    message = only(app)
    assert (message.state, message.attempts) == (MessageState.DEAD, 3)
    assert message.rule == "no more than 3 attempts"
    with using(app):
        assert "dead" in str(notify.explain(message.id))


def test_a_refused_recipient_is_dead_at_once_and_the_others_are_served(at: Callable[..., App], tmp_path: Path) -> None:
    with Moody(tmp_path / "moody", rcpt={"u1@example.org": "550 5.1.1 no such user"}) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app, *people(3))
        drain(app)
        assert states(app) == {"sent": 2, "dead": 1}
        assert server.count == 2
        assert server.tried["u1@example.org"] == 1


def test_one_connection_is_enough_for_a_whole_batch(at: Callable[..., App], tmp_path: Path) -> None:
    class Counting(Moody):
        connections: ClassVar[set[object]] = set()

        async def handle_RCPT(self, server, session, envelope, address, options):  # type: ignore[no-untyped-def] # noqa: N802
            self.connections.add(session.peer)
            return await super().handle_RCPT(server, session, envelope, address, options)

    with Counting(tmp_path / "counting") as server:
        app = at(f"smtp://127.0.0.1:{server.port}?connections=1")
        send(app, *people(50))
        drain(app)
        assert (server.count, len(server.connections)) == (50, 1)


def test_a_server_that_is_away_costs_one_connection_per_batch_and_loses_nothing(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox
) -> None:
    away = at(f"smtp://127.0.0.1:{free_port()}")
    send(away, *people(20))
    drain(away)
    assert states(away) == {"queued": 20}
    waiting = only_first(away)
    assert (waiting.reason, waiting.attempts, attempts(away, waiting.id)) == ("unreachable", 0, [])  # nobody was tried
    assert "costs no attempt" in (waiting.rule or "")
    clock.move(timedelta(minutes=2, seconds=1))
    drain(at())
    assert states(away) == {"sent": 20}
    assert mailbox.count == 20


def only_first(app: App) -> Message:
    with app.store.read() as connection:
        return messages.listing(connection, tenants.DEFAULT_ID)[0].message


def test_an_address_suppressed_after_planning_is_not_written_to(app: App, mailbox: Mailbox) -> None:
    notify.send("hello", to=ADA)
    with app.store.begin() as connection:
        row = Suppression(Channel.EMAIL, "ada@example.org", "complained", "feedback")
        suppressions.add(connection, tenants.DEFAULT_ID, [row], app.clock.now())
    drain(app)
    message = only(app)
    assert (message.state, message.reason, mailbox.count) == (MessageState.SKIPPED, "suppressed", 0)
    assert "complained" in (message.rule or "")


def test_a_template_that_fails_for_one_recipient_kills_only_that_message(
    app: App, templates: Path, mailbox: Mailbox
) -> None:
    make_kind(templates, "company", html="<html lang='en'><body>{{ recipient.company }}</body></html>")
    notify.send_many(
        "company",
        [
            {"key": "a", "email": "a@example.org", "attributes": {"company": "Ω & Co"}},
            {"key": "b", "email": "b@example.org"},
        ],
    )
    drain(app)
    assert states(app) == {"sent": 1, "dead": 1}
    [mail] = all_in(mailbox.folder)
    assert "Ω &amp; Co" in mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    with app.store.read() as connection:
        [dead] = messages.listing(connection, tenants.DEFAULT_ID, states=[MessageState.DEAD])
    assert dead.message.reason == "unrenderable"
    assert "company/email.html:1" in (dead.message.rule or "")


def test_a_dry_run_writes_what_smtp_would_carry_and_opens_no_connection(
    at: Callable[..., App], mailbox: Mailbox
) -> None:
    app = at(f"smtp://127.0.0.1:{free_port()}")
    sent = send(app, mode="dry_run", attachments=[notify.Attachment("r.csv", b"a;b\r\n1;2\r\n", "text/csv")])
    drain(app)
    message = only(app)
    assert (message.state, message.reason) == (MessageState.SKIPPED, "dry_run")
    [path] = (app.settings.dry_run_dir / str(sent.id)).glob("*.eml")
    assert path.name == f"{message.id}.eml"
    [attempt] = attempts(app)
    assert (attempt.outcome, attempt.provider) == (Outcome.RENDERED, "eml")
    [part] = read(path).iter_attachments()
    assert part.get_content_disposition() == "attachment"
    assert part.get_payload(decode=True) == b"a;b\r\n1;2\r\n"


def test_eml_files_and_what_smtp_carries_are_the_same_octets(app: App, mailbox: Mailbox, tmp_path: Path) -> None:

    notify.send("hello", to=ADA, data={"word": "žluťoučký"})
    lease = claim(app, only_batch(app).id, "test")
    assert lease is not None
    envelope = Preparation(app)(lease.work[0], app.clock.now()).envelope
    for url in (f"eml://{tmp_path}/written", f"smtp://127.0.0.1:{mailbox.port}"):
        with sending(url) as send_one:
            send_one(envelope)
    [written], [caught] = (tmp_path / "written").glob("*.eml"), mailbox.folder.glob("*.eml")
    assert written.read_bytes() == caught.read_bytes() == envelope.content


def test_a_test_goes_marked_and_only_to_the_allow_list(at: Callable[..., App], mailbox: Mailbox) -> None:
    app = at(test_recipients=frozenset({"ada@example.org"}))
    send(app, ADA, *people(2), mode="test")
    drain(app)
    assert states(app) == {"sent": 1, "skipped": 2}
    [mail] = all_in(mailbox.folder)
    assert mail["subject"] == "[TEST] hello"
    assert mail["x-notify-mode"] == "test"
    assert mail["to"].addresses[0].addr_spec == "ada@example.org"


def test_inline_images_and_attachments_arrive_whole(app: App, templates: Path, mailbox: Mailbox) -> None:
    make_kind(templates, "logo", html="<html lang='en'><body><img src='cid:logo' alt='logo'>{{ word }}</body></html>")
    picture, report = b"\x89PNG\r\n\x1a\n\x00\xff", bytes(range(256)) * 100
    notify.send(
        "logo",
        to=ADA,
        attachments=[
            notify.Attachment("logo.png", picture, "image/png", inline="logo"),
            notify.Attachment("Übersicht.bin", report),
        ],
    )
    drain(app)
    [mail] = all_in(mailbox.folder)
    found = {part.get_filename(): part for part in mail.walk() if part.get_filename()}
    assert found["Übersicht.bin"].get_payload(decode=True) == report
    assert found["logo.png"].get_payload(decode=True) == picture
    assert found["logo.png"]["content-id"] == "<logo>"


@contextmanager
def serving(server: Server) -> Iterator[tuple[Server, int]]:
    loop, ready = asyncio.new_event_loop(), threading.Event()
    listening: list[asyncio.Server] = []

    async def begin() -> None:
        listening.append(await asyncio.start_server(server, "127.0.0.1", 0))
        ready.set()

    def run() -> None:
        loop.run_until_complete(begin())
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(60)
    try:
        yield server, listening[0].sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(listening[0].close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_message_of_unknown_fate_goes_out_again_when_its_kind_allows(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox
) -> None:
    with serving(Hangup()) as (server, port):
        app = at(f"smtp://127.0.0.1:{port}")
        send(app)
        drain(app)
        assert server.bodies == 1
    [first] = attempts(app)
    assert first.outcome is Outcome.UNCERTAIN
    assert only(app).state is MessageState.QUEUED
    clock.move(timedelta(minutes=5))
    drain(at())
    assert only(app).state is MessageState.SENT
    assert [mail["message-id"] for mail in all_in(mailbox.folder)] == [first.header_id]


def test_a_message_of_unknown_fate_is_held_when_its_kind_says_so(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox
) -> None:
    with serving(Hangup()) as (_, port):
        app = at(f"smtp://127.0.0.1:{port}")
        send(app, kind="otp")
        drain(app)
    message = only(app)
    assert (message.state, message.rule) == (MessageState.IN_DOUBT, "on_doubt = hold")
    clock.move(timedelta(days=1))
    drain(at())
    assert mailbox.count == 0


def die_after(app: App, handed_over: int) -> Batch:
    """A worker that claims a batch, begins `handed_over` hand-overs and is gone."""
    lease = claim(app, only_batch(app).id, "doomed")
    assert lease is not None
    for one in lease.work[:handed_over]:
        lease.journal.enter(one.id)
    assert lease.journal.safe()
    return lease.batch


@pytest.mark.parametrize("kind", ["hello", "otp"])
def test_a_dead_workers_batch_is_reconstructed_from_its_journal(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox, kind: str
) -> None:
    app = at()
    send(app, *people(5), kind=kind)
    batch = die_after(app, 3)
    assert deliver(app, batch.id, Worker("early")) is None  # the lease still runs
    clock.move(timedelta(seconds=app.settings.lease_seconds + 1))
    drain(app)
    accepted_before, untried = 2, 2
    resent = 1 if kind == "hello" else 0
    assert mailbox.count == untried + resent
    assert states(app) == ({"sent": 5} if kind == "hello" else {"sent": 4, "in_doubt": 1})
    with app.store.read() as connection:
        told = connection.execute(
            sa.select(tables.attempts.c.reason, sa.func.count()).group_by(tables.attempts.c.reason)
        )
        assert {row[0]: row[1] for row in told} == {
            "from_journal": accepted_before,
            "worker_died": 1,
            None: untried + resent,
        }
        assert tallies.doubted(connection, [only_first(app).notification_id]) == 1


def test_a_worker_that_died_before_the_first_hand_over_leaves_no_doubt(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox
) -> None:
    app = at()
    send(app, *people(3))
    die_after(app, 0)
    clock.move(timedelta(seconds=31))
    drain(app)
    assert (states(app), mailbox.count) == ({"sent": 3}, 3)


def test_a_lost_journal_makes_everything_in_hand_doubtful_and_named(
    at: Callable[..., App], clock: MovableClock
) -> None:
    app = at()
    send(app, *people(3), kind="otp")
    die_after(app, 1)
    app.redis.flushall()
    clock.move(timedelta(seconds=31))
    drain(app)
    assert states(app) == {"in_doubt": 3}


def test_a_worker_that_lost_its_lease_changes_nothing(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox
) -> None:
    from notify.delivery.ledger import LeaseLost

    app = at()
    send(app, *people(2))
    sleeper = claim(app, only_batch(app).id, "sleeper")
    assert sleeper is not None
    clock.move(timedelta(seconds=31))
    assert not sleeper.held(clock.now())
    drain(app)
    assert mailbox.count == 2
    with pytest.raises(LeaseLost):
        Ledger(app, sleeper).settle()
    sleeper.renew(app)
    assert not sleeper.held(clock.now())
    assert states(app) == {"sent": 2}
    assert {attempt.epoch for attempt in attempts(app, only_first(app).id)} == {2}


def test_a_stopping_worker_hands_back_what_it_has_not_begun(at: Callable[..., App], mailbox: Mailbox) -> None:
    app, worker = at(), Worker("stopping")
    send(app, *people(3))
    worker.stopping.set()
    counts = deliver(app, only_batch(app).id, worker)
    assert counts is not None
    assert counts["handed_back"] == 3
    assert mailbox.count == 0
    drain(app)
    assert (states(app), mailbox.count) == ({"sent": 3}, 3)
    assert attempts(app, only_first(app).id)[0].number == 1


def test_a_settled_batch_keeps_no_journal(app: App) -> None:
    notify.send("hello", to=ADA)
    batch = only_batch(app)
    drain(app)
    assert Journal(app.redis, batch, 1).seal() is None


def test_ringing_twice_delivers_once(app: App, mailbox: Mailbox) -> None:
    notify.send("hello", to=ADA)
    batch = only_batch(app)
    results = [deliver(app, batch.id, Worker("test")) for _ in range(3)]
    assert [result is not None for result in results] == [True, False, False]
    assert mailbox.count == 1


class Silent:
    """Greets, and then says nothing more: each message costs a time-out."""

    def __init__(self) -> None:
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"220 silent\r\n")
        while line := await reader.readline():
            if line.upper().startswith((b"EHLO", b"HELO")):
                writer.write(b"250 silent\r\n")
        writer.close()


def test_the_rest_of_a_batch_waits_when_nobody_answers_any_more(at: Callable[..., App]) -> None:
    """A server gone silent must not cost a time-out per message: 500 of them are four hours."""
    with serving(Silent()) as (server, port):
        app = at(f"smtp://127.0.0.1:{port}?timeout=0.2&connect_timeout=1")
        send(app, *people(20))
        drain(app)
    assert server.connections == GIVE_UP_AFTER
    assert states(app) == {"queued": 20}
    with app.store.read() as connection:
        listed = messages.listing(connection, tenants.DEFAULT_ID)
    assert sorted(row.message.attempts for row in listed) == [0] * (20 - GIVE_UP_AFTER) + [1] * GIVE_UP_AFTER


def test_an_emptied_broker_is_rebuilt_from_the_database(app: App) -> None:
    notify.send_many("hello", people(3))
    app.redis.flushall()
    assert relay(app) == 0  # rung for a moment ago
    impatient = app.settings.model_copy(update={"republish_seconds": 0.001})
    later = App(impatient, app.store, app.channels, app.kinds, app.redis, app.clock, app.publish)
    assert relay(later) == 1
    assert app.redis.llen("notify:email.normal") == 1


def test_two_beats_do_the_work_once(at: Callable[..., App], clock: MovableClock) -> None:
    app, every = at(), timedelta(seconds=1)
    assert [tick(app, "relay", every, relay) for _ in range(2)] == [0, None]
    clock.move(every)
    assert tick(app, "relay", every, relay) == 0


def test_a_slower_timetable_still_ticks(at: Callable[..., App], clock: MovableClock) -> None:
    app = at()
    assert tick(app, "relay", timedelta(seconds=1), relay) == 0
    clock.move(timedelta(seconds=60))
    assert tick(app, "relay", timedelta(seconds=30), relay) == 0


def test_a_planner_whose_clock_runs_ahead_is_not_turned_away(at: Callable[..., App], clock: MovableClock) -> None:
    app = at()
    sent = send(app, at=clock.now() + timedelta(seconds=1))
    with app.store.read() as connection:
        batch = connection.scalar(
            sa.select(tables.messages.c.batch_id).where(tables.messages.c.notification_id == sent.id)
        )
    assert deliver(app, batch, Worker("behind")) == {"sent": 1}  # type: ignore[arg-type]


def test_when_the_journal_is_away_what_was_sent_is_settled_and_the_rest_waits(
    at: Callable[..., App], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = at()
    send(app, *people(5))
    enter = Journal.enter
    entered: list[UUID] = []

    def until_redis_dies(journal: Journal, message_id: UUID, line: int) -> None:
        if len(entered) == 2:
            app.redis.connection_pool.disconnect()
            raise Unreachable("Redis, which keeps the journal, does not answer")
        entered.append(message_id)
        enter(journal, message_id, line)

    monkeypatch.setattr(Journal, "enter", until_redis_dies)
    counts = deliver(app, only_batch(app).id, Worker("test"))
    assert counts == {"sent": 2, "handed_back": 3}
    monkeypatch.undo()
    drain(app)
    assert (states(app), mailbox.count) == ({"sent": 5}, 5)


def test_a_broker_emptied_in_the_middle_of_a_batch_doubles_nothing_unnamed(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, enter = at(), Journal.enter
    send(app, *people(6), kind="otp")

    def emptied_after_three(journal: Journal, message_id: UUID, line: int) -> None:
        if mailbox.count == 3:
            app.redis.flushall()
        enter(journal, message_id, line)

    monkeypatch.setattr(Journal, "enter", emptied_after_three)
    counts = deliver(app, only_batch(app).id, Worker("test"))
    assert counts == {"sent": 3, "handed_back": 3}  # without its journal it may not go on
    monkeypatch.undo()
    drain(app)
    assert (states(app), mailbox.count) == ({"sent": 6}, 6)


def test_a_worker_that_dies_after_the_broker_was_emptied_leaves_everything_in_doubt(
    at: Callable[..., App], clock: MovableClock
) -> None:
    app = at()
    send(app, *people(3), kind="otp")
    lease = claim(app, only_batch(app).id, "doomed")
    assert lease is not None
    lease.journal.enter(lease.work[0].id)
    assert lease.journal.safe()
    app.redis.flushall()
    lease.journal.enter(lease.work[1].id)
    assert not lease.journal.safe()
    clock.move(timedelta(seconds=31))
    drain(app)
    assert states(app) == {"in_doubt": 3}


def test_a_worker_paused_before_a_hand_over_sends_nothing_after_it_was_replaced(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = at()
    send(app, *people(3), kind="otp")
    batch, enter, paused = only_batch(app), Journal.enter, threading.Event()

    def pause_at_the_second(journal: Journal, message_id: UUID, line: int) -> None:
        if mailbox.count == 1 and not paused.is_set():
            paused.set()  # the process is stopped here; meanwhile its lease runs out and another takes over
            clock.move(timedelta(seconds=31))
            successor = deliver(app, batch.id, Worker("successor"))
            assert successor == {"sent": 2}
        enter(journal, message_id, line)

    monkeypatch.setattr(Journal, "enter", pause_at_the_second)
    assert deliver(app, batch.id, Worker("paused")) is None
    ids = [mail["message-id"] for mail in all_in(mailbox.folder)]
    assert len(ids) == len(set(ids)) == 3
    assert states(app) == {"sent": 2, "in_doubt": 1}  # the one that it had sent, but could not tell of


def test_a_claim_that_failed_after_it_had_opened_the_journal_is_simply_repeated(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = at()
    send(app, *people(3))
    batch = only_batch(app)

    def fail(*_: object, **__: object) -> None:
        raise Unreachable("the database went away before the commit")

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(work, "take", fail)
            with pytest.raises(Unreachable):
                claim(app, batch.id, "unlucky")
    die_after(app, 2)
    clock.move(timedelta(seconds=31))
    drain(app)
    assert (states(app), mailbox.count) == ({"sent": 3}, 2)


def test_a_kind_that_has_gone_kills_its_messages_and_no_others(
    at: Callable[..., App], templates: Path, mailbox: Mailbox
) -> None:
    make_kind(templates, "gone")
    send(at(), kind="gone")
    for file in (templates / "gone").iterdir():
        file.unlink()
    app = at()
    drain(app)
    assert states(app) == {"dead": 1}
    assert only(app).reason == "unrenderable"


def test_a_dry_run_that_is_interrupted_never_counts_as_sent(at: Callable[..., App], clock: MovableClock) -> None:
    app = at()
    send(app, *people(4), mode="dry_run")
    die_after(app, 3)
    clock.move(timedelta(seconds=31))
    drain(app)
    assert states(app) == {"skipped": 4}


def test_a_message_that_kills_its_worker_every_time_dies_in_the_end(
    at: Callable[..., App], clock: MovableClock
) -> None:
    app = at(retry_attempts=3)
    send(app)
    batch = only_batch(app)
    for _ in range(4):
        lease = claim(app, batch.id, "doomed")
        if lease is not None:
            for one in lease.work:
                lease.journal.enter(one.id)
            assert lease.journal.safe()
        clock.move(timedelta(seconds=31))
    drain(app)
    message = only(app)
    assert (message.state, message.attempts) == (MessageState.DEAD, 3)
    assert "kills the workers" in (message.rule or "")


def test_answers_that_cannot_be_written_at_once_are_written_when_the_database_is_back(
    at: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Moody(tmp_path / "moody", rcpt={"u1@example.org": "550 5.1.1 no such user"}) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app, *people(3))
        batch, renew = only_batch(app), batches.renew

        def away_once(*arguments: object) -> bool:
            monkeypatch.setattr(batches, "renew", renew)
            raise Unreachable("the database does not answer")

        monkeypatch.setattr(batches, "renew", away_once)
        assert deliver(app, batch.id, Worker("test")) == {"sent": 1, "dead": 1, "handed_back": 1}
        drain(app)
    assert states(app) == {"sent": 2, "dead": 1}
    assert server.tried["u1@example.org"] == 1


def test_log_lines_name_the_message_by_every_id_and_quote_no_data(at: Callable[..., App], templates: Path) -> None:
    from notify import telemetry

    make_kind(templates, "leak", html="<html lang='en'><body>{{ {}[recipient.diagnosis] }}</body></html>")
    app, heard = at(), []
    with telemetry.bind(correlation="request-7"):
        ok = send(app)
        send(app, {**ADA, "attributes": {"diagnosis": "secret-diagnosis"}}, kind="leak")  # type: ignore[dict-item]
    with telemetry.subscribed(lambda event, facts: heard.append((event, facts))):
        drain(app)
    [sent] = [facts for event, facts in heard if event == "message.sent"]
    assert (sent["notification"], sent["correlation"]) == (str(ok.id), "request-7")
    assert {"message", "batch"} <= set(sent)
    assert any(event == "message.dead" for event, _ in heard)
    assert "secret-diagnosis" not in str(heard)


def test_a_refusal_at_the_last_moment_stands_where_it_belongs_in_the_story(app: App, mailbox: Mailbox) -> None:
    notify.send("hello", to=ADA)
    with app.store.begin() as connection:
        row = Suppression(Channel.EMAIL, "ada@example.org", "complained", "feedback")
        suppressions.add(connection, tenants.DEFAULT_ID, [row], app.clock.now())
    drain(app)
    story = notify.explain(only(app).id)
    assert [moment.what for moment in story.timeline] == ["accepted", "decided", "skipped"]
    assert story.timeline[-1].at > story.timeline[0].at
    assert "complained" in story.timeline[-1].detail


def test_status_minds_only_queues_that_nobody_works_on(at: Callable[..., App], clock: MovableClock) -> None:
    from notify.delivery import status

    app = at()
    send(app, *people(3))
    send(app, *people(3))
    clock.move(timedelta(minutes=5))
    assert any("messages in email.normal wait" in problem for problem in status(app).problems)
    with app.store.begin() as connection:
        found = batches.due(connection, clock.now(), unclaimed_since=clock.now(), limit=1)
    assert claim(app, found[0].id, "busy") is not None
    assert not any("email.normal" in problem for problem in status(app).problems)


def test_a_silent_worker_is_trouble_only_while_nobody_serves_its_queues(
    at: Callable[..., App], clock: MovableClock
) -> None:
    from notify.delivery import status

    app = at()
    with app.store.begin() as connection:
        presence.heartbeat(connection, "host:1", "email.bulk,system", clock.now())
    clock.move(timedelta(minutes=5))
    assert any("worker host:1 was last seen 5 min ago" in problem for problem in status(app).problems)
    with app.store.begin() as connection:
        presence.heartbeat(connection, "host:2", "email.bulk,email.normal,system", clock.now())
    assert not any("worker" in problem for problem in status(app).problems if "beat" not in problem)


def gives_up(sqlstate: str) -> sa.exc.OperationalError:
    """What a deadlock looks like."""
    cause = psycopg.errors.lookup(sqlstate)("gave up")
    return sa.exc.OperationalError("UPDATE …", {}, cause)


@pytest.mark.parametrize("sqlstate", ["40P01", "57014"])
def test_a_deadlock_while_settling_is_tried_again_and_doubles_nothing(
    at: Callable[..., App], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, sqlstate: str
) -> None:
    app, finish = at(), batches.finish
    send(app, *people(3))

    def once(*_: object) -> bool:
        monkeypatch.setattr(batches, "finish", finish)
        raise gives_up(sqlstate)

    monkeypatch.setattr(batches, "finish", once)
    assert deliver(app, only_batch(app).id, Worker("test")) == {"sent": 3}
    assert mailbox.count == 3


def test_a_database_that_gives_up_while_rendering_kills_nothing(
    at: Callable[..., App], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = at()
    send(app, *people(3), attachments=[notify.Attachment("a.txt", b"a")])

    def gave_up(*_: object) -> None:
        raise gives_up("57014")

    with monkeypatch.context() as patch:
        patch.setattr(notifications, "attachments_of", gave_up)
        assert deliver(app, only_batch(app).id, Worker("test")) == {"handed_back": 3}
    drain(app)
    assert (states(app), mailbox.count) == ({"sent": 3}, 3)


def test_what_is_handed_back_for_want_of_a_journal_is_not_rung_for_at_once(
    at: Callable[..., App], monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[object] = []
    quiet = at()
    app = App(quiet.settings, quiet.store, quiet.channels, quiet.kinds, quiet.redis, quiet.clock, rung.append)
    send(quiet, *people(2))
    monkeypatch.setattr(Journal, "safe", lambda _: False)
    assert deliver(app, only_batch(app).id, Worker("test")) == {"handed_back": 2}
    assert rung == []
    assert relay(app) == 1, "but at the next tick"
    assert len(rung) == 1


def test_a_failure_whose_commit_got_no_answer_is_not_written_twice(
    at: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from notify.store import Store

    with Moody(tmp_path / "moody", rcpt={"u0@example.org": "550 5.1.1 no such user"}) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app, *people(2))
        batch, begin, take = only_batch(app), Store.begin, work.take

        @contextmanager
        def committed_but_lost(store: Store) -> Iterator[sa.Connection]:
            with begin(store) as connection:
                yield connection
            monkeypatch.setattr(Store, "begin", begin)
            raise Unreachable("the connection broke after the commit")

        def then_lose(*arguments: Any, **times: Any) -> Any:
            monkeypatch.setattr(Store, "begin", committed_but_lost)  # from the next transaction on
            return take(*arguments, **times)

        monkeypatch.setattr(work, "take", then_lose)
        assert deliver(app, batch.id, Worker("test")) == {"dead": 1, "handed_back": 1}
        drain(app)
    assert states(app) == {"dead": 1, "sent": 1}
    with app.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.attempts)) == 2


def test_status_tells_of_an_outage_and_of_work_that_a_dead_worker_left(
    at: Callable[..., App], clock: MovableClock
) -> None:
    from notify.delivery import status

    away = at(f"smtp://127.0.0.1:{free_port()}")
    send(away, *people(3))
    drain(away)
    assert not any("untried" in problem for problem in status(away).problems)
    clock.move(timedelta(minutes=3))
    drain(away)
    assert any("3 messages wait untried" in problem and "unreachable" in problem for problem in status(away).problems)
    clock.move(timedelta(minutes=3))
    assert claim(away, only_batch(away).id, "dies") is not None
    clock.move(timedelta(minutes=3))
    assert any("messages in email.normal wait" in problem for problem in status(away).problems)


def crash_once(app: App, batch_id: UUID, clock: MovableClock) -> bool:
    """A worker claims it, and dies before anything was handed over; False when there was nothing to claim."""
    lease = claim(app, batch_id, "doomed")
    clock.move(timedelta(seconds=31))
    return lease is not None


def waiting_batches(app: App) -> list[Batch]:
    with app.store.begin() as connection:
        return batches.due(connection, app.clock.now(), unclaimed_since=app.clock.now() + timedelta(days=1), limit=500)


def test_poison_is_halved_out_until_only_it_is_dead(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox
) -> None:
    app = at()
    send(app, *people(8))
    while found := waiting_batches(app):
        for batch in found:
            with app.store.read() as connection:
                keys = connection.scalars(
                    sa.select(tables.recipients.c.key)
                    .join(tables.messages, tables.messages.c.recipient_id == tables.recipients.c.id)
                    .where(tables.messages.c.batch_id == batch.id)
                ).all()
            if "u5" in keys:
                crash_once(app, batch.id, clock)
            else:
                deliver(app, batch.id, Worker("test"))
    assert (states(app), mailbox.count) == ({"sent": 7, "dead": 1}, 7)
    with app.store.read() as connection:
        [dead] = messages.listing(connection, tenants.DEFAULT_ID, states=[MessageState.DEAD])
    assert (dead.recipient, dead.message.reason) == ("u5", "poison")
    [attempt] = attempts(app, dead.message.id)
    assert (attempt.reason, attempt.number) == ("poison", 1)


def test_three_unlucky_workers_do_not_condemn_a_batch(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox
) -> None:
    app = at()
    send(app, *people(3))
    batch = only_batch(app)
    for _ in range(3):
        assert crash_once(app, batch.id, clock)
    assert deliver(app, batch.id, Worker("fourth")) is None, "the fourth halves it"
    drain(app)
    assert (states(app), mailbox.count) == ({"sent": 3}, 3)


def test_a_lease_is_renewed_while_its_batch_moves_and_left_to_run_out_when_it_is_stuck(
    at: Callable[..., App], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, worker = at(lease_seconds=1.0, stuck_seconds=3.0), Worker("test")
    app = App(app.settings, app.store, app.channels, app.kinds, app.redis, SystemClock(), app.publish)
    send(app)
    lease = claim(app, only_batch(app).id, worker.name)
    assert lease is not None
    with worker.holding(app, lease):
        until(lambda: worker.stuck() == [lease], 60, "it is stuck")
        assert lease.held(datetime.now(UTC)), "it was renewed until then"
        until(lambda: not lease.held(datetime.now(UTC)), 60, "its lease has run out")
        lease.moves()
        assert worker.stuck() == []
    assert worker.stuck() == []


def test_some_recipients_may_bring_data_of_their_own_and_others_not(app: App, mailbox: Mailbox) -> None:
    notify.send_many("hello", [{**ADA, "data": {"word": "mine"}}, *people(1)], {"word": "shared"})
    drain(app)
    told = {str(mail["to"].addresses[0].username): str(mail) for mail in all_in(mailbox.folder)}
    assert "mine" in told["ada"]
    assert "shared" in told["u0"]


def test_a_batch_has_its_last_try_alone_in_its_process(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox
) -> None:
    app, worker = at(), Worker("test")
    send(app)
    batch = only_batch(app)
    for _ in range(2):
        assert crash_once(app, batch.id, clock)
    with ThreadPoolExecutor(2) as threads:
        with worker.among_others():
            tried = threads.submit(deliver, app, batch.id, worker)
            assert wait([tried], timeout=1).not_done, "another batch is under way"
            with app.store.begin() as connection:
                [waiting] = batches.due(connection, clock.now(), unclaimed_since=clock.now(), limit=1)
            assert (waiting.epoch, mailbox.count) == (2, 0)
        assert tried.result(60) == {"sent": 1}
        with worker.alone(1) as alone, worker.alone(0.05) as second:
            assert (alone, second) == (True, False)
            entered = threading.Event()
            threads.submit(lambda: worker.among_others().__enter__() or entered.set())  # type: ignore[func-returns-value]
            assert not entered.wait(0.2), "nothing begins beside a last try"
        assert entered.wait(60)


def test_what_waits_for_its_next_try_is_not_lost_when_its_batch_is_halved(
    at: Callable[..., App], clock: MovableClock, tmp_path: Path
) -> None:
    with Moody(tmp_path / "moody", rcpt={"u2@example.org": "451 4.2.1 later"}) as server:
        app = at(f"smtp://127.0.0.1:{server.port}", retry_base_seconds=86400.0, retry_cap_seconds=86400.0)
        send(app, *people(4))
        lease = claim(app, only_batch(app).id, "doomed")
        assert lease is not None
        deferred = lease.work[2]
        prepared = Preparation(app)(deferred, clock.now())
        Ledger(app, lease).failed(deferred, Transient("recipient_deferred"), "smtp", prepared)
        clock.move(timedelta(seconds=31))
        for _ in range(3):
            crash_once(app, lease.batch.id, clock)
        server.rcpt.clear()
        drain(app)
        drain(app)
        assert states(app) == {"sent": 3, "queued": 1}
        clock.move(timedelta(days=2))
        drain(app)
    assert states(app) == {"sent": 4}


def test_the_last_one_of_a_batch_is_not_poison_because_the_others_went_out(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox
) -> None:
    app = at()
    send(app, *people(3))
    batch = only_batch(app)
    for handed_over in (3, 0, 0):
        lease = claim(app, batch.id, "unlucky")
        assert lease is not None
        for one in lease.work[:handed_over]:
            lease.journal.enter(one.id)
        assert lease.journal.safe()
        clock.move(timedelta(seconds=31))
    drain(app)
    drain(app)
    assert (states(app), mailbox.count) == ({"sent": 3}, 1)


def test_one_lease_that_cannot_be_renewed_leaves_the_others_their_keeper(
    at: Callable[..., App], monkeypatch: pytest.MonkeyPatch
) -> None:
    still = at(lease_seconds=1.0)
    app = App(still.settings, still.store, still.channels, still.kinds, still.redis, SystemClock(), still.publish)
    send(app)
    worker, renewed = Worker("test"), threading.Event()
    lease = claim(app, only_batch(app).id, worker.name)
    assert lease is not None
    answers = iter([RuntimeError("out of the blue")])

    def renew(*_: object) -> bool:
        if error := next(answers, None):
            raise error
        renewed.set()
        return True

    monkeypatch.setattr(batches, "renew", renew)
    with worker.holding(app, lease):
        assert renewed.wait(60)
