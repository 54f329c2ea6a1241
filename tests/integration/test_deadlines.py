"""A deadline: what has not gone out by then dies as expired, and is never delivered late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

import notify
from notify import failpoints
from notify.app import App, using
from notify.channels import Channels, Configured
from notify.channels.provider import Envelope, Receipt, Watch
from notify.channels.provider import Outcome as Answered
from notify.delivery import relay, sweep
from notify.delivery.lease import claim
from notify.dev.mailbox import Mailbox
from notify.errors import DeliveryError, IdempotencyConflict, InvalidDeadline, Uncertain
from notify.intake import fan_out
from notify.model import Channel, Message, MessageState, Outcome
from notify.store import attempts, batches, messages, tables
from notify.store.messages import Listed
from notify.store.tenants import DEFAULT_ID
from notify.telemetry import subscribed
from notify.testing import MovableClock, capture
from tests.drain import drain
from tests.kinds import make_kind
from tests.providers import Moody, free_port

ADA = {"key": "ada", "email": "ada@example.org"}
MINUTE = timedelta(minutes=1)
NO_TIME = timedelta()


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "otp", toml='expires = "5m"\n[retry]\nattempts = 3\nfirst_wait = "20s"\nlongest_wait = "1m"')


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def at(app: App, clock: MovableClock, make_app: Callable[..., App]) -> Callable[[int], App]:
    """A process that begins anew, with a provider at this port, and a clock that stands still."""

    def make(port: int) -> App:
        new = make_app(app.settings, email_providers=(SecretStr(f"smtp://127.0.0.1:{port}"),))
        return App(new.settings, new.store, new.channels, new.kinds, new.redis, clock, lambda _: None)

    return make


def send(app: App, kind: str = "otp", to: object = ADA, **options: object) -> notify.Notification:
    with using(app):
        return notify.send_many(kind, to if isinstance(to, list) else [to], **options)  # type: ignore[arg-type,list-item]


def rows(app: App) -> list[Listed]:
    with app.store.read() as connection:
        return messages.listing(connection, DEFAULT_ID, limit=1000)


def only(app: App) -> Message:
    [row] = rows(app)
    return row.message


def caught(mailbox: Mailbox) -> int:
    return len(list(mailbox.folder.glob("*.eml")))


# how long


def test_a_kinds_span_counts_from_when_it_should_go_out(at: Callable[[int], App], clock: MovableClock) -> None:
    app, later = at(free_port()), clock.now() + timedelta(hours=2)
    assert send(app).expires_at == clock.now() + 5 * MINUTE
    assert send(app, at=later).expires_at == later + 5 * MINUTE
    assert send(app, at=clock.now() - timedelta(days=1)).expires_at == clock.now() + 5 * MINUTE


def test_what_the_call_says_comes_before_the_kind(at: Callable[[int], App], clock: MovableClock) -> None:
    app, noon = at(free_port()), clock.now() + timedelta(hours=9)
    assert send(app, expires=MINUTE).expires_at == clock.now() + MINUTE
    assert send(app, expires=noon).expires_at == noon
    assert send(app, "hello").expires_at is None


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"expires": timedelta()}, "longer than nothing"),
        ({"expires": "5m"}, "a timedelta or a datetime"),
        ({"expires": datetime(2031, 5, 1)}, "with a time zone"),
        ({"expires": datetime(2020, 5, 1, tzinfo=UTC)}, "expires is in the past: 2020-05-01 00:00:00 UTC"),
        (
            {"at": datetime(2091, 5, 1, tzinfo=UTC), "expires": datetime(2091, 5, 1, tzinfo=UTC)},
            "must lie after at",
        ),
        ({"expires": timedelta.max}, "beyond the year 9999"),
    ],
    ids=str,
)
def test_a_deadline_that_leaves_no_time_is_refused(app: App, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidDeadline, match=complaint):
        send(app, **options)
    assert rows(app) == []


def test_the_deadline_is_part_of_a_request_and_its_key(at: Callable[[int], App], clock: MovableClock) -> None:
    app, until = at(free_port()), clock.now() + MINUTE
    first = send(app, key="k", expires=until)
    with pytest.raises(IdempotencyConflict):
        send(app, key="k", expires=2 * MINUTE)
    clock.move(timedelta(hours=1))
    again = send(app, key="k", expires=until)  # it was in time when it was asked for
    assert (again.id, again.repeated, again.expires_at) == (first.id, True, until)


# what becomes of it


def test_what_goes_out_in_time_goes_out(at: Callable[[int], App], clock: MovableClock, mailbox: Mailbox) -> None:
    app = at(mailbox.port)
    send(app)
    clock.move(4 * MINUTE)
    drain(app)
    assert (only(app).state, caught(mailbox)) == (MessageState.SENT, 1)


def test_a_code_that_could_not_go_out_in_time_is_not_delivered_late_not_even_after_a_restart(
    at: Callable[[int], App], clock: MovableClock, mailbox: Mailbox
) -> None:
    app = at(free_port())
    send(app)
    drain(app)
    assert only(app).state is MessageState.QUEUED
    clock.move(5 * MINUTE)
    restarted = at(mailbox.port)
    drain(restarted)
    message = only(app)
    assert (message.state, message.reason, caught(mailbox)) == (MessageState.DEAD, "expired", 0)
    assert (message.rule or "").startswith("deadline 2")
    assert (message.rule or "").endswith("UTC has passed")


def test_a_code_whose_worker_died_is_not_delivered_late_by_the_next(
    at: Callable[[int], App], clock: MovableClock, mailbox: Mailbox
) -> None:
    app = at(mailbox.port)
    send(app)
    with app.store.begin() as connection:
        [batch] = batches.due(connection, clock.now(), unclaimed_since=clock.now() + MINUTE, limit=10)
    assert claim(app, batch.id, "dies") is not None
    clock.move(5 * MINUTE)
    drain(at(mailbox.port))
    assert (only(app).state, only(app).reason, caught(mailbox)) == (MessageState.DEAD, "expired", 0)


def test_a_retry_that_would_come_too_late_is_not_waited_for(
    at: Callable[[int], App], clock: MovableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.random", lambda: 0.5)  # of the first wait, which is 20 s at most
    with Moody(tmp_path / "moody", data=["451 4.3.0 later"]) as server:
        app, heard = at(server.port), list[tuple[str, object]]()
        send(app, expires=timedelta(seconds=9))
        with subscribed(lambda event, facts: heard.append((event, facts.get("reason")))):
            drain(app)
        message = only(app)
        assert (message.state, message.reason, message.attempts) == (MessageState.DEAD, "expired", 1)
        assert "the next try would come at" in (message.rule or "")
        assert ("message.dead", "expired") in heard
        with app.store.read() as connection:
            [attempt] = attempts.of_message(connection, message.id)
        assert attempt.reason != "expired"  # the row says what the provider said
        clock.move(timedelta(days=1))
        assert drain(app) == 0


def test_what_is_put_off_past_its_deadline_dies_at_once_and_the_others_wait(
    at: Callable[[int], App], clock: MovableClock
) -> None:
    app, heard = at(free_port()), list[str]()
    send(app, expires=10 * timedelta(seconds=1))
    send(app, "hello", {"key": "eve", "email": "eve@example.org"})
    with subscribed(lambda event, _: heard.append(event)):
        drain(app)
    ends = {row.recipient: (row.message.state, row.message.reason) for row in rows(app)}
    assert ends["ada"] == (MessageState.DEAD, "expired")
    assert ends["eve"][0] is MessageState.QUEUED
    assert heard.count("message.dead") == 1
    with app.store.read() as connection:  # as a whole batch: its row alone is put off
        oldest = batches.oldest_due(connection)
    assert oldest is not None
    assert clock.now() < oldest


def only_waiting(app: App) -> Message:
    [waiting] = [row.message for row in rows(app) if row.message.state is MessageState.QUEUED]
    return waiting


def test_the_dead_leave_the_rest_of_their_batch_alone(
    at: Callable[[int], App], clock: MovableClock, mailbox: Mailbox
) -> None:
    app = at(mailbox.port)
    send(app, to=[{"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(3)], expires=MINUTE)
    send(app, "hello")
    merge(app)
    clock.move(MINUTE)
    drain(app)
    assert [row.message.state for row in rows(app) if row.kind == "otp"] == [MessageState.DEAD] * 3
    assert [row.message.state for row in rows(app) if row.kind == "hello"] == [MessageState.SENT]
    assert caught(mailbox) == 1


class OneLine:
    """A provider whose only line answers each message so after a minute, and has the next one ready meanwhile.

    The first waits so long between its beginning and its body.
    """

    name: ClassVar[str] = "one_line"
    channel: ClassVar[Channel] = Channel.EMAIL

    def __init__(self, clock: MovableClock, answer: Receipt | DeliveryError, hesitates: timedelta = NO_TIME) -> None:
        self.carried = 0
        self._clock = clock
        self._answer = answer
        self._hesitates = hesitates

    @contextmanager
    def open(self) -> Iterator[OneLine]:
        yield self

    def send_all(self, envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Answered]:
        ahead = next(envelopes, None)
        while ahead is not None:
            envelope, ahead = ahead, next(envelopes, None)
            watch.begin(envelope, 0)
            self._clock.move(self._hesitates)
            self._hesitates = NO_TIME
            if not watch.may_go_on():
                return
            self.carried += 1
            self._clock.move(MINUTE)
            yield envelope, self._answer

    def close(self) -> None:
        pass


@pytest.fixture
def through(app: App, clock: MovableClock) -> Callable[[OneLine], App]:
    """Opens the App with this provider; its leases outlast the test."""

    def make(provider: OneLine) -> App:
        channels = Channels(MappingProxyType({Channel.EMAIL: (Configured(provider, "one-line"),)}))
        settings = app.settings.model_copy(update={"lease_seconds": 3600.0})
        return App(settings, app.store, channels, app.kinds, app.redis, clock, lambda _: None)

    return make


def test_what_waits_for_its_line_until_its_deadline_is_not_handed_over(
    through: Callable[[OneLine], App], clock: MovableClock
) -> None:
    provider = OneLine(clock, Receipt("taken"))
    app = through(provider)
    send(app, to=[{"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(9)])
    drain(app)
    states = [row.message.state for row in rows(app)]
    assert (states.count(MessageState.SENT), states.count(MessageState.DEAD)) == (5, 4)
    assert provider.carried == 5
    assert {row.message.reason for row in rows(app) if row.message.state is MessageState.DEAD} == {"expired"}


def merge(app: App) -> None:
    """One batch for all, as after a replay."""
    size = len(rows(app))
    with app.store.begin() as connection:
        ids = connection.scalars(sa.select(tables.batches.c.id).order_by(tables.batches.c.id)).all()
        connection.execute(sa.update(tables.messages).values(batch_id=ids[0]))
        connection.execute(sa.update(tables.batches).values(size=size))


def test_what_has_begun_and_waits_until_its_deadline_is_not_handed_over_and_the_others_are(
    through: Callable[[OneLine], App], clock: MovableClock
) -> None:
    provider = OneLine(clock, Receipt("taken"), hesitates=5 * MINUTE)
    app = through(provider)
    send(app)
    send(app, "hello", {"key": "eve", "email": "eve@example.org"})
    merge(app)
    drain(app)
    ends = {row.recipient: (row.message.state, row.message.reason, row.message.attempts) for row in rows(app)}
    assert ends == {"ada": (MessageState.DEAD, "expired", 0), "eve": (MessageState.SENT, None, 1)}
    assert provider.carried == 1


def test_what_its_deadline_stopped_is_not_in_doubt_when_the_worker_dies(
    through: Callable[[OneLine], App], clock: MovableClock
) -> None:
    app = through(OneLine(clock, Receipt("taken"), hesitates=5 * MINUTE))
    send(app)
    failpoints.arm("settle.begun=memory")
    try:
        with pytest.raises(MemoryError):
            drain(app)
    finally:
        failpoints.arm(None)
    assert only(app).state is MessageState.SENDING
    clock.move(timedelta(hours=2))
    drain(app)
    assert (only(app).state, only(app).reason, only(app).attempts) == (MessageState.DEAD, "expired", 0)


def test_what_may_have_been_accepted_is_not_sent_again_past_its_deadline(
    through: Callable[[OneLine], App], clock: MovableClock
) -> None:
    provider = OneLine(clock, Uncertain("no_answer"))
    app = through(provider)
    send(app, expires=MINUTE)
    drain(app)
    message = only(app)
    assert (message.state, message.reason, message.attempts, provider.carried) == (MessageState.DEAD, "expired", 1, 1)
    with app.store.read() as connection:
        [attempt] = attempts.of_message(connection, message.id)
    assert attempt.outcome is Outcome.UNCERTAIN  # what is known of it stays


# what no worker comes for


def test_the_sweep_lets_die_what_waits_past_its_deadline_and_nothing_else(
    at: Callable[[int], App], clock: MovableClock, mailbox: Mailbox
) -> None:
    app, heard = at(mailbox.port), list[object]()
    send(app)
    send(app, "hello", {"key": "eve", "email": "eve@example.org"})
    send(app, to={"key": "bob", "email": "bob@example.org"}, at=clock.now() + timedelta(days=1))
    with app.store.begin() as connection:  # as when no provider takes anything: the batch row alone is put off
        connection.execute(sa.update(tables.batches).values(due_at=clock.now() + timedelta(days=2)))
    clock.move(5 * MINUTE - timedelta(microseconds=1))
    sweep(app)
    assert {row.message.state for row in rows(app)} == {MessageState.QUEUED}
    clock.move(timedelta(microseconds=1))
    with subscribed(lambda event, facts: heard.append((event, facts.get("reason")))):
        sweep(app)
        sweep(app)
    ends = {row.recipient: row.message for row in rows(app)}
    assert (ends["ada"].state, ends["ada"].reason, ends["ada"].attempts) == (MessageState.DEAD, "expired", 0)
    assert {ends["eve"].state, ends["bob"].state} == {MessageState.QUEUED}
    assert heard == [("message.dead", "expired")]
    clock.move(timedelta(days=3))
    drain(app)
    assert {row.recipient: row.message.state for row in rows(app)} == {
        "ada": MessageState.DEAD,
        "eve": MessageState.SENT,
        "bob": MessageState.DEAD,
    }


def test_the_sweep_comes_again_for_the_next_deadline_of_a_batch(at: Callable[[int], App], clock: MovableClock) -> None:
    app = at(free_port())
    for number in range(3):
        send(app, to={"key": f"u{number}", "email": f"u{number}@example.org"}, expires=(number + 1) * MINUTE)
    with app.store.begin() as connection:
        first = connection.scalar(sa.select(sa.func.min(tables.batches.c.expires_at)))
        keep = connection.scalar(sa.select(tables.batches.c.id).where(tables.batches.c.expires_at == first))
        connection.execute(sa.update(tables.messages).values(batch_id=keep))
    for dead in (1, 2, 3):
        clock.move(MINUTE)
        sweep(app)
        assert [row.message.state for row in rows(app)].count(MessageState.DEAD) == dead


def test_a_batch_that_carries_the_rest_keeps_its_deadline(at: Callable[[int], App], clock: MovableClock) -> None:
    app = at(free_port())
    send(app)
    drain(app)
    assert only(app).state is MessageState.QUEUED
    clock.move(5 * MINUTE)
    sweep(app)
    assert (only(app).state, only(app).reason) == (MessageState.DEAD, "expired")


def test_a_notification_to_everyone_has_one_deadline(
    at: Callable[[int], App], clock: MovableClock, mailbox: Mailbox
) -> None:
    app = at(mailbox.port)
    send(app, "hello")
    drain(app)
    with using(app):
        sent = notify.send_many("otp", notify.everyone())
    assert sent.expires_at == clock.now() + 5 * MINUTE
    fan_out.run(app)
    clock.move(5 * MINUTE)
    relay(app)
    sweep(app)
    assert [row.message.reason for row in rows(app) if row.kind == "otp"] == ["expired"]
    assert caught(mailbox) == 1


# how often


def test_a_kind_is_tried_as_often_as_it_says(at: Callable[[int], App], clock: MovableClock, tmp_path: Path) -> None:
    with Moody(tmp_path / "moody", data=["451 4.3.0 later"] * 9) as server:
        app = at(server.port)
        send(app)
        for number in (1, 2, 3):
            drain(app)
            assert only(app).attempts == number
            if number < 3:
                assert only(app).due_at - clock.now() <= timedelta(seconds=20 * number + 1)
                clock.move(to=only(app).due_at)
        assert (only(app).state, only(app).rule) == (MessageState.DEAD, "no more than 3 attempts")


# what is told of it


def test_the_deadline_is_told(at: Callable[[int], App], clock: MovableClock) -> None:
    app = at(free_port())
    sent = send(app)
    assert sent.expires_at is not None
    with using(app):
        story = notify.explain(only(app).id)
    assert story.as_json()["expires_at"] == sent.expires_at.isoformat()
    assert f"mode live, deadline {sent.expires_at:%Y-%m-%d %H:%M:%S}" in str(story)


def test_a_test_of_an_application_can_look_at_the_deadline(app: App) -> None:
    with capture(app.settings) as outbox:
        notify.send("otp", to=ADA)
        assert outbox[0].expires_at == outbox.clock.now() + 5 * MINUTE
