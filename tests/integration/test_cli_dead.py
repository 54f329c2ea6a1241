"""`notify dead`, `retries` and `doubts`, as an operator types them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.app import App, open_app
from notify.delivery import Worker, deliver, replay
from notify.dev.mailbox import Mailbox
from notify.model import Death, ErrorClass, Filter, MessageState
from notify.settings import load
from notify.store import batches, dead_letters, tables
from notify.store.tenants import DEFAULT_ID
from tests.kinds import make_kind
from tests.providers import free_port
from tests.unit.cli.running import Ran, install, notify_cli

BROKEN = "<html lang='en'><head><title>x</title></head><body>{{ word.nothing.at.all }}</body></html>"
UNKNOWN = "0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61"


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


@pytest.fixture
def house() -> Iterator[App]:
    """The installation that the commands work on."""
    app = open_app(load())
    yield app
    app.close()


def send(count: int, kind: str = "hello", *arguments: str) -> str:
    people = "".join(json.dumps({"key": f"u{n}", "email": f"u{n}@example.org"}) + "\n" for n in range(count))
    ran = notify_cli("send", kind, "--to-file", "-", "--json", *arguments, given=people)
    assert ran.code == 0, ran.err
    return str(ran.json["notification"])


def drain() -> None:
    """Deliver everything that is due, as a worker would."""
    app = open_app(load())
    now = datetime.now(UTC)
    with app.store.begin() as connection:
        found = batches.due(connection, now, unclaimed_since=now, limit=500)
    for batch in found:
        deliver(app, batch.id, Worker("test"))
    app.close()


@pytest.fixture
def three_dead(templates: Path) -> str:
    """A notification whose three messages died of their template, which is mended now."""
    make_kind(templates, html=BROKEN)
    sent = send(3, "hello", "--key", "may")
    drain()
    make_kind(templates)
    return sent


def json_of(*arguments: str) -> Any:
    ran = notify_cli(*arguments, "--json")
    assert ran.code == 0, ran.err
    return ran.json


def test_equal_deaths_are_one_line_and_each_can_be_listed(three_dead: str) -> None:
    [cause] = json_of("dead", "list")
    assert (cause["count"], cause["kind"], cause["error"]) == (3, "hello", "unrenderable")
    told = notify_cli("dead", "list")
    assert (told.code, told.out.count("unrenderable")) == (0, 2)  # its class, and its reason
    for part in ("hello", cause["fingerprint"], cause["example"]):
        assert part in told.out
    each = json_of("dead", "list", "--each", "--fingerprint", cause["fingerprint"])
    assert [one["recipient"] for one in each] == ["u0", "u1", "u2"]
    assert "There are more than these 2" in notify_cli("dead", "list", "--each", "--limit", "2").out
    shown = notify_cli("dead", "show", cause["example"])
    assert (shown.code, "3 of this cause" in shown.out, "u0@example.org" in shown.out) == (0, True, True)
    assert json_of("dead", "show", cause["example"])["notification"] == three_dead


def test_a_time_may_be_so_long_ago(three_dead: str) -> None:
    [cause] = json_of("dead", "list", "--since", "1h")
    assert cause["count"] == 3
    assert notify_cli("dead", "list", "--until", "1h").code == 1


def test_a_listing_without_dead_letters_says_so() -> None:
    assert notify_cli("dead", "list") == Ran(0, "No such dead letters.\n", "")
    assert json_of("dead", "list") == []
    assert notify_cli("dead", "list", "--kind", "hello").code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "--kind", "other"],
        ["replay", UNKNOWN],
        ["replay", "--all", "--dry-run"],
        ["discard", "--error", "poison"],
        ["discard", "--all", "--dry-run"],
        ["export"],
        ["show", UNKNOWN],
        ["cancel", UNKNOWN],
        ["replay", "--mailout", "never"],
    ],
    ids=" ".join,
)
def test_a_filter_that_matches_nothing_says_so(arguments: list[str]) -> None:
    ran = notify_cli("dead", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert "error: no " in ran.err


@pytest.mark.parametrize(
    "command", [["dead", "replay"], ["dead", "discard"], ["retries", "now"], ["retries", "cancel"]]
)
def test_everything_has_to_be_asked_for(command: list[str], three_dead: str) -> None:
    for arguments in ([], ["--all", "--kind", "hello"]):
        ran = notify_cli(*command, *arguments)
        assert (ran.code, ran.out) == (3, "")
        assert "--all" in ran.err
    assert json_of("dead", "list")[0]["count"] == 3


def test_dead_letters_are_replayed_and_the_job_is_remembered(three_dead: str, mailbox: Mailbox) -> None:
    rehearsed = notify_cli("dead", "replay", "--mailout", "may", "--dry-run")
    assert (rehearsed.code, rehearsed.out) == (0, "Would replay 3 of 3 dead letters.\n")
    ran = notify_cli("dead", "replay", "--notification", three_dead)
    assert (ran.code, ran.out) == (0, "Replayed 3 of 3 dead letters.\n")
    drain()
    assert mailbox.count == 3
    [job] = json_of("dead", "replays")
    assert (job["state"], job["replayed"], job["filter"]) == ("done", 3, {"notification_id": three_dead})
    assert job["actor"].startswith("cli:")
    listed = notify_cli("dead", "replays")
    assert job["id"] in listed.out
    assert "It had ended already" in notify_cli("dead", "cancel", job["id"]).out


def test_what_is_passed_over_is_told(three_dead: str) -> None:
    ran = notify_cli("dead", "replay", "--all", "--as-was")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "Replayed 0 of 3 dead letters.",
        "Passed over 3 that left no mail, for they were never rendered or too large: replay them without --as-was.",
    ]
    told = notify_cli("dead", "replay", "--all", "--as-was", "--dry-run", "--json").json
    assert (told["dry_run"], told["passed_over"]) == (True, {"no_kept_mail": 3})


def test_ctrl_c_leaves_the_rest_to_the_workers(three_dead: str, house: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "SLICE", {"sqlite": 1, "postgresql": 1})
    look = replay._work_slice
    calls: list[object] = []

    def interrupted(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return look(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(replay, "_work_slice", interrupted)
        ran = notify_cli("dead", "replay", "--all")
    assert ran.code == 130
    assert ran.out.startswith("Replayed 1 of 3 dead letters.\nThe rest is left to the workers")
    [job] = json_of("dead", "replays")
    assert (job["state"], job["replayed"]) == ("running", 1)
    assert f"notify dead cancel {job['id']}" in ran.out
    replay.run(house)
    assert json_of("dead", "replays")[0]["state"] == "done"


def test_a_running_replay_can_be_cancelled(three_dead: str, house: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "SLICE", {"sqlite": 1, "postgresql": 1})
    job = replay.begin(house, Filter(), replay.Terms(), actor="test")
    next(replay.work(house, job))
    ran = notify_cli("dead", "cancel", str(job.id))
    assert (ran.code, ran.out) == (0, "Cancelled: 1 of 3 dead letters were replayed before.\n")
    assert json_of("dead", "list")[0]["count"] == 2


def test_discarded_letters_are_off_the_list(three_dead: str) -> None:
    [one, *_] = json_of("dead", "list", "--each")
    assert notify_cli("dead", "discard", "--all", "--dry-run").out == "Would discard 3 dead letters.\n"
    assert notify_cli("dead", "discard", one["id"]).out == "Discarded 1 dead letter.\n"
    assert json_of("dead", "discard", "--all") == {"discarded": 2}
    assert json_of("dead", "list") == []
    assert len(json_of("messages", "list", "--state", "dead")) == 3


def test_an_export_is_read_by_programs_and_harmless_in_a_spreadsheet(three_dead: str, house: App) -> None:
    lines = [json.loads(line) for line in notify_cli("dead", "export").out.splitlines()]
    assert [line["address"] for line in lines] == [f"u{n}@example.org" for n in range(3)]
    now = datetime.now(UTC)
    formula = Death(DEFAULT_ID, None, ErrorClass.TASK, "unknown_task", "=HYPERLINK(1)", now, payload="{}")
    with house.store.begin() as connection:
        dead_letters.bury(connection, [formula])
    rows = list(csv.DictReader(io.StringIO(notify_cli("dead", "export", "--format", "csv").out)))
    assert [row["detail"] for row in rows if row["error"] == "task"] == ["'=HYPERLINK(1)"]
    assert [row["recipient"] for row in rows] == ["u0", "u1", "u2", ""]


def test_retries_are_listed_tried_now_and_cancelled(
    house: App, monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox
) -> None:
    assert notify_cli("retries", "list").out == "Nothing waits for another try.\n"
    with monkeypatch.context() as away:
        away.setenv("NOTIFY_EMAIL_PROVIDERS", f"smtp://127.0.0.1:{free_port()}")
        send(3)
        drain()
    listed = json_of("retries", "list")
    assert [(one["recipient"], one["attempts"]) for one in listed] == [("u0", 0), ("u1", 0), ("u2", 0)]
    assert "These are 1 of 3" in notify_cli("retries", "list", "--limit", "1").out
    assert notify_cli("retries", "list", "--kind", "other").code == 1
    assert notify_cli("retries", "cancel", listed[0]["message"]).out == "Cancelled 1 message.\n"
    assert notify_cli("retries", "now", "--reason", listed[0]["reason"]).out == "2 messages are due now.\n"
    drain()
    assert mailbox.count == 2
    nothing = notify_cli("retries", "now", "--all")
    assert (nothing.code, "no message that waits" in nothing.err) == (1, True)


def test_doubts_are_listed_and_settled(house: App) -> None:
    assert notify_cli("doubts", "list").out == "Nothing is held in doubt.\n"
    send(2)
    with house.store.begin() as connection:
        connection.execute(sa.update(tables.messages).values(state=MessageState.IN_DOUBT, reason="body_timeout"))
    one, two = json_of("doubts", "list", "--reason", "body_timeout")
    assert one["message"] in notify_cli("doubts", "list").out
    assert notify_cli("doubts", "settle", one["message"]).code == 3
    settled = notify_cli("doubts", "settle", one["message"], "--sent")
    assert (settled.code, settled.out) == (0, "Settled 1 message: sent.\n")
    stranger = str(uuid7())
    mixed = notify_cli("doubts", "settle", one["message"], two["message"], stranger, "--dead")
    assert mixed.code == 1
    assert mixed.out.startswith("Settled 1 message: dead.\n")
    assert f"Left alone {stranger}" in mixed.out
    assert json_of("dead", "list")[0]["error"] == "uncertain"
