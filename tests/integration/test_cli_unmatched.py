"""`notify bounces unmatched`, and what `messages show` and `status` tell of mails that came back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

import notify
from notify.app import App, open_app, using
from notify.dev.mailbox import Mailbox
from notify.feedback.incoming import Mail, take
from notify.settings import load
from tests import answers
from tests.drain import drain
from tests.kinds import make_kind
from tests.unit.cli.running import install, notify_cli

UNMATCHED = ("bounces", "unmatched")


@pytest.fixture(autouse=True)
def app(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str, mailbox: Mailbox, templates: Path
) -> Iterator[App]:
    install(
        monkeypatch,
        tmp_path,
        redis_url=redis_url,
        templates_dir=templates,
        email_providers=f"smtp://127.0.0.1:{mailbox.port}",
        keep_replies="1",
    )
    make_kind(templates)
    notify_cli("db", "upgrade")
    opened = open_app(load())
    with using(opened):
        notify.send("hello", {"key": "ada", "email": "ada@example.org"})
        drain(opened)
        yield opened
    opened.close()


def arrives(app: App, octets: bytes) -> None:
    take(app, "imaps://mail.example.org/INBOX", [Mail(octets, len(octets), app.clock.now())])


def message() -> str:
    [one] = notify_cli("messages", "list", "--json").json
    return str(one["message"])


def waits() -> str:
    [one] = notify_cli(*UNMATCHED, "list", "--json").json
    return str(one["id"])


def test_a_report_is_listed_shown_and_resolved_once(app: App) -> None:
    assert notify_cli(*UNMATCHED, "list").out == "Nothing waits.\n"
    arrives(app, answers.dsn("lovelace@elsewhere.example"))
    listed = notify_cli(*UNMATCHED, "list").out
    assert all(word in listed for word in ("bounce", "unknown_recipient", "lovelace@elsewhere.example", "hard"))
    shown = notify_cli(*UNMATCHED, "show", waits())
    assert "User unknown" in shown.out
    assert " UTC" in shown.out
    assert "Reporting-MTA: dns; mx.example.net" in notify_cli(*UNMATCHED, "show", waits(), "--json").json["body"]
    id_ = waits()
    done = notify_cli(*UNMATCHED, "resolve", id_, "--recipient", "ada", "--json").json
    assert (done["resolved_now"], done["message"], done["effects"]) == (True, message(), {"suppressed": 1})
    again = notify_cli(*UNMATCHED, "resolve", id_, "--recipient", "ada")
    assert again.code == 0
    assert again.out.startswith("It was resolved before, by ")
    assert notify_cli(*UNMATCHED, "list", "--json").json == []


def test_who_resolves_a_report_is_told_which_address_was_suppressed(app: App) -> None:
    arrives(app, answers.dsn("lovelace@elsewhere.example"))
    done = notify_cli(*UNMATCHED, "resolve", waits(), "--recipient", "ada")
    assert f"It is of message {message()} to ada@example.org: 1 recorded; 1 suppressed." in done.out
    assert "The report itself names lovelace@elsewhere.example." in done.out


def test_a_report_is_dismissed(app: App) -> None:
    arrives(app, answers.dsn("lovelace@elsewhere.example"))
    ran = notify_cli(*UNMATCHED, "resolve", waits(), "--dismiss")
    assert (ran.code, ran.out) == (0, "Dismissed: nothing follows from it.\n")
    assert notify_cli("suppressions", "list", "--json").json == []


def test_reports_are_read_again_when_their_messages_are_here(app: App) -> None:
    arrives(app, answers.dsn("lovelace@elsewhere.example"))
    assert notify_cli(*UNMATCHED, "retry", waits()).out == "1 read again: 1 unmatched.\n"
    found = notify_cli(*UNMATCHED, "retry", "--reason", "unknown_recipient", "--json").json
    assert found == {"read": 1, "states": {"unmatched": 1}}
    assert notify_cli(*UNMATCHED, "retry", "--reason", "failed").code == 1
    assert notify_cli(*UNMATCHED, "retry").code == 3


@pytest.mark.parametrize("given", [(), ("--dismiss", "--recipient", "ada")])
def test_it_must_be_said_whose_a_report_is(app: App, given: tuple[str, ...]) -> None:
    ran = notify_cli(*UNMATCHED, "resolve", str(UUID(int=1)), *given)
    assert ran.code == 3
    assert "give one of --recipient, --message and --dismiss" in ran.err


def test_an_unknown_report_is_named_with_the_next_step(app: App) -> None:
    for words in (("show", str(UUID(int=1))), ("resolve", str(UUID(int=1)), "--dismiss")):
        ran = notify_cli(*UNMATCHED, *words)
        assert ran.code == 1
        assert "Next: notify bounces unmatched list" in ran.err


def test_the_story_of_a_message_has_its_mails_and_what_followed(app: App) -> None:
    header_id = answers.ours(UUID(message()))
    arrives(app, answers.reply(f"In-Reply-To: {header_id}"))
    arrives(app, answers.dsn("ada@example.org", header_id=header_id))
    shown = notify_cli("messages", "show", message()).out
    for words in ("replied: mail", "bounced: mail hard 5.1.1", "suppressed: for all", "Yes, at noon.", "Re: Hello"):
        assert words in shown
    told = notify_cli("suppressions", "show", "ada@example.org").out
    assert "mail hard bounced 5.1.1 550 5.1.1 <ada@example.org>" in told


def test_status_counts_what_came_back_and_what_waits(app: App) -> None:
    arrives(app, answers.dsn("ada@example.org", header_id=answers.ours(UUID(message()))))
    arrives(app, answers.dsn("lovelace@elsewhere.example"))
    found = json.loads(notify_cli("status", "--json").out)
    assert (found["came_back"], found["unmatched"]) == ({"hard": 1}, 1)
    shown = notify_cli("status").out
    assert "came back in a day" in shown
    assert "1: notify bounces unmatched list" in shown
