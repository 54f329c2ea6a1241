"""The benchmarks' own SMTP server: its dialogue however the octets are cut, and its answers from afar."""

from __future__ import annotations

import socket
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.services import OWN, sink
from benchmarks.sink import GREETING, LONGEST_COMMAND, MALFORMED, OK, OUT_OF_ORDER, START, UNKNOWN, Conversation, Tally

ENVELOPE = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
MAIL = b"Message-ID: <1@example.org>\r\nSubject: one\r\n\r\nHello.\r\n"
END = b".\r\n"


class Talk:
    """A conversation and what it accepted."""

    def __init__(self) -> None:
        self.accepted: list[bytes] = []
        self.server = Conversation(self.accepted.append)

    def say(self, octets: bytes) -> bytes:
        return self.server.feed(octets)


@pytest.fixture
def talk() -> Talk:
    talk = Talk()
    assert b"250-PIPELINING\r\n" in talk.say(b"EHLO client.example.org\r\n")
    return talk


def test_a_mail_is_accepted_whole(talk: Talk) -> None:
    assert talk.say(ENVELOPE) == OK + OK + START
    assert talk.say(MAIL) == b""
    assert talk.say(END) == OK
    assert talk.accepted == [MAIL]


def test_the_next_envelope_may_ride_on_the_body_before_it(talk: Talk) -> None:
    talk.say(ENVELOPE)

    assert talk.say(MAIL + END + ENVELOPE) == OK + OK + OK + START
    assert talk.say(MAIL + END) == OK
    assert talk.accepted == [MAIL, MAIL]


@given(cuts=st.lists(st.integers(0, 400), max_size=12))
def test_the_cuts_between_octets_change_nothing(cuts: list[int]) -> None:
    octets = b"EHLO client.example.org\r\n" + 2 * (ENVELOPE + MAIL + END) + b"QUIT\r\n"
    edges = sorted({0, len(octets), *(min(cut, len(octets)) for cut in cuts)})
    whole, cut = Talk(), Talk()

    replies = b"".join(cut.say(octets[start:end]) for start, end in pairwise(edges))

    assert replies == whole.say(octets)
    assert cut.accepted == whole.accepted == [MAIL, MAIL]
    assert cut.server.over


def test_a_dot_within_a_line_does_not_end_the_body(talk: Talk) -> None:
    talk.say(ENVELOPE)
    body = b"one.\r\n..two\r\n. three\r\n"

    assert talk.say(body) == b""
    assert talk.say(END) == OK
    assert talk.accepted == [body]


def test_an_empty_body_ends_at_its_first_dot(talk: Talk) -> None:
    talk.say(ENVELOPE)

    assert talk.say(END) == OK
    assert talk.accepted == [b""]


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"DATA", OUT_OF_ORDER),
        (b"RCPT TO:<b@example.org>", OUT_OF_ORDER),
        (b"MAIL FROM:a@example.org", MALFORMED),
        (b"EHLO", MALFORMED),
        (b"HELP", UNKNOWN),
        (b"", UNKNOWN),
        (b"mail from:<a@example.org> BODY=8BITMIME", OK),
        (b"MAIL FROM:<>", OK),
    ],
)
def test_each_command_has_its_reply(talk: Talk, command: bytes, reply: bytes) -> None:
    assert talk.say(command + b"\r\n") == reply


def test_a_second_mail_command_is_out_of_order_until_a_reset(talk: Talk) -> None:
    talk.say(b"MAIL FROM:<a@example.org>\r\n")

    assert talk.say(b"MAIL FROM:<a@example.org>\r\n") == OUT_OF_ORDER
    assert talk.say(b"RSET\r\nMAIL FROM:<a@example.org>\r\n") == OK + OK


def test_data_wants_a_recipient(talk: Talk) -> None:
    assert talk.say(b"MAIL FROM:<a@example.org>\r\nRCPT TO:nobody\r\nDATA\r\n") == OK + MALFORMED + OUT_OF_ORDER


def test_what_comes_after_quit_is_not_heard(talk: Talk) -> None:
    assert talk.say(b"QUIT\r\nNOOP\r\n").startswith(b"221 ")
    assert talk.server.over


def test_a_line_without_an_end_is_not_waited_for(talk: Talk) -> None:
    assert talk.say(b"x" * (LONGEST_COMMAND + 1)) == UNKNOWN
    assert talk.server.over


def test_mails_with_one_message_id_are_counted_as_one() -> None:
    tally = Tally(check=True)

    for mail in (MAIL, MAIL, MAIL.replace(b"<1@", b"<2@")):
        tally.accepted(mail)

    assert tally.summary["messages"] == 3
    assert tally.summary["distinct"] == 2


def test_a_message_id_in_the_body_is_none() -> None:
    tally = Tally(check=True)

    tally.accepted(b"Subject: one\r\n\r\nMessage-ID: <1@example.org>\r\n")

    assert list(tally.arrivals) == [b""]


def test_the_server_tells_how_many_mails_and_connections_it_has_seen(tmp_path: Path) -> None:
    with (
        sink(OWN, tmp_path, check=True) as server,
        socket.create_connection(("127.0.0.1", server.port)) as first,
        socket.create_connection(("127.0.0.1", server.port)) as second,
    ):
        for client in (first, second):
            assert client.recv(4096) == GREETING
        for client in (first, second):
            client.sendall(b"EHLO client.example.org\r\n" + ENVELOPE + MAIL + END + b"QUIT\r\n")
            while client.recv(4096):
                pass

    assert (server.count.messages, server.count.distinct) == (2, 1)
    assert server.count.most_connections == 2


def test_a_distant_server_answers_late_and_in_order(tmp_path: Path) -> None:
    delay = 0.05
    with sink(OWN, tmp_path, delay_ms=50) as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        replies = client.makefile("rb")
        assert replies.readline().startswith(b"220 ")
        began = time.monotonic()
        client.sendall(b"EHLO client.example.org\r\n")
        while replies.readline()[3:4] == b"-":
            pass
        took = time.monotonic() - began
        client.sendall(ENVELOPE)
        client.sendall(MAIL + END)
        client.sendall(b"QUIT\r\n")
        codes = [line[:3] for line in replies]

    assert took >= delay
    assert codes == [b"250", b"250", b"354", b"250", b"221"]
