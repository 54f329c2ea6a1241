"""What compose writes, the standard library reads back as the same mail: for any text whatever."""

from __future__ import annotations

import email
import email.policy
import re
from binascii import a2b_qp
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notify.channels.email.mime import Mail, compose
from notify.errors import InvalidAddress, InvalidAttachment, InvalidHeader
from notify.model import Attachment
from notify.passages import quoted_printable

MAIL = Mail(
    message_id=UUID("0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"),
    domain="example.org",
    date=datetime(2026, 3, 1, 12, 30, 15, 250_000, UTC),
    sender="Notify <notify@example.org>",
    recipient_name="Ada Lovelace",
    recipient_address="ada@example.org",
    subject="Your job is done",
    text="Hello Ada\n",
    html="<p>Hello <b>Ada</b></p>\n",
)

any_text = st.text(st.characters(), max_size=300)
header_text = st.text(st.characters(blacklist_characters="\r\n\0"), max_size=120)
mostly_ascii = st.text(st.sampled_from('abc =_?"\\(,)<>.\té語🎉'), max_size=200)


def read(mail: Mail) -> EmailMessage:
    content = compose(mail)
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert [part.defects for part in message.walk() if part.defects] == []
    return message


def assert_fit_for_the_wire(content: bytes) -> None:
    assert content.isascii()
    assert content.endswith(b"\r\n")
    assert content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r")
    assert b"\0" not in content
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert b"\n." not in content


def on_the_wire(text: str) -> str:
    text = re.sub(r"\r\n|\r", "\n", text)
    text = re.sub("[\0\ud800-\udfff]", "\ufffd", text if text.endswith("\n") else text + "\n")
    return text.replace("\n", "\r\n")


