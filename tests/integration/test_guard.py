"""Too many bounces or complaints pause a mailout, and nothing else; an operator lets it go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

import notify
from notify import telemetry
from notify.alerts import look
from notify.app import App, using
from notify.errors import Unreachable
from notify.feedback import domains, guard
from notify.feedback.record import record
from notify.model import OF_ATTEMPT, BounceClass, Event, EventType, HoldScope, MessageState, Outcome
from notify.store import guarding, messages, tables, tenants
from notify.store.ageing import first_id
from notify.store.tenants import DEFAULT_ID
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind
from tests.unit.cli.running import install, notify_cli

SENT, LATER = 20, 5


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates, toml='transactional = true\nlane = "bulk"')
    make_kind(templates, "other", toml='transactional = true\nlane = "bulk"')
    for name in ("x", "y", "z"):
        make_kind(templates, name, toml='transactional = true\nlane = "bulk"')
    make_kind(templates, "code", toml='transactional = true\nlane = "critical"')


@pytest.fixture
def house(app: App, make_app: Callable[..., App]) -> Iterator[App]:
    """An App that judges by twenty messages, and whose clock is moved."""
    opened = make_app(app.settings, guard_least=SENT)
    opened = replace(opened, clock=MovableClock(app.clock.now()))
    with using(opened):
        yield opened


def mailout(app: App, kind: str = "hello") -> UUID:
    """A notification of which twenty messages are sent, and five wait for the evening."""
    people = [{"key": f"{kind}{n}", "email": f"{kind}{n}@d{n % 7}.example.org"} for n in range(SENT + LATER)]
    note = notify.send_many(kind, people)
    ids = ids_of(app, note.id)
    with app.store.begin() as connection:
        late = ids[SENT:]
        waiting = app.clock.now() + timedelta(hours=1)
        batch = connection.scalar(sa.select(tables.messages.c.batch_id).where(tables.messages.c.id == ids[0]))
        held = sa.update(tables.messages).where(tables.messages.c.id.in_(late))
        connection.execute(held.values(due_at=waiting))
        assert batch is not None
    drain(app)
    assert states(app, note.id) == {MessageState.SENT: SENT, MessageState.QUEUED: LATER}
    return note.id


def ids_of(app: App, notification: UUID) -> list[UUID]:
    with app.store.read() as connection:
        listed = messages.listing(connection, DEFAULT_ID, notification_id=notification, limit=100)
    return sorted(one.message.id for one in listed)


def states(app: App, notification: UUID) -> dict[MessageState, int]:
    with app.store.read() as connection:
        listed = messages.listing(connection, DEFAULT_ID, notification_id=notification, limit=100)
    counted: dict[MessageState, int] = {}
    for one in listed:
        counted[one.message.state] = counted.get(one.message.state, 0) + 1
    return counted


def comes_back(app: App, ids: Sequence[UUID], bounce: BounceClass | None = BounceClass.HARD) -> None:
    what = EventType.BOUNCED if bounce else EventType.COMPLAINED
    record(app, DEFAULT_ID, [Event(what, app.clock.now(), "ses", str(uuid4()), one, bounce=bounce) for one in ids])


def evening(app: App) -> None:
    assert isinstance(app.clock, MovableClock)
    app.clock.move(timedelta(hours=2))
    drain(app)


@pytest.mark.parametrize("bounce", [BounceClass.HARD, BounceClass.BLOCK, None])
def test_a_mailout_above_the_bound_waits_until_it_is_resumed(house: App, bounce: BounceClass | None) -> None:
    note = mailout(house)
    comes_back(house, ids_of(house, note)[:3], bounce)
    assert guard.watch(house) > 0
    evening(house)
    assert states(house, note)[MessageState.QUEUED] == LATER
    waiting = ids_of(house, note)[-1]
    assert notify.explain(waiting).message.reason == "mailout_paused"
    [name] = {one.provider for one in guard.in_force(house)}
    guard.resume(house, actor="eve", provider=name)
    drain(house)
    assert MessageState.QUEUED not in states(house, note)
    assert guard.in_force(house) == []


@pytest.mark.parametrize(
    ("count", "bounce"),
    [
        (2, None),
        (1, BounceClass.HARD),
        *((9, one) for one in (BounceClass.SOFT, BounceClass.CONTENT, BounceClass.OTHER)),
    ],
)
def test_a_few_complaints_and_full_mailboxes_pause_nothing(house: App, count: int, bounce: BounceClass | None) -> None:
    note = mailout(house)
    comes_back(house, ids_of(house, note)[:count], bounce)
    assert guard.watch(house) == 0
    evening(house)
    assert MessageState.QUEUED not in states(house, note)


def test_a_few_messages_are_not_judged(app: App, make_app: Callable[..., App]) -> None:
    cautious = replace(make_app(app.settings, guard_least=SENT + 1), clock=MovableClock(app.clock.now()))
    with using(cautious):
        comes_back(cautious, ids_of(cautious, mailout(cautious))[:10])
        assert guard.watch(cautious) == 0


def test_one_bounce_told_often_is_one(house: App) -> None:
    note = mailout(house)
    comes_back(house, ids_of(house, note)[:1] * 5)
    assert guard.watch(house) == 0


def test_another_mailout_and_critical_lanes_go_on(house: App) -> None:
    note, other = mailout(house), mailout(house, "other")
    comes_back(house, ids_of(house, note)[:4])
    guard.watch(house)
    held = {one.scope for one in guard.in_force(house)}
    assert {HoldScope.MAILOUT, HoldScope.PROVIDER, HoldScope.TENANT} <= held
    code = notify.send("code", {"key": "eve", "email": "eve@example.org"})
    evening(house)
    assert MessageState.QUEUED in states(house, note)
    assert states(house, other) == {MessageState.SENT: SENT + LATER}
    assert states(house, code.id) == {MessageState.SENT: 1}


def test_a_critical_notification_is_not_held_even_when_it_is_paused(house: App) -> None:
    code = notify.send("code", {"key": "eve", "email": "eve@example.org"})
    with house.store.begin() as connection:
        connection.execute(sa.update(tables.notifications).values(paused="7 of 20 bounced"))
    drain(house)
    assert states(house, code.id) == {MessageState.SENT: 1}


def test_what_bounced_before_it_was_resumed_counts_no_more(house: App) -> None:
    note = mailout(house)
    comes_back(house, ids_of(house, note)[:3])
    guard.watch(house)
    assert guard.watch(house) == 0, "what is held is held once"
    for one in guard.in_force(house):
        guard.resume(house, actor="eve", hold_id=one.id)
    assert isinstance(house.clock, MovableClock)
    house.clock.move(timedelta(seconds=1))
    assert guard.watch(house) == 0


def test_an_alert_fires_and_the_audit_tells(house: App) -> None:
    note = mailout(house)
    comes_back(house, ids_of(house, note)[:3])
    guard.watch(house)
    look(house)
    with house.store.read() as connection:
        names = set(connection.scalars(sa.select(tables.alerts.c.name)))
        actions = set(connection.scalars(sa.select(tables.audit.c.action)))
    assert f"guard:mailout:{note}" in names
    assert "guard.hold" in actions


def test_an_alert_fires_once_and_is_over_when_an_operator_lets_it_go_on(house: App) -> None:
    note = mailout(house)
    comes_back(house, ids_of(house, note)[:3])
    guard.watch(house)
    assert isinstance(house.clock, MovableClock)
    for _ in range(3):
        look(house)
        house.clock.move(timedelta(seconds=10))
    named = f"guard:mailout:{note}"
    assert alerts_of(house, named) == [False]
    for one in guard.in_force(house):
        guard.resume(house, actor="eve", hold_id=one.id)
    house.clock.move(timedelta(minutes=2))
    look(house)
    assert alerts_of(house, named) in ([], [True])
    with house.store.read() as connection:
        rows = connection.execute(sa.select(tables.audit.c.action, tables.audit.c.actor))
        done = {(action, actor) for action, actor in rows if action.startswith("guard.")}
    assert done == {("guard.hold", "guard"), ("guard.resume", "eve")}


def alerts_of(app: App, name: str) -> list[bool]:
    """Of the alerts of this name, whether each is over."""
    of = tables.alerts.c
    with app.store.read() as connection:
        return [over is not None for over in connection.scalars(sa.select(of.cleared_at).where(of.name == name))]


def test_complaints_of_what_was_sent_days_ago_count(house: App) -> None:
    note = mailout(house)
    later(house, timedelta(days=2))
    comes_back(house, ids_of(house, note)[:5], None)
    guard.watch(house)
    held = {one.scope: (one.bad, one.sent) for one in guard.in_force(house)}
    assert held[HoldScope.MAILOUT] == held[HoldScope.TENANT] == (5, SENT)


def test_what_is_sudden_is_not_hidden_by_what_was_sent_in_a_week(house: App) -> None:
    for name in ("x", "y", "z"):
        mailout(house, name)
    later(house, timedelta(days=3))
    comes_back(house, ids_of(house, mailout(house))[:3])
    guard.watch(house)
    held = {one.scope: (one.bad, one.sent) for one in guard.in_force(house)}
    assert held[HoldScope.TENANT] == (3, SENT + 3 * LATER), "of a week it would be 3 of 95"


def test_what_was_sent_more_than_a_week_ago_counts_no_more(house: App) -> None:
    note = mailout(house)
    later(house, timedelta(days=7, seconds=1))
    comes_back(house, ids_of(house, note)[:5])
    assert guard.watch(house) == 0


def test_what_was_planned_long_ago_is_counted_with_its_mailout_alone(house: App) -> None:
    later(house, timedelta(days=20))
    planned, fresh = mailout(house), mailout(house, "other")
    with house.store.begin() as connection:
        of = tables.messages.c
        for number, id_ in enumerate(ids_of(house, fresh)):
            new = UUID(int=first_id(house.clock.now()).int + number)
            connection.execute(sa.update(tables.messages).where(of.id == id_).values(id=new))
    comes_back(house, ids_of(house, planned)[:3])
    guard.watch(house)
    assert [(one.scope, one.bad, one.sent) for one in guard.in_force(house)] == [(HoldScope.MAILOUT, 3, SENT)]


def test_addresses_that_are_refused_as_dead_count_though_nothing_was_sent(house: App) -> None:
    note = mailout(house)
    refused = ids_of(house, note)[:6]
    [name] = {one.provider for one in attempts_of(house)}
    with house.store.begin() as connection:
        those = tables.messages.c.id.in_(refused)
        connection.execute(sa.update(tables.messages).where(those).values(state=MessageState.DEAD, sent_at=None))
        tried = sa.update(tables.attempts).where(tables.attempts.c.message_id.in_(refused))
        connection.execute(tried.values(outcome=Outcome.REJECTED))
    later(house, timedelta(hours=30))
    comes_back(house, refused)
    guard.watch(house)
    held = {one.scope: one for one in guard.in_force(house)}
    assert {(one.bad, one.sent) for one in held.values()} == {(6, SENT)}
    assert set(held) == {HoldScope.MAILOUT, HoldScope.TENANT, HoldScope.PROVIDER}
    assert held[HoldScope.PROVIDER].subject == name


def attempts_of(app: App) -> Sequence[sa.Row[tuple[str]]]:
    with app.store.read() as connection:
        return connection.execute(sa.select(tables.attempts.c.provider)).all()


def later(app: App, by: timedelta) -> None:
    assert isinstance(app.clock, MovableClock)
    app.clock.move(by)


def test_a_mailout_that_has_ended_is_not_paused(house: App) -> None:
    note = mailout(house)
    evening(house)
    comes_back(house, ids_of(house, note)[:5])
    guard.watch(house)
    assert HoldScope.MAILOUT not in {one.scope for one in guard.in_force(house)}


def test_a_small_tenant_goes_on_beside_a_large_one_that_is_held(house: App) -> None:
    with house.store.begin() as connection:
        tenants.add(connection, "small", house.clock.now())
    note = mailout(house)
    people = [{"key": f"s{n}", "email": f"s{n}@d{n % 7}.example.org"} for n in range(3)]
    theirs = notify.send_many("other", people, tenant="small", at=house.clock.now() + timedelta(hours=1))
    comes_back(house, ids_of(house, note)[:5])
    guard.watch(house)
    assert {HoldScope.TENANT, HoldScope.PROVIDER, HoldScope.MAILOUT} <= {one.scope for one in guard.in_force(house)}
    evening(house)
    assert states(house, note)[MessageState.QUEUED] == LATER
    with house.store.read() as connection:
        chosen = sa.select(tables.messages.c.state).where(tables.messages.c.notification_id == theirs.id)
        assert set(connection.scalars(chosen)) == {MessageState.SENT}


def test_what_a_resumed_mailout_sends_is_judged_anew(house: App) -> None:
    note = mailout(house)
    comes_back(house, ids_of(house, note)[:3])
    guard.watch(house)
    [name] = {one.provider for one in guard.in_force(house)}
    guard.resume(house, actor="eve", provider=name)
    assert isinstance(house.clock, MovableClock)
    house.clock.move(timedelta(minutes=1))
    again = mailout(house, "other")
    comes_back(house, ids_of(house, again)[:3])
    assert guard.watch(house) > 0
    held = {one.subject for one in guard.in_force(house) if one.scope is HoldScope.MAILOUT}
    assert held == {str(again)}


def test_holds_on_a_provider_that_is_no_longer_used_are_ended_by_its_name(
    house: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    comes_back(house, ids_of(house, mailout(house))[:3])
    guard.watch(house)
    [name] = {one.provider for one in guard.in_force(house)}
    other = "smtp://127.0.0.1:2?name=other"
    urls = {"database_url": house.settings.database, "redis_url": house.settings.redis, "email_providers": other}
    install(monkeypatch, tmp_path, **urls)
    ran = notify_cli("providers", "resume", str(name))
    assert (ran.code, guard.in_force(house)) == (0, [])
    assert "The guard holds mailout" in ran.out
    again = notify_cli("providers", "resume", str(name))
    assert again.code != 0
    assert str(name) in again.err


def test_the_command_line_lists_what_is_held_and_lets_it_go_on(
    house: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    comes_back(house, ids_of(house, mailout(house))[:3])
    guard.watch(house)
    [provider] = [url.get_secret_value() for url in house.settings.email_providers]
    urls = {"database_url": house.settings.database, "redis_url": house.settings.redis, "email_providers": provider}
    install(monkeypatch, tmp_path, **urls)
    held = notify_cli("guard", "list", "--json").json
    assert {one["scope"] for one in held} >= {"mailout", "provider"}
    assert "mailout" in notify_cli("guard", "list").out
    assert notify_cli("guard", "resume", held[0]["id"]).code == 0
    assert "no longer" in notify_cli("providers", "resume", held[0]["provider"]).out
    assert notify_cli("guard", "list", "--json").json == []
    assert notify_cli("guard", "resume", held[0]["id"]).code != 0


def refused(app: App, ids: Sequence[UUID], bounce: BounceClass = BounceClass.BLOCK) -> None:
    """These were refused at the hand-over, and are dead of it: nothing was sent."""
    of = tables.messages.c
    with app.store.begin() as connection:
        dead = sa.update(tables.messages).where(of.id.in_(ids))
        connection.execute(dead.values(state=MessageState.DEAD, sent_at=None))
    now = app.clock.now()
    told = [Event(EventType.BOUNCED, now, "ses", f"{OF_ATTEMPT}{one}", one, bounce=bounce) for one in ids]
    record(app, DEFAULT_ID, told)


def test_a_provider_that_blocks_at_the_hand_over_pauses_the_mailout(house: App) -> None:
    note = mailout(house)
    refused(house, ids_of(house, note)[:6])
    assert guard.watch(house) > 0
    held = {one.scope: (one.bad, one.sent) for one in guard.in_force(house)}
    assert held[HoldScope.MAILOUT] == held[HoldScope.TENANT] == (6, SENT)
    evening(house)
    assert states(house, note)[MessageState.QUEUED] == LATER
    with house.store.read() as connection:
        assert connection.execute(sa.select(tables.suppressions)).all() == []


def test_what_was_refused_and_went_out_after_all_counts_as_sent_and_no_more(house: App) -> None:
    note = mailout(house)
    ids = ids_of(house, note)
    refused(house, ids[:6])
    with house.store.begin() as connection:  # replayed
        again = sa.update(tables.messages).where(tables.messages.c.id.in_(ids[:4]))
        connection.execute(again.values(state=MessageState.SENT, sent_at=house.clock.now()))
    assert guard.watch(house) == 0
    comes_back(house, ids[:1])
    assert guard.watch(house) > 0, "what bounces after that counts, with the two that were refused"
    assert {(one.bad, one.sent) for one in guard.in_force(house) if one.scope is HoldScope.MAILOUT} == {(3, SENT)}


def test_domains_are_counted_together_each_as_if_it_were_alone_until_it_has_enough(
    house: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, of = mailout(house), tables.messages
    with house.store.begin() as connection:
        people = ids_of(house, note)[:SENT]
        odd = ("x@D0.example.org", '"a@b"@d1.example.org', "x@sub.d1.example.org", "x@xd1.example.org", None)
        for id_, address in zip(people, odd, strict=False):
            connection.execute(sa.update(of).where(of.c.id == id_).values(address=address))
    since = house.clock.now() - timedelta(days=1)
    names = [f"d{number}.example.org" for number in range(7)]
    monkeypatch.setattr(domains, "AT_ONCE", 2)
    together, first = domains.sent_to(house.store, dict.fromkeys([*names, "nobody.example"], 100), since)
    alone = {name: domains.sent_to(house.store, {name: 100}, since)[0][name] for name in together}
    assert together == alone == {"nobody.example": 0} | dict(zip(names, (3, 3, 2, 2, 2, 3, 2), strict=True))
    assert first == first_id(since - guarding.AHEAD)
    monkeypatch.setattr(domains, "AT_ONCE", 1)
    few, first = domains.sent_to(house.store, dict.fromkeys(names, 1), since)
    assert few == dict.fromkeys(names, 1)
    assert first in people, "where each has enough nobody looks on"


def test_of_very_many_messages_domains_are_judged_by_the_latest(house: App, monkeypatch: pytest.MonkeyPatch) -> None:
    note, of = mailout(house), tables.messages.c
    ids = ids_of(house, note)
    with house.store.begin() as connection:
        for number, id_ in enumerate(ids):
            to = "many" if number < SENT + LATER - 5 else "few"
            connection.execute(sa.update(tables.messages).where(of.id == id_).values(address=f"{number}@{to}.org"))
        connection.execute(sa.update(tables.messages).values(sent_at=house.clock.now(), state=MessageState.SENT))
    monkeypatch.setattr(domains, "AT_ONCE", 3)
    monkeypatch.setattr(domains, "SLICES", 2)
    judging = replace(house, settings=house.settings.model_copy(update={"guard_least": 3}))
    comes_back(house, [*ids[:4], *ids[-5:-2]])
    assert guard.watch(judging) > 0
    held = {one.subject: (one.bad, one.sent) for one in guard.in_force(house) if one.scope is HoldScope.DOMAIN}
    assert held == {"few.org": (3, 5)}, "what bounced of many.org was planned before"


def test_where_domains_cannot_be_counted_the_others_are_held_and_the_failure_is_told(
    house: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: Any) -> tuple[dict[str, int], UUID]:
        raise Unreachable("The database gave a statement up")

    told: list[tuple[str, object]] = []
    monkeypatch.setattr(domains, "sent_to", cut)
    monkeypatch.setattr(guard, "emit", lambda event, **facts: told.append((event, facts.get("scope"))))
    note = mailout(house)
    with house.store.begin() as connection:
        connection.execute(sa.update(tables.messages).values(address="x@one.org"))
    comes_back(house, ids_of(house, note)[:3])
    assert guard.watch(house) == 3
    assert {one.scope for one in guard.in_force(house)} == set(HoldScope) - {HoldScope.DOMAIN}
    assert told[0] == ("guard.failed", HoldScope.DOMAIN)
    assert {event for event, _ in told} <= telemetry.EVENTS.keys()


def test_a_mailout_that_ended_while_the_rates_were_taken_is_not_held(
    house: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, waits = mailout(house), guarding.waits

    def ends(connection: sa.Connection, notification_id: UUID) -> bool:
        monkeypatch.setattr(guarding, "waits", waits)
        writer = threading.Thread(target=evening, args=(house,))
        writer.start()
        writer.join(30)
        return True

    monkeypatch.setattr(guarding, "waits", ends)
    comes_back(house, ids_of(house, note)[:3])
    assert guard.watch(house) > 0
    assert HoldScope.MAILOUT not in {one.scope for one in guard.in_force(house)}
    assert MessageState.QUEUED not in states(house, note)


def test_a_domain_to_which_mails_went_that_were_planned_days_before_is_judged_by_them_too(house: App) -> None:
    note = mailout(house)
    with house.store.begin() as connection:
        of = tables.messages.c
        for number, id_ in enumerate(ids_of(house, note)):
            new = UUID(int=first_id(house.clock.now() - timedelta(days=3)).int + number)
            connection.execute(sa.update(tables.messages).where(of.id == id_).values(id=new, address=f"{number}@z.org"))
    comes_back(house, ids_of(house, note)[:3])
    guard.watch(house)
    assert {(one.bad, one.sent) for one in guard.in_force(house) if one.scope is HoldScope.DOMAIN} == {(3, SENT)}


def test_a_look_holds_up_no_writer(house: App, monkeypatch: pytest.MonkeyPatch) -> None:
    note = mailout(house)
    comes_back(house, ids_of(house, note)[:3])
    sent, wrote = guarding.sent, threading.Event()

    def write() -> None:
        with house.store.begin() as connection:
            connection.execute(sa.update(tables.notifications).values(correlation_id="x"))
        wrote.set()

    def counting(*given: Any) -> int:
        writer = threading.Thread(target=write)
        writer.start()
        assert wrote.wait(10)
        writer.join(10)
        return sent(*given)

    monkeypatch.setattr(guarding, "sent", counting)
    assert guard.watch(house) > 0
