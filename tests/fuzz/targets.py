"""What is fuzzed, and what must hold whatever the octets: a target takes octets, and raises when it does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlencode

from notify.channels.hook import Confirming, HookRequest, Payload, Reporter
from notify.channels.sns import of_sns
from notify.errors import Unreachable, Unreadable, Unverified
from notify.feedback.bounces import mime
from notify.feedback.bounces.reading import read_mail
from notify.model import Event
from tests.conformance.signers import NOW, SIGNERS
from tests.fuzz.mutation import Draw, varied
from tests.unit.bounces.mails import RETURNED, THEM, block, multipart, plain, report

PROVIDERS = {signer.name: signer for signer in SIGNERS.values()}  # of SNS the newer version
Target = Callable[[bytes], None]

FORM = "application/x-www-form-urlencoded"
SIGNED_WITHIN = {"mailgun": ("signature",), "ses": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")}
"""Of the providers whose signature stands in the body: what it covers."""


def bounce(octets: bytes) -> None:
    """The reader of bounces never raises, and names what can be stored and shown."""
    found = read_mail(mime.parse(octets))
    assert len(found.recipients) <= 1000
    for one in found.recipients:
        assert "@" in one.address
        assert "\n" not in (one.diagnostic or "")
        assert len(one.diagnostic or "") <= 500
        assert f"{one.address}{one.final_address}{one.status}{one.diagnostic}{found.original_message_id}".encode()


def events(name: str, octets: bytes) -> None:
    """A payload becomes events that any database takes, or is called unreadable; nobody but SNS is asked anything."""
    reporter = _reporter(name)
    draw = Draw(octets[1:])
    said = varied(PROVIDERS[name].bounce(), draw)
    if name == "mailgun":
        said = {"event-data": said, "signature": {}}
    body, kind = octets[1:], "application/json"
    if octets[:1] < b"\xe0":  # seven of eight are JSON, or a form, that was good once
        body = json.dumps(said).encode()
        if name == "twilio" and isinstance(said, dict):
            pairs = [(key, str(value)) for key, value in said.items()]
            body, kind = urlencode(pairs, errors="surrogatepass").encode(), FORM
    payload = Payload("delivery", body, kind, NOW)
    try:
        if not (isinstance(reporter, Confirming) and reporter.confirm(payload)):
            for event in reporter.events(payload):
                _storable(event)
    except (Unreadable, Unreachable):
        return


def envelope(octets: bytes) -> None:
    """What SNS wraps round an event, changed anywhere, is read or called unreadable."""
    reporter = _reporter("ses")
    body = json.dumps(varied(json.loads(GENUINE["ses"].body), Draw(octets))).encode()
    payload = Payload("delivery", body, "application/json", NOW)
    try:
        if not (isinstance(reporter, Confirming) and reporter.confirm(payload)):
            for event in reporter.events(payload):
                _storable(event)
    except (Unreadable, Unreachable):
        return


def signature(name: str, octets: bytes) -> None:
    """No change to what was signed is believed."""
    genuine = GENUINE[name]
    draw = Draw(octets)
    body = genuine.body
    match draw.number(3):
        case 0:
            body = octets[1:]
        case 1:
            place = draw.number(256) * len(body) // 256
            body = body[:place] + draw.text().encode("utf-8", "surrogateescape") + body[place + draw.number(4) :]
        case 2:
            body = _again(genuine, draw)
    headers = {
        key: draw.octets().decode("latin-1") if draw.number(8) == 7 else value for key, value in genuine.headers.items()
    }
    try:
        PROVIDERS[name].reporter(PROVIDERS[name].secrets).verify(replace(genuine, body=body, headers=headers), NOW)
    except (Unverified, Unreachable):
        return
    assert _signed(name, body) == _signed(name, genuine.body)


def _again(genuine: HookRequest, draw: Draw) -> bytes:
    try:
        return json.dumps(varied(json.loads(genuine.body), draw)).encode()
    except ValueError:
        return genuine.body + draw.text().encode("utf-8", "surrogateescape")


def _signed(name: str, body: bytes) -> Any:
    if name == "twilio":  # whose scheme runs names and values together
        return "".join(key + value for key, value in sorted(set(parse_qsl(body.decode(), keep_blank_values=True))))
    if name not in SIGNED_WITHIN:
        return body if name != "postmark" else None  # Postmark signs nothing: user and password are its proof
    value = json.loads(body)
    covered = {key: value.get(key) for key in SIGNED_WITHIN[name]}
    if name == "mailgun":
        return {key: str(covered["signature"][key]) for key in ("timestamp", "token", "signature")}
    return covered


def _reporter(name: str) -> Reporter:
    """The receiving end, which can ask nobody."""
    reporter = PROVIDERS[name].reporter(PROVIDERS[name].secrets)
    if name != "ses":
        return reporter
    return replace(reporter, sns=replace(reporter.sns, download=_nobody))  # type: ignore[type-var,attr-defined]


def _nobody(url: str) -> bytes:
    assert of_sns(url)
    raise Unreachable("nobody answers")


def _storable(event: Event) -> None:
    texts = [event.provider_event_id, event.header_id, event.provider_message_id, event.address, event.status]
    texts += [event.diagnostic, *event.detail, *event.detail.values()]
    for text in texts:
        assert text is None or isinstance(text, str)
        assert "\0" not in (text or "")
        assert (text or "").encode() is not None  # no half of a character
    assert event.provider_event_id
    assert event.at.tzinfo is not None
    json.dumps(dict(event.detail))


GENUINE: Mapping[str, HookRequest] = MappingProxyType(
    {name: signer.post(signer.secrets[0], signer.bounce()) for name, signer in PROVIDERS.items()}
)
"""A delivery of each provider, well signed."""

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "bounce": bounce,
        "sns-envelope": envelope,
        **{f"events-{name}": partial(events, name) for name in PROVIDERS},
        **{f"signature-{name}": partial(signature, name) for name in PROVIDERS},
    }
)

_QUOTED = f"<{THEM}>: host mx said: 550 user unknown (in reply to end of DATA command)"
SEEDS: Mapping[str, tuple[bytes, ...]] = MappingProxyType(
    {
        "bounce": (
            report(block(said="550 5.1.1 user unknown")),
            report(block(action="delayed", status="4.4.1")),
            report(block(status="5.0.0", said="550 user unknown"), text=_QUOTED),
            plain(f"<{THEM}>: user unknown\n\n--- Below this line is a copy of the message.\n\n{RETURNED}"),
            plain(f">>> DATA\n<<< 550 <{THEM}>... user unknown\n<<< 503 need RCPT\n\n{RETURNED}"),
            multipart(("text/html", f"<p>Delivery to {THEM} failed: mailbox full</p>"), ("message/rfc822", RETURNED)),
            multipart(
                ("message/feedback-report", "Feedback-Type: abuse\nVersion: 1\n"),
                kind="report; report-type=feedback-report",
            ),
        ),
        **{f"events-{name}": (b"\xff" + request.body,) for name, request in GENUINE.items()},
        **{f"signature-{name}": (b"\x00" + request.body,) for name, request in GENUINE.items()},
    }
)
"""Where the search begins."""
