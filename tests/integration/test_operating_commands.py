"""The runbook: its commands run, its screens look so, its reasons and its tests are those that exist."""

from __future__ import annotations

import ast
import re
import shlex
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import click
import pytest
from uuid_utils.compat import uuid7

from notify.app import App, open_app
from notify.channels.email import ses_errors, smtp_replies, smtp_rules
from notify.channels.email.smtp_replies import Refused, Step, failure
from notify.dev.mailbox import Mailbox
from notify.model import Channel, Death, ErrorClass, Filter, Hold, HoldScope, Measure, MessageState, Outcome
from notify.settings import load
from notify.store import dead_letters, guarding, messages, notifications, presence, schema, tenants
from tests.drain import drain
from tests.unit.cli.running import install, notify_cli
from tests.unit.test_docs import rows
from tests.unit.test_reference import COMMANDS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operating.md"
HOOKS, RETURN_PATH, MAILBOXES, EVENTS = (
    ROOT / "docs" / name for name in ("webhooks.md", "return-path.md", "mailboxes.md", "reference/events.md")
)
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', TEXT, re.MULTILINE | re.DOTALL)
TYPED = [line.removeprefix("$ ") for language, _, body in BLOCKS if language == "console" for line in body.splitlines()]
SCREENS = {title: body for _, title, body in BLOCKS if title}
CODE = re.compile(r"`([^`]+)`")
QUEUES = "email.critical,email.normal,email.bulk,system"
FAILED = {
    "newsletter-2031-05": (MessageState.QUEUED, "unreachable"),
    "doubtful": (MessageState.IN_DOUBT, "body_timeout"),
    "dead": (MessageState.DEAD, "body_rejected"),
}
ADA = '{"key": "user-42", "email": "ada@example.org", "name": "Ada"}'


