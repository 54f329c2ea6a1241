"""Every reply and every exception at every step means exactly one of the five delivery errors."""

from __future__ import annotations

import builtins
import inspect
import smtplib
import socket
import ssl

import pytest

from notify.channels.email.smtp_replies import Refused, Step, failure, receipt, refusal
from notify.errors import DeliveryError, Misconfigured, Rejected, Transient, Uncertain


def exceptions() -> list[Exception]:
    found: list[Exception] = [OSError(5, "Input/output error"), UnicodeError("no"), ValueError("no"), EOFError()]
    for module in (smtplib, ssl, socket):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, smtplib.SMTPRecipientsRefused):
                found.append(kind({"a@b.c": (550, b"no")}))
            elif issubclass(kind, smtplib.SMTPSenderRefused):
                found.append(kind(550, b"no", "a@b.c"))
            elif issubclass(kind, smtplib.SMTPResponseException):
                found.append(kind(550, b"no"))
            elif issubclass(kind, Exception):
                found.append(kind("gone"))
    found.extend(
        kind(1, "gone") for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, OSError)
    )
    return found


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("error", exceptions(), ids=lambda error: type(error).__name__)
def test_every_exception_at_every_step_is_a_delivery_error(error: Exception, step: Step) -> None:
    meaning = failure(step, error)
    assert isinstance(meaning, Transient | Misconfigured | Uncertain)
    assert isinstance(meaning, Uncertain) is (step is Step.BODY)
    assert meaning.reason.isascii()
    assert "@" not in meaning.reason


def test_the_walk_sees_the_classes_that_matter() -> None:
    seen = {type(error) for error in exceptions()}
    assert {smtplib.SMTPServerDisconnected, ssl.SSLCertVerificationError, socket.gaierror, TimeoutError} <= seen
    assert {ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, smtplib.SMTPHeloError} <= seen


def test_a_delivery_error_stays_what_it_is() -> None:
    error = Rejected("too_large")
    assert failure(Step.DATA, error) is error


@pytest.mark.parametrize(
    ("step", "reply", "kind", "reason"),
    [
        (Step.CONNECT, "554 no service here", Transient, "connection_refused"),
        (Step.CONNECT, "421 busy", Transient, "connection_deferred"),
        (Step.HELO, "550 who", Transient, "helo_refused"),
        (Step.STARTTLS, "454 not now", Transient, "starttls_deferred"),
        (Step.STARTTLS, "501 no", Misconfigured, "starttls_refused"),
        (Step.AUTH, "535 5.7.8 wrong", Misconfigured, "auth_refused"),
        (Step.AUTH, "454 4.7.0 later", Transient, "auth_deferred"),
        (Step.MAIL, "530 5.7.0 authenticate first", Misconfigured, "sender_refused"),
        (Step.MAIL, "451 4.3.0 later", Transient, "sender_deferred"),
        (Step.RCPT, "503 bad sequence", Rejected, "recipient_rejected"),
        (Step.DATA, "452 full", Transient, "data_deferred"),
        (Step.DATA, "554 no valid recipients", Rejected, "data_rejected"),
        (Step.DATA, "250 what", Transient, "data_unintelligible"),
        (Step.BODY, "451 4.7.1 later", Transient, "body_deferred"),
        (Step.BODY, "554 transaction failed", Rejected, "body_rejected"),
        (Step.BODY, "552 5.3.4 too big", Rejected, "too_large"),
        (Step.BODY, "-1 gibberish", Uncertain, "body_unintelligible"),
        (Step.BODY, "354 go on", Uncertain, "body_unintelligible"),
    ],
)
def test_a_reply_means_what_the_standard_says(step: Step, reply: str, kind: type[DeliveryError], reason: str) -> None:
    code, _, text = reply.partition(" ")
    meaning = failure(step, Refused(int(code), text.encode()))
    assert (type(meaning), meaning.reason, meaning.response) == (kind, reason, reply)
    assert not isinstance(meaning, Rejected) or meaning.scope == "message"


@pytest.mark.parametrize(
    ("reply", "reason", "scope"),
    [
        ("550 5.1.1 <ada@example.org> unknown", "mailbox_unknown", "address"),
        ("550 5.1.10 null MX", "domain_accepts_no_mail", "address"),
        ("550 no such user", "mailbox_unknown", "address"),
        ("550 no", "recipient_rejected", "address"),
        ("553 bad mailbox name", "recipient_rejected", "address"),
        ("550 5.4.1 access denied", "mailbox_unknown", "address"),
        ("550 5.7.1 blocked for policy", "blocked", "message"),
        ("550 5.7.1 no such user", "blocked", "message"),
        ("552 5.2.2 over quota", "mailbox_full", "message"),
        ("552 over quota", "mailbox_full", "message"),
        ("552 no", "mailbox_full", "message"),
        ("551 gone elsewhere", "mailbox_moved", "address"),
        ("503 bad sequence", "recipient_rejected", "message"),
    ],
)
def test_only_a_dead_address_condemns_the_address(reply: str, reason: str, scope: str) -> None:
    code, _, text = reply.partition(" ")
    meaning = refusal(Step.RCPT, int(code), text.encode())
    assert isinstance(meaning, Rejected)
    assert (meaning.reason, meaning.scope) == (reason, scope)


@pytest.mark.parametrize(
    ("reply", "provider_id"),
    [
        ("2.0.0 Ok: queued as 4F1C2D3E", "4F1C2D3E"),
        ("OK id=1tXyZ-0001aB-2c", "1tXyZ-0001aB-2c"),
        ("2.0.0 51KAbCdE012345 Message accepted for delivery", "51KAbCdE012345"),
        ("2.6.0 [InternalId=123] Queued mail for delivery", None),
        ("2.0.0 Message accepted for delivery", None),
        ("OK", None),
    ],
)
def test_the_queue_id_is_read_where_it_is_named(reply: str, provider_id: str | None) -> None:
    assert receipt(250, reply.encode()).provider_id == provider_id
    assert receipt(250, reply.encode()).response == f"250 {reply}"


def test_a_reply_in_no_known_encoding_is_still_text() -> None:
    assert refusal(Step.RCPT, 550, b"caf\xe9").response == "550 caf\ufffd"


def test_a_reply_with_a_nul_can_be_stored() -> None:
    assert receipt(250, b"ok\0 queued as 7E57\0").response == "250 ok\ufffd queued as 7E57\ufffd"
