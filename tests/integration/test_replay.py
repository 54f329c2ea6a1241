"""Dead letters: written when a message dies, read as causes, and sent after all, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from uuid_utils.compat import uuid7

import notify
from notify.app import App, using
from notify.delivery import replay, sweep
from notify.delivery.replay import Terms
from notify.dev.mailbox import Mailbox
from notify.errors import NotFound
from notify.model import (
    Attempt,
    Batch,
    DeadLetter,
    ErrorClass,
    Filter,
    Message,
    MessageState,
    Outcome,
    Replay,
    ReplayState,
)
from notify.store import attempts as attempt_rows
from notify.store import dead_letters, kept_mails, messages, tables, tallies, tenants, window
from notify.store.tenants import DEFAULT_ID
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind
from tests.mails import all_in
from tests.providers import Moody

BROKEN = "<html lang='en'><head><title>x</title></head><body>{{ word.nothing.at.all }}</body></html>"
EVERYTHING = Filter()


@pytest.fixture(autouse=True)
def _hello(templates: Path) -> None:
    make_kind(templates)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def at(app: App, clock: MovableClock, make_app: Callable[..., App]) -> Callable[..., App]:
    """Opens the App anew, with templates as they are now, another provider, and a clock that stands still."""

    def make(provider: str | None = None, **changes: object) -> App:
        if provider:
            changes["email_providers"] = (SecretStr(provider),)
        return replace(make_app(app.settings, **changes), clock=clock, publish=lambda _batches: None)

    return make


def people(count: int) -> list[dict[str, str]]:
    return [{"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(count)]


def send(app: App, count: int = 1, kind: str = "hello", **options: object) -> notify.Notification:
    with using(app):
        return notify.send_many(kind, people(count), **options)  # type: ignore[arg-type]


def states(app: App) -> dict[str, int]:
    with app.store.read() as connection:
        counted: Counter[str] = Counter()
        for state, _, count in tallies.tally(connection):
            counted[state.value] += count
    return dict(counted)


def letters(app: App, wanted: Filter = EVERYTHING) -> list[DeadLetter]:
    return list(dead_letters.every(app.store, DEFAULT_ID, wanted))


def message(app: App, message_id: UUID) -> Message:
    with app.store.read() as connection:
        found = messages.find(connection, message_id)
    assert found is not None
    return found


def attempts(app: App, message_id: UUID) -> list[Attempt]:
    with app.store.read() as connection:
        return attempt_rows.of_message(connection, message_id)


def replayed(app: App, wanted: Filter = EVERYTHING, terms: Terms = Terms()) -> Replay:  # noqa: B008 - frozen
    job = replay.begin(app, wanted, terms, actor="test")
    *_, last = replay.work(app, job)
    return last


def test_a_refused_message_leaves_a_dead_letter_that_says_why(at: Callable[..., App], tmp_path: Path) -> None:
    with Moody(tmp_path / "moody", rcpt={"u1@example.org": "550 5.1.1 no such user u1@example.org"}) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app, 3)
        drain(app)
    [letter] = letters(app)
    death = letter.death
    assert (death.error, death.reason, death.kind, death.channel) == (
        ErrorClass.REJECTED,
        "mailbox_unknown",
        "hello",
        "email",
    )
    assert "no such user" in (death.detail or "")
    assert (letter.recipient, letter.address, letter.kept) == ("u1", "u1@example.org", True)


def test_equal_failures_read_as_one_line(at: Callable[..., App], tmp_path: Path) -> None:
    refusals = {f"u{n}@example.org": f"550 5.1.1 <u{n}@example.org> unknown, id 4Xy{n}Z" for n in range(20)}
    refusals["u3@example.org"] = "552 5.2.2 mailbox full"
    with Moody(tmp_path / "moody", rcpt=refusals) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app, 20)
        drain(app)
    with app.store.read() as connection:
        many, one = dead_letters.groups(connection, DEFAULT_ID, EVERYTHING, limit=10)
    assert (many.count, one.count) == (19, 1)
    assert (many.example.death.reason, one.example.death.reason) == ("mailbox_unknown", "mailbox_full")
    assert many.provider is not None
    assert many.provider.startswith("smtp:127.0.0.1:")  # which of them, not only what it is
    assert many.providers == 1
    assert len(letters(app, Filter(fingerprint=many.example.fingerprint))) == 19


def test_a_mended_template_reaches_everybody_once(
    app: App, at: Callable[..., App], mailbox: Mailbox, templates: Path
) -> None:
    make_kind(templates, html=BROKEN)
    before = at(batch_size=4)
    send(before, 10)
    drain(before)
    assert states(before) == {"dead": 10}
    make_kind(templates)
    mended = at(batch_size=4)
    job = replayed(mended)
    assert (job.state, job.total, job.replayed, job.passed_over) == (ReplayState.DONE, 10, 10, {})
    assert states(mended) == {"queued": 10}
    assert letters(mended) == []
    drain(mended)
    assert states(mended) == {"sent": 10}
    assert sorted(mail["to"] for mail in all_in(mailbox.folder)) == sorted(f"u{n}@example.org" for n in range(10))
    with pytest.raises(NotFound):
        replay.begin(mended, EVERYTHING, Terms(), actor="test")


def test_no_more_bells_ring_for_a_replay_than_the_window_of_its_tenant_holds(
    at: Callable[..., App], mailbox: Mailbox, templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_kind(templates, html=BROKEN)
    app = at()
    send(app, 100)
    drain(app)
    make_kind(templates)
    monkeypatch.setattr(window, "WINDOW", 60)
    rung: list[Batch] = []
    mended = replace(at(batch_size=5), publish=rung.extend)
    assert replayed(mended).replayed == 100
    assert 1 < len(rung) < 20
    drain(mended)
    assert (states(mended), mailbox.count) == ({"sent": 100}, 100)


def test_what_was_replayed_and_waits_still_dies_at_its_deadline(
    at: Callable[..., App], clock: MovableClock, templates: Path
) -> None:
    make_kind(templates, html=BROKEN)
    app = at()
    send(app, expires=timedelta(hours=1))
    drain(app)
    assert replayed(app).replayed == 1
    clock.move(timedelta(hours=2))
    sweep(app)
    assert states(app) == {"dead": 1}


def test_attempts_go_on_counting_and_those_before_the_replay_are_forgiven(
    at: Callable[..., App], clock: MovableClock, tmp_path: Path
) -> None:
    with Moody(tmp_path / "moody", data=["451 4.3.0 later"] * 3) as server:
        app = at(f"smtp://127.0.0.1:{server.port}", retry_attempts=2)
        send(app)
        for _ in range(2):
            drain(app)
            clock.move(timedelta(hours=1))
        [letter] = letters(app)
        assert letter.death.error is ErrorClass.TRANSIENT
        assert letter.death.message_id is not None
        replayed(app)
        drain(app)
        waiting = message(app, letter.death.message_id)
        assert (waiting.state, waiting.rule) == (MessageState.QUEUED, "Transient, attempt 1 of 2")
        clock.move(timedelta(hours=1))
        drain(app)
        assert [one.number for one in attempts(app, waiting.id)] == [1, 2, 3, 4]
        assert message(app, waiting.id).state is MessageState.SENT
        assert server.count == 1


def test_as_was_sends_the_very_octets_that_were_refused(
    at: Callable[..., App], mailbox: Mailbox, templates: Path, tmp_path: Path
) -> None:
    with Moody(tmp_path / "moody", data=["554 5.7.1 spam"] * 3) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app, 3, data={"word": "before"})
        drain(app)
    make_kind(templates, subject="changed", html="<html lang='en'><body>changed</body></html>")
    again = at()
    kept = []
    with again.store.read() as connection:
        for letter in letters(again):
            assert letter.death.message_id is not None
            mail = kept_mails.find(connection, letter.death.message_id)
            assert mail is not None
            kept.append(mail.content)
    assert replayed(again, terms=Terms(as_was=True)).replayed == 3
    drain(again)
    assert states(again) == {"sent": 3}
    arrived = [mail["subject"] for mail in all_in(mailbox.folder)]
    assert arrived == ["before"] * 3
    assert all(b"before" in content for content in kept)
    with again.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.kept_mails)) == 0


def test_as_was_passes_over_what_was_never_rendered(at: Callable[..., App], templates: Path) -> None:
    make_kind(templates, html=BROKEN)
    app = at()
    send(app, 2)
    drain(app)
    job = replayed(app, terms=Terms(as_was=True))
    assert (job.replayed, job.passed_over) == (0, {"no_kept_mail": 2})
    assert len(letters(app)) == 2


def test_what_may_have_been_accepted_goes_only_when_it_is_asked_for(at: Callable[..., App], templates: Path) -> None:
    make_kind(templates, html=BROKEN)
    app = at()
    send(app, 2)
    drain(app)
    first, _ = letters(app)
    assert first.death.message_id is not None
    doubt = Attempt(uuid7(), DEFAULT_ID, first.death.message_id, 1, 1, Outcome.UNCERTAIN, app.clock.now())
    with app.store.begin() as connection:
        attempt_rows.record(connection, [doubt])
    planned = replay.survey(app, EVERYTHING, Terms())
    assert (planned.replayed, planned.passed_over) == (1, {"possibly_sent": 1})
    assert len(letters(app)) == 2  # a survey changes nothing
    assert replayed(app).passed_over == {"possibly_sent": 1}
    assert [letter.id for letter in letters(app)] == [first.id]
    assert replayed(app, terms=Terms(possibly_sent=True)).replayed == 1


def test_a_message_whose_deadline_is_over_is_passed_over(
    at: Callable[..., App], clock: MovableClock, templates: Path
) -> None:
    make_kind(templates, html=BROKEN)
    app = at()
    sent = send(app)
    drain(app)
    with app.store.begin() as connection:
        over = {"expires_at": clock.now() + timedelta(minutes=5)}
        connection.execute(sa.update(tables.notifications).where(tables.notifications.c.id == sent.id).values(over))
    clock.move(timedelta(minutes=5))
    assert replayed(app).passed_over == {"expired": 1}
    assert states(app) == {"dead": 1}


def test_a_kind_that_is_gone_is_passed_over(at: Callable[..., App], templates: Path) -> None:
    make_kind(templates, "gone", html=BROKEN)
    app = at()
    send(app, kind="gone")
    drain(app)
    (templates / "gone" / "kind.toml").write_text("")
    assert replayed(at()).passed_over == {"kind_unusable": 1}


def test_what_dies_again_is_not_replayed_for_ever(at: Callable[..., App], templates: Path) -> None:
    make_kind(templates, html=BROKEN)
    app = at(batch_size=1)
    send(app, 3)
    drain(app)
    job = replay.begin(app, EVERYTHING, Terms(), actor="test")
    progress = []
    for so_far in replay.work(app, job):
        drain(app)  # each dies at once, while the replay is still under way
        progress.append(so_far)
    assert progress[-1].replayed == 3
    assert len(letters(app)) == 3


@pytest.fixture
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "SLICE", {"sqlite": 2, "postgresql": 2})


@pytest.mark.usefixtures("_small_slices")
def test_a_replay_can_be_cancelled_between_slices(at: Callable[..., App], templates: Path) -> None:
    make_kind(templates, html=BROKEN)
    app = at()
    send(app, 5)
    drain(app)
    job = replay.begin(app, EVERYTHING, Terms(), actor="test")
    first = next(replay.work(app, job))
    assert (first.replayed, first.state) == (2, ReplayState.RUNNING)
    assert replay.cancel(app, job.id, actor="test").state is ReplayState.CANCELLED
    assert replay.run(app) == 0
    assert states(app) == {"queued": 2, "dead": 3}
    assert replay.cancel(app, job.id, actor="test").replayed == 2  # once more does no harm


@pytest.mark.usefixtures("_small_slices")
def test_a_tick_goes_on_where_the_command_was_left(at: Callable[..., App], templates: Path) -> None:
    make_kind(templates, html=BROKEN)
    app = at()
    send(app, 5)
    drain(app)
    job = replay.begin(app, EVERYTHING, Terms(), actor="test")
    next(replay.work(app, job))
    assert replay.run(app) == 2
    *_, done = replay.work(app, job)
    assert (done.state, done.replayed) == (ReplayState.DONE, 5)


@pytest.mark.usefixtures("_small_slices")
def test_two_replays_of_the_same_letters_send_each_once(at: Callable[..., App], templates: Path) -> None:
    make_kind(templates, html=BROKEN)
    app = at()
    send(app, 5)
    drain(app)
    one, two = (replay.begin(app, EVERYTHING, Terms(), actor="test") for _ in range(2))
    steps = zip(replay.work(app, one), replay.work(app, two), strict=False)
    for _ in steps:
        pass
    replay.run(app)
    assert states(app) == {"queued": 5}
    with app.store.read() as connection:
        total = connection.scalar(sa.select(sa.func.sum(tables.replays.c.replayed)))
        sizes = connection.scalar(
            sa.select(sa.func.sum(tables.batches.c.size)).where(tables.batches.c.state == "ready")
        )
    assert (total, sizes) == (5, 5)


def test_a_filter_chooses_by_everything_that_is_given(at: Callable[..., App], templates: Path) -> None:
    make_kind(templates, html=BROKEN)
    make_kind(templates, "other", html=BROKEN)
    app = at()
    first = send(app, 2)
    send(app, 3, kind="other")
    drain(app)
    now = app.clock.now()
    counts = {
        3: Filter(kind="other"),
        2: Filter(notification_id=first.id),
        5: Filter(error=ErrorClass.UNRENDERABLE, since=now, until=now + timedelta(seconds=1)),
        0: Filter(kind="other", notification_id=first.id),
    }
    for count, wanted in counts.items():
        assert len(letters(app, wanted)) == count
        assert Filter.of_json(wanted.as_json()) == wanted
    chosen = letters(app, Filter(kind="other"))[0]
    assert chosen.death.message_id is not None
    assert [one.id for one in letters(app, Filter(ids=(chosen.death.message_id,)))] == [chosen.id]


def test_what_is_discarded_stays_dead_and_its_mail_is_forgotten(at: Callable[..., App], tmp_path: Path) -> None:
    with Moody(tmp_path / "moody", data=["554 5.7.1 spam"] * 3) as server:
        app = at(f"smtp://127.0.0.1:{server.port}")
        send(app, 3)
        drain(app)
    assert replay.discard(app, Filter(ids=(letters(app)[0].id,)), actor="test") == 1
    assert replay.discard(app, EVERYTHING, actor="test") == 2
    assert states(app) == {"dead": 3}
    with app.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.kept_mails)) == 0
        actions = connection.execute(sa.select(tables.audit.c.actor, tables.audit.c.action)).all()
    assert [tuple(row) for row in actions] == [("test", "dead.discard")] * 2
    with pytest.raises(NotFound):
        replay.discard(app, EVERYTHING, actor="test")


def test_dead_letters_of_another_tenant_are_left_alone(at: Callable[..., App], templates: Path) -> None:
    make_kind(templates, html=BROKEN)
    app = at()
    with app.store.begin() as connection:
        tenants.add(connection, "acme", app.clock.now())
    send(app, 2, tenant="acme")
    drain(app)
    assert letters(app) == []
    with pytest.raises(NotFound):
        replay.begin(app, EVERYTHING, Terms(), actor="test")
    assert replay.begin(app, EVERYTHING, Terms(), actor="test", tenant="acme").total == 2