def encodable(text: str) -> str:
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def body(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    assert part is not None
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


@given(text=any_text, html=any_text)
@example(text="a\rb\r\nc\n.\n..\nFrom me \n \n\t\nend", html="=\n" + "=" * 200 + "\nx" * 80)
def test_any_two_bodies_are_read_back(text: str, html: str) -> None:
    mail = MAIL._replace(text=text, html=html)
    assert_fit_for_the_wire(compose(mail))
    message = read(mail)
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert (body(message, "plain"), body(message, "html")) == (on_the_wire(text), on_the_wire(html))


@given(subject=header_text | mostly_ascii)
@example(subject="")
@example(subject="  two  spaces  ")
@example(subject="word " * 40)
@example(subject="x" * 2000)
@example(subject="=?utf-8?q?not_encoded?=")
def test_any_subject_is_read_back(subject: str) -> None:
    mail = MAIL._replace(subject=subject)
    content = compose(mail)
    assert_fit_for_the_wire(content)
    assert max(map(len, content.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 78
    assert read(mail)["Subject"] == encodable(subject)


@given(name=header_text | mostly_ascii)
@example(name="Lovelace, Ada")
@example(name='"Ada" \\ Countess')
@example(name="x" * 300)
def test_any_name_is_read_back_beside_its_address(name: str) -> None:
    mail = MAIL._replace(recipient_name=name)
    content = compose(mail)
    assert_fit_for_the_wire(content)
    header = read(mail)["To"]
    (recipient,) = header.addresses
    assert recipient.addr_spec == "ada@example.org"
    raw = email.message_from_bytes(content)["To"].rpartition("<")[0].strip()
    if raw.startswith('"'):
        raw = re.sub(r"\\(.)", r"\1", raw[1:-1])
    assert str(make_header(decode_header(raw))) == encodable(name).strip()


@given(value=header_text)
def test_any_further_header_is_read_back(value: str) -> None:
    mail = MAIL._replace(headers={"X-Story": value, "List-Unsubscribe": "<https://example.org/u>"})
    assert_fit_for_the_wire(compose(mail))
    assert read(mail)["X-Story"] == encodable(value)


@given(
    name=st.text(st.characters(blacklist_characters="\r\n\0"), min_size=1, max_size=90).filter(str.strip),
    content=st.binary(max_size=300),
)
@example(name='"quoted"; name.pdf', content=b"")
@example(name="Übersicht der längsten Ergebnisse des Jahres – 研究.pdf", content=b"x" * 57)
def test_any_attachment_is_read_back(name: str, content: bytes) -> None:
    mail = MAIL._replace(attachments=[Attachment(name, content, "application/pdf")])
    assert_fit_for_the_wire(compose(mail))
    message = read(mail)
    assert message.get_content_type() == "multipart/mixed"
    (part,) = message.iter_attachments()
    assert part.get_content_type() == "application/pdf"
    assert part.get_payload(decode=True) == content
    assert part.get_filename() == encodable(name).strip()


@given(st.binary(max_size=400) | mostly_ascii.map(str.encode))
@example(b"a" * 75 + b" ")
@example(b"." * 75)
@example(b"." * 200)
@example(b"a" * 75 + b"." * 80)
@example(b".=" * 80)
def test_no_quoted_printable_line_is_over_76_columns_or_begins_with_a_dot(data: bytes) -> None:
    data = re.sub(rb"[\r\n]+", b"\r\n", data) + b"\r\n"
    lines = quoted_printable(data).split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert not any(line.startswith(b".") for line in lines)
    assert a2b_qp(b"\r\n".join(lines)) == data


def test_the_headers_are_those_of_a_serious_sender() -> None:
    message = read(MAIL._replace(reply_to="Help <help@example.org>", headers={"X-Notify-Mode": "test"}))
    assert dict(message.items()) == {
        "From": "Notify <notify@example.org>",
        "To": "Ada Lovelace <ada@example.org>",
        "Subject": "Your job is done",
        "Date": "Sun, 01 Mar 2026 12:30:15 +0000",
        "Message-ID": "<0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee@example.org>",
        "Reply-To": "Help <help@example.org>",
        "X-Notify-Mode": "test",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": 'multipart/alternative; boundary="=_a_0190aaaabbbb7ccc8dddeeeeeeeeeeee"',
    }


def test_the_same_mail_is_the_same_octets_in_whatever_zone_its_date_is() -> None:
    elsewhere = MAIL.date.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert compose(MAIL) == compose(MAIL._replace(date=elsewhere))
    assert compose(MAIL) != compose(MAIL._replace(message_id=UUID(int=1)))


def test_a_date_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        compose(MAIL._replace(date=datetime(2026, 3, 1)))


@pytest.mark.parametrize(
    ("text", "html", "content_type"),
    [("a", None, "text/plain"), (None, "a", "text/html"), (None, None, "text/plain")],
)
def test_a_single_body_needs_no_multipart(text: str | None, html: str | None, content_type: str) -> None:
    assert read(MAIL._replace(text=text, html=html)).get_content_type() == content_type


def test_inline_images_stand_beside_the_html_and_files_beside_both() -> None:
    logo = Attachment("logo.png", b"\x89PNG", "image/png", inline="logo@notify")
    report = Attachment("report.csv", b"a,b\n", "text/csv; charset=utf-8")
    message = read(MAIL._replace(attachments=[report, logo]))
    types = [part.get_content_type() for part in message.walk()]
    assert types == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "text/csv",
    ]
    image = next(part for part in message.walk() if part.get_content_type() == "image/png")
    assert (image["Content-ID"], image.get_content_disposition()) == ("<logo@notify>", "inline")
    assert body(message, "html") == "<p>Hello <b>Ada</b></p>\r\n"


def test_an_inline_image_without_html_is_a_file() -> None:
    logo = Attachment("logo.png", b"\x89PNG", "image/png", inline="logo@notify")
    (part,) = read(MAIL._replace(html=None, attachments=[logo])).iter_attachments()
    assert part.get_content_disposition() == "attachment"


def test_a_mail_as_attachment_travels_as_a_plain_file() -> None:
    (part,) = read(MAIL._replace(attachments=[Attachment("a.eml", b"X: y\r\n", "message/rfc822")])).iter_attachments()
    assert (part.get_content_type(), part.get_payload(decode=True)) == ("application/octet-stream", b"X: y\r\n")


@pytest.mark.parametrize("break_", ["\r", "\n", "\0", "\r\nBcc: all@example.org"])
@pytest.mark.parametrize(
    "field",
    [
        "subject",
        "sender",
        "recipient_name",
        "recipient_address",
        "reply_to",
        "domain",
        "unsubscribe_url",
        "value",
        "name",
    ],
)
def test_no_value_can_begin_another_header(field: str, break_: str) -> None:
    if field in ("value", "name"):
        headers = {"X-A": f"x{break_}"} if field == "value" else {f"X-A{break_}": "x"}
        mail = MAIL._replace(headers=headers)
    else:
        changed: Any = {field: f"{getattr(MAIL, field) or 'a@example.org'}{break_}"}
        mail = MAIL._replace(**changed)
    with pytest.raises(InvalidHeader):
        compose(mail)


@pytest.mark.parametrize("field", ["name", "content_type", "inline"])
def test_no_attachment_can_begin_another_header(field: str) -> None:
    changed: Any = {field: "image/png\r\nBcc: all@example.org"}
    file = replace(Attachment("a.png", b"", "image/png", inline="a"), **changed)
    with pytest.raises(InvalidHeader):
        compose(MAIL._replace(attachments=[file]))


@pytest.mark.parametrize("name", ["To", "subject", "MESSAGE-ID", "Bcc", "Content-Type", "X Y", "X:Y", "", "Ünder"])
def test_a_header_that_is_ours_or_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidHeader):
        compose(MAIL._replace(headers={name: "x"}))


@pytest.mark.parametrize(
    "file",
    [
        Attachment(" ", b""),
        Attachment("a", b"", "png"),
        Attachment("a", b"", "é/x"),
        Attachment("a", b"", inline="<a>"),
    ],
)
def test_an_attachment_that_no_mail_can_carry_is_refused(file: Attachment) -> None:
    with pytest.raises(InvalidAttachment):
        compose(MAIL._replace(attachments=[file]))


@pytest.mark.parametrize(
    "address", ["", "ada", "a@b@c", "a b@c.org", "a@b.org>, <c@d.org", "a@b.org, c@d.org", "\ud800@x.y"]
)
def test_what_is_not_one_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidAddress):
        compose(MAIL._replace(recipient_address=address))


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("notify@example.org", "", "notify@example.org"),
        ("<notify@example.org>", "", "notify@example.org"),
        ('"Jobs, Inc. \\"A\\"" <notify@example.org>', 'Jobs, Inc. "A"', "notify@example.org"),
        ("Jobs, Inc. <notify@example.org>", "Jobs, Inc.", "notify@example.org"),
        ("Grüße <notify@exämple.org>", "Grüße", "notify@xn--exmple-cua.org"),
    ],
)
def test_the_sender_is_a_name_and_an_address(sender: str, name: str, address: str) -> None:
    (mailbox,) = read(MAIL._replace(sender=sender))["From"].addresses
    assert (mailbox.display_name, mailbox.addr_spec) == (name, address)


def test_a_message_id_of_a_long_domain_stays_whole() -> None:
    domain = f"{'x' * 60}.example.org"
    assert f"Message-ID: <{MAIL.message_id}@{domain}>\r\n".encode() in compose(MAIL._replace(domain=domain))


@pytest.mark.parametrize("url", ["https://example.org/é", "https://a.b/ c", "https://a.b>,<x", "https://" + "a" * 900])
def test_what_no_list_header_can_hold_is_refused(url: str) -> None:
    with pytest.raises(InvalidHeader):
        compose(MAIL._replace(unsubscribe_url=url))


def test_only_an_address_beyond_ascii_makes_the_mail_so() -> None:
    assert compose(MAIL._replace(recipient_address="ada@exämple.org", domain="exämple.org")).isascii()
    content = compose(MAIL._replace(recipient_address="jörg@exämple.org"))
    assert "To: Ada Lovelace <jörg@xn--exmple-cua.org>\r\n".encode() in content


def test_a_long_unsubscribe_link_stays_whole() -> None:
    link = f"<https://example.org/{'u' * 300}>"
    assert f"List-Unsubscribe: {link}\r\n".encode() in compose(MAIL._replace(headers={"List-Unsubscribe": link}))
