"""`notify providers`: what an operator sees of each, and what changes when one is paused and resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from notify.app import App, open_app
from notify.channels.email.smtp import Smtp
from notify.channels.provider import Quota
from notify.delivery.breaker import Breakers
from notify.delivery.pauses import pause_misconfigured
from notify.dev.mailbox import Mailbox
from notify.errors import Misconfigured, Transient
from notify.settings import load
from notify.store import schema
from notify.store.tables import audit
from tests.mails import all_in
from tests.providers import free_port
from tests.smtp_server import serving
from tests.unit.cli.running import install, notify_cli


@dataclass(frozen=True)
class Two:
    """An installation with two providers: the first a mail catcher, the second as the test has it."""

    app: App
    mailbox: Mailbox


@pytest.fixture
def make_two(tmp_path: Path, redis_url: str, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    opened: list[App] = []

    def make(second: str) -> Two:
        first = f"smtp://127.0.0.1:{mailbox.port}?name=main&weight=3&rate=14/s"
        install(monkeypatch, tmp_path, redis_url=redis_url, email_providers=f"{first},{second}")
        app = open_app(load())
        opened.append(app)
        app.redis.flushall()
        schema.upgrade(app.store)
        return Two(app, mailbox)

    yield make
    for app in opened:
        app.close()


MakeTwo = Callable[[str], Two]


@pytest.fixture
def two(make_two: MakeTwo) -> Two:
    return make_two(f"smtp://u:hunter2@127.0.0.1:{free_port()}?tls=none&name=spare&share=5%25")


def facts(name: str) -> dict[str, Any]:
    return next(row for row in notify_cli("providers", "list", "--json").json if row["name"] == name)


# list


def test_the_list_tells_name_place_part_and_state(two: Two) -> None:
    main, spare = notify_cli("providers", "list", "--json").json
    assert main == {
        "channel": "email",
        "position": 1,
        "name": "main",
        "state": "ready",
        "since": None,
        "until": None,
        "why": None,
        "weight": 3,
        "share": None,
        "rate": "14/s",
        "quota": None,
        "last_trouble": None,
        "last_trouble_at": None,
    }
    assert (spare["position"], spare["name"], spare["share"]) == (2, "spare", 0.05)
    ran = notify_cli("providers", "list")
    assert ran.code == 0
    for word in ("main", "weight 3", "14/s", "spare", "5 %", "ready"):
        assert word in ran.out
    assert "hunter2" not in ran.out


def test_the_list_tells_whose_breaker_is_open_until_when_and_why(two: Two) -> None:
    Breakers(two.app).report("spare", bad=1, out_of_reach=True, reason="unreachable")
    spare = facts("spare")
    assert (spare["state"], spare["last_trouble"]) == ("open", "unreachable")
    assert spare["until"] > spare["last_trouble_at"]
    assert "unreachable" in notify_cli("providers", "list").out


def test_the_list_tells_who_asked_for_a_wait(two: Two) -> None:
    Breakers(two.app).hold("spare", 60, "throttled")
    assert facts("spare")["state"] == "throttled"


def test_the_list_tells_who_is_paused_since_when_and_why(two: Two) -> None:
    pause_misconfigured(two.app, two.app.channels.named("spare"), Misconfigured("auth_refused", "535 no"))
    spare = facts("spare")
    assert (spare["state"], spare["why"], spare["last_trouble"]) == ("paused", "auth_refused (worker)", "auth_refused")
    assert spare["since"] == spare["last_trouble_at"]


def test_a_pause_is_void_once_the_url_was_changed(two: Two, make_two: MakeTwo) -> None:
    pause_misconfigured(two.app, two.app.channels.named("spare"), Misconfigured("auth_refused", "535 no"))
    make_two("smtp://127.0.0.1:1?name=spare")
    assert facts("spare")["state"] == "ready"


def test_without_redis_the_list_says_that_it_does_not_know(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    assert facts("main")["state"] == "unknown"


@pytest.mark.parametrize(
    ("quota", "shown"),
    [
        (Quota(limit=50000, remaining=49000, seconds=86400, per_second=14.0), "49,000 of 50,000, 14/s"),
        (Quota(remaining=7), "7"),
        (Transient("unreachable", "no"), "not told"),
    ],
)
def test_the_list_tells_what_is_left_where_the_provider_tells(
    two: Two, quota: Quota | Transient, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(_self: Smtp) -> Quota:
        if isinstance(quota, Transient):
            raise quota
        return quota

    monkeypatch.setattr(Smtp, "quota", ask, raising=False)
    assert shown in notify_cli("providers", "list").out


def test_the_list_tells_the_rate_that_the_api_tells_where_the_url_has_none(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Smtp, "quota", lambda _: Quota(per_second=80.0), raising=False)
    shown = notify_cli("providers", "list").out
    assert "80/s (quota)" in shown
    assert "14/s (quota)" not in shown


# check


def test_a_check_names_who_does_not_answer_and_the_next_step(two: Two) -> None:
    ran = notify_cli("providers", "check")
    assert ran.code == 2
    assert "✓ main: answers, and takes the credentials" in ran.out
    assert "✗ spare: unreachable" in ran.out
    assert "Next: check host and port in its URL" in ran.out
    assert all_in(two.mailbox.folder) == []


def test_a_check_tells_refused_credentials_without_the_password(make_two: MakeTwo) -> None:
    with serving(lambda _, step, __: "535 5.7.8 wrong" if step == "AUTH" else None, offers=("AUTH PLAIN",)) as server:
        host = server.url.removeprefix("smtp://")
        make_two(f"smtp://u:hunter2@{host}&tls=none&name=spare")
        (found,) = notify_cli("providers", "check", "--provider", "spare", "--json").json
    assert (found["ok"], found["reason"]) == (False, "auth_refused")
    assert found["next"].endswith("notify providers resume spare")
    assert "hunter2" not in str(found)


def test_a_check_of_one_that_is_well_is_done(two: Two) -> None:
    ran = notify_cli("providers", "check", "--provider", "main")
    assert (ran.code, ran.out.splitlines()) == (0, ["✓ main: answers, and takes the credentials"])


def test_a_check_asks_the_provider_in_its_own_way_where_it_has_one(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Smtp) -> None:
        raise Misconfigured("key_refused", "write to ada@example.org")

    monkeypatch.setattr(Smtp, "check", refuse, raising=False)
    ran = notify_cli("providers", "check", "--provider", "main")
    assert ran.code == 2
    assert "✗ main: key_refused: write to [address]" in ran.out


# test


def test_a_test_sends_one_mail_through_each_and_shows_the_receipt(two: Two) -> None:
    ran = notify_cli("providers", "test", "ops@example.org")
    assert ran.code == 2
    assert "✓ main: accepted: " in ran.out
    assert "✗ spare: unreachable" in ran.out
    (mail,) = all_in(two.mailbox.folder)
    assert (mail["To"], mail["Subject"], mail["X-Notify-Mode"]) == (
        "ops@example.org",
        "[TEST] notify, through main",
        "test",
    )


def test_a_test_of_a_refused_recipient_shows_the_reply(make_two: MakeTwo) -> None:
    with serving(lambda _, step, __: "550 5.1.1 nobody" if step == "RCPT" else None) as server:
        make_two(f"{server.url}&name=spare")
        (found,) = notify_cli("providers", "test", "x@example.org", "--provider", "spare", "--json").json
    assert (found["ok"], found["reason"], found["said"]) == (False, "mailbox_unknown", "550 5.1.1 nobody")


def test_a_test_to_what_is_no_address_is_refused(two: Two) -> None:
    ran = notify_cli("providers", "test", "nobody")
    assert (ran.code, ran.out) == (1, "")
    assert "is not an e-mail address" in ran.err


# pause and resume


def test_a_pause_holds_until_it_is_resumed_and_both_are_audited(two: Two) -> None:
    assert notify_cli("providers", "pause", "main", "--reason", "maintenance").code == 0
    assert facts("main")["state"] == "paused"
    assert facts("main")["why"].startswith("maintenance (cli:")
    assert notify_cli("providers", "pause", "main").out == "main was paused already.\n"
    assert notify_cli("providers", "resume", "main").code == 0
    assert facts("main")["state"] == "ready"
    assert notify_cli("providers", "resume", "main").out == "main was not paused.\n"
    with two.app.store.read() as connection:
        rows = connection.execute(sa.select(audit.c.action, audit.c.subject).order_by(audit.c.at)).all()
    assert [tuple(row) for row in rows] == [("provider.paused", "main"), ("provider.resumed", "main")]


@pytest.mark.parametrize("command", [["pause", "mian"], ["resume", "mian"], ["check", "--provider", "mian"]])
def test_a_name_that_no_provider_has_is_answered_with_the_nearest(two: Two, command: list[str]) -> None:
    ran = notify_cli("providers", *command)
    assert ran.code == 3
    assert "did you mean 'main'?" in ran.err
