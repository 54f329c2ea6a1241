"""The wire and the dialogue without a socket: replies in any pieces, bodies in part, answers before their time."""

from __future__ import annotations

import io
import itertools
import smtplib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.channels.email.smtp_dialogue import Dialogue, Letter
from notify.channels.email.smtp_wire import LONGEST_REPLY, UNREADABLE, Offers, Replies, body, commands
from notify.channels.provider import Envelope, Receipt
from notify.errors import DeliveryError, Rejected, Transient, Uncertain

ASKED = b"250 ok\r\n250 ok\r\n354 go on\r\n"
PIECES = [b"250", b"354", b"5", b"-", b" ", b"ok", b"\r\n", b"\n", b"\r", b"x" * 9000, b"\xff"]


def letter(n: int, content: bytes = b"x\r\n") -> Letter:
    return Letter(Envelope(UUID(int=n), f"u{n}@example.org", "b@example.org", content))


def propose(dialogue: Dialogue, proposed: Letter) -> None:
    dialogue.propose(proposed, *commands(proposed.envelope, dialogue.offers))


def say(dialogue: Dialogue, count: int | None = None) -> None:
    dialogue.speak()
    dialogue.wrote(len(dialogue.unwritten) if count is None else count)


def begun(*riding: Letter, written: int | None = None) -> Dialogue:
    """A dialogue in which the body of letter 1 is begun."""
    dialogue = Dialogue(Offers(pipelining=True))
    propose(dialogue, letter(1))
    say(dialogue)
    dialogue.hear(ASKED)
    assert dialogue.open
    dialogue.hand_over()
    for each in riding:
        propose(dialogue, each)
    say(dialogue, written)
    return dialogue


def outcome(dialogue: Dialogue) -> Receipt | DeliveryError:
    ((envelope, result),) = dialogue.outcomes
    assert envelope.message_id.int == 1
    return result


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.lists(st.integers(0, 300), max_size=8))
def test_replies_are_read_as_the_standard_library_reads_them(pieces: list[bytes], cuts: list[int]) -> None:
    octets = b"".join(pieces)
    edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    replies, found = Replies(), []
    for start, end in itertools.pairwise(edges):
        replies.feed(octets[start:end])
        while (reply := replies.take()) is not None:
            found.append(reply)
    theirs = smtplib.SMTP()
    theirs.file = io.BytesIO(octets)
    for code, text in found:
        if code == UNREADABLE:
            return  # nothing after it counts: the line is closed
        assert (code, text) == theirs.getreply()


def test_an_endless_reply_is_no_reply() -> None:
    replies = Replies()
    for _ in range(LONGEST_REPLY // 10 + 1):
        assert replies.take() is None
        replies.feed(b"250-more\r\n")
    assert (replies.take() or (0,))[0] == UNREADABLE


@given(st.binary(max_size=60))
def test_a_body_ends_only_at_its_end(content: bytes) -> None:
    sent = body(content)
    assert sent.endswith(b"\r\n.\r\n") or sent == b"\r\n.\r\n"
    assert (b"\r\n" + sent).find(b"\r\n.\r\n") == len(sent) - 3
    lines = [line.removeprefix(b".") for line in sent[:-3].split(b"\n")]
    assert b"\n".join(lines) in (content, content + b"\r\n")


def test_a_body_of_which_nothing_left_can_be_tried_again() -> None:
    dialogue = begun(written=0)
    dialogue.break_off(ConnectionResetError())
    assert (type(outcome(dialogue)), dialogue.outcomes[0][1].line_lost) == (Transient, True)  # type: ignore[union-attr]


@pytest.mark.parametrize("written", [1, None])
def test_a_body_of_which_something_left_is_in_doubt(written: int | None) -> None:
    dialogue = begun(written=written)
    dialogue.break_off(ConnectionResetError())
    assert type(outcome(dialogue)) is Uncertain


@pytest.mark.parametrize(
    ("reply", "kind"), [(b"552 5.3.4 big\r\n", Rejected), (b"421 bye\r\n", Transient), (b"250 ok\r\n", Uncertain)]
)
def test_an_answer_before_the_end_of_a_body_can_only_refuse_it(reply: bytes, kind: type[DeliveryError]) -> None:
    riding = letter(2)
    dialogue = begun(riding, written=3)
    dialogue.hear(reply)
    assert type(outcome(dialogue)) is kind
    assert dialogue.over
    assert dialogue.stray is not None
    assert dialogue.stray[0] is riding


def test_answers_may_come_in_any_pieces() -> None:
    dialogue = begun(letter(2))
    for octet in b"250-2.0.0\r\n250 queued as 7E57\r\n" + ASKED:
        assert dialogue.waiting
        dialogue.hear(bytes([octet]))
    assert outcome(dialogue) == Receipt("250 2.0.0\nqueued as 7E57", "7E57")
    assert dialogue.open


def test_what_the_line_says_unasked_ends_it() -> None:
    dialogue = Dialogue(Offers())
    assert dialogue.idle
    dialogue.hear(b"421 idle for too long\r\n")
    assert (dialogue.over, dialogue.idle) == (True, False)


def test_a_refusal_on_a_line_that_breaks_waits_for_another_line_to_prove_it() -> None:
    refused = letter(1)
    dialogue = Dialogue(Offers(pipelining=True))
    propose(dialogue, refused)
    say(dialogue)
    dialogue.hear(b"250 ok\r\n550 5.1.1 unknown\r\n421 4.7.0 too many errors\r\n")
    assert (dialogue.over, dialogue.outcomes) == (True, [])
    assert dialogue.stray is not None
    assert dialogue.stray[0] is refused
    assert type(dialogue.stray[1]) is Rejected


def test_an_answer_too_many_takes_a_refusal_back() -> None:
    riding = letter(2)
    dialogue = begun(riding)
    dialogue.hear(b"250 taken\r\n550 extra\r\n451 no\r\n503 no\r\n503 no\r\n")
    assert type(outcome(dialogue)) is Receipt
    assert dialogue.stray is not None
    assert dialogue.stray[0] is riding
    assert type(dialogue.stray[1]) is Transient


def test_a_body_that_may_be_on_its_way_under_tls_is_in_doubt_when_the_line_breaks() -> None:
    plain, encrypted = begun(written=0), begun(written=0)
    encrypted.exposed()
    for dialogue in (plain, encrypted):
        dialogue.break_off(ConnectionResetError())
    assert isinstance(outcome(plain), Transient)
    assert isinstance(outcome(encrypted), Uncertain)
