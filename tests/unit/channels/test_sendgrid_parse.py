"""A mail that SendGrid hands over is proven, and read in either form as it would be read in a mailbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.channels.email.sendgrid_parse import SendGridParse
from notify.channels.hook import CarriedMail, HookRequest, Payload
from notify.channels.reporters import carriers
from notify.errors import InvalidSettings, Unreadable, Unverified
from notify.feedback.bounces import Kind, Verdict, mime, reading
from notify.feedback.bounces.report import Report
from tests.answers import dsn, prose
from tests.conformance.inbound import FORM, LOGIN, fields, form, raw, signed, with_login
from tests.conformance.signers import NOW, verification_key

ADA = "ada@example.org"
BOUNCE = dsn(ADA, header_id="<1@example.org>")


def parse(*secrets: str) -> SendGridParse:
    carrier = carriers([f"sendgrid-parse={secret}" for secret in secrets])["sendgrid-parse"]
    assert isinstance(carrier, SendGridParse)
    return carrier


def proven(carrier: SendGridParse, request: HookRequest, now: datetime = NOW) -> str:
    arrival = carrier.expect(replace(request, body=b""), now)
    for start in range(0, len(request.body), 100):
        arrival.add(request.body[start : start + 100])
    return arrival.verify()


def refused(carrier: SendGridParse, request: HookRequest, now: datetime = NOW) -> str:
    with pytest.raises(Unverified) as caught:
        proven(carrier, request, now)
    return caught.value.reason


def mail(request: HookRequest) -> CarriedMail:
    return parse(LOGIN).mail(Payload("1", request.body, request.headers["content-type"], NOW))


def report(request: HookRequest) -> Report:
    return reading.read(mail(request).octets)


# proof


def test_every_key_and_every_login_in_force_is_good() -> None:
    carrier = parse(verification_key("new"), verification_key("old"), LOGIN, "notify:older")
    requests = [signed(raw(BOUNCE), name) for name in ("new", "old")]
    requests += [with_login(raw(BOUNCE), login) for login in (LOGIN, "notify:older")]
    assert len({proven(carrier, request) for request in requests}) == 1, "the same mail has the same name"


def test_what_is_missing_wrong_or_stale_is_refused() -> None:
    both = parse(verification_key("new"), LOGIN)
    assert refused(both, raw(BOUNCE)) == "missing"
    assert refused(both, signed(raw(BOUNCE), "stranger")) == "wrong"
    assert refused(both, with_login(raw(BOUNCE), "notify:wrong")) == "wrong"
    for lag in (timedelta(minutes=5, seconds=1), -timedelta(minutes=5, seconds=1)):
        assert refused(both, signed(raw(BOUNCE), at=NOW - lag)) == "stale"


def test_one_kind_of_proof_does_not_stand_for_the_other() -> None:
    assert refused(parse(LOGIN), signed(raw(BOUNCE))) == "wrong"
    assert refused(parse(verification_key("new")), with_login(raw(BOUNCE))) == "missing"
    forged = with_login(signed(raw(BOUNCE), "stranger"))
    assert refused(parse(verification_key("new"), LOGIN), forged) == "wrong", "a signature decides where a key is set"
    assert proven(parse(LOGIN), forged)


def test_a_body_that_was_changed_on_the_way_is_refused() -> None:
    request = signed(raw(BOUNCE))
    changed = replace(request, body=request.body.replace(b"5.1.1", b"5.1.2"))
    assert refused(parse(verification_key("new")), changed) == "wrong"


def test_what_the_headers_disprove_is_refused_before_the_body_is_read() -> None:
    carrier = parse(verification_key("new"), LOGIN)
    for request in (
        raw(BOUNCE),
        with_login(raw(BOUNCE), "notify:wrong"),
        signed(raw(BOUNCE), at=NOW - timedelta(days=1)),
    ):
        with pytest.raises(Unverified):
            carrier.expect(replace(request, body=b""), NOW)


def test_a_secret_that_is_neither_key_nor_login_is_not_taken_and_not_shown() -> None:
    with pytest.raises(InvalidSettings) as caught:
        parse("c2VjcmV0")
    assert "c2VjcmV0" not in str(caught.value)


# the whole mail


def test_a_raw_mail_is_taken_octet_by_octet_and_its_envelope_names_whom_it_came_to() -> None:
    got = mail(raw(BOUNCE, to=["bounces+token@example.org", "other@example.org"]))
    assert got == CarriedMail(BOUNCE, len(BOUNCE), "bounces+token@example.org")


def test_the_size_counts_what_was_not_kept() -> None:
    request = raw(BOUNCE)
    got = parse(LOGIN).mail(Payload("1", request.body, FORM, NOW, left_out=1000))
    assert got.size == len(BOUNCE) + 1000


# its fields

HEAD, _, BODY = BOUNCE.partition(b"\r\n\r\n" if b"\r\n\r\n" in BOUNCE else b"\n\n")
TEXT = b"Your mail could not be delivered.\n"
STATUS = b"""Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; ada@example.org
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown
"""
RETURNED = b"Message-ID: <1@example.org>\nFrom: Notify <notify@example.org>\nTo: ada@example.org\nSubject: Hello\n"


@pytest.mark.parametrize("kind", ["message/delivery-status", "application/octet-stream"])
def test_a_report_in_fields_is_read_as_the_report_it_was(kind: str) -> None:
    attachments = [("details.txt", "message/delivery-status", STATUS), ("mail", "text/rfc822-headers", RETURNED)]
    request = fields(HEAD, {"text": TEXT}, attachments)
    body = request.body.replace(
        b'details.txt"\r\nContent-Type: message/delivery-status', b'x"\r\nContent-Type: ' + kind.encode()
    )
    found = report(replace(request, body=body))
    assert found.kind is Kind.BOUNCE
    assert [(one.address, one.verdict, one.status) for one in found.recipients] == [(ADA, Verdict.HARD, "5.1.1")]
    assert found.original_message_id == "<1@example.org>"


def test_a_bounce_in_prose_is_read_from_its_text() -> None:
    octets = prose(ADA, header_id="<1@example.org>").replace(b"\r\n", b"\n")
    head, _, text = octets.partition(b"\n\n")
    found = report(fields(head, {"text": text}))
    assert (found.kind, [one.verdict for one in found.recipients]) == (Kind.BOUNCE, [Verdict.HARD])
    assert found == reading.read(octets)


def test_an_ordinary_mail_in_fields_stays_one() -> None:
    head = b"From: Eve <eve@example.net>\nSubject: Hello\nContent-Type: multipart/alternative; boundary=x\n"
    request = fields(head, {"text": b"Hello", "html": b"<p>Hello</p>"}, [("a.pdf", "application/pdf", b"%PDF" * 1000)])
    assert report(request).kind is Kind.OTHER


def test_texts_are_read_in_the_charset_they_are_in() -> None:
    charsets = json.dumps({"text": "iso-8859-1", "html": "utf-8", "subject": "UTF-8"}).encode()
    texts = {"text": "Größe".encode("latin-1"), "html": "<b>Größe</b>".encode()}
    read = mime.parse(mail(fields(b"Subject: x", texts, charsets=charsets)).octets)
    assert [part.text().strip() for part in read.children] == ["Größe", "Größe"]


def test_header_fields_are_kept_but_for_those_of_the_former_form() -> None:
    head = b"""Subject: one
