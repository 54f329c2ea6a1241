"""The SMTP server of the chaos scenarios: what it took is written down before it says so, and its moods are kept."""

from __future__ import annotations

import smtplib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.services import Smtp
from tests.processes import until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Smtp]:
    smtp = Smtp(tmp_path)
    yield smtp
    smtp.stop()


def mail(number: int) -> bytes:
    return f"Subject: x\r\nMessage-ID: <m{number}@example.org>\r\n\r\nMessage-ID: <no@such.org>\r\n".encode()


def send(server: Smtp, *numbers: int, to: str = "ada@example.org") -> None:
    with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
        for number in numbers:
            client.sendmail("a@example.org", to, mail(number))


def test_each_mail_is_written_down_with_its_id(server: Smtp) -> None:
    send(server, 1, 2)
    send(server, 2)
    assert server.arrivals.read() == 3
    assert server.arrivals.taken == {"m1": 1, "m2": 2}
    assert abs(server.arrivals.first["m1"] - time.time()) < 60


def test_pipelined_mails_are_taken_in_their_order(server: Smtp) -> None:
    said = b"EHLO x\r\n"
    for number in (1, 2, 3):
        said += b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n" + mail(number) + b".\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        for start in range(0, len(said), 7):  # cut wherever it falls
            line.sendall(said[start : start + 7])
        line.sendall(b"QUIT\r\n")
        heard = b""
        while data := line.recv(4096):
            heard += data
    codes = [reply[:3] for reply in heard.splitlines() if reply[3:4] == b" "]
    assert codes == [b"220", b"250", *[b"250", b"250", b"354", b"250"] * 3, b"221"]
    server.arrivals.read()
    assert list(server.arrivals.taken) == ["m1", "m2", "m3"]


@pytest.mark.parametrize(("kept", "taken"), [(True, 1), (False, 0)])
def test_a_reset_comes_instead_of_the_answer(server: Smtp, kept: bool, taken: int) -> None:
    server.mood("reset", kept=kept)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(server, 1)
    assert server.arrivals.read() == taken
    assert server.arrivals.bodies == {"m1": 1}


def test_every_nth_body_is_refused(server: Smtp) -> None:
    server.mood("answer", at="body", text="451 4.3.0 later", every=2)
    send(server, 1)
    with pytest.raises(smtplib.SMTPDataError):
        send(server, 2)
    send(server, 3)
    assert server.arrivals.read() == 2
    assert server.arrivals.verdicts == {"250": 2, "451": 1}


def test_one_address_is_refused(server: Smtp) -> None:
    server.mood("answer", at="rcpt", text="550 5.1.1 nobody", only="eve@")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(server, 1, to="eve@example.org")
    send(server, 2)
    assert server.arrivals.read() == 1


def test_421_ends_the_line(server: Smtp) -> None:
    server.mood("answer", at="greeting", text="421 4.3.2 not now")
    with pytest.raises(smtplib.SMTPConnectError):
        send(server, 1)
    server.mood()
    send(server, 1)


def test_it_is_silent_until_it_is_told_otherwise(server: Smtp) -> None:
    server.mood("hang")
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.2) as line:
        with pytest.raises(TimeoutError):
            line.recv(1)
        server.mood()
        line.settimeout(10)
        assert line.recv(3) == b"220"


def test_a_slow_answer_comes_late_and_mails_stay_in_order(server: Smtp) -> None:
    server.mood("slow", seconds=0.1)
    began = time.monotonic()
    send(server, 1, 2)
    assert time.monotonic() - began >= 0.2
    until(lambda: server.arrivals.read() == 2, 60, "both taken")
