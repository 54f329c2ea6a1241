"""`notify send`, `messages`, `explain` and `cancel`: from the command line to a mailbox, and back to the story."""

from __future__ import annotations

import email
import email.policy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from notify.app import open_app
from notify.delivery import Worker, deliver
from notify.dev.mailbox import Mailbox
from notify.settings import load
from notify.store import batches
from tests.kinds import make_kind
from tests.unit.cli.running import Ran, install, notify_cli

ADA = json.dumps({"key": "user-43", "email": "ada@example.org", "name": "Ada"})
NOBODY = json.dumps({"key": "user-44", "name": "No Address"})


@pytest.fixture(autouse=True)
def _installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str, mailbox: Mailbox, templates: Path
) -> None:
    install(
        monkeypatch,
        tmp_path,
        redis_url=redis_url,
        templates_dir=templates,
        email_providers=f"smtp://127.0.0.1:{mailbox.port}",
    )
    make_kind(templates)
    notify_cli("db", "upgrade")


def send(*arguments: str, given: str | None = None) -> dict[str, Any]:
    ran = notify_cli("send", "hello", *arguments, "--json", given=given)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = ran.json
    return found


def message_ids(*arguments: str) -> list[str]:
    return [row["message"] for row in notify_cli("messages", "list", "--json", *arguments).json]


def drain() -> None:
    """Deliver everything that is due, as a worker would."""
    app = open_app(load())
    now = datetime.now(UTC)
    with app.store.begin() as connection:
        found = batches.due(connection, now, unclaimed_since=now, limit=500)
    for batch in found:
        deliver(app, batch.id, Worker("test"))
    app.close()


def test_what_is_sent_arrives_and_its_story_is_told(mailbox: Mailbox) -> None:
    Path("results.csv").write_text("a,b\n1,2\n")
    sent = send("--to", ADA, "--data", '{"word": "Grüezi"}', "--attach", "results.csv", "--key", "job-7")
    assert sent["messages"] == {"queued": 1}
    drain()
    [path] = mailbox.folder.glob("*.eml")
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert mail["subject"] == "Grüezi"
    [attached] = mail.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("results.csv", "text/csv")

    [message] = message_ids()
    told = notify_cli("messages", "show", message)
    assert told.code == 0
    for part in ("sent", "hello", "ada@example.org", sent["notification"], "job-7", "attempt 1", "accepted", "smtp"):
        assert part in told.out
    assert f"<{message}@" in told.out
    assert "Grüezi" in told.out
    assert notify_cli("explain", message).out == told.out
    story = notify_cli("explain", message, "--json").json
    assert story["state"] == "sent"
    assert story["attempts"][0]["outcome"] == "accepted"


def test_a_summary_for_people_counts_by_state() -> None:
    ran = notify_cli("send", "hello", "--to", ADA, "--to", NOBODY)
    assert ran.code == 0
    assert "queued 1, skipped 1" in ran.out
    assert "Next: notify messages list --notification " in ran.out


def test_recipients_are_read_from_a_file_and_from_standard_input() -> None:
    Path("people.jsonl").write_text(f'{ADA}\n\n{{"key": "b", "email": "b@example.org"}}\n')
    assert send("--to-file", "people.jsonl")["messages"] == {"queued": 2}
    assert send("--to-file", "-", given='"user-43"\n"b"\n')["messages"] == {"queued": 2}


