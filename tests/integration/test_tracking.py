"""What is opened and clicked is counted once, people and machines apart; links are stored before their mails go out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

import notify
from notify.app import App, using
from notify.audience import erasure, retention
from notify.channels.email import tracking as addresses
from notify.delivery import Worker, deliver
from notify.dev.mailbox import Mailbox
from notify.errors import Unreachable
from notify.feedback import tracking
from notify.feedback.record import Recorded, record
from notify.feedback.targets import Targets
from notify.feedback.tracking import STREAM, Sighting
from notify.model import Event, EventType, MessageState
from notify.store import batches, messages, tracked_events, tracked_links
from notify.store.tables import attempts, conversions, events
from notify.store.tables import messages as messages_table
from notify.store.tables import tracked_links as links_table
from notify.store.tenants import DEFAULT_ID
from notify.store.tracked_events import Asked, Figures
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind

ROOT = "https://notify.example.org"
SHOP, NEWS = "https://shop.example/?a=1&b=2#top", "https://news.example/"
HTML = (
    '<html lang="en"><head><title>x</title></head><body><a href="https://shop.example/?a=1&amp;b=2#top">shop</a>'
    '<a href="https://news.example/">news</a><a href="mailto:ada@example.org">mail</a>'
    '<a href="https://own.example/{{ recipient.key }}">own</a>'
    '<a href="{{ unsubscribe_url }}">leave</a></body></html>'
)
TEXT = "shop: https://shop.example/?a=1&b=2#top"
TOML = "unsubscribe = true\ntransactional = true\ntracking = { opens = true, clicks = true }"
LATER = timedelta(minutes=5)


@pytest.fixture
def tracked(app: App, make_app: Callable[..., App], templates: Path) -> Iterator[App]:
    """An App with pages to link to, and a clock that is moved by hand."""
    make_kind(templates, "news", toml=TOML, html=HTML, text=TEXT)
    make_kind(templates, "plain", toml="unsubscribe = true\ntransactional = true", html=HTML, text=TEXT)
    make_kind(templates, "opens", toml="transactional = true\ntracking = { opens = true }", html=HTML, text=TEXT)
    opened = make_app(app.settings, public_url=ROOT)
    opened = replace(opened, clock=MovableClock(app.clock.now()))
    with using(opened):
        yield opened


def clock(app: App) -> MovableClock:
    assert isinstance(app.clock, MovableClock)
    return app.clock


def sent(app: App, kind: str = "news", key: str = "ada") -> UUID:
    """The id of a message that a provider took a while ago."""
    note = notify.send(kind, {"key": key, "email": f"{key}@example.org"})
    drain(app)
    with app.store.read() as connection:
        [found] = messages.listing(connection, DEFAULT_ID, notification_id=note.id)
    assert found.message.state is MessageState.SENT
    clock(app).move(LATER)
    return found.message.id


def caught(mailbox: Mailbox) -> list[EmailMessage]:
    files = sorted(mailbox.folder.rglob("*.eml"))
    return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]


def hrefs(mail: EmailMessage) -> list[str]:
    part = mail.get_body(("html",))
    assert part is not None
    return re.findall(r'href="([^"]*)"', part.get_content())


def link(app: App, url: str) -> UUID:
    return addresses.link_id(DEFAULT_ID, url)


def seen(
    app: App, message_id: UUID, url: str | None = None, *, at: datetime | None = None, machine: str | None = None
) -> Sighting:
    link_id = link(app, url) if url else None
    return Sighting(uuid4(), message_id, at or app.clock.now(), link_id, machine)


def recorded(app: App) -> list[tuple[str, bool]]:
    with app.store.read() as connection:
        rows = connection.execute(sa.select(events.c.type, events.c.bot).order_by(events.c.at, events.c.id))
        return [(type_, bool(bot)) for type_, bot in rows]


def stored(app: App) -> dict[str, UUID | None]:
    with app.store.read() as connection:
        return {row.url: row.recipient_id for row in connection.execute(sa.select(links_table))}


# mails


def test_the_links_of_a_tracked_mail_lead_through_us_and_those_of_its_text_do_not(
    tracked: App, mailbox: Mailbox
) -> None:
    message_id = sent(tracked)
    [mail] = caught(mailbox)
    shop, news, mailto, own, leave = hrefs(mail)
    secrets = tracked.settings.secrets
    for href, url in ((shop, SHOP), (news, NEWS), (own, "https://own.example/ada")):
        assert href.startswith(f"{ROOT}/c/")
        found = addresses.clicked(secrets, href.rpartition("/")[2])
        assert found == (message_id, link(tracked, url))
        assert Targets(tracked).find(found.link_id) == url
    assert mailto == "mailto:ada@example.org"
    assert leave.startswith(f"{ROOT}/unsubscribe?")
    text = mail.get_body(("plain",))
    assert text is not None
    assert SHOP in text.get_content()
    html = mail.get_body(("html",))
    assert html is not None
    assert html.get_content().count(f'<img src="{ROOT}/o/') == 1


def test_a_kind_that_does_not_ask_for_it_is_not_tracked(tracked: App, mailbox: Mailbox) -> None:
    sent(tracked, "plain")
    [mail] = caught(mailbox)
    assert hrefs(mail)[:2] == [SHOP.replace("&", "&amp;"), NEWS]
    assert "<img" not in mail.as_string()
    assert stored(tracked) == {}


def test_a_kind_that_counts_opens_alone_keeps_its_links(tracked: App, mailbox: Mailbox) -> None:
    sent(tracked, "opens")
    [mail] = caught(mailbox)
    assert hrefs(mail)[:2] == [SHOP.replace("&", "&amp;"), NEWS]
    assert f"{ROOT}/o/" in str(mail.get_body(("html",)))
    assert stored(tracked) == {}


def test_a_dry_run_is_not_tracked(tracked: App) -> None:
    notify.send("news", {"key": "ada", "email": "ada@example.org"}, mode="dry_run")
    drain(tracked)
    assert stored(tracked) == {}


def test_the_same_message_has_the_same_links_on_every_try(tracked: App) -> None:
    first = addresses.link(ROOT, "secret", uuid := uuid4(), link(tracked, SHOP))
    assert first == addresses.link(ROOT, "secret", uuid, link(tracked, SHOP))


def test_the_new_links_of_a_batch_are_stored_by_one_statement_and_known_ones_by_none(
    tracked: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    store = tracked_links.store

    def counted(connection: sa.Connection, targets: list[tracked_links.Target], now: datetime) -> object:
        calls.append(len(targets))
        return store(connection, targets, now)

    monkeypatch.setattr(tracked_links, "store", counted)
    notify.send_many("news", [{"key": f"r{n}", "email": f"r{n}@example.org"} for n in range(30)])
    drain(tracked)
    assert len(calls) == 1
    assert {url: owner is None for url, owner in stored(tracked).items() if "own" not in url} == {
        SHOP: True,
        NEWS: True,
    }
    assert sum(owner is not None for owner in stored(tracked).values()) == 30
    notify.send_many("news", [{"key": f"r{n}", "email": f"r{n}@example.org"} for n in range(30)])
    drain(tracked)
    assert len(calls) == 1


def test_no_mail_goes_out_whose_links_could_not_be_stored(
    tracked: App, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify.send("news", {"key": "ada", "email": "ada@example.org"})

    def away(*_: object) -> None:
        raise Unreachable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(tracked_links, "store", away)
        with tracked.store.read() as connection:
            [batch] = batches.due(connection, tracked.clock.now(), unclaimed_since=tracked.clock.now() + LATER, limit=5)
        deliver(tracked, batch.id, Worker("test"))
    assert caught(mailbox) == []
    drain(tracked)
    assert len(caught(mailbox)) == 1


def test_old_links_work_after_the_secret_has_changed(tracked: App, make_app: Callable[..., App]) -> None:
    message_id = uuid4()
    token = addresses.link(ROOT, "before", message_id, link(tracked, SHOP)).rpartition("/")[2]
    assert addresses.clicked(("now", "before"), token) == (message_id, link(tracked, SHOP))
    assert addresses.clicked(("now",), token) is None
    assert addresses.opened(("before",), token) is None


# draining


def test_what_was_seen_is_recorded_once_however_often_it_is_drained(tracked: App) -> None:
    message_id = sent(tracked)
    click = seen(tracked, message_id, SHOP)
    for _ in range(2):
        tracking.write(tracked, [seen(tracked, message_id), click] if not recorded(tracked) else [click])
        tracking.drain(tracked, 1)
    assert sorted(recorded(tracked)) == [("clicked", False), ("opened", False)]
    assert tracked.redis.xlen(STREAM) == 0
    with tracked.store.read() as connection:
        message = messages.find(connection, message_id)
    assert message is not None
    assert message.state is MessageState.DELIVERED


def test_what_cannot_be_recorded_stays_in_the_stream(tracked: App, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = sent(tracked)
    tracking.write(tracked, [seen(tracked, message_id)])

    def away(*_: object) -> None:
        raise Unreachable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(tracking, "record", away)
        with pytest.raises(Unreachable):
            tracking.drain(tracked, 1)
    assert tracked.redis.xlen(STREAM) == 1
    assert tracking.drain(tracked, 1) == 1
    assert recorded(tracked) == [("opened", False)]


def test_one_that_cannot_be_recorded_keeps_no_other_waiting_and_is_given_up_after_a_day(
    tracked: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = sent(tracked), sent(tracked)
    tracking.write(tracked, [seen(tracked, one) for one in (whole, broken, whole)])

    def fails(app: App, tenant_id: UUID, told: Sequence[Event]) -> Recorded:
        if any(one.message_id == broken for one in told):
            raise RuntimeError("a fault of our own")
        return record(app, tenant_id, told)

    with monkeypatch.context() as patch:
        patch.setattr(tracking, "record", fails)
        assert tracking.drain(tracked, 1) == 2
        assert tracking.drain(tracked, 1) == 0, "it stays"
    assert len(recorded(tracked)) == 2
    assert tracking.drain(tracked, 1) == 1, "the fault was mended"
    assert len(recorded(tracked)) == 3
    tracking.write(tracked, [seen(tracked, broken, at=tracked.clock.now() - tracking.FAILING)])
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "record", fails)
        assert tracking.drain(tracked, 1) == 1
    assert tracked.redis.xlen(STREAM) == 0


def test_whatever_else_is_in_the_stream_is_passed_over(tracked: App) -> None:
    message_id = sent(tracked)
    tracked.redis.xadd(STREAM, {"e": "x", "m": b"\xff"})
    tracking.write(tracked, [seen(tracked, message_id)])
    assert tracking.drain(tracked, 1) == 2
    assert recorded(tracked) == [("opened", False)]


def test_a_full_stream_takes_no_more_and_says_how_much(tracked: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "MOST", 3)
    assert tracking.write(tracked, [seen(tracked, uuid4()) for _ in range(5)]) == 2
    assert tracked.redis.xlen(STREAM) == 3


def test_what_is_seen_before_its_message_is_settled_waits_for_that(tracked: App) -> None:
    message_id = sent(tracked)
    move(tracked, message_id, MessageState.SENDING)
    tracking.write(tracked, [seen(tracked, message_id)])
    assert tracking.drain(tracked, 1) == 0
    clock(tracked).move(timedelta(seconds=61))
    assert tracking.drain(tracked, 1) == 1
    assert recorded(tracked) == [("opened", False)]


def move(app: App, message_id: UUID, state: MessageState) -> None:
    with app.store.begin() as connection:
        connection.execute(sa.update(messages_table).where(messages_table.c.id == message_id).values(state=state))


# machines


def test_whoever_opens_within_seconds_of_the_sending_is_a_machine(tracked: App) -> None:
    message_id = sent(tracked)
    with tracked.store.read() as connection:
        accepted = connection.scalar(sa.select(attempts.c.at))
    assert accepted is not None
    quick, slow = accepted + timedelta(seconds=4), accepted + timedelta(seconds=6)
    tracking.write(tracked, [seen(tracked, message_id, at=quick), seen(tracked, message_id, at=slow)])
    tracking.drain(tracked, 1)
    assert recorded(tracked) == [("opened", True), ("opened", False)]


@pytest.mark.parametrize("at_once", [True, False], ids=["in one drain", "in two"])
def test_two_links_at_once_are_a_scanners_the_first_one_too(tracked: App, at_once: bool) -> None:
    message_id, other = sent(tracked), sent(tracked, key="bob")
    now = tracked.clock.now()
    first = seen(tracked, message_id, SHOP, at=now)
    second = seen(tracked, message_id, NEWS, at=now + timedelta(seconds=1))
    late = seen(tracked, message_id, NEWS, at=now + timedelta(seconds=30))
    elses = seen(tracked, other, NEWS, at=now)
    for some in [[first, second, late, elses]] if at_once else [[first, elses], [second, late]]:
        tracking.write(tracked, some)
        tracking.drain(tracked, 1)
    with tracked.store.read() as connection:
        rows = connection.execute(sa.select(events.c.provider_event_id, events.c.bot))
        bots = {UUID(name): bool(bot) for name, bot in rows}
    assert bots == {first.id: True, second.id: True, late.id: False, elses.id: False}


def test_the_same_link_twice_is_a_double_click(tracked: App) -> None:
    message_id = sent(tracked)
    tracking.write(tracked, [seen(tracked, message_id, SHOP), seen(tracked, message_id, SHOP)])
    tracking.drain(tracked, 1)
    assert recorded(tracked) == [("clicked", False)] * 2


def test_who_asks_first_and_then_comes_is_a_scanner(tracked: App) -> None:
    message_id = sent(tracked)
    tracking.write(tracked, [seen(tracked, message_id, SHOP, machine="head"), seen(tracked, message_id, SHOP)])
    tracking.drain(tracked, 1)
    assert recorded(tracked) == [("clicked", True)] * 2


# figures


def test_figures_count_people_and_machines_apart_and_each_message_once(tracked: App) -> None:
    ada, bob = sent(tracked), sent(tracked, key="bob")
    sightings = [seen(tracked, ada), seen(tracked, ada), seen(tracked, bob, machine="agent")]
    sightings += [seen(tracked, ada, SHOP), seen(tracked, bob, NEWS), seen(tracked, bob, NEWS)]
    tracking.write(tracked, sightings)
    tracking.drain(tracked, 1)
    with tracked.store.read() as connection:
        [news] = tracked_events.by_kind(connection, Asked(DEFAULT_ID))
        links = tracked_events.by_link(connection, Asked(DEFAULT_ID, kind="news"), 10)
        nothing = tracked_events.by_kind(connection, Asked(DEFAULT_ID, since=tracked.clock.now() + LATER))
    assert (news.kind, news.opens, news.clicks) == ("news", Figures(2, 1, 1), Figures(3, 2, 0))
    assert [(one.url, one.clicks) for one in links] == [(NEWS, Figures(2, 1, 0)), (SHOP, Figures(1, 1, 0))]
    assert nothing == []


# privacy


def test_an_erasure_forgets_links_of_their_own_and_what_they_click_later(tracked: App) -> None:
    ada = sent(tracked)
    sent(tracked, key="bob")
    assert stored(tracked)["https://own.example/ada"] is not None
    tracking.write(tracked, [seen(tracked, ada, SHOP)])
    tracking.drain(tracked, 1)
    erasure.erase(tracked, "ada", reason="asked", actor="test")
    assert set(stored(tracked)) == {SHOP, NEWS, "https://own.example/bob"}
    tracking.write(tracked, [seen(tracked, ada, SHOP)])
    assert tracking.drain(tracked, 1) == 1
    assert recorded(tracked) == [("clicked", False)]
    with tracked.store.read() as connection:
        assert connection.scalar(sa.select(events.c.detail)) == {}
        assert connection.scalar(sa.select(sa.func.count()).select_from(conversions)) == 0


def test_a_link_is_kept_as_long_as_mails_have_it_and_a_while_longer(tracked: App) -> None:
    sent(tracked)
    clock(tracked).move(timedelta(days=400))
    tracked.link_book._known.clear()
    sent(tracked, key="bob")
    clock(tracked).move(timedelta(days=400))
    retention.run(tracked)
    assert set(stored(tracked)) == {SHOP, NEWS, "https://own.example/bob"}
    clock(tracked).move(timedelta(days=400))
    retention.run(tracked)
    assert stored(tracked) == {}


def test_no_address_and_no_agent_is_kept(tracked: App) -> None:
    message_id = sent(tracked)
    tracking.write(tracked, [seen(tracked, message_id, SHOP, machine="agent")])
    entries: Any = tracked.redis.xrange(STREAM)
    [(_, fields)] = entries
    assert set(fields) == {b"e", b"m", b"t", b"l", b"b"}
    tracking.drain(tracked, 1)
    with tracked.store.read() as connection:
        row = connection.execute(sa.select(events.c.type, events.c.address, events.c.detail)).one()
    assert (row.type, row.address) == (EventType.CLICKED, None)
    assert set(row.detail) == {"link", "why"}


# where a link leads


def test_a_link_is_found_without_the_database_once_it_was_asked_for(tracked: App, make_app: Callable[..., App]) -> None:
    sent(tracked)
    targets = Targets(tracked)
    assert targets.remembered(link(tracked, SHOP)) is None
    assert targets.find(link(tracked, SHOP)) == SHOP
    assert targets.remembered(link(tracked, SHOP)) == SHOP
    away = make_app(tracked.settings, database_url=SecretStr("postgresql://notify@127.0.0.1:1/notify"))
    assert Targets(away).find(link(tracked, SHOP)) == SHOP
    with pytest.raises(Unreachable):
        Targets(away).find(link(tracked, NEWS))


def test_a_link_is_found_while_redis_is_away(tracked: App, make_app: Callable[..., App]) -> None:
    sent(tracked)
    away = make_app(tracked.settings, redis_url=SecretStr("redis://127.0.0.1:1/0"))
    assert Targets(away).find(link(tracked, SHOP)) == SHOP
    assert Targets(away).find(uuid4()) is None
