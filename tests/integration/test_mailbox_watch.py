"""`notify bounces scan --watch`: what comes is read as it comes, and the watch ends when it is asked to."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from imapclient import IMAPClient
from pydantic import SecretStr

from notify.app import App
from notify.cli import mailboxes as commands
from notify.feedback.mailboxes import ImapMailbox, Progress, Scanned, imap_mailboxes, watch
from notify.feedback.mailboxes.imap import Session
from notify.store.tables import incoming_mails
from tests.answers import dsn as bounce
from tests.imap import Server
from tests.processes import environment, notify_process, until
from tests.proxy import Proxy


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again, and a request to stop noticed, within a tenth of a second."""
    monkeypatch.setattr(sys.modules[watch.__module__], "FIRST_WAIT", 0.05)
    monkeypatch.setattr(sys.modules[Session.__module__], "LOOK_SECONDS", 0.1)


@pytest.fixture
def idling(monkeypatch: pytest.MonkeyPatch) -> set[IMAPClient]:
    """The connections on which the server has been asked to tell of news.

    A mail that comes between a look and that is told late by Dovecot, and by pymap never.
    """
    found: set[IMAPClient] = set()
    idle, idle_done = IMAPClient.idle, IMAPClient.idle_done

    def begin(client: IMAPClient) -> None:
        idle(client)
        found.add(client)

    def end(client: IMAPClient) -> object:
        found.discard(client)
        return idle_done(client)

    monkeypatch.setattr(IMAPClient, "idle", begin)
    monkeypatch.setattr(IMAPClient, "idle_done", end)
    return found


def stored(app: App) -> int:
    with app.store.read() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(incoming_mails)) or 0)


def box_of(app: App, url: str) -> ImapMailbox:
    (found,) = imap_mailboxes(app.settings.model_copy(update={"mailboxes": (SecretStr(url),)}))
    return found


@contextmanager
def watched(app: App, *boxes: ImapMailbox, progress: Progress | None = None) -> Iterator[None]:
    """Watch these until the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=watch, args=(app, boxes, stop, progress))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def test_a_new_mail_wakes_the_watch(app: App, imap_server: Server, idling: set[IMAPClient]) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"))
    with watched(app, box_of(app, imap_server.url(folder, poll=1000))):
        until(lambda: stored(app) == 1 and idling, 60, "the first is read")
        imap_server.put(folder, bounce("bea@example.net"))
        until(lambda: stored(app) == 2 and idling, 60, "the second is read")
        imap_server.put(folder, bounce("eve@example.net"))
        until(lambda: stored(app) == 3, 60, "the third is read")


def test_where_the_server_does_not_tell_it_is_asked(
    app: App, imap_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "can_idle", False)
    folder = imap_server.make_folder()
    with watched(app, box_of(app, imap_server.url(folder, poll=0.1))):
        imap_server.put(folder, bounce("ada@example.net"))
        until(lambda: stored(app) == 1, 30, "it is read")


def test_a_line_that_is_lost_is_opened_again(app: App, imap_server: Server, idling: set[IMAPClient]) -> None:
    folder = imap_server.make_folder()
    box = box_of(app, imap_server.url(folder))
    with Proxy(("127.0.0.1", imap_server.plain)) as proxy, watched(app, replace(box, port=proxy.port)):
        until(lambda: idling, 60, "the first line is there")
        [lost] = idling
        imap_server.put(folder, bounce("ada@example.net"))
        until(lambda: stored(app) == 1, 60, "the first is read")
        proxy.reset()
        until(lambda: idling - {lost}, 60, "there is another one")
        imap_server.put(folder, bounce("bea@example.net"))
        until(lambda: stored(app) == 2, 60, "the second is read")


def test_a_mailbox_that_fails_does_not_disturb_the_others(
    app: App, imap_server: Server, idling: set[IMAPClient]
) -> None:
    folder = imap_server.make_folder()
    good = box_of(app, imap_server.url(folder))
    with watched(app, replace(good, folder="Nowhere"), good):
        until(lambda: idling, 60, "it is looked at")
        imap_server.put(folder, bounce("ada@example.net"))
        until(lambda: stored(app) == 1, 60, "it is read")


def test_each_try_that_fails_is_told(app: App, imap_server: Server) -> None:
    box = replace(box_of(app, imap_server.url(imap_server.make_folder())), folder="Nowhere")
    told: list[Scanned] = []
    with watched(app, box, progress=told.append):
        until(lambda: bool(told), 30, "it is told")
    assert told[0].mailbox is box
    assert "the folder Nowhere cannot be opened" in str(told[0].problem)


@pytest.mark.parametrize(("seconds", "lines"), [(0.0, 2), (1e9, 0)])
def test_how_far_a_scan_has_come_is_told_now_and_then(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: float, lines: int
) -> None:
    monkeypatch.setattr(commands, "PROGRESS_SECONDS", seconds)
    say, box = commands.now_and_then(), box_of(app, "imaps://u:p@mail.example.org/INBOX")
    for read in (50, 100):
        say(Scanned(box, read=read))
    assert len(capsys.readouterr().err.splitlines()) == lines


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_within_seconds(app: App, imap_server: Server, tmp_path: Path, asked: signal.Signals) -> None:
    folder = imap_server.make_folder()
    imap_server.put(folder, bounce("ada@example.net"))
    env = environment(app.settings, NOTIFY_MAILBOXES=imap_server.url(folder))
    with notify_process("bounces", "scan", "--watch", env=env, cwd=tmp_path) as process:
        until(lambda: stored(app) == 1, 60, "it watches")
        process.send_signal(asked)
        assert process.wait(60) == 0, (tmp_path / "bounces.log").read_text()
