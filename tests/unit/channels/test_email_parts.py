"""A mail that notify composed is taken apart without loss; anything else is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notify.channels.email.mime import Mail, compose
from notify.channels.email.parts import File, Mailbox, take_apart
from notify.channels.provider import Envelope
from notify.errors import Rejected
from notify.model import Attachment

MAIL = Mail(
    message_id=UUID(int=7),
    domain="example.org",
    date=datetime(2026, 11, 21, tzinfo=UTC),
    sender="news@example.org",
    recipient_address="ada@example.test",
    subject="hi",
    text="hello\n",
)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=120)
LINES = st.lists(WORDS, max_size=6).map("\n".join)


def envelope(content: bytes, recipient: str = MAIL.recipient_address) -> Envelope:
    return Envelope(MAIL.message_id, recipient, "bounces@example.org", content)


@settings(deadline=None, max_examples=60)
@given(subject=WORDS, name=WORDS, text=LINES, html=LINES, file_name=WORDS)
def test_whatever_was_composed_is_found_again(subject: str, name: str, text: str, html: str, file_name: str) -> None:
    file = f"{text}\0\xff{html}".encode("utf-16")
    file_name = f"f{file_name}.bin".strip()
    mail = MAIL._replace(
        subject=subject,
        recipient_name=name,
        text=f"{text}\n",
        html=f"{html}\n",
        attachments=[Attachment(file_name, file, "application/pdf"), Attachment("i", file, "image/png", inline="i@n")],
    )
    parts = take_apart(envelope(compose(mail)))
    assert parts.subject.split() == subject.split()
    assert parts.recipient.name.split() == name.split()
    assert (parts.text, parts.html) == (mail.text, mail.html)
    assert sorted(parts.files, key=lambda found: found.content_id is not None) == [
        File(file_name, "application/pdf", file),
        File("i", "image/png", file, "i@n"),
    ]


@pytest.mark.parametrize("address", ["ada@bücher.example", "zoë@example.test", "o'neil+tag@example.test"])
def test_an_address_beyond_ascii_is_found_as_it_is_written_on_the_wire(address: str) -> None:
    mail = MAIL._replace(recipient_address=address, recipient_name="Zoë")
    parts = take_apart(envelope(compose(mail), address))
    assert parts.recipient == Mailbox("Zoë", address.replace("bücher", "xn--bcher-kva"))


def test_a_display_name_is_quoted_and_cannot_end_early() -> None:
    assert str(Mailbox('a"b\\, c', "a@b.test")) == '"a\\"b\\\\, c" <a@b.test>'
    assert str(Mailbox("", "a@b.test")) == "a@b.test"


HEAD = b"From: news@example.org\r\nTo: ada@example.test\r\nSubject: x\r\n"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"From: a@b.test\r\n\r\nx", "header To"),
        (HEAD + b"Content-Type: text/plain; charset=klingon\r\n\r\nx", "no mail"),
        (b"To: ada@example.test\r\n\r\nx", "without From"),
        (b"From: a@b.test\r\nTo: eve@example.test\r\n\r\nx", "header To"),
        (b"From: a@b.test\r\nTo: ada@example.test, eve@example.test\r\n\r\nx", "header to with 2 addresses"),
        (HEAD + b"Bcc: eve@example.test\r\n\r\nx", "header Bcc"),
        (HEAD + b"X-A: 1\r\nX-A: 2\r\n\r\nx", "second header X-A"),
        (HEAD + b"Content-Type: text/calendar\r\n\r\nx", "text/calendar"),
        (HEAD + b"Content-Type: text/plain; format=flowed\r\n\r\nx", "its charset"),
        (HEAD + b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--", "multipart/signed"),
        (
            HEAD + b"Content-Type: multipart/alternative; boundary=b\r\n\r\n"
            b"--b\r\nContent-Type: text/html\r\n\r\nx\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--",
            "text/plain in this place",
        ),
        (
            HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\nContent-Type: text/plain\r\nContent-Language: nl\r\n\r\nx\r\n--b--",
            "Content-Language of a part",
        ),
        (
            HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment\r\n\r\nx\r\n--b--",
            "without a name",
        ),
        (HEAD + b"\r\n\xff", "UTF-8"),
        (HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xa9", "7 bits"),
    ],
)
def test_what_has_no_place_is_refused_by_name(content: bytes, named: str) -> None:
    with pytest.raises(Rejected) as refusal:
        take_apart(envelope(content))
    assert (refusal.value.reason, refusal.value.scope) == ("inexpressible", "message")
    assert named in refusal.value.response
    assert "@" not in refusal.value.response