def test_a_bad_line_of_recipients_is_named_and_nothing_is_stored() -> None:
    Path("people.jsonl").write_text(f"{ADA}\nuser-44\n")
    ran = notify_cli("send", "hello", "--to-file", "people.jsonl")
    assert (ran.code, ran.out) == (3, "")
    assert "people.jsonl, line 2, column 1: Expecting value" in ran.err
    assert message_ids() == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["helo", "--to", ADA], "did you mean 'hello'?"),
        (["hello", "--to", "stranger"], "no recipient 'stranger'"),
        (["hello", "--to", ADA, "--data", '{"wrod": "x"}'], "did you mean 'word'?"),
        (["hello", "--to", '{"key": "x", "email": "nowhere"}'], "not an e-mail address"),
        (["hello", "--to", ADA, "--tenant", "acme"], "no tenant 'acme'"),
    ],
)
def test_a_request_that_is_refused_stores_nothing(arguments: list[str], complaint: str) -> None:
    ran = notify_cli("send", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert complaint in ran.err
    assert message_ids() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--to", ADA, "--mode", "dry"],
        ["--to", ADA, "--at", "noon"],
        ["--to", ADA, "--expires", "soon"],
        ["--to", '{"key"}'],
        [],
        ["--to", ADA, "--attach", "x"],
    ],
)
def test_a_wrong_use_is_told_from_a_refused_request(arguments: list[str]) -> None:
    ran = notify_cli("send", "hello", *arguments)
    assert (ran.code, ran.out) == (3, "")
    assert "Next: notify send --help" in ran.err


def test_a_deadline_is_shown_wherever_the_message_is() -> None:
    sent = send("--to", ADA, "--at", "2031-05-01T09:00+02:00", "--expires", "2h")
    assert sent["expires_at"] == "2031-05-01T09:00:00+00:00"
    [message] = message_ids()
    assert "deadline      2031-05-01 09:00:00 UTC" in notify_cli("messages", "show", message).out
    assert notify_cli("explain", message, "--json").json["expires_at"] == sent["expires_at"]
    assert "deadline" in notify_cli("send", "hello", "--to", ADA, "--expires", "2031-05-01T09:00Z").out


def test_a_deadline_that_has_passed_is_refused() -> None:
    ran = notify_cli("send", "hello", "--to", ADA, "--expires", "2020-05-01T09:00Z")
    assert (ran.code, ran.out) == (1, "")
    assert "expires is in the past: 2020-05-01 09:00:00 UTC" in ran.err


def test_everyone_can_be_notified_from_the_command_line() -> None:
    send("--to", ADA)
    ran = notify_cli("send", "hello", "--everyone", "--tag", "beta")
    assert ran.code == 0, ran.err
    assert "notify status tells how far they are" in ran.out
    assert send("--everyone")["messages"] == {}


@pytest.mark.parametrize("arguments", [["--tag", "beta"], ["--everyone", "--to", "ada"]], ids=str)
def test_everyone_stands_alone(arguments: list[str]) -> None:
    ran = notify_cli("send", "hello", *arguments)
    assert (ran.code, ran.out) == (3, "")
    assert "--everyone" in ran.err


def test_a_key_used_again_sends_nothing_again() -> None:
    first, second = send("--to", ADA, "--key", "k"), send("--to", ADA, "--key", "k")
    assert second["notification"] == first["notification"]
    assert (first["repeated"], second["repeated"]) == (False, True)
    assert "nothing was sent again" in notify_cli("send", "hello", "--to", ADA, "--key", "k").out
    conflict = notify_cli("send", "hello", "--to", ADA, "--key", "k", "--data", '{"word": "other"}')
    assert conflict.code == 1
    assert "'k' was used" in conflict.err


def test_a_dry_run_says_where_its_mails_lie(mailbox: Mailbox) -> None:
    ran = notify_cli("send", "hello", "--to", ADA, "--mode", "dry_run")
    drain()
    folder = Path(ran.out.partition("Mails will lie in ")[2].splitlines()[0])
    assert [path.suffix for path in folder.iterdir()] == [".eml"]
    assert list(mailbox.folder.glob("*.eml")) == []


def test_a_broker_that_is_away_is_said_so_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_BROKER_URL", "redis://:s3cret@127.0.0.1:1/0")
    ran = notify_cli("send", "hello", "--to", ADA, "--json")
    assert ran.code == 0
    assert ran.json["messages"] == {"queued": 1}
    assert "batch.unpublished" in ran.err
    assert "s3cret" not in ran.err


