"""What a forecast says is what sending then does; and what was sent can be explained to the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

import notify
from notify.app import App, using
from notify.errors import InvalidRecipient, NotFound, UnknownKind
from notify.intake.forecasting import Forecast
from notify.model import Author, Channel, Consent, ConsentAction, Pause, Source, Suppression
from notify.settings import Settings
from notify.store import consents, messages, provider_pauses, recipients, suppressions, tables
from notify.store.tenants import DEFAULT_ID
from notify.testing.clock import MovableClock
from tests.kinds import make_kind
from tests.unit.cli.running import notify_cli

NOW = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
BY = Author("tests", Source.PYTHON)


@pytest.fixture
def app(settings: Settings, make_app: Callable[..., App], templates: Path) -> Any:
    for name, toml in (
        ("hello", ""),
        ("reset", "required = true"),
        ("news", "consent = true"),
        ("alarm", "critical = true"),
    ):
        make_kind(templates, name, toml=toml)
    opened = make_app(settings, recipient_rate="3/h")
    opened.redis.flushall()
    object.__setattr__(opened, "clock", MovableClock(NOW))
    people: dict[str, dict[str, Any]] = {
        "ada": {},
        "off": {"preferences": {"choices": {"test": {"email": False}}}},
        "asleep": {"preferences": {"quiet": "22:00-07:00"}},
        "paused": {"preferences": {"paused_until": "2026-12-01T00:00:00+00:00"}},
        "gone": {"deactivated_at": NOW},
        "bounced": {},
    }
    with opened.store.begin() as connection:
        changes = [recipients.Change(key, addresses={Channel.EMAIL: f"{key}@example.org"}) for key in people]
        recipients.apply(connection, DEFAULT_ID, [*changes, recipients.Change("unknown")], NOW, by=BY)
        for key, values in people.items():
            if values:
                connection.execute(sa.update(tables.recipients).where(tables.recipients.c.key == key).values(**values))
        rows = [Suppression(Channel.EMAIL, "bounced@example.org", "bounced", "feedback")]
        rows.append(Suppression(Channel.EMAIL, "ada@example.org", "unsubscribed", "page", scope="other"))
        suppressions.add(connection, DEFAULT_ID, rows, NOW)
    with using(opened):
        yield opened


def decides(found: Forecast) -> list[str]:
    [channel] = found.channels
    return [looked.rule for looked in channel.looked if looked.decides]


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("kind", "to", "told"),
    [
        ("hello", "ada", ("sent", None, [])),
        ("hello", "off", ("skipped", "preference", ["preference"])),
        ("hello", "asleep", ("queued", "quiet", ["quiet hours"])),
        ("hello", "paused", ("skipped", "paused", ["pause"])),
        ("hello", "gone", ("skipped", "inactive", ["status"])),
        ("hello", "bounced", ("skipped", "suppressed", ["suppressions"])),
        ("hello", "unknown", ("skipped", "no_address", ["address"])),
        ("news", "ada", ("skipped", "no_consent", ["consent"])),
        ("reset", "off", ("sent", None, [])),
        ("reset", "bounced", ("skipped", "suppressed", ["suppressions"])),
        ("alarm", "asleep", ("sent", None, [])),
    ],
)
@pytest.mark.parametrize("at", [None, NOW + timedelta(days=2)], ids=["now", "later"])
def test_what_is_foretold_happens(
    app: App, kind: str, to: str, told: tuple[str, str | None, list[str]], at: datetime | None
) -> None:
    found = notify.explain(kind, to=to, at=at)
    [channel] = found.channels
    if at is None:
        assert (channel.outcome, channel.reason, decides(found)) == told
    sent = notify.send(kind, to=to, at=at)
    with app.store.read() as connection:
        [listed] = messages.listing(connection, DEFAULT_ID, notification_id=sent.id)
    state = "queued" if channel.outcome == "sent" else channel.outcome
    assert (listed.message.state, listed.message.reason, listed.message.rule) == (
        state,
        channel.reason,
        channel.rule if channel.reason else None,
    )
    assert listed.message.due_at == (channel.at or NOW)


def test_nothing_is_stored(app: App) -> None:
    notify.explain("hello", to={"key": "new", "email": "new@example.org"})
    with app.store.read() as connection:
        assert recipients.by_keys(connection, DEFAULT_ID, ["new"]) == {}
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.notifications)) == 0


def test_a_description_is_laid_over_what_is_known(app: App) -> None:
    [channel] = notify.explain("hello", to={"key": "off", "email": "other@example.org"}).channels
    assert (channel.address, channel.reason) == ("other@example.org", "preference")


def test_every_rule_says_what_it_looked_at(app: App) -> None:
    [channel] = notify.explain("hello", to="ada").channels
    said = {looked.rule: looked.says for looked in channel.looked}
    assert said == {
        "address": "ada@example.org",
        "suppressions": "none for test, only for other: unsubscribed",
        "consent": "the kind asks for none",
        "status": "active",
        "preference": "nothing chosen, and test is not off by default",
        "pause": "none",
        "verification": "not verified, and need not be",
        "mode": "mode live",
        "time": "at once",
        "quiet hours": "none",
    }
    assert channel.limits == ("hello: no more than 3/h to one recipient; the rest later",)
    assert channel.suppressions[0].scope == "other"


def test_a_deadline_before_the_end_of_quiet_hours_is_named(app: App) -> None:
    [channel] = notify.explain("hello", to="asleep", expires=timedelta(hours=1)).channels
    assert (channel.outcome, channel.reason) == ("dead", "expired")


def test_a_paused_provider_is_named(app: App) -> None:
    [provider] = app.channels.providers(Channel.EMAIL)
    with app.store.begin() as connection:
        provider_pauses.add(connection, Pause(provider.name, "", "by hand", None, "cli:ada", NOW))
    [channel] = notify.explain("hello", to="ada").channels
    assert channel.providers == (f"{provider.name} (paused)",)


def test_what_cannot_be_foretold_is_refused_as_sending_would(app: App) -> None:
    with pytest.raises(UnknownKind):
        notify.explain("helo", to="ada")
    with pytest.raises(InvalidRecipient, match="no recipient 'nobody'"):
        notify.explain("hello", to="nobody")
    with pytest.raises(InvalidRecipient, match="one recipient"):
        notify.explain("hello", to=notify.everyone())  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="id alone"):
        notify.explain(uuid4(), mode="live")  # type: ignore[call-overload]
    with pytest.raises(NotFound):
        notify.explain("hello")


# afterwards


def sent_message(app: App, **values: Any) -> UUID:
    """A message to ada, changed by hand to what it should have become."""
    sent = notify.send("hello", to="ada")
    with app.store.begin() as connection:
        [listed] = messages.listing(connection, DEFAULT_ID, notification_id=sent.id)
        mine = tables.messages.c.id == listed.message.id
        connection.execute(sa.update(tables.messages).where(mine).values(**values))
    return listed.message.id


def test_the_timeline_tells_what_came_back_and_which_consent_covered_it(app: App) -> None:
    with app.store.begin() as connection:
        who = recipients.ids_by_key(connection, DEFAULT_ID, ["ada"])["ada"]
        agreed = Consent(uuid4(), who, "test", ConsentAction.GRANTED, "page", NOW - timedelta(days=3), "Yes, please.")
        consents.append(connection, DEFAULT_ID, agreed)
    at = NOW + timedelta(minutes=1)
    message = sent_message(app, state="bounced", sent_at=at, updated_at=at, consent_id=agreed.id)
    told = {"tenant_id": DEFAULT_ID, "message_id": message, "provider": "smtp", "detail": {}, "received_at": at}
    with app.store.begin() as connection:
        for number, (type_, bounce, bot) in enumerate([("opened", None, True), ("bounced", "hard", False)]):
            when = at + timedelta(minutes=number)
            row = {**told, "id": uuid4(), "provider_event_id": str(number), "type": type_, "bounce": bounce, "bot": bot}
            connection.execute(sa.insert(tables.events), {**row, "at": when, "status": "5.1.1" if bounce else None})
    story = notify.explain(message)
    assert [(moment.what, moment.detail) for moment in story.timeline] == [
        ("consent", "to test, by page"),
        ("accepted", "hello, mode live"),
        ("decided", "send by email"),
        ("opened", "smtp a machine, not a person"),
        ("bounced", "smtp hard 5.1.1"),
    ]
    told_again = json.loads(json.dumps(story.as_json()))
    assert told_again["consent"]["wording"] == "Yes, please."
    assert [event["type"] for event in told_again["events"]] == ["opened", "bounced"]


def test_what_was_skipped_names_the_suppression(app: App) -> None:
    sent = notify.send("hello", to="bounced")
    with app.store.read() as connection:
        [listed] = messages.listing(connection, DEFAULT_ID, notification_id=sent.id)
    [suppression] = notify.explain(listed.message.id).suppressions
    assert (suppression.scope, suppression.reason, suppression.source) == ("all", "bounced", "feedback")


def test_a_listing_says_why_a_batch_waits_as_a_whole(app: App) -> None:
    notify.send("hello", to="ada")
    until = NOW + timedelta(minutes=5)
    with app.store.begin() as connection:
        waits = {"reason": "provider_paused", "rule": "smtp is paused", "due_at": until}
        connection.execute(sa.update(tables.batches).values(**waits))
        [listed] = messages.listing(connection, DEFAULT_ID)
    assert (listed.message.reason, listed.message.rule, listed.message.due_at) == (*list(waits.values())[:2], until)
    assert replace(listed.message) == notify.explain(listed.message.id).message


# the command line


@pytest.fixture
def house(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("database_url", "redis_url", "templates_dir", "data_dir"):
        value = getattr(app.settings, name)
        shown = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        monkeypatch.setenv(f"NOTIFY_{name.upper()}", shown)


@pytest.mark.usefixtures("house")
def test_the_command_foretells_and_explains(app: App) -> None:
    unknown = notify_cli("explain", "--kind", "helo", "--to", "off")
    assert (unknown.code, unknown.out) == (1, "")
    assert "there is no kind 'helo'; did you mean 'hello'?\nNext: `notify kinds list`" in unknown.err
    told = notify_cli("explain", "--kind", "hello", "--to", "off")
    assert (told.code, told.err) == (0, "")
    assert "decides  preference" in told.out
    assert "Nothing was stored, and nothing sent." in told.out
    [channel] = notify_cli("explain", "--kind", "hello", "--to", "bounced", "--channel", "email", "--json").json[
        "channels"
    ]
    assert (channel["outcome"], channel["reason"]) == ("skipped", "suppressed")
    later = notify_cli("explain", "--kind", "hello", "--to", "ada", "--at", "2999-01-01T00:00Z", "--json")
    assert later.json["channels"][0]["at"] == "2999-01-01T00:00:00+00:00"
    message = sent_message(app, state="cancelled")
    assert notify_cli("explain", str(message)).code == 0


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    "arguments",
    [(), ("--kind", "hello"), ("--to", "ada"), ("0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61", "--kind", "hello")],
    ids=str,
)
def test_the_command_asks_for_a_message_or_for_a_kind_and_a_recipient(arguments: tuple[str, ...]) -> None:
    assert notify_cli("explain", *arguments).code == 3
