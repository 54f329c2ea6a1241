"""Whatever a server does at whatever step, the message is proven not accepted, refused, or in doubt; nothing else."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from uuid import UUID

import pytest

from notify.channels.provider import Envelope
from notify.errors import DeliveryError, Misconfigured, Rejected, Transient, Uncertain
from tests.providers import sending

SILENCE, CLOSE, RESET = "silence", "close", "reset"
POLITE = {
    "GREETING": "220 ready",
    "EHLO": "250 server",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go on",
    "BODY": "250 2.0.0 queued as 7E57",
    "RSET": "250 ok",
    "QUIT": "221 bye",
}
MESSAGE = Envelope(UUID(int=7), "ada@example.org", "bounces@example.org", b"Subject: x\r\n\r\nbody\r\n")


class ScriptedServer:
    """Answers each connection by its script (the last one again and again) and keeps what it heard.

    A script gives a reply for a step, or a list of replies for its first, second, … occurrence.
    """

    def __init__(self, *scripts: Mapping[str, str | list[str]]) -> None:
        self.scripts = scripts
        self.heard: list[list[str]] = []
        self.done = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        patience = 0.5 if any(SILENCE in script.values() for script in self.scripts) else 10
        return f"smtp://127.0.0.1:{self.listener.getsockname()[1]}?timeout={patience}"

    def stop(self) -> None:
        self.done.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)

    def _serve(self) -> None:
        while not self.done.is_set():
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            script = {**POLITE, **self.scripts[min(len(self.heard), len(self.scripts) - 1)]}
            self.heard.append([])
            with line:
                self._converse(line, script, self.heard[-1])

    def _converse(self, line: socket.socket, script: dict[str, str | list[str]], heard: list[str]) -> None:
        with line.makefile("rb") as commands:
            step = "GREETING"
            while True:
                given = script.get(step, "500 what")
                reply = given if isinstance(given, str) else given.pop(0)
                if reply == RESET:
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if reply in (RESET, CLOSE):
                    return
                try:
                    if reply != SILENCE:
                        line.sendall(reply.encode().replace(b"\n", b"\r\n") + b"\r\n")
                    if reply.startswith("421"):
                        return
                    if step == "DATA" and reply.startswith("354"):
                        while (text := commands.readline()) not in (b".\r\n", b""):
                            heard.append(text.decode().rstrip())
                        step = "BODY" if text else ""
                    else:
                        command = commands.readline().decode().rstrip()
                        heard.append(command)
                        step = command.partition(" ")[0].upper()
                except OSError:
                    return
                if not step:
                    return


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    with ExitStack() as servers:

        def start(*scripts: Mapping[str, str | list[str]]) -> ScriptedServer:
            server = ScriptedServer(*scripts)
            servers.callback(server.stop)
            return server

        yield start


Serve = Callable[..., ScriptedServer]


def outcome(url: str) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised, sending(url) as send:
        send(MESSAGE)
    return raised.value


@pytest.mark.parametrize("fault", [SILENCE, CLOSE, RESET])
@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("GREETING", Transient),
        ("EHLO", Transient),
        ("MAIL", Transient),
        ("RCPT", Transient),
        ("DATA", Transient),
        ("BODY", Uncertain),
    ],
)
def test_a_message_is_in_doubt_only_after_its_final_dot(
    serve: Serve, step: str, kind: type[DeliveryError], fault: str
) -> None:
    error = outcome(serve({step: fault}).url)
    assert type(error) is kind
    if step not in ("GREETING", "EHLO"):
        assert error.reason.endswith("_timeout" if fault == SILENCE else "_disconnected")


@pytest.mark.parametrize("fault", [SILENCE, CLOSE, RESET, "421 going down", "gibberish"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "BODY"])
def test_after_a_lost_connection_the_next_message_finds_a_new_one(serve: Serve, step: str, fault: str) -> None:
    server = serve({step: fault}, {})
    with sending(server.url) as send:
        with pytest.raises((Transient, Uncertain)):
            send(MESSAGE)
        assert send(MESSAGE).provider_id == "7E57"
    assert len(server.heard) == 2


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "BODY"])
@pytest.mark.parametrize(("reply", "kind"), [("451 4.3.0 later", Transient), ("550 5.7.1 policy", Rejected)])
def test_after_a_refusal_the_same_connection_takes_the_next_message(
    serve: Serve, step: str, reply: str, kind: type[DeliveryError]
) -> None:
    server = serve({step: [reply, POLITE[step]]})
    with sending(server.url) as send:
        with pytest.raises(Transient if step == "MAIL" else kind) as raised:  # at MAIL no message was named yet
            send(MESSAGE)
        assert send(MESSAGE).response == "250 2.0.0 queued as 7E57"
    assert raised.value.response == reply
    (heard,) = server.heard
    assert ("RSET" in heard) is (step != "BODY")
    assert heard.count("MAIL FROM:<bounces@example.org>") == 2


def test_a_server_that_refuses_to_forget_is_left(serve: Serve) -> None:
    server = serve({"RCPT": "550 5.1.1 unknown", "RSET": "502 no such thing"}, {})
    with sending(server.url) as send:
        with pytest.raises(Rejected) as raised:
            send(MESSAGE)
        send(MESSAGE)
    assert (raised.value.reason, raised.value.scope) == ("mailbox_unknown", "address")
    assert len(server.heard) == 2


def test_an_unreadable_answer_to_the_body_leaves_the_message_in_doubt(serve: Serve) -> None:
    assert type(outcome(serve({"BODY": "gibberish"}).url)) is Uncertain
    assert type(outcome(serve({"BODY": "250 " + "x" * 9000}).url)) is Uncertain
    assert type(outcome(serve({"RCPT": "550 " + "x" * 9000}).url)) is Transient


@pytest.mark.parametrize("reply", ["421 too busy", "554 no service here", "gibberish"])
def test_a_server_that_does_not_greet_can_be_tried_again(serve: Serve, reply: str) -> None:
    assert type(outcome(serve({"GREETING": reply}).url)) is Transient


def test_a_server_that_says_more_than_it_was_asked_is_left(serve: Serve) -> None:
    error = outcome(serve({"EHLO": "250 server\n250 ok"}).url)
    assert (type(error), error.reason, error.line_lost) == (Transient, "helo_unintelligible", True)


def test_nobody_listening_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = outcome(f"smtp://127.0.0.1:{port}")
    assert (type(error), error.reason) == (Transient, "unreachable")
    assert "refused" in error.response


def test_a_name_without_address_is_unreachable() -> None:
    error = outcome("smtp://no-such-host.invalid")
    assert (type(error), error.reason) == (Transient, "unreachable")


def test_a_network_that_swallows_packets_is_unreachable_after_connect_timeout() -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):  # the kernel drops what exceeds the backlog
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        error = outcome(f"smtp://127.0.0.1:{listener.getsockname()[1]}?connect_timeout=0.2")
    assert (type(error), error.reason) == (Transient, "unreachable")


def test_a_server_from_before_ehlo_still_gets_the_message(serve: Serve) -> None:
    server = serve({"EHLO": "502 what", "HELO": "250 hello"})
    with sending(server.url) as send:
        assert send(MESSAGE).provider_id == "7E57"
    assert "MAIL FROM:<bounces@example.org>" in server.heard[0]


def test_only_what_the_server_offers_is_used(serve: Serve) -> None:
    bare, able = serve({}), serve({"EHLO": "250-server\n250-SIZE 1000\n250-8BITMIME\n250 SMTPUTF8"})
    eight_bit = Envelope(UUID(int=8), "ada@example.org", "", b"Subject: x\r\n\r\n\xc3\xa9\r\n")
    wide = Envelope(UUID(int=9), "j\u00f6rg@ex\u00e4mple.org", "b@example.org", b"To: <j\xc3\xb6rg@x.org>\r\n\r\nx\r\n")
    idn = Envelope(UUID(int=9), "ada@ex\u00e4mple.org", "b@example.org", b"Subject: x\r\n\r\nx\r\n")
    with sending(able.url) as send:
        for envelope in (eight_bit, wide, idn):
            send(envelope)
    assert [line for line in able.heard[0] if line.startswith(("MAIL", "RCPT"))] == [
        "MAIL FROM:<> SIZE=18 BODY=8BITMIME",
        "RCPT TO:<ada@example.org>",
        "MAIL FROM:<b@example.org> SIZE=24 BODY=8BITMIME SMTPUTF8",
        "RCPT TO:<jörg@xn--exmple-cua.org>",
        "MAIL FROM:<b@example.org> SIZE=17",
        "RCPT TO:<ada@xn--exmple-cua.org>",
    ]
    with sending(bare.url) as send:
        with pytest.raises(Rejected) as no_eight_bit:
            send(eight_bit)
        with pytest.raises(Rejected) as no_utf8:
            send(wide)
        send(idn)
    assert (no_eight_bit.value.reason, no_eight_bit.value.scope) == ("8bitmime_unsupported", "message")
    assert (no_utf8.value.reason, no_utf8.value.scope) == ("smtputf8_unsupported", "address")
    assert [line for line in bare.heard[0] if line.startswith("MAIL")] == ["MAIL FROM:<b@example.org>"]


def test_what_exceeds_the_announced_size_is_never_offered(serve: Serve) -> None:
    server = serve({"EHLO": "250-server\n250 SIZE 30"})
    with sending(server.url) as send:
        with pytest.raises(Rejected) as raised:
            send(Envelope(UUID(int=8), "ada@example.org", "", b"x" * 31))
        send(Envelope(UUID(int=8), "ada@example.org", "", b"x" * 30))
    assert (raised.value.reason, raised.value.scope) == ("too_large", "message")
    assert [line for line in server.heard[0] if line.startswith("MAIL")] == ["MAIL FROM:<> SIZE=30"]


@pytest.mark.parametrize("address", ["a@b.org\r\nRSET", "a@b.org> SIZE=1", "a b@c.org", "a@\u2603\u200d.org"])
def test_an_address_cannot_smuggle_a_command(serve: Serve, address: str) -> None:
    server = serve({})
    with sending(server.url) as send, pytest.raises(Rejected) as raised:
        send(Envelope(UUID(int=8), address, "b@example.org", b"x\r\n"))
    assert (raised.value.reason, raised.value.scope, raised.value.response) == ("recipient_invalid", "address", "")


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        ("535 5.7.8 wrong", Misconfigured, "auth_refused"),
        ("454 4.7.0 later", Transient, "auth_deferred"),
        ("421 going down", Transient, "auth_deferred"),
        (RESET, Transient, "auth_disconnected"),
        (SILENCE, Transient, "auth_timeout"),
    ],
)
def test_a_failed_login_says_whether_it_can_be_tried_again(
    serve: Serve, reply: str, kind: type[DeliveryError], reason: str
) -> None:
    server = serve({"EHLO": "250-server\n250 AUTH PLAIN", "AUTH": reply})
    error = outcome(server.url.replace("smtp://", "smtp://user:pass@"))
    assert (type(error), error.reason) == (kind, reason)


def test_a_server_that_quotes_the_password_does_not_spread_it(serve: Serve) -> None:
    server = serve({"EHLO": "250-server\n250 AUTH PLAIN", "AUTH": "535 bad: AHVzZXIAczNjcjN0 s3cr3t"})
    error = outcome(server.url.replace("smtp://", "smtp://user:s3cr3t@"))
    assert error.response == "535 bad: *** ***"


@pytest.mark.parametrize("offer", ["250 server", "250-server\n250 AUTH GSSAPI"])
def test_a_server_without_a_login_we_know_is_misconfigured(serve: Serve, offer: str) -> None:
    error = outcome(serve({"EHLO": offer}).url.replace("smtp://", "smtp://user:pass@"))
    assert (type(error), error.reason) == (Misconfigured, "auth_unsupported")


def test_starttls_that_is_required_but_absent_is_misconfigured(serve: Serve) -> None:
    server = serve({})
    error = outcome(f"{server.url}&tls=starttls")
    assert (type(error), error.reason) == (Misconfigured, "starttls_absent")
    assert not any(line.startswith("MAIL") for line in server.heard[0])


@pytest.mark.parametrize(("reply", "kind"), [("454 later", Transient), ("501 no", Misconfigured), (CLOSE, Transient)])
def test_starttls_that_is_offered_but_refused_is_never_skipped(
    serve: Serve, reply: str, kind: type[DeliveryError]
) -> None:
    server = serve({"EHLO": "250-server\n250 STARTTLS", "STARTTLS": reply})
    assert type(outcome(server.url)) is kind
    assert not any(line.startswith("MAIL") for line in server.heard[0])


def test_a_silent_farewell_does_not_undo_what_was_accepted(serve: Serve) -> None:
    with sending(serve({"QUIT": CLOSE}).url) as send:
        receipt = send(MESSAGE)
    assert receipt.response == "250 2.0.0 queued as 7E57"
