"""Every provider's webhooks keep the contract of `notify/channels/hook.py`, signed as their provider signs."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from notify.channels.hook import HookRequest, Payload, Reporter
from notify.channels.reporters import NAMES
from notify.errors import Unreadable, Unverified
from notify.model import BounceClass, Event, EventType
from tests.conformance.signers import ADDRESS, NOW, OURS, SIGNERS, Signer

pytestmark = pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS.keys())


def taken(reporter: Reporter, request: HookRequest, now: datetime = NOW) -> list[Event]:
    """What is told by a delivery that is verified, stored and read."""
    return reporter.events(Payload(reporter.verify(request, now), request.body, request.headers["content-type"], now))


def refused(reporter: Reporter, request: HookRequest, now: datetime = NOW) -> str:
    with pytest.raises(Unverified) as caught:
        reporter.verify(request, now)
    return caught.value.reason


def test_every_provider_that_can_be_set_up_is_tested(signer: Signer) -> None:
    assert {one.name for one in SIGNERS.values()} == set(NAMES)


def test_a_signed_bounce_is_an_event_of_our_message(signer: Signer) -> None:
    (event,) = taken(signer.reporter(signer.secrets), signer.post(signer.secrets[0], signer.bounce()))
    assert (event.type, event.bounce) == (EventType.BOUNCED, BounceClass.HARD)
    assert (event.provider, event.message_id, event.at) == (signer.name, OURS, NOW)
    assert event.address == ("+31612345678" if signer.name == "twilio" else ADDRESS)
    assert event.provider_event_id
    assert event.provider_message_id


def test_every_secret_in_force_is_good(signer: Signer) -> None:
    reporter = signer.reporter(signer.secrets)
    for secret in signer.secrets:
        assert taken(reporter, signer.post(secret, signer.bounce()))


def test_a_secret_that_is_no_longer_in_force_is_not(signer: Signer) -> None:
    new, old = signer.secrets
    if signer.name == "ses":
        pytest.skip("SNS has certificates, and no secrets that are rotated here")
    assert refused(signer.reporter((new,)), signer.post(old, signer.bounce())) in ("wrong", "missing")


def test_a_delivery_without_a_signature_is_refused(signer: Signer) -> None:
    assert refused(signer.reporter(signer.secrets), signer.unsigned(signer.bounce())) == "missing"


def test_a_signature_of_somebody_else_is_refused(signer: Signer) -> None:
    assert refused(signer.reporter(signer.secrets), signer.post(signer.stranger, signer.bounce())) == "wrong"


def test_a_stale_or_premature_delivery_is_refused(signer: Signer) -> None:
    if signer.late is None:
        pytest.skip("its deliveries carry no signed time")
    reporter = signer.reporter(signer.secrets)
    for lag in (signer.late + timedelta(seconds=2), timedelta(days=400), -timedelta(minutes=5, seconds=2)):
        assert refused(reporter, signer.post(signer.secrets[0], signer.bounce(), NOW - lag)) == "stale"
    assert taken(reporter, signer.post(signer.secrets[0], signer.bounce(), NOW - signer.late))


def test_the_same_delivery_has_the_same_name_and_the_same_events(signer: Signer) -> None:
    reporter = signer.reporter(signer.secrets)
    request = signer.post(signer.secrets[0], signer.bounce())
    names = {reporter.verify(request, NOW + timedelta(seconds=second)) for second in range(3)}
    assert len(names) == 1
    first, again = taken(reporter, request), taken(reporter, request)
    assert [event.provider_event_id for event in first] == [event.provider_event_id for event in again]


def test_what_was_changed_on_the_way_is_refused(signer: Signer) -> None:
    if signer.name == "postmark":
        pytest.skip("Postmark signs nothing")
    reporter = signer.reporter(signer.secrets)
    request = signer.post(signer.secrets[0], signer.bounce())
    place = request.body.index(
        b'"token"' if signer.name == "mailgun" else b"5.1.1" if b"5.1.1" in request.body else b"S"
    )
    place += 12 if signer.name == "mailgun" else 0  # Mailgun signs its token, not what it tells
    mangled = bytearray(request.body)
    mangled[place] ^= 1
    assert refused(reporter, replace(request, body=bytes(mangled))) == "wrong"


def test_a_payload_of_the_wrong_type_is_named_and_nothing_else(signer: Signer) -> None:
    reporter = signer.reporter(signer.secrets)
    with pytest.raises(Unreadable) as caught:
        taken(reporter, signer.post(signer.secrets[0], signer.nonsense()))
    assert caught.value.reason == "wrong_type"


def test_an_event_that_notify_has_no_word_for_is_passed_over(signer: Signer) -> None:
    assert taken(signer.reporter(signer.secrets), signer.post(signer.secrets[0], signer.unknown())) == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"signature": 5}', b"1e999"]
)
def test_no_body_crashes_it(signer: Signer, body: bytes) -> None:
    reporter = signer.reporter(signer.secrets)
    request = replace(signer.post(signer.secrets[0], signer.bounce()), body=body)
    try:
        reporter.verify(request, NOW)
    except Unverified:
        assert signer.name != "postmark"
    with suppress(Unreadable):
        assert reporter.events(Payload("x", body, request.headers["content-type"], NOW)) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@hypothesis(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_value_of_any_type_anywhere_is_read_or_named(signer: Signer, data: st.DataObject) -> None:
    said = json.loads(json.dumps(signer.bounce()))
    _replace_somewhere(said, data)
    body = json.dumps(said).encode()
    if signer.name == "mailgun":
        body = json.dumps({"event-data": said}).encode()
    reporter = signer.reporter(signer.secrets)
    try:
        events = reporter.events(Payload("x", body, "application/json", NOW))
    except Unreadable:
        return
    for event in events:
        json.dumps(dict(event.detail)).encode()
        for text in (event.address, event.diagnostic, event.status, event.header_id, event.provider_message_id):
            assert text is None or "\0" not in text.encode().decode()


def _replace_somewhere(value: Any, data: st.DataObject) -> None:
    """Put any JSON in the place of any value in this tree."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = data.draw(st.sampled_from(keys))
        inner = value[key]
        if not (isinstance(inner, dict | list) and inner) or data.draw(st.booleans()):
            value[key] = data.draw(JSON)
            return
        value = inner
