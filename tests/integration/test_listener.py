"""`notify bounces listen`: mail for the return path is taken once it is stored, and nobody else's is."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from notify.alerts import on_the_way_back
from notify.app import App
from notify.errors import Unreachable
from notify.feedback.incoming import Mail, Taken, take
from notify.feedback.mailboxes import answers, conversation, listener, listeners, probing, serve
from notify.feedback.mailboxes.imap import FIRST_MEGABYTE
from notify.feedback.stored_together import Gathering
from notify.store import mailboxes
from notify.store.tables import incoming_mails
from notify.telemetry import subscribed
from notify.testing import MovableClock
from tests.answers import dsn as bounce
from tests.certificates import write_certificates
from tests.processes import environment, notify_process, until
from tests.providers import free_port
from tests.proxy import Proxy

OURS = "notify@example.org"  # the default From

Client = smtplib.SMTP  # LMTP is one, too
Speak = Callable[[str, int], Client]
Patch = pytest.MonkeyPatch


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
        until(lambda: is_open(port), 30, "it listens")
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        serving.join(30)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def is_open(port: int) -> bool:
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

        until(free, 60, "there is room again")


def test_a_listener_that_turns_everybody_away_for_minutes_says_so(app: App, speak: Speak, monkeypatch: Patch) -> None:
    monkeypatch.setattr(listener, "SIGN_OF_LIFE_SECONDS", 0.1)
    moved = replace(app, clock=MovableClock(app.clock.now()))
    assert isinstance(moved.clock, MovableClock)
    with listening(moved, "smtpd", "connections=2") as port:
        settings = app.settings.model_copy(update={"mailboxes": (SecretStr(f"smtpd://127.0.0.1:{port}"),)})

        def problem() -> str | None:
            with app.store.read() as connection:
                return mailboxes.listing(connection)[f"smtpd://127.0.0.1:{port}"].problem

        def turned_away() -> bool:
            try:
                held.append(speak("smtpd", port))
            except smtplib.SMTPConnectError:
                return True
            return False

        held: list[Client] = []
        until(turned_away, 60, "all lines are held")
        moved.clock.move(timedelta(minutes=2))
        assert turned_away()
        assert problem() is None
        moved.clock.move(timedelta(minutes=2))
        until(lambda: problem() is not None, 60, "it says so")
        alerts = on_the_way_back(replace(moved, settings=settings), moved.clock.now())
        assert [one.summary for one in alerts if "takes no mail: whoever came since" in one.summary]
        held[0].quit()
        until(lambda: problem() is None, 60, "there is room")


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
    monkeypatch.setattr(conversation, "FIRST_WORDS_SECONDS", 0.5)
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

        until(known, 60, "it has said so")


def test_the_command_listens_until_it_is_asked_to_stop(
    app: App, tmp_path: Path, speak: Callable[[str, int], Client]
) -> None:
    ports = [free_port(), free_port()]
    urls = f"smtpd://127.0.0.1:{ports[0]},lmtp://127.0.0.1:{ports[1]}"
    env = environment(app.settings, NOTIFY_MAILBOXES=urls)
    with notify_process("bounces", "listen", env=env, cwd=tmp_path) as process:
        until(lambda: all(is_open(port) for port in ports), 60, "it listens")
        speak("smtpd", ports[0]).sendmail("", [OURS], bounce("ada@example.net"))
        speak("lmtp", ports[1]).sendmail("", [OURS], bounce("bea@example.net"))
        process.terminate()
        assert process.wait(60) == 0, (tmp_path / "bounces.log").read_text()
    assert len(rows(app)) == 2


def test_a_port_that_is_taken_is_named(app: App, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = environment(app.settings, NOTIFY_MAILBOXES=f"smtpd://127.0.0.1:{port}")
        with notify_process("bounces", "listen", env=env, cwd=tmp_path) as process:
            assert process.wait(60) == 2
    assert f"cannot listen on smtpd://127.0.0.1:{port}" in (tmp_path / "bounces.log").read_text()


@pytest.fixture
def certified(tmp_path: Path) -> Path:
    """A folder with `ca.pem`, and `server.pem` with key and certificate of 127.0.0.1."""
    write_certificates(tmp_path)
    return tmp_path


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "ca.pem")


@pytest.mark.parametrize("scheme", ["smtpd", "lmtp"])
def test_mail_is_taken_by_starttls(app: App, scheme: str, certified: Path, speak: Speak) -> None:
    with listening(app, scheme, f"cert={certified / 'server.pem'}&require_tls=yes") as port:
        client = speak(scheme, port)
        client.ehlo("client.example.org")
        assert client.has_extn("starttls")
        client.starttls(context=trusting(certified))
        client.ehlo("client.example.org")
        assert not client.has_extn("starttls")
        client.sendmail("", [OURS], bounce("ada@example.net"))
    assert len(rows(app)) == 1


@pytest.mark.parametrize("scheme", ["smtpd", "lmtp"])
def test_without_tls_nothing_is_taken_where_it_is_required_and_everything_where_it_is_not(
    app: App, scheme: str, certified: Path, speak: Speak
) -> None:
    with listening(app, scheme, f"cert={certified / 'server.pem'}&require_tls=yes") as port:
        client = speak(scheme, port)
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail("", [OURS], bounce("ada@example.net"))
        assert refused.value.smtp_code == 530
        assert rows(app) == []
    with listening(app, scheme, f"cert={certified / 'server.pem'}") as port:
        speak(scheme, port).sendmail("", [OURS], bounce("ada@example.net"))
    assert len(rows(app)) == 1


def heard(line: socket.socket) -> bytes:
    """An answer, all its lines; octet by octet, for TLS may follow."""
    said = b""
    while not (said.endswith(b"\n") and said.splitlines()[-1][3:4] == b" "):
        octet = line.recv(1)
        if not octet:
            break
        said += octet
    return said


def about_to_begin_tls(line: socket.socket, injected: bytes = b"") -> None:
    """Everything before the handshake."""
    assert heard(line).startswith(b"220")
    line.sendall(b"EHLO a\r\n")
    assert b"STARTTLS" in heard(line)
    line.sendall(b"STARTTLS\r\n" + injected)
    assert heard(line).startswith(b"220")


def test_what_was_said_before_tls_is_forgotten(app: App, certified: Path) -> None:
    with listening(app, "smtpd", f"cert={certified / 'server.pem'}") as port, ExitStack() as stack:
        line = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        about_to_begin_tls(line, b"RSET\r\nNOOP\r\n")  # RFC 3207 §4.2
        try:
            secured = stack.enter_context(trusting(certified).wrap_socket(line, server_hostname="127.0.0.1"))
            secured.sendall(b"HELP\r\n")
            answer = heard(secured)
        except OSError:  # it takes them for a handshake, and hangs up
            answer = b""
        assert answer == b"" or answer.startswith(b"250 Supported commands")


def test_who_fails_at_tls_makes_room_for_another(
    app: App, certified: Path, speak: Speak, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(conversation, "FIRST_WORDS_SECONDS", 1.0)
    told: list[str] = []
    with (
        listening(app, "smtpd", f"cert={certified / 'server.pem'}&connections=2") as port,
        subscribed(lambda name, _: told.append(name)),
    ):
        for words in (b"no handshake at all\r\n", b"", None, b"no handshake at all\r\n", b"", None, None):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
                about_to_begin_tls(line)
                if words is not None:  # who is silent is hung up on
                    line.sendall(words)
                    line.shutdown(socket.SHUT_WR)
                with contextlib.suppress(OSError):
                    while line.recv(1000):
                        pass

        def taken() -> bool:
            try:
                speak("smtpd", port).sendmail("", [OURS], bounce("ada@example.net"))
            except smtplib.SMTPException:
                return False
            return True

        until(taken, 60, "there is room")
    assert len(rows(app)) == 1
    assert told.count("listener.tls_failed") >= 3, "each that is silent, and who says nonsense"
    assert [one.getMessage() for one in caplog.records if one.exc_info] == [], "a scanner fills no log"


def test_tls_is_begun_once(app: App, certified: Path, speak: Speak) -> None:
    with listening(app, "smtpd", f"cert={certified / 'server.pem'}") as port:
        client = speak("smtpd", port)
        client.starttls(context=trusting(certified))
        client.ehlo()
        assert client.docmd("STARTTLS")[0] == 503
        client.sendmail("", [OURS], bounce("ada@example.net"))
    assert len(rows(app)) == 1


def test_a_renewed_certificate_is_used_from_the_next_connection_on_and_a_broken_one_never(
    app: App, certified: Path, speak: Speak
) -> None:
    cert = certified / "server.pem"
    told: list[str] = []

    def served(port: int) -> bytes:
        client = speak("smtpd", port)
        client.starttls(context=trusting(certified))
        assert isinstance(client.sock, ssl.SSLSocket)
        return client.sock.getpeercert(True) or b""

    with listening(app, "smtpd", f"cert={cert}") as port, subscribed(lambda name, _: told.append(name)):
        first = served(port)
        cert.write_text("half a file")
        assert served(port) == first
        assert served(port) == first
        assert told.count("listener.certificate_unread") == 1
        write_certificates(certified)
        assert served(port) != first


@pytest.fixture
def brought(monkeypatch: Patch) -> list[Mail]:
    """What was brought so far; each of them is stored, or waits for that."""
    mails: list[Mail] = []
    add = Gathering.add

    async def noted(self: Gathering[Mail], one: Mail) -> None:
        mails.append(one)  # nothing else runs on its loop until it waits
        await add(self, one)

    monkeypatch.setattr(Gathering, "add", noted)
    return mails


def give(client: Client, number: int) -> None:
    """A whole mail, without waiting for its answer."""
    client.ehlo("a")
    client.mail("")
    client.rcpt(OURS)
    client.docmd("DATA")
    client.send(bounce(f"user-{number}@example.net") + b".\r\n")


def test_mails_that_come_together_are_stored_together_and_answered_for_after_it(
    app: App, speak: Speak, monkeypatch: Patch, brought: list[Mail]
) -> None:
    going, go_on = threading.Event(), threading.Event()
    together: list[int] = []

    def slowly(app: App, mailbox: str, mails: Sequence[Mail]) -> Taken:
        together.append(len(mails))
        if len(together) == 1:
            going.set()
            assert go_on.wait(60)
        return take(app, mailbox, mails)

    monkeypatch.setattr(listener, "take", slowly)
    with listening(app, "smtpd") as port:
        clients = [speak("smtpd", port) for _ in range(6)]
        for number, client in enumerate(clients):
            give(client, number)
            assert going.wait(60)
        until(lambda: len(brought) == 6, 60, "five wait for the first")
        first = clients[0].sock
        assert first is not None
        first.settimeout(0.2)
        with pytest.raises(TimeoutError):
            first.recv(1)
        first.settimeout(30)
        go_on.set()
        assert [client.getreply()[0] for client in clients] == [250] * 6
        assert len(rows(app)) == 6
    assert together == [1, 5]


def test_when_several_cannot_be_stored_each_is_to_come_again(
    app: App, speak: Speak, monkeypatch: Patch, brought: list[Mail]
) -> None:
    going, go_on = threading.Event(), threading.Event()
    together: list[int] = []

    def away(_app: App, _mailbox: str, mails: Sequence[Mail]) -> Taken:
        together.append(len(mails))
        going.set()
        assert go_on.wait(60)
        raise Unreachable("the database is away\nNext: bring it back")

    with listening(app, "smtpd") as port:
        clients = [speak("smtpd", port) for _ in range(3)]
        with monkeypatch.context() as patched:
            patched.setattr(listener, "take", away)
            for number, client in enumerate(clients):
                give(client, number)
                assert going.wait(60)
            until(lambda: len(brought) == 3, 60, "two wait for the first")
            go_on.set()
            assert [client.getreply()[0] for client in clients] == [451] * 3
        assert (together, rows(app)) == ([1, 2], [])
        for number, client in enumerate(clients):
            give(client, number)
            assert client.getreply()[0] == 250
    assert len(rows(app)) == 3


def test_a_certificate_that_is_away_is_named_before_anybody_is_listened_to(
    app: App, certified: Path, tmp_path: Path
) -> None:
    ports = [free_port(), free_port()]
    urls = f"smtpd://127.0.0.1:{ports[0]},smtpd://127.0.0.1:{ports[1]}?cert={certified / 'away.pem'}"
    env = environment(app.settings, NOTIFY_MAILBOXES=urls)
    with notify_process("bounces", "listen", env=env, cwd=tmp_path) as process:
        assert process.wait(60) == 3
    said = (tmp_path / "bounces.log").read_text()
    assert f"option 'cert' of smtpd://127.0.0.1:{ports[1]}: certificate or key cannot be read: No such file" in said
    assert "listener.started" not in said
    assert "Traceback" not in said


def asked(app: App, url: str) -> str:
    [place] = listeners(app.settings.model_copy(update={"mailboxes": (SecretStr(url),)}))
    return answers(app, place)


def test_a_doctor_hears_whether_somebody_takes_mail_and_by_tls(app: App, certified: Path, monkeypatch: Patch) -> None:
    cert = certified / "server.pem"
    for scheme in ("smtpd", "lmtp"):
        with listening(app, scheme) as port:
            assert asked(app, f"{scheme}://127.0.0.1:{port}") == "answers"
            assert asked(app, f"{scheme}://0.0.0.0:{port}") == "answers"
            with pytest.raises(Unreachable, match="offers no STARTTLS"):
                asked(app, f"{scheme}://127.0.0.1:{port}?cert={cert}")
        with listening(app, scheme, f"cert={cert}&require_tls=yes&connections=2") as port:
            url = f"{scheme}://127.0.0.1:{port}?cert={cert}"
            assert "by STARTTLS; its certificate is good until 20" in asked(app, url)
            monkeypatch.setattr(probing, "datetime", Later)
            with pytest.raises(Unreachable, match="its certificate ended on"):
                asked(app, url)
            monkeypatch.undo()


class Later(datetime):
    """The clock of three years later."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(datetime.now(tz).timestamp() + 3 * 365 * 86_400, tz)


