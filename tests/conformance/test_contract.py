"""Every provider keeps the contract of `notify/channels/provider.py`, spoken to over its real wire."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from notify.channels import provider_for
from notify.channels.email.mime import Mail, compose
from notify.channels.provider import Envelope, Provider, Receipt
from notify.channels.registry import PROVIDERS
from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient, Uncertain
from notify.model import Attachment
from notify.settings import redact
from tests.conformance.conftest import DRIVERS
from tests.conformance.driver import IMPATIENT, PATIENT, Driver, Mood
from tests.providers import Agreed, free_port

ADDRESS = "ada@example.test"
PNG = bytes(range(256)) * 40
MAIL = Mail(
    message_id=UUID("0192f0c4-7f5e-7c3a-9d2b-0a1b2c3d4e5f"),
    domain="example.org",
    date=datetime(2026, 11, 21, 8, 30, tzinfo=UTC),
    sender='"Grüße, Team" <news@example.org>',
    reply_to="Help Desk <help@example.org>",
    recipient_name="Ada “L.” Lovelace, née Byron",
    recipient_address=ADDRESS,
    subject="Überraschung für Zoë: 20 % of 日本 🎉 " + "very long " * 20,
    text=".starts with a dot\n\nŽluťoučký kůň\n-- \n" + "long " * 300 + "\nend\n",
    html='<p>Žluťoučký &amp; <img src="cid:logo@notify"></p>\n' + "<b>x</b>" * 200 + "\n",
    unsubscribe_url="https://app.example.org/unsubscribe?token=" + "t" * 120,
    headers={"X-Notify-Mode": "test", "In-Reply-To": "<earlier@example.org>", "References": "<a@b.org> <c@d.org>"},
    attachments=[
        Attachment("Übersicht – 1.csv", "a,b\r\né,2\r\n".encode(), "text/csv; charset=utf-8"),
        Attachment("logo.png", PNG, "image/png", inline="logo@notify"),
        Attachment("raw.bin", b"\0\r\n.\r\n\xff", "application/octet-stream"),
    ],
)
CALENDAR = (
    b"From: news@example.org\r\nTo: ada@example.test\r\nSubject: meet\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative; boundary="=_b"\r\n\r\n'
    b"--=_b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ncome\r\n"
    b"--=_b\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\n--=_b--\r\n"
)
COPIED = (
    b"From: news@example.org\r\nTo: ada@example.test\r\nCc: eve@example.test\r\nSubject: hi\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nhi\r\n"
)
PLAIN = Envelope(
    MAIL.message_id,
    ADDRESS,
    "bounces@example.org",
    compose(MAIL._replace(attachments=(), headers={}, html=None, subject="Plain", text="hello\n")),
)


def outcome(provider: Provider, envelope: Envelope = PLAIN) -> Receipt | DeliveryError:
    """What becomes of this envelope, told or raised."""
    try:
        with provider.open() as connection:
            ((answered, told),) = connection.send_all(iter([envelope]), Agreed())
    except DeliveryError as error:
        return error
    assert answered is envelope
    return told


def in_mood(driver: Driver, provider: Provider, mood: Mood) -> Receipt | DeliveryError:
    if mood not in driver.moods:
        pytest.skip(f"no server of this wire {mood.value}")
    driver.mood = mood
    return outcome(provider)


def for_mood(driver: Driver, mood: Mood) -> closing[Provider]:
    """A provider that waits no longer than there is something to wait for."""
    return closing(provider_for(driver.url(timeout=IMPATIENT if mood is Mood.SILENT else PATIENT)))


def other(number: int) -> Envelope:
    message_id = UUID(int=number)
    return Envelope(
        message_id,
        ADDRESS,
        PLAIN.sender,
        PLAIN.content.replace(str(MAIL.message_id).encode(), str(message_id).encode()),
    )


@pytest.mark.parametrize("served", sorted(set(PROVIDERS.values())))
def test_every_registered_provider_has_a_driver(served: str) -> None:
    assert served in DRIVERS, f"add tests/conformance/<provider>.py with SERVES = {served!r}"


# acceptance


def test_acceptance_is_a_receipt_with_the_providers_own_name_for_the_message(
    driver: Driver, provider: Provider
) -> None:
    receipt = in_mood(driver, provider, Mood.ACCEPTING)
    assert isinstance(receipt, Receipt)
    assert receipt.response
    assert receipt.provider_id or driver.secret is None
    (arrived,) = driver.arrived()
    assert arrived.secret == driver.secret
    assert arrived.recipient[1] == ADDRESS


def test_the_idempotency_key_is_the_message_id_and_the_same_on_a_second_try(driver: Driver, provider: Provider) -> None:
    if not driver.forwards_key:
        pytest.skip("this wire has no place for an idempotency key")
    in_mood(driver, provider, Mood.HANGING_UP)
    in_mood(driver, provider, Mood.ACCEPTING)
    assert [arrived.idempotency_key for arrived in driver.arrived()] == [str(PLAIN.message_id)] * 2


def test_the_message_id_travels_beside_the_mail_for_webhooks_to_repeat(driver: Driver, provider: Provider) -> None:
    if not driver.tags:
        pytest.skip("this wire carries nothing beside the mail")
    in_mood(driver, provider, Mood.ACCEPTING)
    assert [arrived.tag for arrived in driver.arrived()] == [str(PLAIN.message_id)]


# content


def test_every_header_and_every_part_arrives_intact(driver: Driver, provider: Provider) -> None:
    content = compose(MAIL)
    assert isinstance(outcome(provider, replace(PLAIN, content=content)), Receipt)
    (arrived,) = driver.arrived()
    assert arrived.octets in (None, content)
    assert arrived.sender == ("Grüße, Team", "news@example.org")
    assert arrived.recipient == (MAIL.recipient_name, ADDRESS)
    assert arrived.reply_to == ("Help Desk", "help@example.org")
    assert arrived.subject.strip() == MAIL.subject.strip()
    assert (arrived.text, arrived.html) == (MAIL.text, MAIL.html)
    files = [(name, kind.replace('"', ""), octets, content_id) for name, kind, octets, content_id in arrived.files]
    assert sorted(files) == [
        ("logo.png", "image/png", PNG, "logo@notify"),
        ("raw.bin", "application/octet-stream", b"\0\r\n.\r\n\xff", None),
        ("Übersicht – 1.csv", "text/csv; charset=utf-8", "a,b\r\né,2\r\n".encode(), None),
    ]
    assert dict(arrived.headers) == {
        "message-id": f"<{MAIL.message_id}@example.org>",
        "date": "Sat, 21 Nov 2026 08:30:00 +0000",
        "list-unsubscribe": f"<{MAIL.unsubscribe_url}>",
        "list-unsubscribe-post": "List-Unsubscribe=One-Click",
        "auto-submitted": "auto-generated",
        "x-notify-mode": "test",
        "in-reply-to": "<earlier@example.org>",
        "references": "<a@b.org> <c@d.org>",
    }


@pytest.mark.parametrize("content", [CALENDAR, COPIED], ids=["a calendar", "a copy"])
def test_content_is_carried_whole_or_refused_and_never_dropped(
    driver: Driver, provider: Provider, content: bytes
) -> None:
    told = outcome(provider, replace(PLAIN, content=content))
    if isinstance(told, Receipt):
        (arrived,) = driver.arrived()
        assert arrived.octets == content
        return
    assert isinstance(told, Rejected)
    assert (told.reason, told.scope) == ("inexpressible", "message")
    assert driver.handed_over() == 0


# refusals, silence and doubt


def test_a_refused_connection_is_transient(driver: Driver) -> None:
    if driver.secret is None:
        pytest.skip("no connection is made")
    with closing(provider_for(driver.url(port=free_port()))) as provider:
        error = outcome(provider)
    assert isinstance(error, Transient)
    assert (error.scope, error.line_lost) == ("provider", True)


def test_a_server_that_is_silent_before_the_body_is_transient(driver: Driver) -> None:
    if driver.secret is None:
        pytest.skip("no connection is made")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        closing(provider_for(driver.url(port=silent.getsockname()[1], timeout=IMPATIENT))) as provider,
    ):
        error = outcome(provider)
    assert isinstance(error, Transient)
    assert (error.scope, error.line_lost) == ("provider", True)


@pytest.mark.parametrize("mood", [Mood.SILENT, Mood.HANGING_UP, Mood.GIBBERING])
def test_no_answer_or_none_that_can_be_read_to_a_whole_message_is_doubt(driver: Driver, mood: Mood) -> None:
    with for_mood(driver, mood) as provider:
        error = in_mood(driver, provider, mood)
    assert isinstance(error, Uncertain)
    assert len(driver.arrived()) == 1
    assert error.line_lost or mood is Mood.GIBBERING


def test_a_request_to_slow_down_is_throttled_for_a_bounded_time(driver: Driver, provider: Provider) -> None:
    error = in_mood(driver, provider, Mood.THROTTLING)
    assert isinstance(error, Throttled)
    assert error.retry_after is not None
    assert 1 <= error.retry_after <= 15 * 60


def test_a_bad_key_is_a_mistake_of_the_configuration(driver: Driver, provider: Provider) -> None:
    assert isinstance(in_mood(driver, provider, Mood.REFUSING_THE_KEY), Misconfigured)


@pytest.mark.parametrize(
    ("mood", "scope"), [(Mood.REFUSING_THE_RECIPIENT, "address"), (Mood.REFUSING_THE_MESSAGE, "message")]
)
def test_a_refusal_for_good_says_whether_the_address_is_at_fault(
    driver: Driver, provider: Provider, mood: Mood, scope: str
) -> None:
    error = in_mood(driver, provider, mood)
    assert isinstance(error, Rejected)
    assert error.scope == scope


def test_a_provider_that_failed_is_transient(driver: Driver, provider: Provider) -> None:
    error = in_mood(driver, provider, Mood.BROKEN)
    assert isinstance(error, Transient)
    assert error.scope == "provider"


def test_after_an_error_the_provider_can_still_be_used(driver: Driver, provider: Provider) -> None:
    if Mood.HANGING_UP not in driver.moods:
        pytest.skip("nothing hangs up")
    driver.mood = Mood.HANGING_UP
    with provider.open() as connection:
        ((_, doubt),) = connection.send_all(iter([PLAIN]), Agreed())
        assert isinstance(doubt, Uncertain)
        driver.mood = Mood.ACCEPTING
        ((_, receipt),) = connection.send_all(iter([PLAIN]), Agreed())
    assert isinstance(receipt, Receipt)


# asking beforehand


def test_a_check_tells_a_good_key_from_a_bad_one_and_sends_nothing(driver: Driver, provider: Provider) -> None:
    check = getattr(provider, "check", None)
    if check is None:
        pytest.skip("it cannot be asked")
    driver.mood = Mood.ACCEPTING
    check()
    driver.mood = Mood.REFUSING_THE_KEY
    with pytest.raises(Misconfigured) as refusal:
        check()
    assert str(driver.secret) not in str(refusal.value)
    assert driver.handed_over() == 0


def test_a_check_of_a_server_that_is_away_is_transient(driver: Driver) -> None:
    if driver.secret is None:
        pytest.skip("no connection is made")
    with closing(provider_for(driver.url(port=free_port()))) as provider:
        check = getattr(provider, "check", None)
        if check is None:
            pytest.skip("it cannot be asked")
        with pytest.raises(Transient):
            check()


# secrets and addresses


def test_no_log_line_and_no_error_shows_a_secret_or_an_address(
    driver: Driver, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    secret = driver.secret or "no secret"
    caplog.set_level(logging.DEBUG)
    for mood in driver.moods:
        with for_mood(driver, mood) as asked:
            told = in_mood(driver, asked, mood)
        assert secret not in f"{told} {told!r} {getattr(told, 'response', '')}"
        if isinstance(told, DeliveryError):
            assert ADDRESS not in told.reason
            assert ADDRESS not in str(told).replace(told.response, "")
    ours = [record for record in caplog.records if record.name.partition(".")[0] not in ("werkzeug", "mail")]
    logged = "\n".join(record.getMessage() for record in ours)
    assert secret not in logged
    assert ADDRESS not in logged
    assert secret not in repr(provider)
    assert secret not in redact(driver.url())


# what the journal relies on


class Noting(Agreed):
    """A Watch that notes how many messages the server had seen when each was begun, and may forbid the rest."""

    def __init__(self, driver: Driver, *, allowed: int = 1000) -> None:
        super().__init__()
        self.driver, self.allowed = driver, allowed
        self.before: list[int] = []

    def begin(self, envelope: Envelope, line: int) -> None:
        super().begin(envelope, line)
        self.before.append(self.driver.handed_over())

    def may_go_on(self) -> bool:
        return len(self.begun) <= self.allowed


def test_a_message_is_begun_before_its_first_octet(driver: Driver, provider: Provider) -> None:
    watch = Noting(driver)
    with provider.open() as connection:
        answered = list(connection.send_all(iter([other(number) for number in range(30)]), watch))
    assert sorted(envelope.message_id.int for envelope, _ in answered) == list(range(30))
    assert all(isinstance(told, Receipt) for _, told in answered)
    assert all(seen <= number for number, seen in enumerate(watch.before))


def test_nothing_more_is_begun_once_the_watch_says_no(driver: Driver, provider: Provider) -> None:
    watch = Noting(driver, allowed=3)
    with provider.open() as connection:
        answered = list(connection.send_all(iter([other(number) for number in range(30)]), watch))
    assert len(answered) == driver.handed_over() == 3


def test_on_each_line_a_message_is_begun_when_the_one_before_was_answered(driver: Driver, provider: Provider) -> None:
    watch, answered = Agreed(), set()

    def letters() -> Iterator[Envelope]:
        for number in range(40):
            last = {line: envelope for envelope, line in watch.begun}
            open_lines = [line for line, envelope in last.items() if envelope.message_id not in answered]
            assert len(open_lines) == len([e for e, _ in watch.begun if e.message_id not in answered])
            yield other(number)

    with provider.open() as connection:
        for envelope, _ in connection.send_all(letters(), watch):
            answered.add(envelope.message_id)
    assert len(answered) == 40


def test_a_closed_provider_keeps_no_connection(driver: Driver) -> None:
    before = sockets()
    provider = provider_for(driver.url())
    outcome(provider)
    provider.close()
    deadline = time.monotonic() + 60
    while sockets() - before and time.monotonic() < deadline:
        time.sleep(0.01)  # the server's end closes when it notices
    assert not sockets() - before


def sockets() -> set[str]:
    """The sockets of this process, both ends of a connection within it."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found
