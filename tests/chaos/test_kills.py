"""Everything is killed while a mailout runs. After a full drain nothing is lost, and what came twice is named."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import notify
from notify.app import App
from notify.delivery import status
from notify.dev.mailbox import Mailbox
from notify.model import Notification
from notify.settings import Settings
from notify.store import messages, tallies
from tests.kinds import make_kind
from tests.mails import all_in
from tests.processes import environment, notify_process, until

pytestmark = pytest.mark.chaos

THREADS = 4


@pytest.fixture
def brisk(settings: Settings) -> Settings:
    return settings.model_copy(update={"lease_seconds": 3.0, "republish_seconds": 5.0})


@contextmanager
def house(brisk: Settings, folder: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """A worker and beat; whoever dies is started again by `revive()`."""
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(notify_process(name, env=environment(brisk), cwd=folder))
            for name in ("worker", "beat")
        }
        yield running


def revive(name: str, brisk: Settings, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "notify.cli", name]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, env=environment(brisk), cwd=folder, stdout=log, stderr=log)


def mailout(app: App, templates: Path, count: int) -> Notification:
    make_kind(templates)
    return notify.send_many("hello", ({"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(count)))


def check(app: App, mailbox: Mailbox, sent: Notification, count: int, kills: int) -> None:
    """Jepsen's total-queue checker: what was acknowledged against what came out."""
    came = Counter(str(mail["message-id"]) for mail in all_in(mailbox.folder))
    with app.store.read() as connection:
        planned = messages.listing(connection, sent.tenant_id, notification_id=sent.id, limit=count + 1)
        named = tallies.doubted(connection, [sent.id])
    expected = {f"<{row.message.id}@example.org>" for row in planned}
    assert set(came) - expected == set(), "unexpected"
    assert expected - set(came) == set(), "lost"
    doubles = sum(came.values()) - count
    assert doubles <= named, "every double is named"
    assert named <= kills * THREADS, "one per connection and kill"


def test_ten_killed_workers_lose_nothing(
    app: App, brisk: Settings, mailbox: Mailbox, templates: Path, tmp_path: Path
) -> None:
    count, kills, chance = 6_000, 10, random.Random(7)
    with house(brisk, tmp_path) as running:
        sent = mailout(app, templates, count)
        worker = running["worker"]
        for _ in range(kills):
            target = mailbox.count + chance.randint(50, 300)
            until(lambda target=target: mailbox.count >= min(target, count), 60, "the mailout moves")  # type: ignore[misc]
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            worker = revive("worker", brisk, tmp_path)
        try:
            until(lambda: status(app).states == {"sent": count}, 180, "everything sent")
        finally:
            worker.terminate()
            worker.wait(30)
    check(app, mailbox, sent, count, kills)


def test_an_emptied_broker_in_the_middle_of_a_mailout_loses_nothing(
    app: App, brisk: Settings, mailbox: Mailbox, templates: Path, tmp_path: Path
) -> None:
    count = 4_000
    with house(brisk, tmp_path):
        sent = mailout(app, templates, count)
        until(lambda: mailbox.count > 500, 60, "the mailout moves")
        app.redis.flushall()
        emptied = time.monotonic()
        until(lambda: status(app).states == {"sent": count}, 120, "everything sent")
        assert time.monotonic() - emptied < 90
    check(app, mailbox, sent, count, kills=0)


def test_beat_may_die_and_come_back_twice(
    app: App, brisk: Settings, mailbox: Mailbox, templates: Path, tmp_path: Path
) -> None:
    count = 1_000
    with house(brisk, tmp_path) as running:
        sent = mailout(app, templates, count)
        running["beat"].send_signal(signal.SIGKILL)
        app.redis.flushall()
        twins = [revive("beat", brisk, tmp_path) for _ in range(2)]
        try:
            until(lambda: status(app).states == {"sent": count}, 90, "everything sent")
        finally:
            for beat in twins:
                beat.terminate()
                beat.wait(30)
    check(app, mailbox, sent, count, kills=0)