def test_a_doctor_says_when_nobody_answers_and_believes_one_elsewhere_that_said_so_lately(
    app: App, make_app: Callable[..., App]
) -> None:
    moved = replace(make_app(app.settings), clock=MovableClock(app.clock.now()))
    url = f"smtpd://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match=r"nobody answers on its port\nNext: start notify bounces listen"):
        asked(moved, url)
    with moved.store.begin() as connection:
        mailboxes.begin(connection, url, moved.clock.now())
        mailboxes.succeed(connection, url, moved.clock.now())
    assert "does not answer from here" in asked(moved, url)
    assert isinstance(moved.clock, MovableClock)
    moved.clock.move(timedelta(minutes=2))
    with pytest.raises(Unreachable, match="nobody answers"):
        asked(moved, url)


@pytest.mark.parametrize("said", [b"", b"* OK IMAP ready\r\n", b"220-\r\n" * 200, b"x" * 9000])
def test_a_doctor_is_told_by_something_else_on_the_port_that_it_is_no_mail_server(app: App, said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def speaks() -> None:
            line, _ = other.accept()
            with line:
                line.sendall(said)

        talking = threading.Thread(target=speaks)
        talking.start()
        with pytest.raises(Unreachable, match="Next: look at what listens there"):
            asked(app, f"smtpd://127.0.0.1:{other.getsockname()[1]}")
        talking.join(10)
