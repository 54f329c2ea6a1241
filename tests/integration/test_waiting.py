"""Messages that wait for another try, tried at once or given up; doubts settled by hand."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

import notify
from notify.app import App, using
from notify.delivery import replay, retries, settling, sweep
from notify.delivery.replay import Terms
from notify.delivery.settling import Word
from notify.dev.mailbox import Mailbox
from notify.errors import NotFound
from notify.model import Batch, ErrorClass, Filter, Message, MessageState
from notify.store import dead_letters, messages, tables, waiting, window
from notify.store.tenants import DEFAULT_ID
from notify.store.waiting import Waiting
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind
from tests.mails import all_in
from tests.providers import Hangup, Moody

EVERYTHING = Filter()


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
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
        return replace(make_app(app.settings, **changes), clock=clock, publish=lambda _batches: None)

    return make


@pytest.fixture
def hangup() -> Iterator[int]:
    """The port of a server that takes whole messages and never answers."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(Hangup(), "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def send(app: App, count: int = 1, kind: str = "hello", **options: object) -> notify.Notification:
    people = [{"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(count)]
    with using(app):
        return notify.send_many(kind, people, **options)  # type: ignore[arg-type]


def queued(app: App, wanted: Filter = EVERYTHING) -> list[Waiting]:
    with app.store.read() as connection:
        found = waiting.retries(connection, DEFAULT_ID, wanted, limit=100)
        assert waiting.count_retries(connection, DEFAULT_ID, wanted) == len(found)
    return found


def held(app: App, wanted: Filter = EVERYTHING) -> list[Waiting]:
    with app.store.read() as connection:
        return waiting.doubts(connection, DEFAULT_ID, wanted)


def message(app: App, message_id: UUID) -> Message:
    with app.store.read() as connection:
        found = messages.find(connection, message_id)
    assert found is not None
    return found


def audited(app: App) -> list[tuple[str, str]]:
    with app.store.read() as connection:
        rows = connection.execute(sa.select(tables.audit.c.actor, tables.audit.c.action)).all()
    return [(row.actor, row.action) for row in rows]


def test_what_waits_for_another_try_is_listed_and_what_is_scheduled_is_not(
    at: Callable[..., App], clock: MovableClock, tmp_path: Path
) -> None:
    with Moody(tmp_path / "moody", data=["451 4.3.0 later"]) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app)
        send(app, at=clock.now() + timedelta(days=1))
        assert queued(app) == []
        drain(app)
    [one] = queued(app)
    assert (one.kind, one.recipient, one.attempts, one.provider) == ("hello", "u0", 1, f"smtp:127.0.0.1:{server.port}")
    assert one.due_at > clock.now()
    assert [found.id for found in queued(app, Filter(reason=one.reason, kind="hello"))] == [one.id]
    assert queued(app, Filter(kind="otp")) == []


def test_what_waits_can_be_tried_at_once(at: Callable[..., App], tmp_path: Path) -> None:
    with Moody(tmp_path / "moody", data=["451 4.3.0 later"] * 5) as server:
        app = at(f"smtp://127.0.0.1:{server.port}", batch_size=2)
        send(app, 5)
        drain(app)
        assert (len(queued(app)), server.count, drain(app)) == (5, 0, 0)
        assert retries.now(app, EVERYTHING, actor="ada") == 5
        drain(app)
        assert (queued(app), server.count) == ([], 5)
    assert audited(app) == [("ada", "retries.now")]
    with pytest.raises(NotFound):
        retries.now(app, EVERYTHING, actor="ada")


def test_a_batch_that_was_put_off_as_a_whole_can_be_tried_at_once(
    at: Callable[..., App], clock: MovableClock, mailbox: Mailbox
) -> None:
    app = at()
    send(app, 3)
    later = {"due_at": clock.now() + timedelta(hours=1), "reason": "breaker_open", "rule": "smtp is shut"}
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.batches).values(**later, published_at=None))
    assert drain(app) == 0
    assert [one.reason for one in queued(app)] == ["breaker_open"] * 3
    assert all(one.due_at > clock.now() for one in queued(app))
    assert retries.now(app, Filter(reason="breaker_open"), actor="ada") == 3
    drain(app)
    assert mailbox.count == 3
    clock.move(timedelta(hours=2))
    drain(app)  # the batch that they left is empty
    assert mailbox.count == 3


def test_what_is_tried_at_once_and_put_off_again_still_dies_at_its_deadline(
    at: Callable[..., App], clock: MovableClock, tmp_path: Path
) -> None:
    with Moody(tmp_path / "moody", data=["451 4.3.0 later"]) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app, expires=timedelta(hours=1))
        drain(app)
    [one] = queued(app)
    assert retries.now(app, EVERYTHING, actor="ada") == 1
    clock.move(timedelta(hours=2))
    sweep(app)
    found = message(app, one.id)
    assert (found.state, found.reason) == (MessageState.DEAD, "expired")


def test_no_more_of_what_is_tried_at_once_is_rung_for_than_the_window_holds(
    at: Callable[..., App], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "WINDOW", 60)
    rung: list[Batch] = []
    app = replace(at(batch_size=5), publish=rung.extend)
    send(app, 100)
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.messages).values(reason="rate_limited"))
    rung.clear()
    assert retries.now(app, EVERYTHING, actor="ada") == 100
    assert len(rung) < 20
    drain(app)
    assert mailbox.count == 100


