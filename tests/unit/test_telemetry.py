"""What is announced, and that no address and no password ever is."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from notify.telemetry import EVENTS, bind, emit, scrub, scrub_tree, subscribed


@pytest.fixture
def heard() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Every event of the test, with its facts."""
    events: list[tuple[str, dict[str, Any]]] = []
    with subscribed(lambda event, facts: events.append((event, dict(facts)))):
        yield events


def in_a_process(program: str, warnings: str = "error") -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own: handlers and Sentry are a process's, not a test's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOTIFY_", "SENTRY_"))}
    code = textwrap.dedent(program)
    command = [sys.executable, "-W", warnings, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=kept)
    assert done.returncode == 0, done.stderr
    return done


def test_an_event_that_nobody_declared_is_a_bug() -> None:
    with pytest.raises(KeyError, match=r"message\.exploded"):
        emit("message.exploded")


def test_an_event_carries_its_facts_and_its_level(heard: list[tuple[str, dict[str, Any]]]) -> None:
    emit("message.dead", reason="mailbox_unknown", attempt=3)
    assert heard == [("message.dead", {"reason": "mailbox_unknown", "attempt": 3, "level": logging.ERROR})]


def test_ids_are_announced_as_text(heard: list[tuple[str, dict[str, Any]]]) -> None:
    emit("message.sent", message=UUID(int=7))
    assert heard[0][1]["message"] == "00000000-0000-0000-0000-000000000007"


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 <ada@example.org>: no such user",
        "mailto:ada@example.org?subject=x",
        "rcpt='ada@example.org', next",
        "(ada@example.org)",
        "ada.l+tag@mail.uni.example.org",
        "zoë@bücher.example",
    ],
)
def test_facts_are_scrubbed_of_addresses(heard: list[tuple[str, dict[str, Any]]], text: str) -> None:
    emit("message.dead", rule=text)
    assert "[address]" in heard[0][1]["rule"]
    assert "@" not in heard[0][1]["rule"]


@pytest.mark.parametrize(
    "url",
    [
        "smtp://user:hunter2@mx.example.org:587",
        "redis://:hunter2@redis:6379/0",
        "https://hunter2@sentry.example.org/1",
        "smtp://user:p@hunter2@mx.example.org",
        "postgresql+psycopg://u:hunter2@[2001:db8::1]/n",
    ],
)
def test_facts_are_scrubbed_of_credentials_in_urls(heard: list[tuple[str, dict[str, Any]]], url: str) -> None:
    emit("batch.unpublished", error=f"the broker {url} does not answer")
    assert "hunter2" not in heard[0][1]["error"]


def test_what_holds_neither_stays_as_it_is() -> None:
    text = "421 4.7.0 try again later; see https://example.org/postmaster, 14:05, 5 @ 3"
    assert scrub(text) == text


def test_a_tree_is_scrubbed_to_its_leaves() -> None:
    tree = {"a": ["x ada@example.org", ("ada@example.org", 3)], "b": {"c": None, "d": "smtp://u:pw@h"}}
    assert "@" not in json.dumps(scrub_tree(tree))
    assert scrub_tree(tree)["a"][1][1] == 3


def test_bound_ids_join_every_event_inside_the_block(heard: list[tuple[str, dict[str, Any]]]) -> None:
    with bind(batch=UUID(int=1)):
        emit("batch.claimed", messages=2)
        with bind(message=UUID(int=2)):
            emit("message.sent")
        emit("batch.settled")
    emit("worker.stopped")
    told = [{name: facts.get(name) for name in ("batch", "message")} for _, facts in heard]
    one, two = str(UUID(int=1)), str(UUID(int=2))
    assert told == [
        {"batch": one, "message": None},
        {"batch": one, "message": two},
        {"batch": one, "message": None},
        {"batch": None, "message": None},
    ]


def test_an_events_own_fact_beats_a_bound_one(heard: list[tuple[str, dict[str, Any]]]) -> None:
    with bind(batch="outer"):
        emit("batch.claimed", batch="inner")
    assert heard[0][1]["batch"] == "inner"


def test_bound_ids_are_scrubbed_too(heard: list[tuple[str, dict[str, Any]]]) -> None:
    with bind(correlation="signup of ada@example.org"):
        emit("notification.planned")
    assert "@" not in heard[0][1]["correlation"]


def test_facts_that_are_lists_are_scrubbed_too(heard: list[tuple[str, dict[str, Any]]]) -> None:
    emit("message.dead", rule=["ada@example.org"])
    assert "@" not in str(heard[0][1]["rule"])


def test_a_subscriber_hears_nothing_after_its_block() -> None:
    events: list[str] = []
    with subscribed(lambda event, _facts: events.append(event)):
        emit("worker.started")
    emit("worker.stopped")
    assert events == ["worker.started"]


def test_every_event_is_named_noun_dot_participle_and_has_a_level_of_the_standard_library() -> None:
    assert [event for event in EVENTS if event.count(".") != 1 or event != event.lower()] == []
    assert set(EVENTS.values()) <= {logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR}


# processes