def test_messages_are_listed_by_state_kind_recipient_and_notification() -> None:
    sent = send("--to", ADA, "--to", NOBODY)
    send("--to", ADA)
    assert len(message_ids()) == 3
    [skipped] = notify_cli("messages", "list", "--state", "skipped", "--json").json
    assert (skipped["recipient"], skipped["reason"]) == ("user-44", "no_address")
    assert len(message_ids("--state", "skipped", "--state", "queued")) == 3
    assert len(message_ids("--recipient", "user-43")) == 2
    assert len(message_ids("--notification", sent["notification"])) == 2
    assert len(message_ids("--kind", "hello")) == 3
    assert message_ids("--kind", "other") == []


def test_a_listing_says_that_there_is_more() -> None:
    send("--to", ADA, "--to", NOBODY)
    assert "There are more than these 1" in notify_cli("messages", "list", "--limit", "1").out
    assert "There are more" not in notify_cli("messages", "list", "--limit", "2").out
    assert len(message_ids("--limit", "1")) == 1


def test_a_listing_is_not_cut_off_when_it_is_piped_on() -> None:
    key = "user-" + "x" * 100
    send("--to", json.dumps({"key": key, "email": "x@example.org"}))
    listed = notify_cli("messages", "list").out
    assert key in listed
    assert "\x1b" not in listed


def test_a_value_cannot_steer_the_terminal() -> None:
    make_kind(Path("templates"), "colour", subject="{{ word }} [red]", data='word = "string"', sample={"word": "x"})
    ran = notify_cli("kinds", "preview", "colour", "--data", json.dumps({"word": "a\x1b[2Jb"}))
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert "a\N{REPLACEMENT CHARACTER}[2Jb [red]" in ran.out


@pytest.mark.parametrize("wanted", ["abc", "0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61"])
def test_a_message_that_is_not_there_is_refused(wanted: str) -> None:
    for command in (["explain"], ["messages", "show"]):
        ran = notify_cli(*command, wanted)
        assert (ran.code, ran.out) == (1, "")
        assert "notify messages list" in ran.err


def test_a_time_by_the_recipients_clock_is_told_and_kept(mailbox: Mailbox) -> None:
    ran = notify_cli("send", "hello", "--to", ADA, "--at-local", "2099-05-01T09:00")
    assert "2099-05-01T09:00 by each recipient's clock" in ran.out
    [message] = message_ids("--state", "queued")
    assert notify_cli("messages", "show", message, "--json").json["rule"] == "send(at=local 2099-05-01T09:00) in UTC"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--at-local", "9 o'clock"], "write it like 09:00"),
        (["--at-local", "09:00+02:00"], "each recipient has their own"),
        (["--delay", "soon"], "such as 30s or 5m"),
        (["--delay", "2h", "--at-local", "09:00"], "give one of them"),
    ],
)
def test_a_time_that_makes_no_sense_is_refused_with_the_remedy(options: list[str], words: str) -> None:
    ran = notify_cli("send", "hello", "--to", ADA, *options)
    assert ran.code == 3
    assert words in ran.err


def test_what_waits_can_be_cancelled_by_id_and_by_key(mailbox: Mailbox) -> None:
    by_id = send("--to", ADA, "--at", "2099-01-01T09:00Z")
    send("--to", ADA, "--at", "2099-01-01T09:00Z", "--key", "later")
    assert notify_cli("cancel", by_id["notification"]).out == "Cancelled 1 message.\n"
    assert notify_cli("cancel", "later", "--json").json == {"cancelled": 1}
    assert "Nothing was left to cancel" in notify_cli("cancel", "later").out
    assert len(message_ids("--state", "cancelled")) == 2
    shared = [send("--to", ADA, "--delay", "2h", "--cancellation-key", "order-17") for _ in range(2)]
    assert len({one["notification"] for one in shared}) == 2
    assert notify_cli("cancel", "--cancellation-key", "order-17").out == "Cancelled 2 messages.\n"
    assert notify_cli("cancel", "later", "--cancellation-key", "order-17").code == 3
    assert notify_cli("cancel").code == 3
    unknown: Ran = notify_cli("cancel", "never")
    assert unknown.code == 1
    assert "no notification 'never'" in unknown.err
