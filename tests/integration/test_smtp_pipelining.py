"""What goes over one line in which write, in which order, and what becomes of each message when the line fails."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from notify.channels import provider_for
from notify.channels.provider import Envelope, Receipt
from notify.errors import DeliveryError, Rejected, Transient, Uncertain
from tests.smtp_server import CLOSE, MUTE, Script, serving

BODY = b"Subject: x\r\n\r\nbody\r\n"


def envelopes(count: int, content: bytes = BODY) -> list[Envelope]:
    return [Envelope(UUID(int=n), f"user{n}@example.org", "b@example.org", content) for n in range(count)]


def announced(n: int) -> bytes:
    return b"MAIL FROM:<b@example.org>\r\nRCPT TO:<user%d@example.org>\r\nDATA\r\n" % n


class Diary:
    """A Watch, the envelopes and the caller in one: all that happens, in order."""

    def __init__(self, given: list[Envelope], *, stop_at: int | None = None) -> None:
        self.given = given
        self.stop_at = stop_at  # no, once this envelope was begun
        self.events: list[str] = []
        self.outcomes: dict[int, Receipt | DeliveryError] = {}
        self.begun: dict[int, int] = {}

    def begin(self, envelope: Envelope, line: int) -> None:
        self.begun[envelope.message_id.int] = line
        self.events.append(f"begin {envelope.message_id.int}")

    def may_go_on(self) -> bool:
        self.events.append("may go on")
        return self.stop_at not in self.begun

    def taken(self) -> Iterator[Envelope]:
        for envelope in self.given:
            self.events.append(f"take {envelope.message_id.int}")
            yield envelope
        self.events.append("none")

    def send(self, url: str) -> Diary:
        with closing(provider_for(url)) as provider, provider.open() as connection:
            for envelope, outcome in connection.send_all(self.taken(), self):
                assert envelope.message_id.int not in self.outcomes
                self.outcomes[envelope.message_id.int] = outcome
                self.events.append(f"outcome {envelope.message_id.int}")
        return self

    def told(self) -> dict[int, str]:
        return {
            n: outcome.reason if isinstance(outcome, DeliveryError) else "accepted"
            for n, outcome in self.outcomes.items()
        }


def once(connection: int, step: str, nth: int, reply: str) -> Script:
    def script(on: int, asked: str, count: int) -> str | None:
        return reply if (on, asked, count) == (connection, step, nth) else None

    return script


def test_the_next_envelope_rides_behind_the_body_before_it() -> None:
    with serving() as server:
        diary = Diary(envelopes(3)).send(server.url)
    end = BODY + b".\r\n"
    assert server.writes == [[announced(0), end + announced(1), end + announced(2), end, b"QUIT\r\n"]]
    assert diary.told() == {0: "accepted", 1: "accepted", 2: "accepted"}
    assert diary.events == [
        *("take 0", "begin 0", "take 1", "may go on"),
        *("outcome 0", "begin 1", "take 2", "may go on"),
        *("outcome 1", "begin 2", "none", "may go on"),
        "outcome 2",
    ]


def test_without_pipelining_every_command_waits_for_its_answer() -> None:
    with serving(offers=()) as server:
        diary = Diary(envelopes(2)).send(server.url)
    one, two = ([line + b"\r\n" for line in announced(n).split(b"\r\n")[:-1]] for n in range(2))
    end = BODY + b".\r\n"
    assert server.writes == [[*one, end, *two, end, b"QUIT\r\n"]]
    assert diary.events == [
        *("take 0", "begin 0", "take 1", "may go on"),
        *("outcome 0", "begin 1", "none", "may go on"),
        "outcome 1",
    ]


@pytest.mark.parametrize("offers", [("PIPELINING",), ()])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "BODY"])
@pytest.mark.parametrize("reply", ["550 5.7.1 no", "451 4.7.1 later", "530 5.7.0 log in"])
def test_a_refusal_is_about_one_message_only(offers: tuple[str, ...], step: str, reply: str) -> None:
    def script(on: int, asked: str, count: int) -> str | None:
        if count == 2 and asked == step:
            return reply
        if count == 2 and offers and asked == "DATA" and step in ("MAIL", "RCPT"):
            return "503 5.5.1 no valid recipients"
        return None

    with serving(script, offers=offers) as server:
        diary = Diary(envelopes(4)).send(server.url)
    assert server.accepted == ["user0@example.org", "user2@example.org", "user3@example.org"]
    refused = diary.outcomes.pop(1)
    assert isinstance(refused, DeliveryError)
    assert refused.response == reply
    assert (1 in diary.begun) is (step == "BODY")
    assert len(server.writes) == 1
    assert (b"RSET\r\n" in b"".join(server.writes[0])) is (step != "BODY")
    assert all(isinstance(outcome, Receipt) for outcome in diary.outcomes.values())


def test_after_a_refusal_the_reset_travels_with_the_next_envelope() -> None:
    def script(_on: int, step: str, count: int) -> str | None:
        return {"RCPT": "550 5.1.1 unknown", "DATA": "554 no valid recipients"}.get(step) if count == 1 else None

    with serving(script) as server:
        diary = Diary(envelopes(2)).send(server.url)
    assert server.writes == [[announced(0), b"RSET\r\n" + announced(1), BODY + b".\r\n", b"QUIT\r\n"]]
    refused = diary.outcomes[0]
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.scope) == ("mailbox_unknown", "address")
    assert diary.events[:2] == ["take 0", "outcome 0"]


def test_a_server_that_waits_for_the_body_of_a_refused_recipient_gets_only_the_dot() -> None:
    def script(_on: int, step: str, count: int) -> str | None:
        return {"RCPT": "550 5.1.1 unknown", "BODY": "554 no valid recipients"}.get(step) if count == 1 else None

    with serving(script) as server:
        diary = Diary(envelopes(2)).send(server.url)
    assert server.writes == [[announced(0), b".\r\n" + announced(1), BODY + b".\r\n", b"QUIT\r\n"]]
    assert diary.told() == {0: "mailbox_unknown", 1: "accepted"}
    assert list(diary.begun) == [1]


def test_nobody_gets_an_empty_mail_from_a_sender_who_was_refused() -> None:
    with serving(once(0, "MAIL", 1, "550 5.7.1 no")) as server:
        diary = Diary(envelopes(2)).send(server.url)
    assert server.writes[0] == [announced(0)]
    assert server.accepted == ["user1@example.org"]
    assert diary.told() == {0: "blocked", 1: "accepted"}


def test_a_refused_recipient_at_the_end_leaves_no_transaction_behind() -> None:
    with serving(once(0, "RCPT", 2, "550 5.1.1 unknown")) as server:
        diary = Diary(envelopes(2)).send(server.url)
    assert server.writes == [[announced(0), BODY + b".\r\n" + announced(1), b".\r\n", b"QUIT\r\n"]]
    assert diary.told() == {0: "accepted", 1: "mailbox_unknown"}


@pytest.mark.parametrize(("step", "nth"), [("MAIL", 2), ("RCPT", 2), ("DATA", 2)])
@pytest.mark.parametrize("fault", [CLOSE, "421 shutting down", "gibberish", "250-no end\r\n250-" + "x" * 9000])
def test_what_only_rode_along_is_delivered_elsewhere(step: str, nth: int, fault: str) -> None:
    with serving(once(0, step, nth, fault)) as server:
        diary = Diary(envelopes(4)).send(server.url)
    assert diary.told() == dict.fromkeys(range(4), "accepted")
    assert sorted(server.accepted) == sorted(envelope.recipient for envelope in diary.given)
    assert len(server.writes) == 2


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        (CLOSE, Uncertain, "body_disconnected"),
        ("gibberish", Uncertain, "body_unintelligible"),
        ("354 what", Uncertain, "body_unintelligible"),
        ("421 shutting down", Transient, "body_deferred"),
    ],
)
def test_a_line_that_ends_after_the_dot_leaves_one_message_in_doubt(
    fault: str, kind: type[DeliveryError], reason: str
) -> None:
    with serving(once(0, "BODY", 2, fault)) as server:
        diary = Diary(envelopes(4)).send(server.url)
    assert diary.told() == {0: "accepted", 1: reason, 2: "accepted", 3: "accepted"}
    assert type(diary.outcomes[1]) is kind
    assert set(diary.begun.values()) == {0}
    assert server.accepted.count("user2@example.org") == 1


def test_an_answer_to_nothing_ends_the_line_before_it_is_taken_for_another() -> None:
    with serving(once(0, "DATA", 2, "354 go on\r\n250 2.0.0 taken")) as server:
        diary = Diary(envelopes(3)).send(server.url)
    assert diary.told() == dict.fromkeys(range(3), "accepted")
    assert server.accepted == ["user0@example.org", "user1@example.org", "user2@example.org"]
    assert len(server.writes) == 2


def test_an_envelope_under_which_a_fresh_line_is_lost_is_named() -> None:
    def script(_on: int, step: str, _count: int) -> str | None:
        return CLOSE if step == "RCPT" else None

    with serving(script) as server:
        diary = Diary(envelopes(2)).send(server.url)
    assert diary.told() == {0: "recipient_disconnected", 1: "recipient_disconnected"}
    assert all(isinstance(error, Transient) and error.line_lost for error in diary.outcomes.values())
    assert (len(server.writes), diary.begun) == (2, {})


def test_an_envelope_that_loses_a_line_which_carried_others_moves_once_and_is_named_then() -> None:
    def script(on: int, step: str, nth: int) -> str | None:
        return CLOSE if step == "RCPT" and (nth == 2 or on == 1) else None

    with serving(script) as server:
        diary = Diary(envelopes(2)).send(server.url)
    assert diary.told() == {0: "accepted", 1: "recipient_disconnected"}
    assert (len(server.writes), len(diary.begun)) == (2, 1)


def test_a_line_that_drops_in_the_middle_of_a_body_leaves_it_in_doubt() -> None:
    big = b"Subject: x\r\n\r\n" + b"x\r\n" * 8_000_000
    given = [*envelopes(1, big), *envelopes(2)[1:]]
    with serving() as server:
        diary = Diary(given)
        ask = diary.may_go_on

        def and_hang_up() -> bool:
            if len(server.writes) == 1:
                server.hang_up()
            return ask()

        diary.may_go_on = and_hang_up  # type: ignore[method-assign]
        diary.send(server.url)
    assert type(diary.outcomes[0]) is Uncertain
    assert diary.told()[1] == "accepted"
    assert server.accepted == ["user1@example.org"]


def test_when_nothing_more_may_begin_what_is_under_way_is_answered() -> None:
    with serving() as server:
        diary = Diary(envelopes(5), stop_at=2).send(server.url)
    assert diary.told() == {0: "accepted", 1: "accepted"}
    assert list(diary.begun) == [0, 1, 2]
    assert server.accepted == ["user0@example.org", "user1@example.org"]
    assert server.writes[0][-1] == BODY + b".\r\n" + announced(2)


def test_a_silent_server_is_left_after_its_time() -> None:
    with serving(once(0, "BODY", 2, MUTE)) as server:
        diary = Diary(envelopes(2)).send(f"{server.url}&timeout=1")
    assert diary.told() == {0: "accepted", 1: "body_timeout"}
    assert type(diary.outcomes[1]) is Uncertain


def test_the_answer_to_an_envelope_does_not_stand_for_the_missing_one_to_a_body() -> None:
    with serving(once(0, "BODY", 1, MUTE)) as server:
        diary = Diary(envelopes(2)).send(server.url)
    assert diary.told() == {0: "body_unintelligible", 1: "accepted"}
    assert type(diary.outcomes[0]) is Uncertain


def test_each_message_announces_what_it_needs_and_no_more() -> None:
    wide = Envelope(UUID(int=1), "jörg@example.org", "b@example.org", BODY)
    given = [*envelopes(1), wide, *envelopes(3)[2:]]
    with serving() as server:
        Diary(given).send(server.url)
    sent = b"".join(server.writes[0]).decode()
    assert [line for line in sent.split("\r\n") if line.startswith("MAIL")] == [
        "MAIL FROM:<b@example.org>",
        "MAIL FROM:<b@example.org> SMTPUTF8",
        "MAIL FROM:<b@example.org>",
    ]
    assert "RCPT TO:<jörg@example.org>" in sent


def test_what_cannot_be_announced_does_not_hold_up_the_line() -> None:
    wide = Envelope(UUID(int=1), "jörg@example.org", "b@example.org", BODY)
    given = [*envelopes(1), wide, *envelopes(3)[2:]]
    with serving(offers=("PIPELINING",)) as server:
        diary = Diary(given).send(server.url)
    assert diary.told() == {0: "accepted", 1: "smtputf8_unsupported", 2: "accepted"}
    assert server.writes == [[announced(0), BODY + b".\r\n" + announced(2), BODY + b".\r\n", b"QUIT\r\n"]]


REPLIES = [
    *("250 {sender}", "354 {sender}", "421 {sender}", "451 {sender}", "550 {sender}", "gibberish {sender}", CLOSE),
    *("250 {sender}\r\n250 {sender} again", "250 {sender}\r\n550 {sender} again", "250-{sender}\r\n250 at length"),
]
PLACES = st.tuples(st.integers(0, 3), st.sampled_from(["MAIL", "RCPT", "DATA", "BODY", "RSET"]), st.integers(1, 4))


@settings(max_examples=150, deadline=None)
@drawn(replies=st.dictionaries(PLACES, st.sampled_from(REPLIES), max_size=12), pipelining=st.booleans())
def test_whatever_a_server_answers_each_message_has_one_outcome_and_it_is_its_own(
    replies: dict[tuple[int, str, int], str], pipelining: bool
) -> None:
    given = [Envelope(UUID(int=n), f"user{n}@example.org", f"b{n}@example.org", BODY) for n in range(5)]
    usual = {"RSET": "250 ok", "DATA": "354 {sender}"}

    def script(on: int, step: str, nth: int) -> str:
        reply = replies.get((on, step, nth), usual.get(step, "250 {sender}"))
        return reply if on == 0 else reply.removesuffix("\r\n550 {sender} again")  # two in a row cannot be told

    with serving(script, offers=("PIPELINING",) if pipelining else ()) as server:
        diary = Diary(given).send(server.url)
    assert set(diary.outcomes) == set(range(5))
    for n, outcome in diary.outcomes.items():
        assert outcome.response.partition("@")[0][-2:] in (f"b{n}", "") or "@" not in outcome.response
        times = server.accepted.count(f"user{n}@example.org")
        if isinstance(outcome, Receipt):
            assert (times, n in diary.begun) == (1, True)
        elif not isinstance(outcome, Uncertain):
            assert times == 0
        else:
            assert n in diary.begun


@settings(max_examples=50, deadline=None)
@drawn(st.data())
def test_a_single_message_ends_as_it_would_with_the_standard_library(data: Any) -> None:
    step = data.draw(st.sampled_from(["MAIL", "RCPT", "DATA", "BODY"]))
    reply = data.draw(
        st.sampled_from(["250 yes", "354 go", "451 4.3.0 no", "550 5.7.1 no", "552-5.3.4 too\r\n552 big"])
    )

    def script(_on: int, asked: str, _nth: int) -> str | None:
        return reply if asked == step else None

    with serving(script, offers=()) as server:
        diary = Diary(envelopes(1)).send(server.url)
        try:
            with smtplib.SMTP("127.0.0.1", int(server.url.split(":")[2].partition("?")[0])) as theirs:
                theirs.sendmail("b@example.org", "user0@example.org", BODY)
            accepted = True
        except smtplib.SMTPException:
            accepted = False
    assert isinstance(diary.outcomes[0], Receipt) is accepted