@pytest.fixture
def house(tmp_path: Path, redis_url: str, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """An installation on SQLite that is well: one message sent, one scheduled, a roster to import.

    One message each waits for another try, is in doubt, and is dead.
    """
    install(monkeypatch, tmp_path, redis_url=redis_url, email_providers=f"smtp://127.0.0.1:{mailbox.port}")
    (tmp_path / "roster.csv").write_text("key,email\nuser-44,grace@example.org\n", encoding="utf-8")
    app = open_app(load())
    schema.upgrade(app.store)
    for options in (["--to", ADA], ["--to", "user-42", "--key", "password-reset-42", "--at", "2131-05-01T09:00+00:00"]):
        assert notify_cli("send", "welcome", *options).code == 0
    drain(app)
    for key in FAILED:
        later = ("--key", key, "--at", "2131-05-01T09:00+00:00")
        assert notify_cli("send", "welcome", "--to", "user-42", *later).code == 0
    now = datetime.now(UTC)
    with app.store.begin() as connection:
        for key, (state, reason) in FAILED.items():
            messages.move(connection, [one(app, key)], MessageState.QUEUED, MessageState.SENDING, at=now)
            messages.move(connection, [one(app, key)], MessageState.SENDING, state, at=now, reason=reason)
        death = Death(tenants.DEFAULT_ID, one(app, "dead"), ErrorClass.REJECTED, "body_rejected", "550 no", now)
        dead_letters.bury(connection, [replace(death, kind="welcome", channel=Channel.EMAIL)])
    with app.store.begin() as connection:
        presence.heartbeat(connection, "web-1:4711", QUEUES, now)
        for name in ("relay", "sweep"):
            presence.claim_slot(connection, name, 1, now)
    yield app
    app.close()


def one(app: App, key: str) -> UUID:
    """The message of the notification with this key."""
    with app.store.read() as connection:
        notification = notifications.find(connection, tenants.DEFAULT_ID, key)
        assert notification is not None
        [row] = messages.listing(connection, tenants.DEFAULT_ID, notification_id=notification.id)
    return row.message.id


def filled(app: App, word: str) -> str:
    """What an operator types where the runbook has a word in capitals."""
    with app.store.read() as connection:
        [row] = messages.listing(connection, tenants.DEFAULT_ID, states=[MessageState.SENT])
        [letter] = dead_letters.listing(connection, tenants.DEFAULT_ID, Filter())
    if word == "HOLD":
        of = (HoldScope.PROVIDER, "main", Measure.BOUNCED)
        hold = Hold(uuid7(), tenants.DEFAULT_ID, *of, 20, 300, "main", datetime.now(UTC))
        with app.store.begin() as connection:
            assert guarding.hold(connection, hold)
        return str(hold.id)
    known = {
        "PROVIDER": app.settings.email_providers[0].get_secret_value().replace("//", ""),
        "ID": str(row.message.id),
        "DOUBTFUL": str(one(app, "doubtful")),
        "DEAD": str(letter.shown_id),
        "FINGERPRINT": letter.fingerprint,
    }
    return known.get(word, word)


# commands and screens


@pytest.mark.parametrize("command", dict.fromkeys(TYPED))
def test_a_command_of_the_runbook_runs(house: App, command: str) -> None:
    name, *words = shlex.split(command)
    assert name == "notify"
    ran = notify_cli(*[filled(house, word) for word in words])
    assert ran.code == 0, ran


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`(notify [^`]+)`", TEXT))))
def test_a_command_that_the_text_names_exists_with_its_options(command: str) -> None:
    words = shlex.split(command)
    path = next(path for path in (" ".join(words[:length]) for length in (3, 2)) if path in COMMANDS)
    assert not isinstance(COMMANDS[path], click.Group) or path == command
    known = {name for param in COMMANDS[path].params for name in param.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize(
    ("title", "command"), [("notify status", ["status"]), ("notify messages show", ["messages", "show", "ID"])]
)
def test_a_screen_has_the_lines_that_the_runbook_shows(house: App, title: str, command: list[str]) -> None:
    shown = notify_cli(*[filled(house, word) for word in command])
    there = names(shown.out) | {"oldest due", "key"}  # this installation has a schedule; its sent message has no key
    tried_again = {"reason", "attempt 2"}
    assert names(SCREENS[title]) - there - tried_again == set()


def names(screen: str) -> set[str]:
    """What stands at the beginning of each line, be it indented or not: its name, without its value."""
    lines = [re.split(r"\s{2,}|: ", line.strip())[0] for line in screen.splitlines() if line.strip()]
    return {re.sub(r"\S*\d\S*", "", line).strip() for line in lines}


def test_the_problems_of_status_are_in_the_words_of_the_code() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "notify").rglob("*.py"))
    said = [
        re.search(r"`([^`]+)`", cells[0]) for cells in rows(PAGE, '"Stale" is `NOTIFY_STALE_SECONDS`, 60 by default.')
    ]
    assert [words[1] for words in said if words and words[1] not in code] == []


# states and reasons


def told(heading: str) -> set[str]:
    return {word for cells in rows(PAGE, heading) for word in re.findall(r"`([^`]+)`", cells[0])}


def test_every_state_is_explained() -> None:
    assert told("### States") == set(MessageState)


def given_by_name(*, in_the_log: bool) -> Iterator[str]:
    """Every reason that stands as it is in the code: of errors, of skips, of rows and attempts; or of log lines."""
    for path in (ROOT / "notify").rglob("*.py"):
        module = ast.parse(path.read_text(encoding="utf-8"))
        named_here = {
            target.id: node.value
            for node in module.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(module):
            if not isinstance(node, ast.Call) or (ast.unparse(node.func) == "emit") is not in_the_log:
                continue
            named = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
            raises = ast.unparse(node.func) in (
                "Transient",
                "Throttled",
                "Rejected",
                "Uncertain",
                "Misconfigured",
                "Skip",
            )
            for value in [*named, *(node.args[:1] if raises else [])]:
                for part in ast.walk(value):
                    one = named_here.get(part.id) if isinstance(part, ast.Name) else part
                    if isinstance(one, ast.Constant):
                        yield from _words(one)


def _words(constant: ast.Constant) -> set[str]:
    """The constant itself when it can be a reason: outcomes and `_suffix`es are compared or joined, not given."""
    value = constant.value
    fits = isinstance(value, str) and re.fullmatch(r"[a-z0-9][a-z0-9_]+", value) and value not in set(Outcome)
    return {value} if fits and isinstance(value, str) else set()


def given_by_smtp() -> Iterator[str]:
    """Every reason that the reading of replies and exceptions comes to, at every step."""
    tables = (smtp_rules.SURE, smtp_rules.LIKELY, dict(smtp_rules.TEXTS), vars(smtp_rules), smtp_replies.BY_CODE)
    yield from (rule.reason for table in tables for rule in table.values() if isinstance(rule, smtp_rules.Rule))
    replies = [Refused(code, b"no") for code in (250, 421, 450, 530, 535, 550, 571)]
    errors = [
        *(ConnectionResetError(), TimeoutError(), OSError(), ValueError()),
        *(ssl.SSLError(), ssl.SSLCertVerificationError(), smtplib.SMTPServerDisconnected("gone")),
    ]
    for step in set(Step) - {Step.RESET, Step.EMPTY}:  # when these are said, the message's fate is known
        yield from (failure(step, error).reason for error in (*replies, *errors))


def given_by_ses() -> Iterator[str]:
    """Every reason that the tables of codes, messages, statuses and exceptions come to."""
    meanings = [*ses_errors.CODES.values(), *ses_errors.STATUSES.values()]
    meanings += [meaning for _, meaning in (*ses_errors.MESSAGES, *ses_errors.CLASSES)]
    yield from (meaning("").reason for meaning in meanings)
    yield from ("account_in_sandbox", "gateway_failed", "tls_failed")


def test_every_reason_that_the_code_can_give_is_explained() -> None:
    explained = told("Of messages that were planned, skipped or put back:") | told("the reply awaited):")
    explained |= told("mean above:")
    elsewhere = [(HOOKS, "reason:"), (RETURN_PATH, "changes nothing."), (RETURN_PATH, "somebody resolves it:")]
    elsewhere.append((MAILBOXES, "bounces mailboxes` say:"))
    explained |= {word for page, above in elsewhere for cells in rows(page, above) for word in CODE.findall(cells[0])}
    steps = {f"{step}_" for step in Step}

    def known(reason: str) -> bool:
        step = next((step for step in steps if reason.startswith(step)), "")
        return reason in explained or f"<step>_{reason.removeprefix(step)}" in explained

    given = {
        *given_by_name(in_the_log=False),
        *given_by_smtp(),
        *given_by_ses(),
        "scheduled",
        "dry_run",
        "unrenderable",
        "folder_unwritable",
    }
    assert {"worker_died", "no_address", "starttls_absent", "mailbox_unknown", "body_timeout"} <= given
    assert sorted(reason for reason in given if not known(reason)) == []
    explained |= set(CODE.findall(EVENTS.read_text(encoding="utf-8")))
    explained |= {word for cells in rows(HOOKS, "## What is answered") for word in CODE.findall(" ".join(cells))}
    assert sorted(reason for reason in given_by_name(in_the_log=True) if not known(reason)) == []


# what it claims


def test_every_test_that_the_documents_name_exists() -> None:
    written = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert sorted(set(re.findall(r"`(test_\w+)`", written)) - set(re.findall(r"def (test_\w+)", code))) == []


def test_the_waits_that_it_names_are_the_defaults() -> None:
    settings = load(env_file=None)
    assert (settings.retry_base_seconds, settings.retry_cap_seconds, settings.retry_attempts) == (30, 3600, 15)
    assert (settings.lease_seconds, settings.stale_seconds) == (30, 60)
    assert timedelta(seconds=settings.republish_seconds) == timedelta(minutes=1)
