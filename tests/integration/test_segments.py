"""A segment means the same on both databases, and is sent to exactly those whom its preview shows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

import notify
from notify.app import App, using
from notify.audience.segments import saved
from notify.errors import IdempotencyConflict, InvalidSegment, NotFound
from notify.intake import fan_out
from notify.model import Author, Channel, Consent, ConsentAction, Source, Suppression
from notify.settings import Settings
from notify.store import consents, recipients, suppressions, tables
from notify.store.tenants import DEFAULT_ID
from notify.testing.clock import MovableClock
from tests.kinds import make_kind
from tests.unit.cli.running import notify_cli

BY = Author("tests", Source.PYTHON)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PEOPLE: dict[str, dict[str, Any]] = {
    "ada": {
        "email": "Ada@Example.org",
        "locale": "nl-BE",
        "tags": ("pilot", "vip"),
        "attributes": {"country": "BE", "age": 36, "vip": True, "born": "1990-12-10", "job title": "poet"},
    },
    "bea": {
        "email": "bea@sub.example.org",
        "locale": "nl",
        "tags": ("pilot",),
        "attributes": {"country": "NL", "age": 17.5, "vip": False, "address": {"city": "Gent", "floor": 3}},
    },
    "cas": {
        "email": "cas@example.com",
        "timezone": "Europe/Amsterdam",
        "tags": (),
        "attributes": {"country": "nl", "age": "36", "vip": "true", "topics": ["art", "food"], "born": "yesterday"},
    },
    "dov": {"phone": "+31612345678", "locale": "en", "attributes": {"country": None, "age": 10**30, "notes": ""}},
    "eva": {"attributes": {"naïve": "été", "topics": "art", "born": "2000-01-31T23:30:00+02:00", "age": 1e-7}},
}
EVERYONE = set(PEOPLE)


@pytest.fixture
def app(settings: Settings, make_app: Callable[..., App], templates: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    make_kind(templates)
    make_kind(templates, "other")
    monkeypatch.setattr(fan_out, "SLICE", {"postgresql": 2, "sqlite": 2})
    opened = make_app(settings, batch_size=2)
    opened.redis.flushall()
    object.__setattr__(opened, "clock", MovableClock(NOW))
    with using(opened):
        yield opened


@pytest.fixture
def roster(app: App) -> dict[str, UUID]:
    """Five people; ada came a year ago, bea ten days ago, the others now. The ids of all by key."""
    ages = {"ada": timedelta(days=365), "bea": timedelta(days=10)}
    ids: dict[str, UUID] = {}
    with app.store.begin() as connection:
        for key, one in PEOPLE.items():
            addresses = {Channel.EMAIL: one.get("email"), Channel.SMS: one.get("phone")}
            change = recipients.Change(
                key,
                one.get("locale"),
                one.get("timezone"),
                one["attributes"],
                one.get("tags", ()),
                {channel: value for channel, value in addresses.items() if value},
            )
            recipients.apply(connection, DEFAULT_ID, [change], NOW - ages.get(key, timedelta()), by=BY)
            ids[key] = recipients.ids_by_key(connection, DEFAULT_ID, [key])[key]
        people, address = tables.recipients.c, tables.addresses.c
        off = {"choices": {"test": {"email": False}}}
        connection.execute(sa.update(tables.recipients).where(people.key == "cas").values(preferences=off))
        connection.execute(sa.update(tables.recipients).where(people.key == "dov").values(deactivated_at=NOW))
        connection.execute(sa.update(tables.addresses).where(address.recipient_id == ids["ada"]).values(verified=True))
    return ids


def happened(app: App, recipient: UUID, type_: str, ago: timedelta, *, kind: str = "hello", bot: bool = False) -> None:
    """Note that a message of the kind was accepted so long ago, and what came back of it at the same time."""
    at = NOW - ago
    common = {"tenant_id": DEFAULT_ID}
    note = {**common, "id": uuid4(), "kind": kind, "mode": "live", "request_hash": "", "data": {}, "created_at": at}
    message = {
        **common,
        "id": uuid4(),
        "notification_id": note["id"],
        "recipient_id": recipient,
        "channel": "email",
        "state": "sent",
        "attempts": 1,
        **dict.fromkeys(("due_at", "created_at", "updated_at", "sent_at"), at),
    }
    event = {
        **common,
        "id": uuid4(),
        "message_id": message["id"],
        "recipient_id": recipient,
        "type": type_,
        "provider": "smtp",
        "provider_event_id": str(uuid4()),
        "bot": bot,
        "detail": {},
        "at": at,
        "received_at": at,
    }
    with app.store.begin() as connection:
        connection.execute(sa.insert(tables.notifications), note)
        connection.execute(sa.insert(tables.messages), message)
        if type_ != "sent":
            connection.execute(sa.insert(tables.events), event)


def who(expression: str) -> set[str]:
    found = notify.segments.preview(expression, limit=100)
    assert found.count == notify.segments.count(expression) == len(found.members)
    return {one.key for one in found.members}


@pytest.mark.usefixtures("roster")
@pytest.mark.parametrize(
    ("expression", "keys"),
    [
        # texts
        ('key = "ada"', {"ada"}),
        ('key != "ada"', EVERYONE - {"ada"}),
        ('key in ("ada", "eva", "nobody")', {"ada", "eva"}),
        ('key starts with "E"', set()),
        ('key contains "a" and not key contains "v"', {"ada", "bea", "cas"}),
        ('locale = "nl"', {"bea"}),
        ('locale matches "nl"', {"ada", "bea"}),
        ('locale matches "NL_be"', {"ada"}),
        ('locale != "nl"', {"ada", "dov"}),
        ('not locale = "nl"', EVERYONE - {"bea"}),
        ("not locale is set", {"cas", "eva"}),
        ('timezone = "Europe/Amsterdam"', {"cas"}),
        # addresses
        ('email = "ADA@example.ORG"', {"ada"}),
        ('email != "ada@example.org"', {"bea", "cas"}),
        ('email contains "EXAMPLE.ORG"', {"ada", "bea"}),
        ('email.domain = "Example.org"', {"ada"}),
        ('email.domain in ("example.org", "example.com")', {"ada", "cas"}),
        ('not email.domain = "example.org"', EVERYONE - {"ada"}),
        ("has email", {"ada", "bea", "cas"}),
        ("has phone", {"dov"}),
        ('phone starts with "+31"', {"dov"}),
        ("verified email", {"ada"}),
        ("not email is set", {"dov", "eva"}),
        # tags and lists
        ('tags has "pilot"', {"ada", "bea"}),
        ('tags has any ("vip", "nobody")', {"ada"}),
        ('tags has all ("vip", "pilot")', {"ada"}),
        ('not tags has "pilot"', {"cas", "dov", "eva"}),
        ('attr.topics has "art"', {"cas"}),
        ('attr.topics has all ("art", "food")', {"cas"}),
        ('not attr.topics has "food"', EVERYONE - {"cas"}),
        # attributes: a value of another type is as good as none
        ('attr.country = "NL"', {"bea"}),
        ('attr.country in ("NL", "BE")', {"ada", "bea"}),
        ('attr.country != "NL"', {"ada", "cas"}),
        ('not attr.country = "NL"', EVERYONE - {"bea"}),
        ('attr.country contains "n"', {"cas"}),
        ("attr.age = 36", {"ada"}),
        ("attr.age != 36", {"bea", "dov", "eva"}),
        ("attr.age > 17.4", {"ada", "bea", "dov"}),
        ("attr.age < 0.1", {"eva"}),
        ("attr.age between 17.5 and 36", {"ada", "bea"}),
        ("attr.age in (36, 17.5)", {"ada", "bea"}),
        ('attr.age = "36"', {"cas"}),
        ("attr.vip = true", {"ada"}),
        ("attr.vip != true", {"bea"}),
        ('attr.vip = "true"', {"cas"}),
        ("attr.country is set", {"ada", "bea", "cas"}),
        ("attr.notes is set", {"dov"}),
        ('attr."job title" = "poet"', {"ada"}),
        ('attr.naïve = "été"', {"eva"}),
        ('attr.address.city = "Gent" and attr.address.floor >= 3', {"bea"}),
        ('attr.address = "Gent"', set()),
        ('attr.country.city = "Gent"', set()),
        ('attr."x\'); DROP TABLE recipients; --" = "y"', set()),
        # dates
        ("attr.born < 1990-12-11", {"ada"}),
        ("attr.born >= 1990-12-10", {"ada", "eva"}),
        ("attr.born = 2000-01-31", {"eva"}),
        ("attr.born != 2000-01-31", {"ada"}),
        ("attr.born between 1990-01-01 and 2000-01-31", {"ada", "eva"}),
        ("attr.born within 50w", set()),
        ("attr.born within 1500w", {"eva"}),
        ("created within 11d", EVERYONE - {"ada"}),
        ("created within 12h", {"cas", "dov", "eva"}),
        ("created = 2026-11-11", {"bea"}),
        ("created != 2026-11-11", EVERYONE - {"bea"}),
        ("created < 2026-11-11", {"ada"}),
        ("created <= 2026-11-11", {"ada", "bea"}),
        ("created > 2026-11-11", {"cas", "dov", "eva"}),
        ("created >= 2026-11-11", EVERYONE - {"ada"}),
        ("created between 2026-11-11 and 2026-11-20", {"bea"}),
        # status, wishes
        ('status = "inactive"', {"dov"}),
        ('status != "inactive"', EVERYONE - {"dov"}),
        ('wants "test" by email', EVERYONE - {"cas"}),
        ('not wants "test" by email', {"cas"}),
        ('wants "test" by sms', EVERYONE),
        # together
        ('tags has "pilot" and attr.country in ("NL", "BE") and not attr.vip = true', {"bea"}),
        ('key = "eva" or key = "dov" and has email', {"eva"}),
        ('(key = "eva" or key = "ada") and has email', {"ada"}),
        ("not (has email or has phone)", {"eva"}),
        ("not not has phone", {"dov"}),
    ],
)
def test_an_expression_asks_for_exactly_these(expression: str, keys: set[str]) -> None:
    assert who(expression) == keys
    for key in PEOPLE:
        assert notify.segments.explain(expression, key).holds == (key in keys)


def test_a_default_that_is_off_makes_only_those_want_it_who_said_so(app: App, roster: dict[str, UUID]) -> None:
    with app.store.begin() as connection:
        tenant, people = tables.tenants.c, tables.recipients.c
        off, on = {"choices": {"test": {"email": False}}}, {"choices": {"test": {"email": True}}}
        connection.execute(sa.update(tables.tenants).where(tenant.id == DEFAULT_ID).values(preferences=off))
        connection.execute(sa.update(tables.recipients).where(people.key == "eva").values(preferences=on))
    assert who('wants "test" by email') == {"eva"}
    assert who('not wants "test" by email') == EVERYONE - {"eva"}


def test_engagement_is_asked_by_what_when_kind_and_category(app: App, roster: dict[str, UUID]) -> None:
    happened(app, roster["ada"], "opened", timedelta(days=40))
    happened(app, roster["bea"], "opened", timedelta(days=3), kind="other")
    happened(app, roster["cas"], "opened", timedelta(days=1), bot=True)
    happened(app, roster["cas"], "clicked", timedelta(days=1))
    happened(app, roster["dov"], "sent", timedelta(hours=5))
    assert who("opened") == {"ada", "bea"}
    assert who("opened within 30d") == {"bea"}
    assert who("not opened within 30d") == EVERYONE - {"bea"}
    assert who("opened never") == {"cas", "dov", "eva"}
    assert who('opened kind "hello"') == {"ada"}
    assert who('opened kind "other" within 4d') == {"bea"}
    assert who('opened category "test"') == {"ada", "bea"}
    assert who("clicked or bounced or replied or delivered") == {"cas"}
    assert who("sent") == EVERYONE - {"eva"}
    assert who("sent within 6h") == {"dov"}
    assert who('sent kind "hello" within 2d') == {"cas", "dov"}
    assert who("sent never") == {"eva"}


def test_consent_is_what_was_said_last_whatever_was_asked_since(app: App, roster: dict[str, UUID]) -> None:
    said = [
        ("ada", "granted"),
        *(("bea", "granted"), ("bea", "withdrawn")),
        *(("cas", "granted"), ("cas", "asked")),
        ("dov", "asked"),
    ]
    with app.store.begin() as connection:
        for key, action in said:
            entry = Consent(uuid4(), roster[key], "test", ConsentAction(action), "page", NOW)
            consents.append(connection, DEFAULT_ID, entry)
    assert who('consent to "test"') == {"ada", "cas"}
    assert who('not consent to "test"') == EVERYONE - {"ada", "cas"}


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ('not sent kind "helo" within 3d', "there is no kind 'helo'; did you mean 'hello'?"),
        ('opened category "tset"', "there is no category 'tset'; did you mean 'test'?"),
        ('consent to "tset"', "did you mean 'test'?"),
        ('wants "tset" by email', "did you mean 'test'?"),
    ],
)
def test_a_misspelt_name_is_refused_for_its_contrary_would_mean_everyone(app: App, expression: str, says: str) -> None:
    for ask in (notify.segments.count, lambda text: notify.segments.add("x", text)):
        with pytest.raises(InvalidSegment, match=says.replace("?", r"\?")):
            ask(expression)
    with pytest.raises(InvalidSegment):
        notify.send_many("hello", notify.segment(expression))


def test_who_was_erased_is_in_no_segment(app: App, roster: dict[str, UUID]) -> None:
    with app.store.begin() as connection:
        person = tables.recipients.c
        connection.execute(sa.update(tables.recipients).where(person.key == "eva").values(erased_at=NOW))
    assert who("not has email") == {"dov"}
    with pytest.raises(NotFound, match="no recipient 'eva'"):
        notify.segments.explain("has email", "eva")


def test_a_tenant_sees_its_own_recipients_and_segments(app: App, roster: dict[str, UUID]) -> None:
    with app.store.begin() as connection:
        connection.execute(sa.insert(tables.tenants), {"id": UUID(int=7), "key": "acme", "created_at": NOW})
        recipients.apply(connection, UUID(int=7), [recipients.Change("theirs")], NOW, by=BY)
    notify.segments.add("lonely", "not has email", tenant="acme")
    assert notify.segments.count("lonely", tenant="acme") == 1
    with pytest.raises(NotFound):
        notify.segments.count("lonely")


# saved segments


def test_a_saved_segment_is_found_changed_and_removed_and_each_change_is_in_the_audit(app: App) -> None:
    made = notify.segments.add("pilots", ' tags has "pilot" ')
    assert (made.name, made.expression) == ("pilots", 'tags has "pilot"')
    assert notify.segments.add("pilots", 'tags has "pilot"') == made
    with pytest.raises(InvalidSegment, match="there is a segment 'pilots' already"):
        notify.segments.add("pilots", "has email")
    changed = notify.segments.add("pilots", "has email", replace=True)
    assert (changed.expression, changed.created_at) == ("has email", made.created_at)
    assert notify.segments.list() == [changed]
    assert notify.segments.get("pilots") == changed
    notify.segments.remove("pilots")
    for ask in (notify.segments.get, notify.segments.count, notify.segments.remove):
        with pytest.raises(NotFound, match="there is no segment 'pilots'"):
            ask("pilots")
    with app.store.read() as connection:
        rows = connection.execute(sa.select(tables.audit).order_by(tables.audit.c.id)).all()
    assert [(row.action, row.subject, row.actor) for row in rows] == [
        *[("segment.saved", "pilots", "application")] * 2,
        ("segment.removed", "pilots", "application"),
    ]


def test_a_near_name_is_suggested(app: App) -> None:
    notify.segments.add("pilots", "has email")
    with pytest.raises(NotFound, match="did you mean 'pilots'"):
        notify.segments.count("pilot")


def test_an_explanation_is_a_tree_that_tells_which_part_decides(app: App, roster: dict[str, UUID]) -> None:
    notify.segments.add("mine", '(tags has "pilot" or has phone) and not attr.vip = true and opened never')
    answer = notify.segments.explain("mine", "ada")
    assert str(answer).splitlines() == [
        "no   all of",
        "  yes  any of",
        '    yes  tags has "pilot"',
        "    no   has phone",
        "  no   not",
        "    yes  attr.vip = true",
        "  yes  opened never",
    ]
    assert answer.as_json()["parts"][2] == {"text": "opened never", "holds": True}


def test_a_preview_comes_page_by_page(roster: dict[str, UUID]) -> None:
    first = notify.segments.preview("created is set", limit=3)
    assert ([one.key for one in first.members], first.after, first.count) == (["ada", "bea", "cas"], "cas", 5)
    assert dict(first.members[0].addresses) == {"email": "Ada@Example.org"}
    rest = notify.segments.preview("created is set", after="cas", limit=3)
    assert ([one.key for one in rest.members], rest.after) == (["dov", "eva"], None)


# sending


def reached(app: App, notification: UUID) -> list[str]:
    """The keys of those who have a message of the notification, each once for each of them."""
    message, person = tables.messages.c, tables.recipients.c
    with app.store.read() as connection:
        mine = message.notification_id == notification
        joined = sa.select(person.key).join(tables.messages, message.recipient_id == person.id)
        return list(connection.scalars(joined.where(mine).order_by(person.key)))


@pytest.mark.parametrize("segment", ['tags has "pilot"', "not has phone", 'key = "eva"', 'key = "nobody"', "mine"])
def test_a_notification_reaches_exactly_those_whom_the_preview_shows(
    app: App, roster: dict[str, UUID], segment: str
) -> None:
    notify.segments.add("mine", 'attr.country in ("NL", "BE") or attr.topics has "art"')
    shown = notify.segments.preview(segment)
    sent = notify.send_many("hello", notify.segment(segment))
    assert fan_out.run(app) == shown.count
    assert reached(app, sent.id) == [one.key for one in shown.members]


def test_among_those_in_a_segment_policy_decides_as_ever(app: App, roster: dict[str, UUID]) -> None:
    with app.store.begin() as connection:
        named = [Suppression(Channel.EMAIL, "ada@example.org", "bounced", "feedback")]
        suppressions.add(connection, DEFAULT_ID, named, NOW)
    sent = notify.send_many("hello", notify.segment("has email or has phone"))
    fan_out.run(app)
    message, person = tables.messages.c, tables.recipients.c
    with app.store.read() as connection:
        joined = sa.select(person.key, message.reason).join(tables.messages, message.recipient_id == person.id)
        reasons = {row.key: row.reason for row in connection.execute(joined.where(message.notification_id == sent.id))}
    assert reasons == {"ada": "suppressed", "bea": None, "cas": "preference", "dov": "no_address"}


def test_what_is_saved_anew_under_the_name_does_not_change_what_was_asked(app: App, roster: dict[str, UUID]) -> None:
    notify.segments.add("mine", 'key = "ada"')
    sent = notify.send_many("hello", notify.segment("mine"))
    notify.segments.add("mine", 'key = "bea"', replace=True)
    fan_out.run(app)
    assert reached(app, sent.id) == ["ada"]


def test_a_span_counts_back_from_when_it_was_asked(app: App, roster: dict[str, UUID]) -> None:
    sent = notify.send_many("hello", notify.segment("created within 11d"))
    assert isinstance(app.clock, MovableClock)
    app.clock.move(timedelta(days=5))
    fan_out.run(app)
    assert reached(app, sent.id) == ["bea", "cas", "dov", "eva"]


def test_whoever_got_it_is_not_left_out_by_having_got_it(app: App, roster: dict[str, UUID]) -> None:
    sent = notify.send_many("hello", notify.segment('sent kind "hello" never'))
    fan_out.run(app)
    assert reached(app, sent.id) == sorted(EVERYONE)


def test_the_segment_is_a_part_of_what_an_idempotency_key_stands_for(app: App, roster: dict[str, UUID]) -> None:
    first = notify.send_many("hello", notify.segment("has email"), key="k")
    assert notify.send_many("hello", notify.segment("has email"), key="k").id == first.id
    for other in (notify.segment("has phone"), notify.everyone()):
        with pytest.raises(IdempotencyConflict):
            notify.send_many("hello", other, key="k")


def test_a_name_that_nobody_saved_sends_nothing(app: App) -> None:
    with pytest.raises(NotFound, match="there is no segment 'pilots'"):
        notify.send_many("hello", notify.segment("pilots"))
    with app.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.notifications)) == 0


def test_an_expression_that_cannot_be_read_is_refused_before_anything_is_asked(app: App) -> None:
    with pytest.raises(InvalidSegment, match="did you mean 'tags'"):
        notify.segment('tag has "pilot"')


# the command line


@pytest.fixture
def house(app: App, roster: dict[str, UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("database_url", "redis_url", "email_providers", "templates_dir", "data_dir"):
        value = getattr(app.settings, name)
        if isinstance(value, tuple):
            value = ",".join(one.get_secret_value() for one in value)
        shown = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        monkeypatch.setenv(f"NOTIFY_{name.upper()}", shown)


@pytest.mark.usefixtures("house")
def test_the_commands_save_count_show_and_explain(app: App) -> None:
    made = notify_cli("segments", "add", "pilots", 'tags has "pilot"')
    assert (made.code, made.out) == (0, "Saved pilots: 2 recipients.\n")
    assert json.loads(notify_cli("segments", "list", "--json").out)[0]["expression"] == 'tags has "pilot"'
    assert 'tags has "pilot"' in notify_cli("segments", "show", "pilots").out
    assert notify_cli("segments", "count", "has phone").out == "1 recipient\n"
    shown = notify_cli("segments", "preview", "pilots", "--limit", "1").out
    assert "2 recipients fulfil" in shown
    assert "--after ada" in shown
    assert [
        one["key"] for one in json.loads(notify_cli("segments", "preview", "pilots", "--json").out)["recipients"]
    ] == [
        "ada",
        "bea",
    ]
    told = notify_cli("segments", "explain", "pilots", "cas")
    assert told.out.splitlines() == ["cas is not in it:", '  no   tags has "pilot"']
    other = notify_cli("segments", "add", "pilots", "has phone")
    assert (other.code, "with --replace" in other.err) == (1, True)
    assert notify_cli("segments", "remove", "pilots", "--json").json == {"removed": "pilots"}
    gone = notify_cli("segments", "count", "pilots")
    assert gone.code == 1
    assert "Next: notify segments list" in gone.err


@pytest.mark.usefixtures("house")
def test_the_command_line_sends_to_a_segment(app: App) -> None:
    sent = notify_cli("send", "hello", "--segment", 'tags has "pilot"', "--json")
    assert sent.code == 0
    fan_out.run(app)
    assert reached(app, UUID(json.loads(sent.out)["notification"])) == ["ada", "bea"]
    alone = notify_cli("send", "hello", "--segment", "has email", "--everyone")
    assert alone.code == 3
    wrong = notify_cli("segments", "count", "opend")
    assert wrong.code == 1
    assert wrong.err.startswith("error: there is no segment 'opend'")


def test_the_logic_takes_the_app_first(app: App, roster: dict[str, UUID]) -> None:
    assert saved.count(app, "has email") == notify.segments.count("has email") == 3


# what the database makes of it


@pytest.mark.usefixtures("roster")
def test_a_long_list_of_numbers_is_one_condition(app: App) -> None:
    numbers = ",".join(["1.5"] * 800 + ["17.5"])
    assert notify.segments.count(f"attr.age in ({numbers})") == 1
    sent = notify.send_many("hello", notify.segment(f"attr.age in ({numbers})"))
    fan_out.run(app)
    with app.store.read() as connection:
        assert connection.scalar(sa.select(tables.fan_outs.c.state)) == "planned"
        theirs = tables.messages.c.notification_id == sent.id
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.messages).where(theirs)) == 1


@pytest.mark.usefixtures("roster")
def test_what_the_database_cannot_answer_is_refused_when_it_is_saved_or_sent(app: App) -> None:
    if app.store.engine.dialect.name != "sqlite":
        pytest.skip("the depth of expressions is SQLite's limit")

    @sa.event.listens_for(app.store.engine, "begin")
    def _narrow(connection: sa.Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.setlimit(sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 40)

    deep = " and ".join(f"attr.n{n} = 1" for n in range(60))
    for ask in (
        lambda: notify.segments.add("deep", deep),
        lambda: notify.segments.count(deep),
        lambda: notify.send_many("hello", notify.segment(deep)),
    ):
        with pytest.raises(InvalidSegment, match="the database cannot answer it"):
            ask()
    with app.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.notifications)) == 0
    assert notify.segments.count('tags has "pilot"') == 2
