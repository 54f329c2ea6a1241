"""A server that refuses an address at the hand-over condemns it like one that bounces later; no other refusal does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

import notify
from notify.app import App, using
from notify.audience import suppressing
from notify.feedback.record import look_again
from notify.intake import explain
from notify.model import BounceClass, EventType, MessageState
from notify.settings import Settings
from notify.store import messages, tables
from notify.store.tenants import DEFAULT_ID
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind
from tests.smtp_server import serving

Refusing = Callable[[str], App]


@pytest.fixture
def refusing(settings: Settings, make_app: Callable[..., App], templates: Path) -> Iterator[Refusing]:
    """An app whose provider gives this answer to every recipient."""
    make_kind(templates, toml="transactional = true\n[retry]\nattempts = 1")
    answer = ""
    with serving(lambda _connection, step, _nth: answer if step == "RCPT" else None) as server:
        app = make_app(settings, email_providers=(type(settings.email_providers[0])(server.url),))
        app.redis.flushall()

        def refuse(said: str) -> App:
            nonlocal answer
            answer = said
            return app

        with using(app):
            yield refuse


def send(app: App) -> tuple[MessageState, str | None]:
    note = notify.send("hello", {"key": "ada", "email": "ada@example.org"})
    drain(app)
    look_again(app)
    with app.store.read() as connection:
        [one] = messages.listing(connection, DEFAULT_ID, notification_id=note.id)
    return one.message.state, one.message.reason


def standing(app: App) -> list[tuple[str, str]]:
    return [
        (one.suppression.reason, one.suppression.source)
        for one in suppressing.show(app, "ada@example.org").suppressions
    ]


def told(app: App) -> list[tuple[str, str | None]]:
    of = tables.events.c
    with app.store.read() as connection:
        return [(row.type, row.bounce) for row in connection.execute(sa.select(of.type, of.bounce))]


def test_an_address_that_is_refused_for_good_is_suppressed_with_its_cause(refusing: Refusing) -> None:
    app = refusing("550 5.1.1 <ada@example.org>: User unknown")
    assert send(app) == (MessageState.DEAD, "mailbox_unknown")
    [found] = suppressing.show(app, "ada@example.org").suppressions
    assert (found.suppression.reason, found.suppression.note) == (
        "bounced",
        "5.1.1 550 5.1.1 <ada@example.org>: User unknown",
    )
    assert send(app) == (MessageState.SKIPPED, "suppressed")
    of = tables.messages.c
    with app.store.read() as connection:
        [dead] = connection.scalars(sa.select(of.id).where(of.state == MessageState.DEAD))
    story = explain(app, dead)
    assert [(one.type, one.bounce, one.status) for one in story.events] == [
        (EventType.BOUNCED, BounceClass.HARD, "5.1.1")
    ]
    assert story.consequences[0].cause.startswith(f"{story.attempts[0].provider} hard bounced 5.1.1")


BLOCKED = "554 5.7.1 Service unavailable; client host blocked"
BLOCK = [(EventType.BOUNCED, BounceClass.BLOCK)]


@pytest.mark.parametrize(
    ("said", "events"),
    [
        ("550 5.7.1 Message blocked by policy", BLOCK),
        (BLOCKED, BLOCK),
        ("550 5.7.26 This mail is unauthenticated", BLOCK),
        ("550 5.6.0 bad form", []),
    ],
)
def test_what_is_about_the_sender_or_the_mail_touches_nobody(refusing: Refusing, said: str, events: object) -> None:
    app = refusing(said)
    assert send(app)[0] is MessageState.DEAD
    assert (standing(app), told(app)) == ([], events)
    with app.store.read() as connection:
        assert connection.execute(sa.select(tables.consequences)).all() == []
        assert connection.execute(sa.select(tables.soft_bounces)).all() == []


@pytest.fixture
def blocked(refusing: Refusing, templates: Path) -> UUID:
    """A notification whose one message was blocked at the first of its two tries."""
    make_kind(templates, toml="transactional = true\n[retry]\nattempts = 2")
    app = refusing(BLOCKED)
    note = notify.send("hello", {"key": "ada", "email": "ada@example.org"})
    drain(app)
    assert (told(app), fate(app, note.id)) == ([], MessageState.QUEUED)
    return note.id


def try_again(app: App) -> None:
    moved = replace(app, clock=MovableClock(app.clock.now() + timedelta(hours=2)))
    with using(moved):
        drain(moved)


def test_a_block_that_is_tried_again_is_told_once_it_is_given_up(refusing: Refusing, blocked: UUID) -> None:
    app = refusing(BLOCKED)
    try_again(app)
    assert (told(app), fate(app, blocked)) == (BLOCK, MessageState.DEAD)


def test_a_block_that_is_tried_again_and_accepted_in_the_end_is_not_told(refusing: Refusing, blocked: UUID) -> None:
    app = refusing("250 2.1.5 Ok")
    try_again(app)
    assert (told(app), fate(app, blocked)) == ([], MessageState.SENT)


def fate(app: App, notification: UUID) -> MessageState:
    with app.store.read() as connection:
        [one] = messages.listing(connection, DEFAULT_ID, notification_id=notification)
    return one.message.state


def test_a_full_mailbox_counts_and_is_suppressed_for_a_while_in_the_end(refusing: Refusing) -> None:
    app = refusing("552 5.2.2 mailbox full")
    assert [send(app)[0] for _ in range(2)] == [MessageState.DEAD] * 2
    assert standing(app) == []
    for _ in range(2):
        send(app)
    [found] = suppressing.show(app, "ada@example.org").suppressions
    assert (found.suppression.reason, found.suppression.expires_at is not None) == ("bounced", True)


def test_a_passing_refusal_counts_once_its_message_is_given_up(refusing: Refusing) -> None:
    app = refusing("450 4.2.1 mailbox temporarily locked")
    assert send(app)[0] is MessageState.DEAD
    assert told(app) == [(EventType.BOUNCED, BounceClass.SOFT)]


def test_a_refusal_is_told_by_the_worker_and_followed_by_the_tick_though_the_worker_is_gone(refusing: Refusing) -> None:
    app = refusing("550 5.1.1 no such user")
    notify.send("hello", {"key": "ada", "email": "ada@example.org"})
    drain(app)
    assert (told(app), standing(app)) == ([(EventType.BOUNCED, BounceClass.HARD)], [])
    assert look_again(app) == 1
    assert [reason for reason, _ in standing(app)] == ["bounced"]
    assert look_again(app) == 0