def test_what_waits_can_be_given_up(at: Callable[..., App], clock: MovableClock, tmp_path: Path) -> None:
    with Moody(tmp_path / "moody", data=["451 4.3.0 later"] * 2) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app, 2)
        drain(app)
        first, second = queued(app)
        assert retries.cancel(app, Filter(ids=(first.id,)), actor="ada") == 1
        clock.move(timedelta(hours=1))
        drain(app)
        assert server.count == 1
    given_up = message(app, first.id)
    assert (given_up.state, given_up.reason) == (MessageState.CANCELLED, "cancelled")
    assert "by ada" in (given_up.rule or "")
    assert message(app, second.id).state is MessageState.SENT


def test_a_failure_that_is_written_a_second_time_leaves_alone_what_was_moved_on(
    at: Callable[..., App], tmp_path: Path
) -> None:
    with Moody(tmp_path / "moody", data=["451 4.3.0 later"]) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app)
        [batch] = [row.id for row in _batches(app)]
        drain(app)
        [one] = queued(app)
        retries.now(app, EVERYTHING, actor="ada")
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.messages).values(state=MessageState.SENDING))  # another worker has it
        was, state = MessageState.SENDING, MessageState.QUEUED
        assert messages.move(connection, [one.id], was, state, at=app.clock.now(), within=batch) == 0


def _batches(app: App) -> list[sa.Row[tuple[UUID]]]:
    with app.store.read() as connection:
        return list(connection.execute(sa.select(tables.batches.c.id)))


@pytest.fixture
def doubtful(at: Callable[..., App], hangup: int) -> App:
    """Two messages in doubt."""
    app = at(f"smtp://127.0.0.1:{hangup}?connections=1")
    send(app, 2, kind="otp")
    drain(app)
    assert [one.kind for one in held(app)] == ["otp", "otp"]
    return app


def test_a_doubt_is_settled_as_sent(doubtful: App) -> None:
    one, other = held(doubtful)
    done = settling.settle(doubtful, [one.id, one.id], Word.SENT, actor="ada")
    assert (done.settled, done.refused) == ((one.id,), ())
    settled = message(doubtful, one.id)
    assert (settled.state, settled.reason, settled.sent_at) == (MessageState.SENT, "settled", doubtful.clock.now())
    assert [waits.id for waits in held(doubtful)] == [other.id]
    assert audited(doubtful) == [("ada", "doubts.settle")]
    assert settling.settle(doubtful, [one.id], Word.DEAD, actor="ada").refused == (one.id,)


def test_a_doubt_that_is_resent_goes_out_once_more(doubtful: App, at: Callable[..., App], mailbox: Mailbox) -> None:
    ids = [one.id for one in held(doubtful)]
    settling.settle(doubtful, ids, Word.RESEND, actor="ada")
    assert "settled by ada" in (message(doubtful, ids[0]).rule or "")
    drain(at())
    assert mailbox.count == 2
    assert {message(doubtful, one).state for one in ids} == {MessageState.SENT}


def test_a_doubt_that_is_resent_has_its_deadline_still(doubtful: App, clock: MovableClock) -> None:
    expires_at = clock.now() + timedelta(hours=1)
    with doubtful.store.begin() as connection:
        connection.execute(sa.update(tables.notifications).values(expires_at=expires_at))
    [one, _] = held(doubtful)
    settling.settle(doubtful, [one.id], Word.RESEND, actor="ada")
    clock.move(timedelta(hours=2))
    sweep(doubtful)
    assert (message(doubtful, one.id).state, message(doubtful, one.id).reason) == (MessageState.DEAD, "expired")


def test_a_mail_that_was_replayed_as_it_was_and_is_in_doubt_is_resent_as_it_was(
    at: Callable[..., App], hangup: int, mailbox: Mailbox, templates: Path, tmp_path: Path
) -> None:
    with Moody(tmp_path / "moody", data=["554 5.7.1 spam"]) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app, kind="otp", data={"word": "before"})
        drain(app)
    make_kind(templates, "otp", toml='on_doubt = "hold"', subject="changed")
    app = at(f"smtp://127.0.0.1:{hangup}?connections=1")
    *_, done = replay.work(app, replay.begin(app, EVERYTHING, Terms(as_was=True), actor="ada"))
    assert done.replayed == 1
    drain(app)
    [one] = held(app)
    settling.settle(app, [one.id], Word.RESEND, actor="ada")
    drain(at())
    assert [mail["subject"] for mail in all_in(mailbox.folder)] == ["before"]


def test_a_doubt_that_is_given_up_is_a_dead_letter_that_may_have_arrived(doubtful: App) -> None:
    [one, _] = held(doubtful)
    settling.settle(doubtful, [one.id], Word.DEAD, actor="ada")
    [letter] = dead_letters.every(doubtful.store, DEFAULT_ID, EVERYTHING)
    assert (letter.death.message_id, letter.death.error) == (one.id, ErrorClass.UNCERTAIN)
    assert replay.survey(doubtful, EVERYTHING, Terms()).passed_over == {"possibly_sent": 1}
    assert replay.survey(doubtful, EVERYTHING, Terms(possibly_sent=True)).replayed == 1


def test_a_doubt_whose_kind_is_gone_is_not_resent(doubtful: App, at: Callable[..., App], templates: Path) -> None:
    (templates / "otp" / "kind.toml").unlink()
    [one, _] = held(doubtful)
    with contextlib.closing(at()) as app:
        assert settling.settle(app, [one.id], Word.RESEND, actor="ada").refused == (one.id,)
        assert len(held(app)) == 2
