"""The testing kit, used as an application's tests would use it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

import notify
from notify.settings import load
from notify.testing import MovableClock, Outbox, capture
from tests.kinds import make_kind
from tests.processes import environment

ADA = {"key": "user-43", "email": "ada@example.org", "name": "Ada"}
NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    make_kind(tmp_path / "templates")
    nowhere = load(
        env_file=None,
        data_dir=tmp_path / "data",
        templates_dir=tmp_path / "templates",
        redis_url="redis://127.0.0.1:1/0",
        email_providers="smtp://127.0.0.1:1",
        test_recipients="ada@example.org",
    )
    with capture(nowhere, at=NOON) as captured:
        yield captured


def test_what_would_have_been_sent_is_in_the_outbox(outbox: Outbox) -> None:
    notify.send("hello", to=ADA, data={"word": "Grüezi"}, attachments=[notify.Attachment("a.txt", b"\x00\xff")])
    sent = outbox.assert_sent("hello", to="user-43", times=1)
    assert sent is outbox[0]
    assert (sent.address, sent.data, sent.at) == ("ada@example.org", {"word": "Grüezi"}, NOON)
    assert sent.email.subject == "Grüezi"
    assert "Grüezi Ada" in sent.email.text
    assert "Grüezi Ada" in sent.email.html
    assert sent.email.attachments == {"a.txt": b"\x00\xff"}
    assert sent.email.parsed["to"] == "Ada <ada@example.org>"


def test_nothing_leaves_the_process(outbox: Outbox, tmp_path: Path) -> None:
    notify.send("hello", to=ADA)
    assert not (tmp_path / "data").exists()
    assert len(outbox) == 1


def test_a_notification_to_everyone_is_in_the_outbox_at_once(outbox: Outbox) -> None:
    notify.send_many(
        "hello", [ADA, {"key": "bob", "email": "bob@example.org", "tags": ["beta"]}, {"key": "eve", "tags": []}]
    )
    outbox.clear()
    notify.send_many("hello", notify.everyone())
    assert [one.to for one in outbox.sent("hello")] == ["bob", "user-43"]
    outbox.assert_skipped("hello", to="eve", reason="no_address")
    notify.send_many("hello", notify.everyone(tags=["beta"]))
    outbox.assert_sent("hello", to="bob", times=2)


def test_a_failed_assertion_says_what_the_outbox_holds(outbox: Outbox) -> None:
    outbox.assert_nothing_sent()
    notify.send("hello", to=ADA)
    with pytest.raises(AssertionError, match=r"did you mean 'hello'\? The outbox holds: hello to user-43"):
        outbox.assert_sent("helo")
    with pytest.raises(AssertionError, match=r"did you mean 'user-43'\?"):
        outbox.assert_sent("hello", to="user-4")
    with pytest.raises(AssertionError, match="sent 1 times, not 2"):
        outbox.assert_sent("hello", times=2)
    with pytest.raises(AssertionError, match="was sent"):
        outbox.assert_not_sent("hello")
    with pytest.raises(AssertionError, match="something was sent"):
        outbox.assert_nothing_sent()
    outbox.clear()
    outbox.assert_nothing_sent()


def test_a_skip_can_be_asserted_with_its_reason(outbox: Outbox) -> None:
    notify.send("hello", to={"key": "mute", "locale": "en"})
    notify.send("hello", to={"key": "eve", "email": "eve@example.org"}, mode="test")
    outbox.assert_skipped("hello", "mute", reason="no_address")
    outbox.assert_skipped("hello", "eve", reason="not_a_test_recipient")
    with pytest.raises(AssertionError, match=r"Skipped: .*hello to mute \(no_address\)"):
        outbox.assert_skipped("hello", "mute", reason="suppressed")


def test_the_clock_releases_what_was_scheduled(outbox: Outbox) -> None:
    notify.send("hello", to=ADA, at=NOON + timedelta(days=7))
    outbox.advance(timedelta(days=6, hours=23))
    outbox.assert_nothing_sent()
    assert [row.recipient for row in outbox.scheduled] == ["user-43"]
    outbox.advance(to=NOON + timedelta(days=7))
    assert outbox.assert_sent("hello").at == NOON + timedelta(days=7)


def test_a_session_decides_when_messages_appear(outbox: Outbox) -> None:
    engine = sa.create_engine("sqlite://")
    with Session(engine) as session:
        session.execute(sa.text("SELECT 1"))
        notify.send("hello", to=ADA, session=session)
        outbox.assert_nothing_sent()
        session.commit()
        outbox.assert_sent("hello", times=1)
        notify.send("hello", to=ADA, session=session)
        session.rollback()
        outbox.assert_sent("hello", times=1)
    engine.dispose()


def test_the_application_s_own_mistakes_are_told_as_in_production(outbox: Outbox) -> None:
    with pytest.raises(notify.errors.UnknownKind):
        notify.send("helo", to=ADA)
    first = notify.send("hello", to=ADA, key="once")
    assert notify.send("hello", to=ADA, key="once").id == first.id
    assert len(outbox) == 1


def test_captures_are_apart(tmp_path: Path) -> None:
    for _ in range(2):
        with capture(load(env_file=None, data_dir=tmp_path)) as outbox:
            notify.send("welcome", to=ADA, key="once")
            assert len(outbox) == 1


def test_the_movable_clock_goes_only_forward() -> None:
    clock = MovableClock(NOON)
    clock.move(timedelta(hours=1))
    assert clock.now() == NOON + timedelta(hours=1)
    with pytest.raises(ValueError, match="does not go backwards"):
        clock.move(to=NOON)
    with pytest.raises(ValueError, match="either by"):
        clock.move()
    with pytest.raises(ValueError, match="aware"):
        MovableClock(datetime(2026, 1, 1))


def test_the_pytest_fixture_works_in_an_application_s_suite(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["notify.testing.fixtures"]\n')
    (tmp_path / "test_app.py").write_text(
        "import notify\n\n"
        "def test_sign_up(outbox):\n"
        "    notify.send('welcome', to={'key': 'user-43', 'email': 'ada@example.org'})\n"
        "    outbox.assert_sent('welcome', to='user-43')\n"
        "    assert outbox[0].email.subject == 'Welcome to notify'\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 passed" in run.stdout, run.stdout + run.stderr
