"""A mail of ours that comes back: Postfix bounces it into Dovecot, a scan reads it, and nobody writes there again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import notify
from notify.app import App, using
from notify.settings import Settings, load
from tests import postfix as postfixes
from tests.drain import drain
from tests.imap import Server
from tests.kinds import make_kind
from tests.postfix import HERE, THERE, Postfix
from tests.processes import environment, until
from tests.unit.cli.running import notify_cli

GONE = f"no-such-user@{HERE}"


@pytest.fixture(scope="module")
def postfix(dovecot_server: Server) -> Iterator[Postfix]:
    if not postfixes.RUNS:
        pytest.skip("no Postfix is installed, or this user may not start it")
    with postfixes.postfix(dovecot_server) as running:
        yield running


@pytest.fixture(params=[f"bounces+{{token}}@{THERE}", f"bounces@{THERE}"], ids=["verp", "plain"])
def house(  # noqa: PLR0917 - fixtures are positional
    request: pytest.FixtureRequest,
    settings: Settings,
    make_app: Callable[..., App],
    postfix: Postfix,
    templates: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[App]:
    """An installation that sends through Postfix, and whose mailbox is Dovecot's INBOX."""
    make_kind(templates, "letter")
    dovecot: Server = request.getfixturevalue("dovecot_server")
    monkeypatch.chdir(tmp_path)
    more = {
        "NOTIFY_EMAIL_PROVIDERS": f"smtp://127.0.0.1:{postfix.port}?tls=none",
        "NOTIFY_EMAIL_FROM": f"News <news@{THERE}>",
        "NOTIFY_RETURN_PATH": request.param,
        "NOTIFY_MAILBOXES": dovecot.url("INBOX", done="move:Read"),
    }
    for name, value in environment(settings, **more).items():
        if name.startswith("NOTIFY_"):
            monkeypatch.setenv(name, value)
    app = make_app(load(env_file=None))
    app.redis.flushall()
    with using(app):
        yield app


def test_a_mail_that_bounces_is_the_last_one_to_that_address(house: App, dovecot_server: Server) -> None:
    before = dovecot_server.count("INBOX")
    notify.send("letter", to={"key": "gone", "email": GONE})
    drain(house)
    assert states("gone") == ["sent"]
    until(lambda: dovecot_server.count("INBOX") > before, 60, "Postfix has bounced it into Dovecot's INBOX")

    scanned = notify_cli("bounces", "scan")
    assert scanned.code == 0, scanned.err
    assert "1 mail read, 1 new: 1 bounce, 1 matched, 1 suppressed" in scanned.out
    assert states("gone") == ["bounced"]
    assert dovecot_server.count("INBOX") == 0

    notify.send("letter", to="gone")
    drain(house)
    assert sorted(states("gone")) == ["bounced", "skipped"]
    (skipped,) = (one for one in listed("gone") if one["state"] == "skipped")
    assert skipped["reason"] == "suppressed"
    shown = notify_cli("suppressions", "show", GONE).out
    for fact in ("hard", "5.1.1", "unknown user"):
        assert fact in shown

    again = notify_cli("bounces", "scan")
    assert "0 mails read, 0 new" in again.out


def listed(recipient: str) -> list[dict[str, Any]]:
    """The messages of this recipient, the newest first."""
    found: list[dict[str, Any]] = notify_cli("messages", "list", "--recipient", recipient, "--json").json
    return found


def states(recipient: str) -> list[str]:
    return [one["state"] for one in listed(recipient)]
