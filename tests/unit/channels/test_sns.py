"""A message of SNS is believed only when every part of the proof holds, and nothing else is ever fetched for it."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from notify.channels import allowance
from notify.channels.download import LARGEST, download
from notify.channels.email.ses_events import SesEvents
from notify.channels.hook import HookRequest, Payload
from notify.channels.sns import of_certificate, of_sns
from notify.channels.sns_certificates import REFUSED_SECONDS
from notify.errors import NotThere, Unreachable, Unreadable, Unverified
from tests.conformance.signers import (
    NOW,
    TOPIC,
    Amazon,
    certificate,
    certificate_url,
    iso,
    posted,
    signed,
)

OTHERS_TOPIC = "arn:aws:sns:eu-west-1:999999999999:somebody-else"
SUBSCRIBE = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"


def with_certificate(pem: bytes | Callable[[str], bytes]) -> SesEvents:
    fetch = pem if callable(pem) else lambda _url: pem
    return SesEvents.from_secrets(("sns:raw secret",), frozenset({TOPIC}), fetch)


def refusal(reporter: SesEvents, request: HookRequest) -> str:
    with pytest.raises(Unverified) as caught:
        reporter.verify(request, NOW)
    return caught.value.reason


def asking(kind: str = "SubscriptionConfirmation", **changes: Any) -> HookRequest:
    message = {
        "Type": kind,
        "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
        "Token": "2336412f37",
        "TopicArn": TOPIC,
        "Message": "You have chosen to subscribe to the topic.",
        "SubscribeURL": SUBSCRIBE,
        "Timestamp": iso(),
        "SignatureVersion": "1",
        "SigningCertURL": certificate_url("new"),
        **changes,
    }
    return posted("ses", json.dumps(signed("new", message)).encode(), {})


def payload(request: HookRequest) -> Payload:
    return Payload("x", request.body, "application/json", NOW)


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a1.pem",
        "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-a1.pem",
        "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-a1.pem",
    ],
)
def test_certificates_lie_on_hosts_of_sns(url: str) -> None:
    assert of_certificate(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a1.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-a1.pem",
        "https://sns.s3.amazonaws.com/SimpleNotificationService-a1.pem",
        "https://sns.eu-west-1.s3.amazonaws.com/SimpleNotificationService-a1.pem",
        "https://sns.amazonaws.com/SimpleNotificationService-a1.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/SimpleNotificationService-a1.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-a1.pem",
        "https://x@sns.eu-west-1.amazonaws.com/SimpleNotificationService-a1.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-a1.pem",
        "https://sns.eu-west-1.amazonaws.com/other/SimpleNotificationService-a1.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a1.pem?x=1",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-../a1.pem",
        "https://sns.eu-west-1.amazonaws.com\n.evil.example/SimpleNotificationService-a1.pem",
        "https://[sns.eu-west-1.amazonaws.com/SimpleNotificationService-a1.pem",
        "",
    ],
)
def test_a_certificate_from_anywhere_else_is_never_fetched(url: str) -> None:
    fetched: list[str] = []

    def fetch(asked: str) -> bytes:
        fetched.append(asked)
        return certificate("new")

    amazon = Amazon()
    request = amazon.post("new", amazon.bounce(), SigningCertURL=url)
    assert refusal(with_certificate(fetch), request) == "wrong"
    assert fetched == []


def test_a_topic_that_is_not_allowed_is_forbidden_before_anything_is_fetched() -> None:
    amazon = Amazon()
    reporter = amazon.reporter(amazon.secrets)
    with pytest.raises(Unverified) as caught:
        reporter.verify(amazon.post("new", amazon.bounce(), TopicArn=OTHERS_TOPIC), NOW)
    assert caught.value.reason == "forbidden"
    assert amazon.fetched == []


def test_a_certificate_is_fetched_once() -> None:
    amazon = Amazon()
    reporter = amazon.reporter(amazon.secrets)
    for _ in range(3):
        reporter.verify(amazon.post("new", amazon.bounce()), NOW)
    assert amazon.fetched == [certificate_url("new")]


@pytest.mark.parametrize(
    "pem",
    [
        certificate("new", host="sns.evil.example"),
        certificate("new", host="evil.example"),
        certificate("new", host="sns.amazonaws.com.evil.example"),
        certificate("new", ends=NOW - timedelta(seconds=1)),
        certificate("new", begins=NOW + timedelta(hours=1)),
        certificate("stranger"),
        certificate("new") + certificate("old"),
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        b"<html>",
        b"",
    ],
    ids=["host", "domain", "suffix", "expired", "premature", "key", "chain", "torn", "page", "empty"],
)
def test_a_certificate_that_is_not_good_is_not_believed(pem: bytes) -> None:
    amazon = Amazon()
    assert refusal(with_certificate(pem), amazon.post("new", amazon.bounce())) == "wrong"


@pytest.mark.parametrize(
    "changes",
    [
        {"SignatureVersion": "3"},
        {"SignatureVersion": 1},
        {"Type": "Other"},
        {"Timestamp": "yesterday"},
        {"Timestamp": 5},
        {"MessageId": None},
        {"Signature": "not base64!"},
        {"Subject": "another"},
        {"Message": "{}"},
    ],
)
def test_what_was_not_signed_like_that_is_refused(changes: dict[str, Any]) -> None:
    amazon = Amazon()
    message = json.loads(amazon.post("new", amazon.bounce()).body)
    request = posted("ses", json.dumps({**message, **changes}).encode(), {})
    assert refusal(with_certificate(certificate("new")), request) == "wrong"


def test_a_message_without_a_subject_is_signed_without_it() -> None:
    amazon = Amazon()
    request = amazon.post("new", amazon.bounce(), Subject=None)
    assert with_certificate(certificate("new")).verify(request, NOW)


def test_a_signature_of_one_version_does_not_pass_for_the_other() -> None:
    message = json.loads(Amazon("1").post("new", Amazon().bounce()).body)
    request = posted("ses", json.dumps({**message, "SignatureVersion": "2"}).encode(), {})
    assert refusal(with_certificate(certificate("new")), request) == "wrong"


def test_what_cannot_be_fetched_is_not_called_forged() -> None:
    def fetch(url: str) -> bytes:
        raise Unreachable(url)

    amazon = Amazon()
    with pytest.raises(Unreachable):
        with_certificate(fetch).verify(amazon.post("new", amazon.bounce()), NOW)


def test_a_flood_of_certificates_is_not_fetched() -> None:
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        raise Unreachable(url)

    amazon, reporter = Amazon(), with_certificate(fetch)
    for number in range(allowance.ALL + 20):
        request = amazon.post("new", amazon.bounce(), SigningCertURL=certificate_url(f"x{number}"))
        with pytest.raises(Unreachable):
            reporter.verify(request, NOW)
    assert len(fetched) == allowance.ALL


GENUINE, ATTACKER = "192.0.2.1", "198.51.100."


class Published:
    """SNS's own server, which holds the certificates of these keys."""

    def __init__(self, *names: str) -> None:
        self.files = {certificate_url(name): certificate(name) for name in names}
        self.asked: list[str] = []

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.files:
            raise NotThere(url)
        return self.files[url]