def test_a_log_line_in_json_holds_level_event_facts_and_ids() -> None:
    done = in_a_process("""
        from notify import telemetry
        from notify.settings import load
        telemetry.start(load(None, log_format="json", log_level="DEBUG"))
        with telemetry.bind(batch="b-1", message="m-1"):
            telemetry.emit("message.dead", reason="mailbox_unknown", response="550 <ada@example.org> unknown")
        telemetry.emit("batch.published", batches=3)
    """)
    dead, published = (json.loads(line) for line in done.stderr.splitlines())
    assert dead.pop("timestamp").endswith("Z")
    assert dead == {
        "event": "message.dead",
        "level": "error",
        "batch": "b-1",
        "message": "m-1",
        "reason": "mailbox_unknown",
        "response": "550 <[address]> unknown",
    }
    assert (published["event"], published["level"], published["batches"]) == ("batch.published", "debug", 3)
    assert "batch" not in published
    assert done.stdout == ""


def test_other_libraries_log_lines_and_tracebacks_are_scrubbed_too() -> None:
    done = in_a_process("""
        import logging
        from notify import telemetry
        from notify.settings import load
        telemetry.start(load(None, log_format="json"))
        try:
            raise ValueError("cannot write to ada@example.org through smtp://user:hunter2@mx.example.org")
        except ValueError:
            logging.getLogger("kombu").exception("failed for %s", "eve@example.net")
    """)
    line = json.loads(done.stderr)
    assert line["event"] == "failed for [address]"
    assert "ValueError: cannot write to [address]" in line["exception"]
    assert "hunter2" not in done.stderr
    assert "@" not in done.stderr


def test_a_level_below_the_one_asked_for_is_not_logged() -> None:
    done = in_a_process("""
        from notify import telemetry
        from notify.settings import load
        telemetry.start(load(None, log_format="json", log_level="WARNING"))
        telemetry.emit("worker.started")
        telemetry.emit("batch.lost")
    """)
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["batch.lost"]


def test_the_console_format_is_one_line_for_people() -> None:
    done = in_a_process("""
        from notify import telemetry
        from notify.settings import load
        telemetry.start(load(None))
        telemetry.emit("message.dead", reason="mailbox_unknown")
    """)
    [line] = done.stderr.splitlines()
    assert "message.dead" in line
    assert "reason=mailbox_unknown" in line


def test_inside_an_application_nothing_is_printed_and_no_handler_is_touched() -> None:
    done = in_a_process("""
        import logging
        import notify, notify.app, notify.intake, notify.delivery
        from notify.telemetry import emit
        handlers = list(logging.getLogger().handlers)
        mine = logging.NullHandler()
        logging.getLogger().addHandler(mine)
        emit("notification.planned", messages=1)
        emit("batch.published", batches=1)
        assert handlers == [], handlers
        assert logging.getLogger().handlers == [mine], logging.getLogger().handlers
        assert logging.getLogger().level == logging.WARNING
        assert logging.getLogger("notify").level == logging.NOTSET
    """)
    assert (done.stdout, done.stderr) == ("", "")


def test_an_application_hears_notify_on_the_standard_logger(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="notify"):
        emit("notification.planned", messages=1)
    [record] = caplog.records
    assert (record.name, record.message) == ("notify", "notification.planned")
    assert record.facts == {"messages": 1}  # type: ignore[attr-defined]


def test_starting_with_sentry_uses_nothing_deprecated() -> None:
    in_a_process("""
        from notify import telemetry
        from notify.settings import load
        telemetry.start(load(None, sentry_dsn="https://key@sentry.invalid/1"))
    """)


def test_only_exceptions_go_to_sentry_and_hold_no_address_and_no_password() -> None:
    done = in_a_process(
        """
        import json, logging
        import sentry_sdk
        from sentry_sdk.transport import Transport
        from notify import telemetry
        from notify.settings import load

        class Kept(Transport):
            events = []
            def capture_envelope(self, envelope):
                self.events += [item.payload.json for item in envelope.items if item.payload.json]

        telemetry.start(load(None, sentry_dsn="https://key@sentry.invalid/1", log_format="json"))
        sentry_sdk.get_client().transport = Kept()
        logging.getLogger("somewhere").warning("asked for %s", "ada@example.org")
        try:
            address = "ada@example.org"
            raise ValueError(f"cannot write to {address} through smtp://user:hunter2@mx.example.org")
        except ValueError as error:
            telemetry.emit("message.dead", rule="ada@example.org is gone")
            sentry_sdk.capture_exception(error)
        telemetry.emit("message.dead", rule="eve@example.org is gone")
        print(json.dumps(Kept.events))
    """,
        warnings="ignore",
    )
    events = json.loads(done.stdout)
    [event] = events  # no line of the log is one, and be it of level ERROR
    told = event["exception"]["values"][0]["value"]
    assert told.startswith("cannot write to [address] through smtp:")
    crumbs = [crumb["message"] for crumb in event["breadcrumbs"]["values"]]
    assert crumbs == ["asked for [address]", "message.dead"], "what led to it is told"
    assert "example.org" not in done.stdout
    assert "hunter2" not in done.stdout
    frames = event["exception"]["values"][0]["stacktrace"]["frames"]
    assert [frame for frame in frames if "vars" in frame] == [], "no local variables"
