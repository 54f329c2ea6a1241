"""What it takes for "user unknown" to mean a dead address: filters say it too, once they have seen the mail."""

from __future__ import annotations

import pytest

from notify.feedback.bounces import Verdict, read
from tests.unit.bounces.mails import RETURNED, THEM, block, multipart, plain, report

HARD, SOFT, BLOCK = Verdict.HARD, Verdict.SOFT, Verdict.BLOCK
UNKNOWN = "550 User unknown"
HOST = f"<{THEM}>: host mx.receiver.example[192.0.2.1] said: {UNKNOWN}"


def verdict(raw: bytes) -> Verdict:
    (recipient,) = read(raw).recipients
    return recipient.verdict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{HOST} (in reply to RCPT TO command)", HARD),
        (f"{HOST} (in reply to end of DATA command)", SOFT),
        (f"{HOST} (in reply to MAIL FROM command)", BLOCK),
        (f"SMTP error from remote mail server after RCPT TO:<{THEM}>: {UNKNOWN}", HARD),
        (f"SMTP error from remote mail server after end of data: {UNKNOWN}", SOFT),
        (f">>> RCPT To:<{THEM}>\n<<< {UNKNOWN}", HARD),
        (f">>> DATA\n<<< {UNKNOWN}\n554 5.0.0 Service unavailable", SOFT),
        (f"<{THEM}>:\n192.0.2.1 does not like recipient.\nRemote host said: {UNKNOWN}", HARD),
        (f"<{THEM}>:\n192.0.2.1 failed after I sent the message.\nRemote host said: {UNKNOWN}", SOFT),
        (f"The host did not like our RCPT TO:\n{UNKNOWN}", HARD),
        (f"Remote host said: {UNKNOWN}\n[RCPT_TO]", HARD),
        (f"-------server message\n{UNKNOWN}\n\n-------SMTP command\nDATA\n", SOFT),
        (f"SMTP:RCPT host 192.0.2.1: {UNKNOWN}", HARD),
    ],
)
def test_the_command_that_was_answered_decides(text: str, expected: Verdict) -> None:
    assert verdict(report(block(status="5.0.0", said=UNKNOWN), text=text)) is expected
    assert verdict(plain(f"{text}\n\n--- Below this line is a copy of the message.\n\n{RETURNED}")) is expected


def test_pipelining_puts_the_answer_to_rcpt_behind_data() -> None:
    text = f">>> DATA\n<<< {UNKNOWN}\n<<< 503 5.0.0 Need RCPT (recipient)"

    assert verdict(report(block(status="5.0.0", said=UNKNOWN), text=text)) is HARD


def test_each_answer_of_a_transcript_belongs_to_the_command_before_it() -> None:
    text = (
        ">>> RCPT To:<a@receiver.example>\n<<< 550 no such user: a\n"
        ">>> RCPT To:<b@receiver.example>\n<<< 250 ok\n>>> DATA\n<<< 550 no such user: b"
    )
    status = "\n".join(
        block(f"{name}@receiver.example", status="5.0.0", said=f"550 no such user: {name}") for name in "ab"
    )

    assert [one.verdict for one in read(report(status, text=text)).recipients] == [HARD, SOFT]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("550 : User unknown", id="kddi"),
        pytest.param("550 Unknown user ada@receiver.example", id="docomo"),
        pytest.param("554 delivery error: dd This user doesn't have a receiver.example account", id="yahoo"),
        pytest.param("554 5.7.1 <ada@receiver.example>: user unknown", id="a code of policy"),
        pytest.param("550 5.2.1 <ada@receiver.example>... User Unknown", id="a code that says there is a mailbox"),
    ],
)
def test_an_answer_that_proves_nothing_is_soft(said: str) -> None:
    assert verdict(report(block(status="5.0.0", said=said))) is SOFT


def test_a_code_of_the_address_is_proof_whatever_was_answered() -> None:
    text = f"{HOST} (in reply to end of DATA command)"

    assert verdict(report(block(status="5.1.1", said=UNKNOWN), text=text)) is HARD


def test_the_system_that_holds_the_addresses_is_believed() -> None:
    raw = multipart(
        ("text/plain", "It failed."),
        ("message/delivery-status", f"Final-Recipient: rfc822; {THEM}\nAction: failed\nStatus: 5.0.0\n"
         "Diagnostic-Code: X-Notes; User ada not listed in Domino Directory\n"),
        kind="report; report-type=delivery-status",
    )  # fmt: skip

    assert verdict(raw) is HARD


def test_words_of_the_author_beside_an_answer_are_believed() -> None:
    text = f"Address not found: {THEM} couldn't be found. The response was: 550 <{THEM}>: rejected, user unknown"

    assert verdict(report(block(status="5.0.0", said=f"550 <{THEM}>: user unknown"), text=text)) is HARD


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("550 5.2.1 The email account that you tried to reach is disabled", SOFT),
        ("550 5.2.1 The email account that you tried to reach is inactive", SOFT),
        ("554 This account has been disabled or discontinued", SOFT),
        ("550 account suspended", SOFT),
        ("550 the account was closed: account closed", HARD),
        ("550 user deleted", HARD),
        ("550 the mailbox is no longer available", HARD),
        ("550 she has left the company", HARD),
        ("450 user deleted", SOFT),
    ],
)
def test_a_closed_account_is_gone_and_a_disabled_one_may_come_back(said: str, expected: Verdict) -> None:
    assert verdict(report(block(status="5.0.0" if said[0] == "5" else "4.0.0", said=said))) is expected