class Memory:
    """A shelf of the tests' own."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] | None = {}

    def kept(self) -> dict[str, bytes] | None:
        return None if self.files is None else dict(self.files)

    def keep(self, url: str, pem: bytes) -> None:
        if self.files is not None:
            self.files[url] = pem


def flood(reporter: SesEvents, callers: int) -> None:
    """Each of so many posts ten messages with certificates that it invented."""
    amazon = Amazon()
    for caller in range(callers):
        for number in range(10):
            url = certificate_url(f"x{caller}y{number}")
            request = amazon.post("new", amazon.bounce(), SigningCertURL=url)
            with pytest.raises(Unreachable):
                reporter.verify(replace(request, caller=f"{ATTACKER}{caller}"), NOW)


def genuine(name: str) -> HookRequest:
    amazon = Amazon()
    return replace(amazon.post(name, amazon.bounce()), caller=GENUINE)


def test_one_who_invents_certificates_shuts_nobody_else_out() -> None:
    sns = Published("new")
    reporter = with_certificate(sns.fetch)
    flood(reporter, 1)
    assert len(sns.asked) == allowance.EACH
    assert reporter.verify(genuine("new"), NOW)


def test_many_who_invent_certificates_shut_nobody_out_who_was_believed_before() -> None:
    sns = Published("new", "old")
    reporter = with_certificate(sns.fetch)
    assert reporter.verify(genuine("old"), NOW)
    flood(reporter, 20)
    assert len(sns.asked) == allowance.ALL
    assert reporter.verify(genuine("old"), NOW)
    assert reporter.verify(genuine("new"), NOW), "signed with a new key meanwhile"


def test_an_address_without_a_certificate_is_not_asked_again_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    sns = Published()
    reporter = with_certificate(sns.fetch)
    began = moment = time.monotonic()
    monkeypatch.setattr("notify.channels.sns_certificates.time.monotonic", lambda: moment)
    for later in (0.0, 1.0, 61.0, REFUSED_SECONDS - 1):
        moment = began + later
        with pytest.raises(Unreachable):
            reporter.verify(genuine("new"), NOW)
    assert len(sns.asked) == 1
    moment = began + REFUSED_SECONDS + 1
    with pytest.raises(NotThere):
        reporter.verify(genuine("new"), NOW)


def test_a_certificate_that_could_not_be_reached_is_asked_for_again_at_once() -> None:
    sns, away = Published("new"), [True]

    def fetch(url: str) -> bytes:
        if away:
            away.clear()
            raise Unreachable(url)
        return sns.fetch(url)

    reporter = with_certificate(fetch)
    with pytest.raises(Unreachable):
        reporter.verify(genuine("new"), NOW)
    assert reporter.verify(genuine("new"), NOW)


def test_a_certificate_that_has_run_out_is_fetched_once() -> None:
    sns = Published()
    sns.files[certificate_url("new")] = certificate("new", ends=NOW - timedelta(seconds=1))
    reporter = with_certificate(sns.fetch)
    for _ in range(3):
        with pytest.raises((Unverified, Unreachable)):
            reporter.verify(genuine("new"), NOW)
    assert len(sns.asked) == 1


def test_what_was_fetched_is_known_after_a_restart_whatever_is_invented_meanwhile() -> None:
    sns, shelf = Published("new"), Memory()

    def begun() -> SesEvents:
        return SesEvents.from_secrets((), frozenset({TOPIC}), sns.fetch, shelf)

    assert begun().verify(genuine("new"), NOW)
    again = begun()
    flood(again, 20)
    assert again.verify(genuine("new"), NOW)
    assert not again.asks(genuine("new"), NOW)
    assert sns.asked.count(certificate_url("new")) == 1


def test_what_a_shelf_holds_is_believed_only_while_it_is_good() -> None:
    sns, shelf = Published("new"), Memory()
    shelf.files = {
        certificate_url("new"): certificate("new", ends=NOW - timedelta(seconds=1)),
        certificate_url("old"): certificate("old", host="sns.evil.example"),
    }
    reporter = SesEvents.from_secrets((), frozenset({TOPIC}), sns.fetch, shelf)
    assert reporter.verify(genuine("new"), NOW)
    with pytest.raises(NotThere):
        reporter.verify(genuine("old"), NOW)


def test_a_subscription_to_an_allowed_topic_is_confirmed() -> None:
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return certificate("new")

    reporter = with_certificate(fetch)
    request = asking()
    assert reporter.verify(request, NOW)
    assert reporter.confirm(payload(request))
    assert fetched == [certificate_url("new"), SUBSCRIBE]
    assert reporter.events(payload(request)) == []


def test_a_subscription_to_another_topic_is_forbidden() -> None:
    assert refusal(with_certificate(certificate("new")), asking(TopicArn=OTHERS_TOPIC)) == "forbidden"


def test_a_subscription_is_confirmed_nowhere_but_at_sns() -> None:
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return b""

    for url in ("http://169.254.169.254/latest/", "https://evil.example/?Action=ConfirmSubscription"):
        with pytest.raises(Unreadable):
            with_certificate(fetch).confirm(payload(asking(SubscribeURL=url)))
    assert fetched == []


def test_an_event_asks_for_no_confirmation() -> None:
    amazon = Amazon()
    assert not with_certificate(b"").confirm(payload(amazon.post("new", amazon.bounce())))


def test_the_end_of_a_subscription_is_named() -> None:
    request = asking("UnsubscribeConfirmation")
    reporter = with_certificate(certificate("new"))
    assert reporter.verify(request, NOW)
    with pytest.raises(Unreadable) as caught:
        reporter.events(payload(request))
    assert caught.value.reason == "unsubscribed"


def raw(*, login: str | None = "sns:raw secret", topic: str | None = TOPIC) -> HookRequest:
    headers = {"x-amz-sns-rawdelivery": "true", "x-amz-sns-message-id": "id-1"}
    if topic is not None:
        headers["x-amz-sns-topic-arn"] = topic
    if login is not None:
        headers["authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    return posted("ses", json.dumps(Amazon().bounce()).encode(), headers, kind="text/plain; charset=UTF-8")


def test_raw_delivery_with_the_password_is_believed_and_read() -> None:
    reporter = with_certificate(b"")
    assert reporter.verify(raw(), NOW) == "id-1"
    assert len(reporter.events(payload(raw()))) == 1


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (raw(login=None), "missing"),
        (raw(login="sns:guessed"), "wrong"),
        (raw(topic=None), "missing"),
        (raw(topic=OTHERS_TOPIC), "forbidden"),
    ],
)
def test_raw_delivery_without_all_of_it_is_refused(request_: HookRequest, reason: str) -> None:
    assert refusal(with_certificate(b""), request_) == reason


def test_raw_delivery_is_refused_where_no_password_is_set() -> None:
    assert refusal(SesEvents.from_secrets((), frozenset({TOPIC})), raw()) == "wrong"


def test_a_download_is_bounded_and_follows_nobody(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/good").respond_with_data(b"x" * LARGEST)
    httpserver.expect_request("/large").respond_with_data(b"x" * (LARGEST + 1))
    httpserver.expect_request("/moved").respond_with_data(b"", 302, headers={"Location": "/good"})
    assert len(download(httpserver.url_for("/good"))) == LARGEST
    for path in ("/large?Token=secret", "/moved?Token=secret", "/missing?Token=secret"):
        with pytest.raises(Unreachable) as caught:
            download(httpserver.url_for(path))
        assert "secret" not in str(caught.value)
    with pytest.raises(Unreachable):
        download("http://127.0.0.1:1/")


def test_hosts_are_compared_whole() -> None:
    assert of_sns("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription")
    assert not of_sns("https://sns.eu-west-1.amazonaws.com.evil/?Action=ConfirmSubscription")
