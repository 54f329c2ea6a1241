"""What comes back is kept once, moves its message forward in any order, and has its consequences, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

import notify
from notify.app import App
from notify.audience import consent, leaving, suppressing
from notify.feedback import consequences
from notify.feedback.record import FEWEST_LOOKS, PARKED_FOR, look_again, record
from notify.model import (
    Author,
    BounceClass,
    Channel,
    ConsentAction,
    Effect,
    Event,
    EventType,
    MessageState,
    Source,
)
from notify.policy.aftermath import Step
from notify.policy.outcome import fold
from notify.store import events as happened
from notify.store import messages, tables, tenants
from notify.store.tenants import DEFAULT_ID
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind

ADA = {"key": "ada", "email": "Ada@Example.org"}
SES_ID = "0102018f-1111-2222-3333-444455556666-000000"


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "reset", toml="transactional = true\nrequired = true")


@pytest.fixture
def clock(app: App) -> MovableClock:
    clock = MovableClock(app.clock.now())
    object.__setattr__(app, "clock", clock)
    return clock


def sent(app: App, kind: str = "hello", to: dict[str, str] | None = None) -> UUID:
    """The id of a message that a provider took."""
    [message] = planned(app, kind, to)
    drain(app)
    assert state(app, message) is MessageState.SENT
    return message


def planned(app: App, kind: str = "hello", to: dict[str, str] | None = None) -> list[UUID]:
    note = notify.send(kind, to or ADA)
    with app.store.read() as connection:
        return [one.message.id for one in messages.listing(connection, DEFAULT_ID, notification_id=note.id)]


def state(app: App, message: UUID) -> MessageState:
    with app.store.read() as connection:
        found = messages.find(connection, message)
    assert found is not None
    return found.state


def told(app: App, what: EventType, message: UUID | None = None, **facts: object) -> Event:
    given = {"provider": "ses", "provider_event_id": str(uuid4()), **facts}
    return Event(what, app.clock.now(), message_id=message, **given)  # type: ignore[arg-type]


def bounced(app: App, message: UUID | None, bounce: BounceClass, **facts: object) -> Event:
    return told(app, EventType.BOUNCED, message, bounce=bounce, **facts)


def standing(app: App, address: str = "ada@example.org") -> list[tuple[str, str]]:
    return [(one.suppression.scope, one.suppression.reason) for one in suppressing.show(app, address).suppressions]


def count(app: App, table: sa.Table) -> int:
    with app.store.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


STORY = (EventType.DELIVERED, EventType.OPENED, EventType.BOUNCED, EventType.COMPLAINED)


def test_any_order_of_events_ends_in_the_same_state(app: App) -> None:
    for order in permutations(STORY, 3):
        message = sent(app, to={"key": str(uuid4()), "email": f"{uuid4()}@example.org"})
        for what in order:
            record(app, DEFAULT_ID, [told(app, what, message)])
        assert state(app, message) is fold(MessageState.SENT, order)


BOUNCES = [(EventType.BOUNCED, bounce) for bounce in BounceClass]
ANYTHING = st.sampled_from([*BOUNCES, *((one, None) for one in EventType if one is not EventType.BOUNCED)])
TOLD = st.lists(st.tuples(ANYTHING, st.integers(-90, 90)), max_size=7)  # what, and how many seconds from now


@limits(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TOLD, st.randoms(use_true_random=False))
def test_events_told_together_or_one_by_one_in_any_order_lead_to_the_same(
    app: App, story: list[tuple[tuple[EventType, BounceClass | None], int]], draw: Random
) -> None:
    to = [{"key": str(uuid4()), "email": f"{uuid4()}@example.org"} for _ in range(2)]
    at_once, piecemeal = sent(app, to=to[0]), sent(app, to=to[1])
    now = app.clock.now()

    def events_of(message: UUID) -> list[Event]:
        return [
            replace(told(app, what, message), bounce=bounce, at=now + timedelta(seconds=later))
            for (what, bounce), later in story
        ]

    record(app, DEFAULT_ID, events_of(at_once))
    shuffled = events_of(piecemeal)
    draw.shuffle(shuffled)
    for event in shuffled:
        record(app, DEFAULT_ID, [event])
    assert state(app, at_once) is state(app, piecemeal) is fold(MessageState.SENT, [what for (what, _), _ in story])
    assert sorted(standing(app, to[0]["email"])) == sorted(standing(app, to[1]["email"]))
    assert times(app, at_once) == times(app, piecemeal)


def times(app: App, message: UUID) -> dict[EventType, datetime]:
    """When each thing happened first."""
    with app.store.read() as connection:
        return {one.type: one.at for one in reversed(happened.of_message(connection, message)) if one.provider == "ses"}


def test_an_event_told_again_changes_nothing(app: App) -> None:
    message = sent(app)
    event = bounced(app, message, BounceClass.HARD)
    assert record(app, DEFAULT_ID, [event, event]).new == 1
    assert record(app, DEFAULT_ID, [event]).new == 0
    assert count(app, tables.events) == count(app, tables.consequences) == 1


def test_two_that_tell_at_the_same_time_lose_nothing(app: App) -> None:
    ids = [sent(app, to={"key": f"u{n}", "email": f"u{n}@example.org"}) for n in range(4)]
    parts = [[told(app, what, one) for one in ids] for what in STORY]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda part: record(app, DEFAULT_ID, part), [*parts, *(part[::-1] for part in parts)]))
    assert {state(app, one) for one in ids} == {MessageState.COMPLAINED}
    assert count(app, tables.events) == 16


# whose event it is


def test_our_message_id_names_the_message(app: App) -> None:
    message = sent(app)
    record(app, DEFAULT_ID, [told(app, EventType.DELIVERED, header_id=f"<{message}@elsewhere.example>")])
    assert state(app, message) is MessageState.DELIVERED


def test_the_providers_own_name_names_the_message(app: App) -> None:
    message = sent(app)
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.attempts).values(provider_id=SES_ID))
    record(app, DEFAULT_ID, [told(app, EventType.DELIVERED, provider_message_id=SES_ID)])
    assert state(app, message) is MessageState.DELIVERED
    rewritten = f"<{SES_ID}@eu-west-1.amazonses.com>"
    record(app, DEFAULT_ID, [told(app, EventType.COMPLAINED, header_id=rewritten)])
    assert state(app, message) is MessageState.COMPLAINED


def test_an_address_alone_names_the_latest_message_that_went_there_lately(app: App, clock: MovableClock) -> None:
    first, second = sent(app), sent(app)
    record(app, DEFAULT_ID, [told(app, EventType.DELIVERED, address="ADA@example.org")])
    assert (state(app, first), state(app, second)) == (MessageState.SENT, MessageState.DELIVERED)
    clock.move(timedelta(days=15))
    assert record(app, DEFAULT_ID, [told(app, EventType.COMPLAINED, address="ada@example.org")]).parked == 1


def test_what_names_another_message_is_not_given_to_the_latest(app: App) -> None:
    message = sent(app)
    event = bounced(app, uuid4(), BounceClass.HARD, address="ada@example.org")
    assert record(app, DEFAULT_ID, [event]).parked == 1
    assert state(app, message) is MessageState.SENT
    assert standing(app) == []


def test_an_address_alone_names_the_message_of_the_only_tenant_that_wrote_to_it(app: App, clock: MovableClock) -> None:
    with app.store.begin() as connection:
        tenants.add(connection, "acme", app.clock.now())
    notify.send("hello", ADA, tenant="acme")
    drain(app)
    event = bounced(app, None, BounceClass.HARD, address="ADA@example.org")
    assert record(app, DEFAULT_ID, [event]).parked == 0
    assert suppressing.show(app, "ada@example.org", tenant="acme").suppressions != ()
    message = sent(app)
    event = bounced(app, None, BounceClass.HARD, address="ADA@example.org")
    assert record(app, DEFAULT_ID, [event]).parked == 1, "either may be meant"
    assert (state(app, message), standing(app)) == (MessageState.SENT, [])


def test_an_event_belongs_to_the_tenant_of_its_message(app: App) -> None:
    with app.store.begin() as connection:
        tenants.add(connection, "acme", app.clock.now())
    note = notify.send("hello", ADA, tenant="acme")
    drain(app)
    with app.store.read() as connection:
        acme = tenants.tenant_id(connection, "acme")
        [row] = messages.listing(connection, acme, notification_id=note.id)
    event = bounced(app, row.message.id, BounceClass.HARD)
    assert [record(app, DEFAULT_ID, [event]).new, record(app, acme, [event]).new] == [1, 0]
    assert standing(app) == []
    assert suppressing.show(app, "ada@example.org", tenant="acme").suppressions != ()


# parked


def test_an_event_that_comes_before_its_message_is_sent_is_applied_then(app: App, clock: MovableClock) -> None:
    [message] = planned(app)
    assert record(app, DEFAULT_ID, [bounced(app, message, BounceClass.HARD)]).parked == 1
    assert standing(app) == [("all", "bounced")], "the address is dead whatever the message's state"
    notify.suppressions.remove("ada@example.org", reason="test")
    drain(app)
    clock.move(timedelta(minutes=1))
    look_again(app)
    assert state(app, message) is MessageState.BOUNCED
    assert standing(app) == [], "what follows is done once"


def test_an_event_of_an_unknown_message_is_applied_when_the_message_appears(app: App, clock: MovableClock) -> None:
    message = sent(app)
    record(app, DEFAULT_ID, [bounced(app, None, BounceClass.HARD, provider_message_id=SES_ID)])
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.attempts).values(provider_id=SES_ID))
    clock.move(timedelta(minutes=1))
    assert look_again(app) == 1
    assert state(app, message) is MessageState.BOUNCED
    assert standing(app) == [("all", "bounced")]
    assert look_again(app) == 0


def test_after_a_week_and_many_looks_nobody_looks_any_more(app: App, clock: MovableClock) -> None:
    record(app, DEFAULT_ID, [told(app, EventType.DELIVERED, uuid4())])
    clock.move(PARKED_FOR)
    for _ in range(FEWEST_LOOKS):
        clock.move(timedelta(hours=1))
        assert look_again(app) == 0
        assert parked_until(app) is not None
    clock.move(timedelta(hours=1))
    look_again(app)
    assert parked_until(app) is None
    assert count(app, tables.events) == 1


def test_a_clock_that_was_ahead_for_a_moment_ends_no_parking(app: App, clock: MovableClock) -> None:
    message = sent(app)
    record(app, DEFAULT_ID, [bounced(app, None, BounceClass.HARD, provider_message_id=SES_ID)])
    object.__setattr__(app, "clock", MovableClock(clock.now() + 2 * PARKED_FOR))
    assert look_again(app) == 0
    object.__setattr__(app, "clock", clock)
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.attempts).values(provider_id=SES_ID))
    clock.move(timedelta(hours=1))
    assert look_again(app) == 1
    assert (state(app, message), standing(app)) == (MessageState.BOUNCED, [("all", "bounced")])


def parked_until(app: App) -> datetime | None:
    with app.store.read() as connection:
        return connection.scalar(sa.select(tables.events.c.look_at))


def test_a_parked_event_that_fails_keeps_no_other_waiting_and_is_tried_again(
    app: App, clock: MovableClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ada, bob = sent(app), sent(app, to={"key": "bob", "email": "bob@example.org"})
    early = [bounced(app, ada, BounceClass.SOFT), bounced(app, bob, BounceClass.HARD)]
    rows = [happened.Told(replace(one, address=None), None, clock.now()) for one in early]
    with app.store.begin() as connection:
        happened.insert(connection, DEFAULT_ID, rows, clock.now())

    def broken(*_: object) -> None:
        raise RuntimeError("a fault of our own")

    with monkeypatch.context() as patch:
        patch.setattr(consequences, "DO", {**consequences.DO, Step.COUNT: broken})
        assert look_again(app) == 1
        assert standing(app, "bob@example.org") == [("all", "bounced")]
        [named] = [one for one in caplog.records if one.message.startswith("feedback.failed")]
        assert "RuntimeError" in str(vars(named))
        clock.move(2 * PARKED_FOR)
        assert look_again(app) == 0
    assert count(app, tables.soft_bounces) == 0
    clock.move(timedelta(hours=2))
    assert look_again(app) == 1
    assert count(app, tables.soft_bounces) == 1


def waits_out(app: App, clock: MovableClock) -> None:
    """Looks as often as it takes until nobody looks any more, once the week is over."""
    for _ in range(FEWEST_LOOKS + 2):
        clock.move(timedelta(hours=1))
        look_again(app)
    assert parked_until(app) is None


def test_what_nobodys_message_was_found_for_tells_of_nobody_after_a_week(app: App, clock: MovableClock) -> None:
    known = {"address": "ada@example.org", "diagnostic": "550 ada@example.org unknown", "detail": {"ip": "192.0.2.1"}}
    late = Event(EventType.DELIVERED, app.clock.now(), "ses", "late", provider_message_id=SES_ID, **known)  # type: ignore[arg-type]
    record(app, DEFAULT_ID, [late])
    of = tables.events.c
    chosen = sa.select(of.address, of.diagnostic, of.detail)
    clock.move(PARKED_FOR - timedelta(hours=1))
    look_again(app)
    with app.store.read() as connection:
        assert connection.execute(chosen).one().address == "ada@example.org", "its message may still come"
    waits_out(app, clock)
    with app.store.read() as connection:
        assert tuple(connection.execute(chosen).one()) == (None, None, {})


def test_what_came_before_its_message_was_sent_keeps_its_words(app: App, clock: MovableClock) -> None:
    [message] = planned(app)
    record(app, DEFAULT_ID, [replace(bounced(app, message, BounceClass.HARD), diagnostic="550 unknown")])
    clock.move(PARKED_FOR)
    waits_out(app, clock)
    with app.store.read() as connection:
        assert connection.scalar(sa.select(tables.events.c.diagnostic)) == "550 unknown"


# doubt


def test_proof_of_delivery_settles_a_doubt(app: App) -> None:
    for what, ends in ((EventType.DELIVERED, MessageState.DELIVERED), (EventType.DEFERRED, MessageState.SENT)):
        message = sent(app)
        with app.store.begin() as connection:
            doubted = sa.update(tables.messages).where(tables.messages.c.id == message)
            connection.execute(doubted.values(state=MessageState.IN_DOUBT, sent_at=None, reason="worker_died"))
        record(app, DEFAULT_ID, [told(app, what, message)])
        with app.store.read() as connection:
            found = messages.find(connection, message)
        assert found is not None
        assert (found.state, found.reason, found.sent_at is None) == (ends, "settled", False)


# what follows


def test_a_dead_address_is_suppressed_at_once(app: App) -> None:
    record(app, DEFAULT_ID, [bounced(app, sent(app), BounceClass.HARD, status="5.1.1", diagnostic="no such user")])
    assert standing(app) == [("all", "bounced")]
    [after] = planned(app)
    drain(app)
    assert state(app, after) is MessageState.SKIPPED


@pytest.mark.parametrize("bounce", [BounceClass.BLOCK, BounceClass.CONTENT, BounceClass.OTHER])
def test_a_block_or_a_refused_content_suppresses_nobody(app: App, bounce: BounceClass) -> None:
    message = sent(app)
    record(app, DEFAULT_ID, [bounced(app, message, bounce)])
    assert (standing(app), state(app, message)) == ([], MessageState.BOUNCED)
    assert count(app, tables.consequences) == 0


def test_a_reply_suppresses_nobody(app: App) -> None:
    message = sent(app)
    record(app, DEFAULT_ID, [told(app, one, message) for one in (EventType.REPLIED, EventType.AUTO_REPLIED)])
    assert standing(app) == []


def test_soft_bounces_add_up_until_the_address_rests_for_a_while(app: App, clock: MovableClock) -> None:
    for day in range(4):
        assert standing(app) == [], f"day {day}"
        record(app, DEFAULT_ID, [bounced(app, sent(app), BounceClass.SOFT)])
        clock.move(timedelta(days=1))
    assert standing(app) == [("all", "bounced")]
    clock.move(timedelta(days=30))
    sent(app)


def test_soft_bounces_that_are_rare_never_suppress(app: App, clock: MovableClock) -> None:
    for _ in range(6):
        record(app, DEFAULT_ID, [bounced(app, sent(app), BounceClass.SOFT)])
        clock.move(timedelta(days=21))
    assert standing(app) == []


def test_a_soft_bounce_that_a_clock_ahead_of_time_noted_counts_as_one(app: App, clock: MovableClock) -> None:
    ahead = MovableClock(clock.now() + timedelta(days=200))
    for at in (ahead, clock, clock):
        assert standing(app) == []
        object.__setattr__(app, "clock", at)
        record(app, DEFAULT_ID, [bounced(app, sent(app), BounceClass.SOFT)])
    assert standing(app) == [("all", "bounced")]


def test_a_soft_bounce_told_by_two_counts_once(app: App) -> None:
    message = sent(app)
    for provider in ("ses", "mailbox", "mailbox", "mailbox"):
        record(app, DEFAULT_ID, [bounced(app, message, BounceClass.SOFT, provider=provider)])
    assert (count(app, tables.consequences), standing(app)) == (1, [])


def test_an_address_that_rested_and_is_dead_now_says_so(app: App, clock: MovableClock) -> None:
    early = [sent(app) for _ in range(4)]
    for message in early[:3]:
        record(app, DEFAULT_ID, [bounced(app, message, BounceClass.SOFT)])
    [rests] = suppressing.show(app, "ada@example.org").suppressions
    assert (rests.suppression.note, rests.suppression.expires_at is None) == ("3.00 of 3 soft bounces", False)
    record(app, DEFAULT_ID, [bounced(app, early[3], BounceClass.HARD, provider="mail", diagnostic="550 User unknown")])
    [dead] = suppressing.show(app, "ada@example.org").suppressions
    assert (dead.suppression.note, dead.suppression.source) == ("550 User unknown", "mail")
    assert (dead.suppression.expires_at, dead.since) == (None, clock.now())


def test_who_complained_gets_what_is_required_and_nothing_else(app: App) -> None:
    record(app, DEFAULT_ID, [told(app, EventType.COMPLAINED, sent(app))])
    assert standing(app) == [("all", "complained")]
    [news] = planned(app)
    assert state(app, news) is MessageState.SKIPPED
    sent(app, "reset")


def test_a_bounce_stands_beside_what_the_person_said_and_overwrites_nothing(app: App) -> None:
    message = sent(app)
    notify.suppressions.add("ada@example.org", reason="unsubscribed")
    done = record(app, DEFAULT_ID, [bounced(app, message, BounceClass.HARD)])
    assert standing(app) == [("all", "unsubscribed"), ("all", "bounced")]
    assert done.effects == {Effect.SUPPRESSED: 1}


def test_an_unsubscribe_told_by_a_provider_is_that_of_the_mails_own_link(app: App) -> None:
    message = sent(app)
    record(app, DEFAULT_ID, [told(app, EventType.UNSUBSCRIBED, message)])
    assert standing(app) == [("test", "unsubscribed")]
    with app.store.read() as connection:
        found = messages.find(connection, message)
    assert found is not None
    link = leaving.of_message(app, message, found.recipient_id)
    assert link is not None
    leaving.undo(app, link)
    assert standing(app) == []


def test_a_providers_late_word_undoes_no_consent_that_came_after_it(app: App, clock: MovableClock) -> None:
    late = told(app, EventType.UNSUBSCRIBED, sent(app))
    clock.move(timedelta(hours=1))
    by = Author("application", Source.PYTHON, "the form")
    consent.grant(app, "ada", "test", wording="I want it", source="form", by=by)
    assert record(app, DEFAULT_ID, [late]).effects == {Effect.STOOD: 1}
    assert standing(app) == []
    assert consent.state(app, "ada")["test"].action is ConsentAction.GRANTED


def test_a_providers_late_word_undoes_no_return_that_came_after_it(app: App, clock: MovableClock) -> None:
    first, second = sent(app), sent(app)
    late = told(app, EventType.UNSUBSCRIBED, second)
    record(app, DEFAULT_ID, [told(app, EventType.UNSUBSCRIBED, first)])
    clock.move(timedelta(hours=1))
    with app.store.read() as connection:
        found = messages.find(connection, first)
    assert found is not None
    link = leaving.of_message(app, first, found.recipient_id)
    assert link is not None
    leaving.undo(app, link)
    assert record(app, DEFAULT_ID, [late]).effects == {Effect.STOOD: 1}
    assert standing(app) == []
    clock.move(timedelta(hours=1))
    assert record(app, DEFAULT_ID, [told(app, EventType.UNSUBSCRIBED, second)]).effects == {Effect.UNSUBSCRIBED: 1}


def test_what_is_required_cannot_be_left_by_way_of_a_provider_either(app: App) -> None:
    record(app, DEFAULT_ID, [told(app, EventType.UNSUBSCRIBED, sent(app, "reset"))])
    assert standing(app) == []


def test_what_was_sent_to_is_suppressed_whoever_answers_for_it(app: App) -> None:
    """It is forwarded to a dead end."""
    record(app, DEFAULT_ID, [bounced(app, sent(app), BounceClass.HARD, address="eve@example.com")])
    assert (standing(app), standing(app, "eve@example.com")) == ([("all", "bounced")], [])


def test_words_that_no_database_takes_are_kept_all_the_same(app: App) -> None:
    message = sent(app)
    event = bounced(
        app, message, BounceClass.HARD, diagnostic="\0\ud800" + "x" * 100_000, detail={"a\0": ["\0", {"b": "\udcff"}]}
    )
    record(app, DEFAULT_ID, [replace(event, provider_event_id="\0" + "y" * 10_000)])
    assert state(app, message) is MessageState.BOUNCED


@pytest.mark.parametrize("at", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_a_time_that_cannot_be_neither_counts_for_more_nor_breaks_anything(app: App, at: datetime) -> None:
    message = sent(app)
    for what, bounce in ((EventType.DELIVERED, None), (EventType.BOUNCED, BounceClass.SOFT)):
        record(app, DEFAULT_ID, [replace(told(app, what, message), bounce=bounce, at=at)])
    record(app, DEFAULT_ID, [bounced(app, sent(app), BounceClass.SOFT)])
    assert (state(app, message), standing(app)) == (MessageState.BOUNCED, [])
    assert notify.explain(message).as_json()


# what is shown


def test_an_address_and_a_message_tell_what_followed_and_from_what(app: App) -> None:
    message = sent(app)
    record(app, DEFAULT_ID, [bounced(app, message, BounceClass.HARD, status="5.1.1", diagnostic="no such user")])
    [caused] = suppressing.show(app, "ada@example.org", channel=Channel.EMAIL).consequences
    assert (caused.consequence.effect, caused.message_id) == (Effect.SUPPRESSED, message)
    assert caused.cause == "ses hard bounced 5.1.1 no such user"
    story = notify.explain(message)
    assert [one.what for one in story.timeline][-2:] == ["bounced", "suppressed"]
    assert story.as_json()["consequences"][0]["effect"] == "suppressed"


def test_the_story_of_a_message_is_told_in_the_order_of_time(app: App, clock: MovableClock) -> None:
    message = sent(app)
    clock.move(timedelta(hours=1))
    record(app, DEFAULT_ID, [told(app, EventType.COMPLAINED, message)])
    clock.move(timedelta(hours=1))
    record(app, DEFAULT_ID, [told(app, EventType.OPENED, message)])
    timeline = notify.explain(message).timeline
    assert [one.what for one in timeline][-3:] == ["complained", "suppressed", "opened"]
    assert [one.at for one in timeline] == sorted(one.at for one in timeline)


def test_a_person_who_was_erased_has_no_consequences_and_leaves_no_address_behind(app: App) -> None:
    message = sent(app)
    notify.privacy.erase("ada", reason="asked", actor="eve")
    facts = {"address": "ada@example.org", "diagnostic": "ada is gone", "detail": {"payload": "x", "ip": "192.0.2.1"}}
    record(app, DEFAULT_ID, [bounced(app, message, BounceClass.HARD, **facts)])
    assert standing(app) == []
    assert state(app, message) is MessageState.BOUNCED
    of = tables.events.c
    with app.store.read() as connection:
        [kept] = connection.execute(sa.select(of.address, of.diagnostic, of.detail).where(of.provider == "ses"))
    assert tuple(kept) == (None, None, {"payload": "x"})
