"""Mailboxes are scanned: by checkpoint, once, marked or moved after the commit, each on its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError
from pydantic import SecretStr

from notify import alerts
from notify.app import App, using
from notify.feedback.incoming import Mail, Taken, take
from notify.feedback.mailboxes import ImapMailbox, Scanned, imap, imap_mailboxes, scan
from notify.feedback.mailboxes.imap import FIRST_MEGABYTE, Session
from notify.model import Checkpoint
from notify.store import alerts as stored_alerts
from notify.store import mailboxes, presence
from notify.store.tables import incoming_mails
from notify.tasks.ticks import bounces_tick
from notify.testing import MovableClock
from tests.answers import ORDINARY
from tests.answers import dsn as bounce
from tests.imap import PASSWORD, Server
from tests.processes import environment
from tests.providers import free_port
from tests.proxy import Proxy
from tests.unit.cli.running import Ran, notify_cli

SEEN = {rb"\Seen"}
scanning = sys.modules["notify.feedback.mailboxes.scan"]


def box_of(app: App, url: str) -> ImapMailbox:
    (found,) = imap_mailboxes(app.settings.model_copy(update={"mailboxes": (_secret(url),)}))
    return found


def _secret(url: str) -> SecretStr:
    return SecretStr(url)


def read(app: App, *boxes: ImapMailbox, **how: Any) -> Scanned:
    """Scan; returns what the first brought."""
    return scan(app, boxes, **how)[0]


def stored(app: App) -> list[str]:
    """The places of what is stored, in their order."""
    with app.store.read() as connection:
        return sorted(connection.scalars(sa.select(incoming_mails.c.place)))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Mail]]:
    """What was given to `take` at once, call by call."""
    calls: list[Sequence[Mail]] = []

    def recorded(app: App, mailbox: str, mails: Sequence[Mail], checkpoint: Checkpoint | None = None) -> Taken:
        calls.append(mails)
        return take(app, mailbox, mails, checkpoint)

    monkeypatch.setattr(scanning, "take", recorded)
    return calls


@pytest.mark.parametrize("security", ["none", "starttls", "ssl"])
def test_mails_are_read_whatever_secures_the_line(app: App, imap_server: Server, security: str) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"), bounce("bea@example.net"))
    found = read(app, box_of(app, imap_server.url(folder, security=security)))
    assert (found.read, found.new, found.complete, found.problem) == (2, 2, True, None)
    assert found.kinds == {"bounce": 2}
    assert len(stored(app)) == 2


def test_what_was_read_is_marked_as_seen_and_never_read_again(
    app: App, imap_server: Server, taken: list[Sequence[Mail]]
) -> None:
    folder = imap_server.make_folder()
    box = box_of(app, imap_server.url(folder))
    imap_server.put(folder, bounce("ada@example.net"))
    assert read(app, box).read == 1
    assert list(imap_server.flags(folder).values()) == [SEEN]
    imap_server.put(folder, bounce("bea@example.net"))
    assert read(app, box).read == 1
    assert read(app, box).read == 0
    assert len(taken) == 2


def test_ordinary_mail_is_left_as_it_is(app: App, imap_server: Server) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, ORDINARY, bounce("ada@example.net"))
    read(app, box_of(app, imap_server.url(folder, done="move:Done")))
    assert list(imap_server.flags(folder).values()) == [set()]


@pytest.mark.parametrize("options", [{"keep_unseen": "yes"}, {"done": "nothing"}])
def test_a_mailbox_that_is_to_be_left_alone_is_and_nothing_is_read_twice(
    app: App, imap_server: Server, options: dict[str, str], taken: list[Sequence[Mail]]
) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"), bounce("bea@example.net"))
    box = box_of(app, imap_server.url(folder, **options))
    assert read(app, box).read == 2
    assert read(app, box).read == 0
    assert list(imap_server.flags(folder).values()) == [set(), set()]
    assert len(taken) == 1


def test_mails_are_moved_once_they_are_stored(app: App, imap_server: Server) -> None:
    folder, target = imap_server.make_folder(), f"Done {imap_server.make_folder()}"
    imap_server.put(folder, bounce("ada@example.net"), bounce("bea@example.net"))
    read(app, box_of(app, imap_server.url(folder, done=f"move:{target}", keep_unseen="yes")))
    assert imap_server.count(folder) == 0
    assert list(imap_server.flags(target).values()) == [set(), set()]


def test_where_the_server_cannot_move_mails_are_copied_and_deleted(
    app: App, imap_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    able = IMAPClient.has_capability
    monkeypatch.setattr(IMAPClient, "has_capability", lambda self, what: what != "MOVE" and able(self, what))
    folder, target = imap_server.make_folder(), f"Done {imap_server.make_folder()}"
    imap_server.put(folder, ORDINARY, bounce("ada@example.net"), bounce("bea@example.net"))
    read(app, box_of(app, imap_server.url(folder, done=f"move:{target}")))
    assert (imap_server.count(folder), imap_server.count(target)) == (1, 2)


def test_who_dies_between_storing_and_moving_stores_nothing_twice_and_leaves_nothing(
    app: App, imap_server: Server, tmp_path: Path
) -> None:
    folder, target = imap_server.make_folder(), f"Done {imap_server.make_folder()}"
    imap_server.put(folder, bounce("ada@example.net"), bounce("bea@example.net"))
    url = imap_server.url(folder, done=f"move:{target}")
    killed = run(app, tmp_path, "bounces", "scan", NOTIFY_MAILBOXES=url, NOTIFY_FAILPOINTS="mailbox.taken=kill")
    assert killed.returncode == -signal.SIGKILL
    assert (len(stored(app)), imap_server.count(folder)) == (2, 2)
    app.redis.flushall()  # the lock of the dead ends by itself, in minutes
    found = read(app, box_of(app, url))
    assert (found.read, found.new) == (2, 0)
    assert (len(stored(app)), imap_server.count(folder), imap_server.count(target)) == (2, 0, 2)


def test_where_mails_cannot_be_moved_the_reading_goes_on_and_they_are_moved_later(
    app: App, imap_server: Server, monkeypatch: pytest.MonkeyPatch, taken: list[Sequence[Mail]]
) -> None:
    monkeypatch.setattr(scanning, "SLICE", 2)
    folder, target = imap_server.make_folder(), f"Done {imap_server.make_folder()}"
    box = box_of(app, imap_server.url(folder, done=f"move:{target}"))
    imap_server.put(folder, ORDINARY, *(bounce(f"user-{number}@example.net") for number in range(5)))
    with monkeypatch.context() as full:
        full.setattr(IMAPClient, "move", _over_quota)
        full.setattr(IMAPClient, "copy", _over_quota)
        found = read(app, box)
        assert (found.read, found.new, found.complete) == (6, 6, True)
        assert found.problem is not None
        assert "over quota" in found.problem.problem
        imap_server.put(folder, bounce("late@example.net"))
        again = read(app, box)
        assert (again.read, again.new, len(taken)) == (2 + 1, 1, 3 + 2)  # a slice to try, and what is new
        assert (imap_server.count(folder), imap_server.count(target)) == (7, 0)
        with app.store.read() as connection:
            standing = mailboxes.listing(connection)[box.name]
        assert (standing.problem, standing.scanned_at is not None) == (again.problem and again.problem.problem, True)
    last = read(app, box)
    assert (last.read, last.new, last.problem) == (7, 0, None)
    assert (imap_server.count(folder), imap_server.count(target)) == (1, 6)
    assert read(app, box).read == 0


def _over_quota(*_: object) -> None:
    raise IMAPClientError("move failed: [OVERQUOTA] the target is over quota")


def test_a_folder_whose_numbers_begin_anew_is_read_from_its_beginning(app: App, imap_server: Server) -> None:
    folder = imap_server.make_folder()
    box = box_of(app, imap_server.url(folder))
    imap_server.put(folder, bounce("ada@example.net"), bounce("bea@example.net"))
    assert read(app, box).new == 2
    imap_server.make_anew(folder)
    imap_server.put(folder, bounce("bea@example.net"), bounce("eve@example.net"))
    found = read(app, box)
    assert (found.read, found.new) == (2, 1)


def test_a_backlog_is_read_in_slices_and_goes_on_where_it_ended(
    app: App, dovecot_server: Server, taken: list[Sequence[Mail]]
) -> None:
    folder = dovecot_server.make_folder()
    fill(dovecot_server, folder, 2000)
    box = box_of(app, dovecot_server.url(folder, done="nothing"))
    first = read(app, box, seconds=0)
    assert (first.read, first.complete) == (scanning.SLICE, False)
    assert read(app, box).read == 2000 - scanning.SLICE
    assert max(len(mails) for mails in taken) == scanning.SLICE
    assert len(stored(app)) == 2000


def test_more_uids_than_one_line_holds_are_listed_in_turn(
    app: App, imap_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "LISTED", 3)
    folder = imap_server.make_folder()
    imap_server.put(folder, *(bounce(f"user-{number}@example.net") for number in range(8)))
    assert read(app, box_of(app, imap_server.url(folder))).read == 8


def test_slices_are_small_where_mails_are_large(
    app: App, imap_server: Server, taken: list[Sequence[Mail]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "SLICE_OCTETS", 50_000)
    folder = imap_server.make_folder()
    imap_server.put(folder, *(bounce(f"user-{number}@example.net", padding=20_000) for number in range(5)))
    read(app, box_of(app, imap_server.url(folder)))
    assert [len(mails) for mails in taken] == [2, 2, 1]


def test_of_a_huge_mail_only_the_first_megabyte_is_read(
    app: App, imap_server: Server, taken: list[Sequence[Mail]]
) -> None:
    folder = imap_server.make_folder()
    huge = bounce("ada@example.net", padding=5_000_000)
    imap_server.put(folder, huge)
    found = read(app, box_of(app, imap_server.url(folder)))
    ((mail,),) = taken
    assert (mail.octets, mail.size) == (huge[:FIRST_MEGABYTE], len(huge))
    assert found.kinds == {"bounce": 1}


def test_a_server_that_hangs_up_in_the_middle_is_gone_on_with(
    app: App, imap_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "SLICE", 2)
    folder = imap_server.make_folder()
    imap_server.put(folder, *(bounce(f"user-{number}@example.net") for number in range(6)))
    with Proxy(("127.0.0.1", imap_server.plain)) as proxy:
        box = replace(box_of(app, imap_server.url(folder)), port=proxy.port)
        cut = read(app, box, progress=lambda _: proxy.cut())
        assert cut.problem is not None
        assert len(stored(app)) == 2
        proxy.mend()
        found = read(app, box)
    assert (found.read, found.new, found.complete) == (4, 4, True)


def test_a_mailbox_that_fails_keeps_no_other_waiting(app: App, imap_server: Server) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"))
    good = box_of(app, imap_server.url(folder))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = replace(good, port=silent.getsockname()[1], connect_timeout=1.0)
        gone = replace(good, port=free_port())
        found = scan(app, [mute, gone, good])
    assert [one.problem.problem if one.problem else None for one in found] == [
        "cannot be reached: no answer in time",
        "cannot be reached: Connection refused",
        None,
    ]
    assert found[2].new == 1


def test_a_fault_in_reading_one_mailbox_is_noted_for_it_and_drops_no_other_result(
    app: App, imap_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = imap_server.make_folder(), imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"))
    good, odd = box_of(app, imap_server.url(folder)), box_of(app, imap_server.url(other))

    def opened(box: ImapMailbox) -> AbstractContextManager[Session]:
        if box is odd:
            raise ArithmeticError("secret words")
        return imap.opened(box)

    monkeypatch.setattr(scanning, "opened", opened)
    failed, found = scan(app, [odd, good])
    assert found.new == 1
    assert failed.problem is not None
    assert failed.problem.problem == "it cannot be read, by a fault of notify: ArithmeticError"
    with app.store.read() as connection:
        assert mailboxes.listing(connection)[odd.name].problem == failed.problem.problem


def test_two_scans_of_a_mailbox_at_once_are_one(app: App, imap_server: Server) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"))
    box = box_of(app, imap_server.url(folder))
    others: list[Scanned] = []
    found = read(app, box, progress=lambda _: others.append(read(app, box)))
    assert (found.read, found.busy) == (1, False)
    assert [one.busy for one in others] == [True]


def test_without_redis_a_mailbox_is_read_all_the_same(
    app: App, imap_server: Server, make_app: Callable[..., App]
) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"))
    without = make_app(app.settings, redis_url=_secret(f"redis://127.0.0.1:{free_port()}"))
    assert read(without, box_of(app, imap_server.url(folder))).new == 1


def test_a_scan_that_is_to_stop_ends_after_its_slice(
    app: App, imap_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "SLICE", 1)
    folder = imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"), bounce("bea@example.net"))
    stop = threading.Event()
    stop.set()
    assert read(app, box_of(app, imap_server.url(folder)), stop=stop).read == 1


def test_the_command_tells_what_came_and_how_each_mailbox_stands(
    app: App, imap_server: Server, command: Callable[..., Ran]
) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, ORDINARY, bounce("ada@example.net"))
    urls = f"{imap_server.url(folder)},{imap_server.url(folder, password='wrong-secret', security='ssl')}"
    before = command(urls, "bounces", "mailboxes", "--json")
    assert [one["state"] for one in before.json] == ["never_tried", "never_tried"]
    ran = command(urls, "bounces", "scan", "--json")
    assert ran.code == 2
    good, bad = ran.json
    assert (good["read"], good["new"], good["complete"], good["problem"]) == (2, 2, True, None)
    assert good["kinds"] == {"other": 1, "bounce": 1}
    assert bad["problem"].startswith("it refuses user and password: ")
    after = command(urls, "bounces", "mailboxes", "--json")
    ready, failing = after.json
    assert (ready["state"], ready["problem"], ready["mails"]) == ("ready", None, 2)
    assert ready["last_uid"] > 0
    assert (failing["state"], failing["scanned_at"]) == ("failing", None)
    table = command(urls, "bounces", "mailboxes")
    assert "refuses user and password" in table.out
    for one in (before, ran, after, table):
        assert PASSWORD not in one.out + one.err
        assert "wrong-secret" not in one.out + one.err


def test_keep_unseen_of_the_command_marks_nothing(app: App, imap_server: Server, command: Callable[..., Ran]) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"))
    ran = command(imap_server.url(folder), "bounces", "scan", "--keep-unseen")
    assert (ran.code, list(imap_server.flags(folder).values())) == (0, [set()])
    assert "1 mail read, 1 new: 1 bounce" in ran.out


def test_the_doctor_logs_in_and_reads_nothing(app: App, imap_server: Server, command: Callable[..., Ran]) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"))
    with app.store.begin() as connection:
        presence.claim_slot(connection, "relay", 1, app.clock.now())
        presence.heartbeat(connection, "host:1", "email.normal,system", app.clock.now())
    well = command(imap_server.url(folder), "doctor", "--json")
    assert well.code == 0, well.out
    asked = [one["service"].split()[0] for one in well.json]
    assert asked == ["database", "Redis", "provider", "mailbox", "beat", "workers"]
    ill = command(imap_server.url(folder, password="wrong-secret"), "doctor")
    assert ill.code == 2
    assert "it refuses user and password" in ill.out
    assert "wrong-secret" not in ill.out + ill.err
    assert list(imap_server.flags(folder).values()) == [set()]
    with app.store.read() as connection:
        assert mailboxes.listing(connection) == {}


def test_the_doctor_names_each_service_that_is_away(
    app: App, tmp_path: Path, command: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NOTIFY_EMAIL_PROVIDERS", f"smtp://127.0.0.1:{free_port()}?name=main")
    ran = command("", "doctor", "--json", keep=True)
    assert ran.code == 2
    well = {one["service"]: one["ok"] for one in ran.json}
    assert well == {"database": True, "Redis": False, "provider main": False, "beat": False, "workers": False}


def test_the_doctor_asks_the_others_where_a_setting_is_wrong(
    app: App, command: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_HOOK_SECRETS", "resent=whsec_hidden")
    ran = command("imapss://u:hidden@h", "doctor", "--json", keep=True)
    assert ran.code == 2
    told = {one["service"]: one for one in ran.json}
    assert told["database"]["ok"]
    assert not told["mailboxes"]["ok"]
    assert "unknown scheme 'imapss'" in told["mailboxes"]["said"]
    assert "imaps://user:password@imap.example.org" in told["mailboxes"]["said"]
    assert "did you mean 'resend'" in told["webhooks"]["said"]
    assert "beat has never run.\n  Next: notify beat" in told["beat"]["said"]
    assert "no worker is alive" in told["workers"]["said"]
    assert "hidden" not in ran.out + ran.err


def test_the_tick_reads_the_mailboxes_once_in_its_slot(
    app: App, imap_server: Server, make_app: Callable[..., App]
) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"))
    with using(make_app(app.settings, mailboxes=(SecretStr(imap_server.url(folder)),))):
        bounces_tick(300.0)
        assert len(stored(app)) == 1
        imap_server.put(folder, bounce("bea@example.net"))
        bounces_tick(300.0)
        assert len(stored(app)) == 1


def test_a_mailbox_that_fails_is_one_alert_until_it_is_read_again(
    app: App, imap_server: Server, make_app: Callable[..., App]
) -> None:
    folder = imap_server.make_folder()
    (url,), clock = (imap_server.url(folder),), MovableClock(datetime.now(UTC))
    opened = replace(make_app(app.settings, mailboxes=(SecretStr(url),)), clock=clock)
    (box,) = imap_mailboxes(opened.settings)
    read(opened, replace(box, password="wrong"))
    read(opened, replace(box, password="wrong"))
    assert firing(opened) == {f"mailbox:{box.name}": "warning"}
    read(opened, box)
    clock.move(timedelta(minutes=2))
    assert firing(opened) == {}
    clock.move(timedelta(days=2))
    assert firing(opened) == {f"mailbox:{box.name}": "error"}  # nobody has read it for two days
    read(opened, box)
    clock.move(timedelta(minutes=2))
    assert firing(opened) == {}


def firing(app: App) -> dict[str, str]:
    """Look; returns the alerts that hold, with their severity."""
    alerts.look(app)
    with app.store.begin() as connection:
        known = stored_alerts.known(connection)
    return {name: one.severity for name, one in known.items() if one.state == "firing"}


@pytest.fixture
def command(app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """`notify …` with these mailboxes; `keep`: what the environment holds already stays."""

    def ran(urls: str, *arguments: str, keep: bool = False) -> Ran:
        monkeypatch.chdir(tmp_path)
        for name, value in environment(app.settings, NOTIFY_MAILBOXES=urls).items():
            if name.startswith("NOTIFY_") and not (keep and name in os.environ):
                monkeypatch.setenv(name, value)
        return notify_cli(*arguments)

    return ran


def run(app: App, cwd: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`notify …` as a process."""
    return subprocess.run(
        [sys.executable, "-m", "notify.cli", *arguments],
        env=environment(app.settings, **more),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def fill(server: Server, folder: str, count: int) -> None:
    """So many bounces at once: files in the Maildir."""
    maildir = server.folder / "home/Maildir" / f".{folder}" / "new"
    owner = maildir.stat()
    for number in range(count):
        path = maildir / f"{1_770_000_000 + number}.M{number}.test"
        path.write_bytes(bounce(f"user-{number}@example.net").replace(b"\r\n", b"\n"))
        os.chown(path, owner.st_uid, owner.st_gid)
