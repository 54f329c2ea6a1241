from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notify.feedback.bounces import Kind, mime, read
from notify.feedback.bounces.reading import read_mail
from tests.unit.bounces.mails import RETURNED, THEM, block, multipart, plain, report

MEGABYTE = 1024 * 1024
ZIP = "application/zip\nContent-Transfer-Encoding: base64"
SEEDS = [
    report(block(said="550 5.1.1 user unknown")),
    report(block(action="delayed", status="4.4.1")),
    plain(f"<{THEM}>: user unknown\n\n--- Below this line is a copy of the message.\n\n{RETURNED}"),
    multipart(("text/html", f"<p>Delivery to {THEM} failed: mailbox full</p>"), ("message/rfc822", RETURNED)),
    multipart(
        ("message/feedback-report", "Feedback-Type: abuse\nVersion: 1\n"), kind="report; report-type=feedback-report"
    ),
]
PIECES = st.sampled_from(
    [
        b"\n", b"\r\n", b"\r", b"\n\n", b"--=_b\n", b"--=_b--\n", b"Content-Type: message/delivery-status\n\n",
        b"Content-Type: multipart/mixed; boundary=\n\n", b"Content-Transfer-Encoding: base64\n", b"=?utf-8?b?/w==?=",
        b"=?x?q?=ff?=", b"Subject: =?zlib?b?eJw=?=\n", b'charset="zlib"',
        b"Final-Recipient: ;\n", b"Status: 5.\n",
        b"Action:\n", b"\x00", b"\xff\xfe", b"\x1b$B",
        b"From: <>\n", b"<@>", b"@" * 50, b"<" * 50, b"(" * 50, b">" * 50,
        b"550 5.1.1 ", b"Received: \n", b"Content-Type: text/plain; charset=utf-7\n\n",
        "İ".encode(), b"&#99999999999;", b"&#xD800;",
        b"charset=utf-7; x=\n\n+2AA-", b"=?utf-7?q?+2AA-?=", b"=?unicode_escape?q?=5Cud800?=",
    ]
)  # fmt: skip


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A report with pieces put in, cut out and repeated."""
    raw = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(raw)))
        gone = draw(st.integers(0, 40))
        raw = raw[:place] + draw(st.one_of(PIECES, st.binary(max_size=12))) + raw[place + gone :]
    return raw


@settings(max_examples=400, deadline=None)
@given(st.one_of(broken(), st.binary(max_size=400)))
def test_no_bytes_make_the_reader_fail(raw: bytes) -> None:
    found = read_mail(mime.parse(raw))

    assert found == read(raw)
    for recipient in found.recipients:
        assert "@" in recipient.address
        assert f"{recipient.address}{recipient.diagnostic}".encode()
        assert len(recipient.diagnostic or "") <= 500


def nested(depth: int) -> bytes:
    opened = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(depth))
    return f"From: MAILER-DAEMON@x.example\nSubject: failure notice\n{opened}".encode()


def forwards(depth: int) -> bytes:
    return b"Content-Type: message/rfc822\n\n" * depth


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(nested(5000), id="parts within parts"),
        pytest.param(forwards(5000), id="mails within mails"),
        pytest.param(nested(1) + b"--b0\n\nx\n" * 200_000, id="200,000 parts"),
        pytest.param(b"X-Field: value\n" * 1_000_000, id="endless fields"),
        pytest.param(b"Subject: " + b"failure notice " * 1_000_000 + b"\n\nx", id="an endless subject"),
        pytest.param(b"Subject: failure\n" + b" folded\n" * 500_000 + b"\nx", id="an endless fold"),
        pytest.param(plain("x" * 20 * MEGABYTE), id="one line of 20 MB"),
        pytest.param(plain("a@b.example " * MEGABYTE), id="a million addresses"),
        pytest.param(plain("<" * MEGABYTE + "@" * MEGABYTE), id="brackets"),
        pytest.param(plain("(" * MEGABYTE), id="parentheses"),
        pytest.param(plain("\n" * 5 * MEGABYTE), id="empty lines"),
        pytest.param(plain("- " * MEGABYTE), id="rules"),
        pytest.param(plain("copy of " * MEGABYTE), id="the beginning of a cut"),
        pytest.param(plain("\nFrom: x" * MEGABYTE), id="fields in the text"),
        pytest.param(plain("550 5.1.1 " * MEGABYTE), id="codes"),
        pytest.param(plain("could not " * MEGABYTE), id="the beginning of a sentence"),
        pytest.param(report(block() * 50_000), id="50,000 recipients"),
        pytest.param(report("Final-Recipient: rfc822; " + "a" * 5 * MEGABYTE), id="an address of 5 MB"),
        pytest.param(multipart(("text/html", "<" * 3 * MEGABYTE)), id="tags that never end"),
        pytest.param(multipart(("text/html", "<style>" * MEGABYTE)), id="styles that never end"),
        pytest.param(multipart(("text/html", "<a " * MEGABYTE)), id="tags within tags"),
        pytest.param(multipart((ZIP, "UEsDBBQ" * MEGABYTE)), id="a zip file"),
        pytest.param(b"Subject: " + b"=?utf-8?q?a?= " * 100_000 + b"\n\n", id="encoded words"),
        pytest.param(b"Content-Type: text/plain" + b"; a=b" * 500_000 + b"\n\nx", id="parameters"),
        pytest.param(b"Subject: Re" + b" " * 8000 + b"\n\nx", id="a subject of spaces"),
        pytest.param(b"Subject: failure" + b"\r\n\t" * 50_000 + b"\n\nx", id="a subject of empty folds"),
        pytest.param(b"Content-Type: a/b;" + b"1" * 8000 + b"\n\nx", id="a parameter of digits"),
        pytest.param(plain(("=" * 60_000 + " original\n") * 8), id="rules before a word of a cut"),
        pytest.param(plain((" \t" * 190 + "a@b.example\n") * 160), id="addresses far to the right"),
        pytest.param(report(block(status="5.0.0", said="550 user unknown" + " " * 2900)), id="spaces in an answer"),
        pytest.param(plain("deliver" * MEGABYTE), id="a word that never ends"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\n\n\n", id="blank lines"),
        pytest.param(b"\r" * MEGABYTE, id="carriage returns"),
    ],
)  # fmt: skip
def test_a_mail_bomb_is_read_in_bounded_memory_and_in_time_linear_in_what_is_looked_at(raw: bytes) -> None:
    tracemalloc.start()
    try:
        found = read_mail(mime.parse(raw))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 64 * MEGABYTE
    assert len(found.recipients) <= 1000


CHARSETS = ["zlib", "rot13", "idna", "undefined", "x-nothing", "utf-16", "utf-7", "\x00", "unicode_escape", "punycode"]


@pytest.mark.parametrize("charset", CHARSETS)
def test_a_charset_that_is_none_does_no_harm(charset: str) -> None:
    raw = plain(f"<{THEM}>: user unknown; Ünbekannt").replace(b"charset=utf-8", f"charset={charset}".encode())

    assert read(raw).kind is Kind.BOUNCE


def test_a_date_that_is_none_does_no_harm() -> None:
    assert read(report(block()).replace(b"MIME-Version", b"Date: yesterday, 99:99\nMIME-Version")).kind is Kind.BOUNCE
