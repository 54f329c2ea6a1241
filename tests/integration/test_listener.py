"""`notify bounces listen`: mail for the return path is taken once it is stored, and nobody else's is."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from notify.app import App
from notify.feedback.incoming import Mail
from notify.feedback.mailboxes import listener, listeners, serve
from notify.feedback.mailboxes.imap import FIRST_MEGABYTE
from notify.store import mailboxes
from notify.store.tables import incoming_mails
from tests.answers import dsn as bounce
from tests.processes import environment, notify_process, until
from tests.providers import free_port
from tests.proxy import Proxy

OURS = "notify@example.org"  # the default From

Client = smtplib.SMTP  # LMTP is one, too


@contextmanager
def listening(app: App, scheme: str, options: str = "") -> Iterator[int]:
    """Somebody listens; gives the port."""
    port = free_port()
    url = f"{scheme}://127.0.0.1:{port}?{options}".rstrip("?")
    places = listeners(app.settings.model_copy(update={"mailboxes": (SecretStr(url),)}))
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    serving = threading.Thread(target=loop.run_until_complete, args=(serve(app, places, stop),))
    serving.start()
    try:
        until(lambda: answers(port), 30, "it listens")
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        serving.join(30)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def answers(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def speak() -> Iterator[Callable[[str, int], Client]]:
    with ExitStack() as stack:

        def opened(scheme: str, port: int) -> Client:
            kind = smtplib.LMTP if scheme == "lmtp" else smtplib.SMTP
            return stack.enter_context(kind("127.0.0.1", port, timeout=30))

        yield opened


def rows(app: App) -> list[tuple[str, str, str | None]]:
    with app.store.read() as connection:
        wanted = sa.select(incoming_mails.c.mailbox, incoming_mails.c.kind, incoming_mails.c.reason)
        return [tuple(row) for row in connection.execute(wanted)]


@pytest.mark.parametrize("scheme", ["smtpd", "lmtp"])
def test_mail_for_the_return_path_is_stored_before_it_is_answered_for(
    app: App, scheme: str, speak: Callable[[str, int], Client]
) -> None:
    with listening(app, scheme) as port:
        client = speak(scheme, port)
        assert client.sendmail("", [OURS], bounce("ada@example.net")) == {}
        assert [row[1] for row in rows(app)] == ["bounce"]
        client.sendmail("", [OURS], bounce("ada@example.net"))  # told again: known
        assert len(rows(app)) == 1
        client.sendmail("", ["NOTIFY+anything@Example.ORG"], bounce("bea@example.net"))
        assert len(rows(app)) == 2


@pytest.mark.parametrize("scheme", ["smtpd", "lmtp"])
def test_nothing_is_relayed(app: App, scheme: str, speak: Callable[[str, int], Client]) -> None:
    with listening(app, scheme) as port:
        for other in ("ada@example.net", "ada@example.org", "notify@example.org.evil.example", "@example.org:a@b.c"):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                speak(scheme, port).sendmail("", [other], bounce("ada@example.net"))
            assert {code for code, _ in refused.value.recipients.values()} <= {550, 553}
        assert rows(app) == []


def test_each_recipient_has_a_mail_of_its_own(app: App, speak: Callable[[str, int], Client]) -> None:
    with listening(app, "smtpd") as port:
        refused = speak("smtpd", port).sendmail("", [OURS, f"{OURS.replace('@', '+b@')}"], bounce("ada@example.net"))
        assert [code for code, _ in refused.values()] == [452]
        assert len(rows(app)) == 1


def test_long_lines_and_any_octets_are_taken(app: App, speak: Callable[[str, int], Client]) -> None:
    wild = bounce("ada@example.net") + b"x" * 200_000 + b"\r\n\xff\x00\xfe\r\n"
    with listening(app, "smtpd") as port:
        speak("smtpd", port).sendmail("", [OURS], wild)
        assert [row[1] for row in rows(app)] == ["bounce"]


def test_a_mail_above_the_size_is_refused_and_the_next_one_taken(app: App, speak: Callable[[str, int], Client]) -> None:
    with listening(app, "smtpd", "size=100000") as port:
        client = speak("smtpd", port)
        with pytest.raises((smtplib.SMTPDataError, smtplib.SMTPSenderRefused)) as refused:
            client.sendmail("", [OURS], bounce("ada@example.net", padding=200_000))
        assert refused.value.smtp_code == 552
        client.sendmail("", [OURS], bounce("ada@example.net"))
        assert len(rows(app)) == 1


def test_who_comes_when_all_lines_are_taken_is_told_to_come_again(
    app: App, speak: Callable[[str, int], Client]
) -> None:
    with listening(app, "smtpd", "connections=2") as port:
        held = [speak("smtpd", port), speak("smtpd", port)]
        for client in held:
            client.noop()
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            speak("smtpd", port)
        assert refused.value.smtp_code == 421
        held[0].quit()

        def free() -> bool:
            try:
                speak("smtpd", port).sendmail("", [OURS], bounce("ada@example.net"))
            except smtplib.SMTPException:
                return False
            return True

        until(free, 10, "there is room again")


def test_one_host_cannot_take_all_lines(app: App, speak: Callable[[str, int], Client]) -> None:
    with listening(app, "smtpd", "connections=5&per_host=2") as port:
        held = [speak("smtpd", port), speak("smtpd", port)]
        for client in held:
            client.noop()
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            speak("smtpd", port)
        assert refused.value.smtp_code == 421
        with smtplib.SMTP("127.0.0.1", port, timeout=30, source_address=("127.0.0.2", 0)) as other:
            other.sendmail("", [OURS], bounce("ada@example.net"))
    assert len(rows(app)) == 1


def test_who_names_no_recipient_is_hung_up_on_early_and_who_does_has_time(
    app: App, speak: Callable[[str, int], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "FIRST_WORDS_SECONDS", 0.5)
    with listening(app, "smtpd") as port:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as silent:
            assert silent.recv(1000).startswith(b"220")
            assert silent.recv(1000) == b""
        client = speak("smtpd", port)
        client.ehlo()
        client.mail("ada@example.net")
        client.rcpt(OURS)
        client.docmd("DATA")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as silent:
            while silent.recv(1000):  # as long as the others may be silent
                pass
        client.send(bounce("ada@example.net") + b".\r\n")
        assert client.getreply()[0] == 250


def test_of_a_huge_mail_only_what_is_kept_is_held_and_its_dots_are_its_own(
    app: App, speak: Callable[[str, int], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    brought: list[Mail] = []
    monkeypatch.setattr(listener, "take", lambda _app, _name, mails: brought.extend(mails))
    mail = b"From: a@example.net\r\n\r\n.\r\n..two\r\n" + b"x" * 200_000 + b"\r\n" + b".y\r\n" * 1_000_000
    with listening(app, "smtpd") as port:
        speak("smtpd", port).sendmail("", [OURS], mail)
    (one,) = brought
    assert (one.octets, one.size) == (mail[:FIRST_MEGABYTE], len(mail))


def test_while_the_database_is_away_mail_is_to_come_again(
    app: App, make_app: Callable[..., App], speak: Callable[[str, int], Client]
) -> None:
    if not app.settings.database.startswith("postgresql"):
        pytest.skip("SQLite is never away")
    url = sa.make_url(app.settings.database)
    socket_folder = url.query.get("host")
    upstream = Path(str(socket_folder)) / ".s.PGSQL.5432" if socket_folder else (url.host or "", url.port or 5432)
    with Proxy(upstream) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port, query={"connect_timeout": "2"})
        database = SecretStr(through.render_as_string(hide_password=False))
        with listening(make_app(app.settings, database_url=database), "smtpd") as port:
            client = speak("smtpd", port)
            proxy.cut()
            with pytest.raises(smtplib.SMTPDataError) as refused:
                client.sendmail("", [OURS], bounce("ada@example.net"))
            assert refused.value.smtp_code == 451
            proxy.mend()
            client.sendmail("", [OURS], bounce("ada@example.net"))
    assert len(rows(app)) == 1


def test_a_listener_says_that_it_is_there(app: App) -> None:
    with listening(app, "smtpd") as port:
        name = f"smtpd://127.0.0.1:{port}"

        def known() -> bool:
            with app.store.read() as connection:
                return mailboxes.listing(connection)[name].scanned_at is not None

        until(known, 10, "it has said so")


def test_the_command_listens_until_it_is_asked_to_stop(
    app: App, tmp_path: Path, speak: Callable[[str, int], Client]
) -> None:
    ports = [free_port(), free_port()]
    urls = f"smtpd://127.0.0.1:{ports[0]},lmtp://127.0.0.1:{ports[1]}"
    env = environment(app.settings, NOTIFY_MAILBOXES=urls)
    with notify_process("bounces", "listen", env=env, cwd=tmp_path) as process:
        until(lambda: all(answers(port) for port in ports), 60, "it listens")
        speak("smtpd", ports[0]).sendmail("", [OURS], bounce("ada@example.net"))
        speak("lmtp", ports[1]).sendmail("", [OURS], bounce("bea@example.net"))
        process.terminate()
        assert process.wait(20) == 0, (tmp_path / "bounces.log").read_text()
    assert len(rows(app)) == 2


def test_a_port_that_is_taken_is_named(app: App, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = environment(app.settings, NOTIFY_MAILBOXES=f"smtpd://127.0.0.1:{port}")
        with notify_process("bounces", "listen", env=env, cwd=tmp_path) as process:
            assert process.wait(60) == 2
    assert f"cannot listen on smtpd://127.0.0.1:{port}" in (tmp_path / "bounces.log").read_text()
