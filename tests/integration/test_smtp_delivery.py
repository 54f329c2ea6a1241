"""A real SMTP server, plain, encrypted and with a login, receives exactly what was composed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from notify.channels import provider_for
from notify.channels.email.mime import Mail, compose
from notify.channels.provider import Envelope, Receipt
from notify.errors import Misconfigured, Rejected
from tests.certificates import write_certificates
from tests.providers import Agreed, sending
from tests.smtp_server import serving

ID = UUID("0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee")
MAIL = Mail(
    message_id=ID,
    domain="example.org",
    date=datetime(2026, 3, 1, tzinfo=UTC),
    sender="Notify <notify@example.org>",
    recipient_name="Zoë",
    recipient_address="zoe@example.org",
    subject="Grüße",
    text=".\n..\n.hidden\nFrom here\n" + "long " * 300,
    html="<p>é</p>",
)
MESSAGE = Envelope(ID, "zoe@example.org", "bounces@example.org", compose(MAIL))
USER, PASSWORD = "user@example.org", "pässwörd/?#@:"


class Mailbox:
    """Keeps what the server received, and knows one mailbox that does not exist."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.encrypted: list[bool] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.received.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 2.0.0 Ok: queued as 4F1C2D3E"


class FreePort(Controller):
    """Listens on a port that the system chooses."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call] # aiosmtpd types only part of itself


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ca.pem`, and `server.pem`: key and certificate of 127.0.0.1 signed by it."""
    folder = tmp_path_factory.mktemp("authority")
    write_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def tls(authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem")
    return context


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def serve(mailbox: Mailbox) -> Iterator[Callable[..., str]]:
    """Start a server; gives `host:port`."""
    with ExitStack() as servers:

        def start(**options: Any) -> str:
            controller = FreePort(mailbox, hostname="127.0.0.1", port=0, **options)
            controller.start()
            servers.callback(controller.stop)
            return f"127.0.0.1:{controller.port}"

        yield start


Serve = Callable[..., str]


def send(url: str, message: Envelope = MESSAGE) -> str | None:
    with sending(url) as hand_over:
        return hand_over(message).provider_id


def test_the_server_receives_the_octets_of_the_eml_file(serve: Serve, mailbox: Mailbox, tmp_path: Path) -> None:
    assert send(f"smtp://{serve()}") == "4F1C2D3E"
    send(f"eml://{tmp_path}")
    (received,) = mailbox.received
    assert received.content == (tmp_path / f"{ID}.eml").read_bytes() == MESSAGE.content
    assert (received.mail_from, received.rcpt_tos) == ("bounces@example.org", ["zoe@example.org"])


def test_one_connection_carries_many_messages_and_survives_a_refusal(serve: Serve, mailbox: Mailbox) -> None:
    nobody = Envelope(ID, "nobody@example.org", "bounces@example.org", MESSAGE.content)
    with sending(f"smtp://{serve()}") as hand_over:
        hand_over(MESSAGE)
        with pytest.raises(Rejected) as raised:
            hand_over(nobody)
        hand_over(MESSAGE)
    assert (raised.value.reason, raised.value.scope) == ("mailbox_unknown", "address")
    assert [envelope.rcpt_tos for envelope in mailbox.received] == [["zoe@example.org"]] * 2


def test_an_address_beyond_ascii_travels_by_smtputf8(serve: Serve, mailbox: Mailbox) -> None:
    mail = compose(Mail(ID, "example.org", MAIL.date, MAIL.sender, "jörg@exämple.org", "Hi", text="x"))
    send(f"smtp://{serve(enable_SMTPUTF8=True)}", Envelope(ID, "jörg@exämple.org", "", mail))
    (received,) = mailbox.received
    assert received.rcpt_tos == ["jörg@xn--exmple-cua.org"]
    assert "SMTPUTF8" in received.mail_options
    assert "To: jörg@xn--exmple-cua.org".encode() in received.content


def test_starttls_is_used_when_offered(serve: Serve, mailbox: Mailbox, authority: Path, tls: ssl.SSLContext) -> None:
    send(f"smtp://{serve(tls_context=tls)}?ca={authority / 'ca.pem'}")
    assert mailbox.encrypted == [True]


def test_starttls_is_left_alone_when_told(serve: Serve, mailbox: Mailbox, tls: ssl.SSLContext) -> None:
    send(f"smtp://{serve(tls_context=tls)}?tls=none")
    assert mailbox.encrypted == [False]


def test_tls_from_the_first_octet(serve: Serve, mailbox: Mailbox, authority: Path, tls: ssl.SSLContext) -> None:
    send(f"smtps://{serve(ssl_context=tls)}?ca={authority / 'ca.pem'}")
    assert len(mailbox.received) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_of_unknown_origin_is_refused(
    serve: Serve, mailbox: Mailbox, tls: ssl.SSLContext, scheme: str
) -> None:
    address = serve(tls_context=tls) if scheme == "smtp" else serve(ssl_context=tls)
    with pytest.raises(Misconfigured) as raised:
        send(f"{scheme}://{address}")
    assert raised.value.reason == "certificate_invalid"
    assert mailbox.received == []


def test_a_certificate_of_another_host_is_refused(serve: Serve, authority: Path, tls: ssl.SSLContext) -> None:
    port = serve(ssl_context=tls).rpartition(":")[2]
    with pytest.raises(Misconfigured) as raised:
        send(f"smtps://localhost:{port}?ca={authority / 'ca.pem'}")
    assert raised.value.reason == "certificate_invalid"


@pytest.mark.parametrize("excluded", [[], ["PLAIN"]])
def test_a_login_opens_the_door_with_any_password(
    serve: Serve, mailbox: Mailbox, authority: Path, tls: ssl.SSLContext, excluded: list[str]
) -> None:
    address = serve(tls_context=tls, authenticator=authenticate, auth_required=True, auth_exclude_mechanism=excluded)
    send(f"smtp://{quote(USER)}:{quote(PASSWORD, safe='')}@{address}?tls=starttls&ca={authority / 'ca.pem'}")
    assert mailbox.encrypted == [True]


# aiosmtpd warns, in its own thread, of the login without TLS that this test is about.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
def test_a_wrong_password_is_misconfigured_and_stays_secret(serve: Serve, mailbox: Mailbox) -> None:
    address = serve(authenticator=authenticate, auth_required=True, auth_require_tls=False)
    with pytest.raises(Misconfigured) as raised:
        send(f"smtp://user:s3cr3t@{address}")
    assert raised.value.reason == "auth_refused"
    assert raised.value.response.startswith("535 ")
    assert "s3cr3t" not in repr(raised.value)


# aiosmtpd warns, in its own thread, of the login without TLS that this test is about.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
def test_a_forgotten_login_is_misconfigured(serve: Serve) -> None:
    address = serve(authenticator=authenticate, auth_required=True, auth_require_tls=False)
    with pytest.raises(Misconfigured) as raised:
        send(f"smtp://{address}")
    assert raised.value.reason == "sender_refused"


def test_pipelining_works_under_starttls(authority: Path, tls: ssl.SSLContext) -> None:
    given = [replace(MESSAGE, message_id=UUID(int=n), recipient=f"u{n}@example.org") for n in range(4)]
    large = replace(MESSAGE, recipient="large@example.org", content=b"Subject: x\r\n\r\n" + b"y\r\n" * 300_000)
    with serving(tls=tls) as server, closing(provider_for(f"{server.url}&ca={authority / 'ca.pem'}")) as provider:
        for _ in range(2):
            with provider.open() as connection:
                outcomes = list(connection.send_all(iter([*given, large, MESSAGE]), Agreed()))
                assert all(isinstance(outcome, Receipt) for _, outcome in outcomes)
    (writes,) = server.writes
    assert [write.count(b"MAIL FROM") for write in writes[:4]] == [1, 1, 1, 1]
    assert server.accepted == 2 * [*(f"u{n}@example.org" for n in range(4)), "large@example.org", "zoe@example.org"]
