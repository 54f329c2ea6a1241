from __future__ import annotations

import pytest

from notify.feedback.bounces import Kind, Verdict, read
from tests.unit.bounces.mails import RETURNED, THEM, block, multipart, report


@pytest.mark.parametrize(
    ("status", "said", "verdict"),
    [
        ("5.1.1", "550 5.1.1 User unknown", Verdict.HARD),
        ("5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound", Verdict.HARD),
        ("5.1.2", "", Verdict.HARD),
        ("5.2.1", "550 5.2.1 The account is disabled", Verdict.SOFT),
        ("5.2.1", "550 5.2.1 The account has been deleted", Verdict.HARD),
        ("5.7.1", "554 5.7.1 the account is closed", Verdict.HARD),
        ("5.0.0", "550 5.1.1 no such user here", Verdict.HARD),
        ("5.4.4", "Host or domain name not found. Name service error for name=receiver.example", Verdict.HARD),
        ("4.1.1", "450 4.1.1 user unknown, try again", Verdict.SOFT),
        ("5.2.2", "552 5.2.2 mailbox full", Verdict.SOFT),
        ("5.0.0", "552 over quota", Verdict.SOFT),
        ("4.2.2", "", Verdict.SOFT),
        ("4.4.7", "message expired", Verdict.SOFT),
        ("5.4.7", "", Verdict.SOFT),
        ("4.7.1", "451 4.7.1 Greylisted, please come back in 5 minutes", Verdict.SOFT),
        ("4.4.1", "connect to mx.receiver.example[192.0.2.1]:25: Connection timed out", Verdict.SOFT),
        ("5.7.1", "550 5.7.1 rejected due to our policy", Verdict.BLOCK),
        ("5.7.26", "550-5.7.26 Unauthenticated email from sender.example is not accepted: DMARC policy", Verdict.BLOCK),
        ("5.7.1", "554 5.7.1 Client host [192.0.2.9] blocked using zen.spamhaus.org", Verdict.BLOCK),
        ("5.1.8", "553 5.1.8 Domain of sender address news@sender.example does not exist", Verdict.BLOCK),
        ("5.0.0", "554 Relay access denied", Verdict.BLOCK),
        ("5.3.4", "552 5.3.4 message size exceeds fixed limit", Verdict.CONTENT),
        ("5.0.0", "552 message too large", Verdict.CONTENT),
        ("5.7.0", "552-5.7.0 blocked because its content presents a potential security issue", Verdict.CONTENT),
        ("5.6.1", "", Verdict.CONTENT),
    ],
)  # fmt: skip
def test_code_and_text_make_a_verdict(status: str, said: str, verdict: Verdict) -> None:
    found = read(report(block(status=status, said=said)))

    assert found.kind is Kind.BOUNCE
    (recipient,) = found.recipients
    assert (recipient.address, recipient.verdict) == (THEM, verdict)


def test_the_words_explain_a_report_that_says_nothing_itself() -> None:
    text = f"<{THEM}>: host mx.receiver.example said: 550 no mailbox here by that name (in reply to RCPT TO command)"

    (recipient,) = read(report(block(status="5.0.0"), text=text)).recipients

    assert recipient.verdict is Verdict.HARD
    assert recipient.diagnostic == "550 no mailbox here by that name (in reply to RCPT TO command)"


def test_every_recipient_has_a_verdict_of_its_own() -> None:
    status = "\n".join(
        [
            block("a@receiver.example", said="550 user unknown"),
            block("b@receiver.example", status="5.2.2"),
            block("c@receiver.example", status="2.0.0", action="relayed"),
            block("d@receiver.example", status="4.4.1", action="delayed"),
        ]
    )

    found = read(report(status))

    assert found.kind is Kind.BOUNCE
    assert [one.verdict for one in found.recipients] == [Verdict.HARD, Verdict.SOFT, Verdict.OTHER, Verdict.DELAYED]


def test_the_address_that_was_mailed_is_named_and_where_it_led() -> None:
    (recipient,) = read(report(block("inner@host.receiver.example", original=THEM))).recipients

    assert recipient.address == THEM
    assert recipient.final_address == "inner@host.receiver.example"


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("delayed", Kind.DELAY),
        ("delivered", Kind.DELIVERED),
        ("relayed", Kind.DELIVERED),
        ("expanded (to a list)", Kind.DELIVERED),
        ("FAILED", Kind.BOUNCE),
        ("bounced", Kind.BOUNCE),
    ],
)
def test_the_action_decides_the_kind(action: str, kind: Kind) -> None:
    assert read(report(block(action=action, status="4.0.0"))).kind is kind


def test_a_missing_action_is_told_by_the_status() -> None:
    assert read(report(f"Final-Recipient: rfc822; {THEM}\nStatus: 5.1.1\n")).kind is Kind.BOUNCE
    assert read(report(f"Final-Recipient: rfc822; {THEM}\nStatus: 2.1.5\n")).kind is Kind.DELIVERED


def test_the_message_id_of_what_was_returned_is_told() -> None:
    assert read(report(block())).original_message_id == "<0198c5f2@sender.example>"


@pytest.mark.parametrize("ending", [b"\r\n", b"\r", b"\n"])
def test_line_endings_do_not_matter(ending: bytes) -> None:
    raw = report(block(said="550 user unknown"))

    assert read(raw.replace(b"\n", ending)) == read(raw)


def test_blocks_without_blank_lines_between_them_are_told_apart() -> None:
    found = read(report(block("a@receiver.example") + block("b@receiver.example", status="5.2.2")))

    assert [one.address for one in found.recipients] == ["a@receiver.example", "b@receiver.example"]
    assert [one.verdict for one in found.recipients] == [Verdict.HARD, Verdict.SOFT]


def test_a_report_whose_boundary_is_lost_is_read() -> None:
    raw = report(block(said="550 user unknown")).replace(b'; boundary="=_b"', b"").replace(b"=_b", b"=_boundary")

    (recipient,) = read(raw).recipients

    assert recipient.verdict is Verdict.HARD


def test_a_report_that_stands_in_the_text_is_read() -> None:
    text = f"An error occurred.\n\nReporting-MTA: dns; mx\n\n{block(said='550 user unknown')}"

    (recipient,) = read(multipart(("text/plain", text), ("message/rfc822", RETURNED))).recipients

    assert (recipient.address, recipient.verdict) == (THEM, Verdict.HARD)


def test_a_report_within_a_report_without_words_is_read() -> None:
    inner = report(block(said="550 user unknown")).decode()

    assert read(multipart(("message/rfc822", inner))).kind is Kind.BOUNCE


def test_a_report_in_base64_is_read() -> None:
    import base64

    status = base64.b64encode(f"Reporting-MTA: dns; mx\n\n{block()}".encode()).decode()
    raw = multipart(
        ("text/plain", "Failed."),
        ("message/delivery-status\nContent-Transfer-Encoding: base64", status),
        kind="report; report-type=delivery-status",
    )

    (recipient,) = read(raw).recipients

    assert recipient.address == THEM


def test_an_address_in_x400_gives_way_to_the_returned_mails() -> None:
    status = "Final-Recipient: x400; /C=GB/ADMD=X/PRMD=Y/S=Ada/\nAction: failed\nStatus: 5.1.1\n"

    (recipient,) = read(report(status)).recipients

    assert recipient.address == THEM


def test_a_diagnostic_is_one_line_of_bounded_length() -> None:
    (recipient,) = read(report(block(said="550 " + "very " * 500 + "\n long"))).recipients

    assert recipient.diagnostic is not None
    assert len(recipient.diagnostic) <= 500
    assert "\n" not in recipient.diagnostic