\ttwo
MIME-Version: 1.0
Content-Type: multipart/mixed;
 boundary=former
Content-Transfer-Encoding: base64

In-Reply-To: <1@example.org>
"""
    read = mime.parse(mail(fields(head.replace(b"\n", b"\r\n"), {"text": b"Hello"})).octets)
    assert (read.get("subject"), read.get("in-reply-to"), read.type) == ("one two", "<1@example.org>", "text/plain")
    assert "content-transfer-encoding" in read.fields
    assert read.text() == "Hello"


def test_the_same_form_makes_the_same_mail() -> None:
    request = fields(HEAD, {"text": TEXT, "html": b"<p>no</p>"}, [("details.txt", "message/delivery-status", STATUS)])
    assert mail(request) == mail(request)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (form({"text": b"no head"}), "wrong_type"),
        (form({"email": b"Subject: x\n\n", "envelope": b"{"}), "not_json"),
        (form({"email": b"Subject: x\n\n", "envelope": b"[]"}), "wrong_type"),
        (form({"email": b"Subject: x\n\n", "envelope": b'{"to": [5]}'}), "wrong_type"),
        (form({"headers": b"Subject: x", "charsets": b"[" * 100_000}), "not_json"),
        (replace(form({"email": b"x"}), headers={"content-type": "application/json"}), "not_a_form"),
        (HookRequest(b"", {"content-type": FORM}, ""), "not_a_form"),
    ],
)
def test_what_cannot_be_read_is_named(request_: HookRequest, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        mail(request_)
    assert caught.value.reason == reason


NAMES = ("email", "headers", "text", "html", "envelope", "charsets", "attachment-info", "attachment1", "attachment2")
SAID = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(
        [b"{}", b"[]", b"null", b'{"to": ["a@b"]}', b'{"attachment1": {"type": "message/rfc822"}}', b"\n\n\n \n",
         b"Content-Type: multipart/report; report-type=\"\r\n x\"", b"Content-Type: ;;;=", b'{"text": "x\\u0000"}']
    ),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), SAID))
def test_no_form_crashes_it(values: Mapping[str, bytes]) -> None:
    with suppress(Unreadable):
        reading.read(mail(form(values)).octets)
