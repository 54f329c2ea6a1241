"""A bad afternoon: one provider fails in every way there is, a template is wrong, and every recipient has one mail."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy as sa
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from notify.store import tallies
from notify.store.tables import messages, notifications
from tests.acceptance.first_provider import FirstProvider
from tests.chaos.house import House
from tests.chaos.services import ROOT, public_folder, remove_template
from tests.kinds import make_kind
from tests.processes import environment, until

NEWS, INVOICES = 17_000, 3_000
WRONG, RIGHT = "{{ total / count }}", "{{ total / count if count else 0 }}"
MOODS = [("works", 1_000), ("throttles", 3), ("fails", 60), ("hangs", 2), ("refuses the key", 1)]
PATIENCE_SECONDS = 240


@pytest.fixture
def first() -> Iterator[FirstProvider]:
    provider = FirstProvider(list(MOODS))
    yield provider
    provider.stop()


@pytest.fixture
def told(httpserver: HTTPServer) -> list[dict[str, Any]]:
    """What the alert sink was told."""
    heard: list[dict[str, Any]] = []

    def hear(request: Request) -> Response:
        heard.append(request.get_json())
        return Response(status=204)

    httpserver.expect_request("/alerts", method="POST").respond_with_handler(hear)
    return heard


@pytest.fixture
def house(first: FirstProvider, httpserver: HTTPServer) -> Iterator[House]:
    folder = public_folder("afternoon")
    with ExitStack() as stack:
        stack.callback(remove_template)
        one = f"resend://re_key?name=first&timeout=2&endpoint={first.url}"
        values = {
            "email_providers": one + ",smtp://127.0.0.1:{smtp}?tls=none&name=second",
            "breaker_seconds": 1.0,
            "alert_sinks": httpserver.url_for("/alerts"),
        }
        yield House(folder, stack, "postgresql", (), values)
    shutil.rmtree(folder)


def notify(house: House, *arguments: str) -> tuple[int, Any]:
    """Run a command as the operator does; its exit code, and what it printed."""
    env = {**environment(), **{f"NOTIFY_{key.upper()}": str(value) for key, value in house.values.items()}}
    command = [sys.executable, "-m", "notify.cli", *arguments, "--json"]
    ran = subprocess.run(
        command, env={**env, "PYTHONPATH": str(ROOT)}, cwd=house.folder, capture_output=True, timeout=120, check=False
    )
    assert ran.stdout, ran.stderr.decode()
    return ran.returncode, json.loads(ran.stdout)


def states(house: House) -> Counter[str]:
    with house.store.read() as connection:
        counted: Counter[str] = Counter()
        for state, _, count in tallies.tally(connection):
            counted[state] += count
        return counted


def arrived(house: House, first: FirstProvider) -> Counter[str]:
    """How many mails came of each message, from either provider."""
    house.arrived()
    return first.taken + house.smtp.arrivals.taken


def test_every_recipient_has_exactly_one_mail_at_the_end_of_the_afternoon(
    house: House, first: FirstProvider, told: list[dict[str, Any]]
) -> None:
    make_kind(house.templates, "news")
    invoice = make_kind(
        house.templates,
        "invoice",
        subject="Your invoice",
        data='total = { type = "integer", default = 10 }\ncount = { type = "integer", default = 0 }',
        html=f"<html lang='en'><head><title>x</title></head><body>{WRONG}</body></html>",
        sample={"count": 2},
    )
    house.send(NEWS, key="news", kind="news")
    house.send(INVOICES, key="invoices", kind="invoice")
    house.beat()
    for name in ("one", "two"):
        house.worker(name)

    until(lambda: states(house) == {"sent": NEWS, "dead": INVOICES}, PATIENCE_SECONDS, "all sent or dead", every=0.5)
    assert set(first.told) == {mood for mood, _ in MOODS}  # it went through all of them

    # the operator reads one line for 3,000 deaths, mends the template, deploys and replays
    _, [cause] = notify(house, "dead", "list")
    assert (cause["count"], cause["kind"], cause["error"]) == (INVOICES, "invoice", "unrenderable")
    page = invoice / "email.html"
    page.write_text(page.read_text().replace(WRONG, RIGHT))
    for name in ("one", "two"):
        code, _ = house.supervisor.ask_to_stop(name)
        assert code == 0
    code, replayed = notify(house, "dead", "replay", "--kind", "invoice")
    assert (code, replayed["replayed"]) == (0, INVOICES)
    until(lambda: states(house) == {"sent": NEWS + INVOICES}, PATIENCE_SECONDS, "the replayed are sent", every=0.5)

    mails = arrived(house, first)
    assert len(mails) == NEWS + INVOICES
    assert set(mails.values()) == {1}

    # every message tells its story
    stories = {word: story(house, message) for word, message in examples(house, first).items()}
    assert [one["provider"] for one in stories["first"]["attempts"]] == ["first"]
    assert "first: " in stories["second"]["attempts"][-1]["passed_over"]
    assert [one["outcome"] for one in stories["replayed"]["attempts"]] == ["unrenderable", "accepted"]

    # the provider stays paused until somebody looks; what is told about all this fits on one screen
    _, [one, two] = notify(house, "providers", "list")
    assert (one["name"], one["state"], two["state"]) == ("first", "paused", "ready")
    code, _ = notify(house, "providers", "resume", "first")
    assert code == 0
    until(lambda: firing(told) == set(), PATIENCE_SECONDS, "every alert is over", every=0.5)
    assert {"paused:first", "dead"} <= {alert["data"]["alert"] for alert in told}
    assert len(told) < 10


def firing(told: list[dict[str, Any]]) -> set[str]:
    return {name for name, last in {one["data"]["alert"]: one["type"] for one in told}.items() if last == "alert.fired"}


def examples(house: House, first: FirstProvider) -> dict[str, str]:
    """A message that the first provider took, one of the same kind that the second took, and one that was replayed."""
    kind = sa.select(messages.c.id).join(notifications, notifications.c.id == messages.c.notification_id)
    with house.store.read() as connection:
        news = {str(one) for one in connection.scalars(kind.where(notifications.c.kind == "news"))}
        replayed = connection.scalars(kind.where(notifications.c.kind == "invoice").limit(1)).one()
    return {
        "first": next(one for one in first.taken if one in news),
        "second": next(one for one in house.smtp.arrivals.taken if one in news),
        "replayed": str(replayed),
    }


def story(house: House, message: str) -> dict[str, Any]:
    code, found = notify(house, "messages", "show", message)
    assert code == 0
    return dict(found)
