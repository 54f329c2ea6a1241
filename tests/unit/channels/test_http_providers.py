"""What is peculiar to each HTTP provider: its URL, its own words for trouble, what it tells of its limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest

from notify.channels import provider_for
from notify.channels.provider import Envelope, Provider, Quota, Receipt
from notify.channels.registry import PROVIDERS
from notify.channels.url import KEYED
from notify.errors import DeliveryError, InvalidProvider, Misconfigured, Rejected, Throttled, Uncertain
from notify.settings import redact
from tests.conformance import mailgun, postmark, resend, sendgrid
from tests.conformance.driver import Mood
from tests.conformance.fake_api import FakeApi, Reply, Wire
from tests.providers import Agreed

MODULES = {module.__name__.rpartition(".")[2]: module for module in (mailgun, postmark, resend, sendgrid)}
MAIL = Envelope(
    UUID(int=7), "ada@example.test", "b@example.org", b"From: a@example.org\r\nTo: ada@example.test\r\n\r\nhi\r\n"
)

Asking = Callable[[str, Reply], Receipt | DeliveryError]


@pytest.fixture
def answered(tmp_path: Path) -> Iterator[Asking]:
    """Ask a provider whose API gives this answer, and return what becomes of the mail."""
    with ExitStack() as stack:

        def ask(name: str, reply: Reply) -> Receipt | DeliveryError:
            fake: FakeApi = stack.enter_context(MODULES[name].serving(tmp_path))
            fake.wire = Wire(**{**vars(fake.wire), "replies": {Mood.ACCEPTING: reply}})
            provider = provider_for(fake.url())
            stack.callback(provider.close)
            return send(provider)

        yield ask


def send(provider: Provider) -> Receipt | DeliveryError:
    with provider.open() as connection:
        ((_, told),) = connection.send_all(iter([MAIL]), Agreed())
    return told


@pytest.mark.parametrize(
    ("name", "answer", "kind", "reason"),
    [
        ("resend", (409, {"name": "invalid_idempotent_request"}), Uncertain, "invalid_idempotent_request"),
        ("resend", (409, {"name": "concurrent_idempotent_requests"}), Uncertain, "concurrent_idempotent_requests"),
        ("resend", (429, {"name": "daily_quota_exceeded"}), Throttled, "daily_quota_exceeded"),
        ("resend", (429, {"name": "rate_limit_exceeded"}), Throttled, "rate_limit_exceeded"),
        ("resend", (422, {"name": "invalid_from_address"}), Misconfigured, "invalid_from_address"),
        ("resend", (403, {"name": "validation_error", "message": "not verified"}), Misconfigured, "validation_error"),
        ("resend", (422, {"name": "<script>"}), Rejected, "message_refused"),
        ("resend", (200, {"id": 7}), Uncertain, "answer_unintelligible"),
        ("sendgrid", (202, {}), Uncertain, "answer_unintelligible"),
        ("sendgrid", (401, {"errors": [{"message": "Maximum credits exceeded"}]}), Misconfigured, "credit_exhausted"),
        ("sendgrid", (400, {"errors": [{"message": "no", "field": "from.email"}]}), Misconfigured, "sender_refused"),
        ("sendgrid", (413, {"errors": "large"}), Rejected, "too_large"),
        ("sendgrid", (400, {"errors": [None]}), Rejected, "message_refused"),
        (
            "mailgun",
            (400, {"message": "Domain x is not allowed to send: inactive"}),
            Misconfigured,
            "domain_not_allowed",
        ),
        ("mailgun", (404, {"message": "Domain not found: x"}), Misconfigured, "endpoint_wrong"),
        ("postmark", (422, {"ErrorCode": 405, "Message": "out of credits"}), Misconfigured, "credit_exhausted"),
        ("postmark", (422, {"ErrorCode": 400, "Message": "no signature"}), Misconfigured, "sender_refused"),
        ("postmark", (422, {"ErrorCode": 300, "Message": "Invalid 'From' address"}), Misconfigured, "sender_refused"),
        ("postmark", (422, {"ErrorCode": 300, "Message": "Invalid 'To' address"}), Rejected, "recipient_invalid"),
        ("postmark", (422, {"ErrorCode": [1]}), Rejected, "message_refused"),
        ("postmark", (200, {"ErrorCode": 300, "MessageID": "x"}), Uncertain, "answer_unintelligible"),
    ],
)
def test_an_apis_own_words_are_understood(
    answered: Asking, name: str, answer: tuple[int, object], kind: type[DeliveryError], reason: str
) -> None:
    status, said = answer
    told = answered(name, (status, json.dumps(said), {}))
    assert isinstance(told, kind)
    assert told.reason == reason


def test_an_exhausted_quota_waits_as_long_as_may_be(answered: Asking) -> None:
    told = answered("resend", (429, '{"name": "monthly_quota_exceeded"}', {"Retry-After": "2"}))
    assert isinstance(told, Throttled)
    assert told.retry_after == 900


def test_sendgrid_says_by_another_header_when_its_limit_ends(answered: Asking) -> None:
    told = answered("sendgrid", (429, "", {"X-RateLimit-Reset": "32503680000"}))
    assert isinstance(told, Throttled)
    assert told.retry_after == 900


def test_sendgrid_tells_its_credits(tmp_path: Path) -> None:
    with sendgrid.serving(tmp_path) as fake:
        provider = provider_for(fake.url())
        assert provider.quota() == Quota(limit=100, remaining=70, seconds=86400)  # type: ignore[attr-defined]
        provider.close()


def test_a_resend_key_that_may_only_send_passes_the_check(tmp_path: Path) -> None:
    with resend.serving(tmp_path) as fake:
        fake.wire = Wire(**{**vars(fake.wire), "asked": {"/domains": (401, '{"name": "restricted_api_key"}', {})}})
        provider = provider_for(fake.url())
        provider.check()  # type: ignore[attr-defined]
        provider.close()


def test_a_sendgrid_key_that_may_not_send_fails_the_check(tmp_path: Path) -> None:
    with sendgrid.serving(tmp_path) as fake:
        fake.wire = Wire(**{**vars(fake.wire), "asked": {"/v3/scopes": (200, '{"scopes": ["stats.read"]}', {})}})
        provider = provider_for(fake.url())
        with pytest.raises(Misconfigured, match="key_may_not_send"):
            provider.check()  # type: ignore[attr-defined]
        provider.close()


# URLs


@pytest.mark.parametrize(
    ("url", "endpoint", "place"),
    [
        ("resend://re_AbC", "https://api.resend.com", None),
        ("sendgrid://SG.a.B", "https://api.sendgrid.com", ""),
        ("sendgrid://SG.a.B?region=eu", "https://api.eu.sendgrid.com", "eu"),
        ("mailgun://k%2Fey@mg.example.org", "https://api.mailgun.net", "mg.example.org"),
        ("mailgun://key@mg.example.org?region=eu", "https://api.eu.mailgun.net", "mg.example.org"),
        ("postmark://tok?stream=broadcasts", "https://api.postmarkapp.com", "broadcasts"),
        ("resend://key?endpoint=https://proxy.example.org/resend/", "https://proxy.example.org/resend", None),
        ("resend://key?endpoint=http://[::1]:8080", "http://[::1]:8080", None),
    ],
)
def test_a_url_says_where_the_api_is(url: str, endpoint: str, place: str | None) -> None:
    provider = provider_for(url)
    assert provider.api.endpoint == endpoint  # type: ignore[attr-defined]
    assert getattr(provider, "place", None) == place


def test_a_key_keeps_its_case_and_is_percent_decoded() -> None:
    assert provider_for("resend://re_AbC%2FdE?timeout=3").api.secret == "re_AbC/dE"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("resend://", "key: is missing"),
        ("resend://k%20ey", "key: is missing or unreadable"),
        ("resend://k%0Aey", "key: is missing or unreadable"),
        ("resend://kéy", "key: is missing or unreadable"),
        ("resend://user@key", "key: is missing or unreadable"),
        ("resend://key/path", "%2F"),
        ("resend://key?timeuot=3", "did you mean 'timeout'"),
        ("sendgrid://key?region=us", "must be one of global, eu"),
        ("mailgun://mg.example.org", "key: is missing"),
        ("mailgun://api:key@mg.example.org", "key: is missing"),
        ("mailgun://key@", "domain"),
        ("mailgun://key@mg.example.org:443", "domain"),
        ("postmark://key?steam=x", "did you mean 'stream'"),
        ("resend://key?endpoint=http://proxy.example.org", "for this machine only"),
        ("resend://key?endpoint=ftp://127.0.0.1", "must be like https://"),
        ("resend://key?endpoint=https://", "must be like https://"),
        ("resend://key?endpoint=https://h?x=1", "must be like https://"),
        ("resend://key?endpoint=https://[", "must be like https://"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_part_at_fault(url: str, complaint: str) -> None:
    with pytest.raises(InvalidProvider) as refusal:
        provider_for(url)
    assert complaint in str(refusal.value)


@pytest.mark.parametrize("scheme", sorted(KEYED))
@pytest.mark.parametrize("form", ["{0}://{1}", "{0}://{1}?tiemout=3", "{0}://{1}/x", "{0}://{1}@host", "{0}://u:{1}@h"])
def test_a_key_in_the_place_of_a_host_never_shows(scheme: str, form: str) -> None:
    url = form.format(scheme, "S3cr3t.K3y")
    try:
        shown = repr(provider_for(url))
    except InvalidProvider as error:
        shown = str(error)
    assert "s3cr3t" not in f"{shown} {redact(url)} {redact(f'see {url}, {url}')}".lower()


def test_every_scheme_with_a_key_for_a_host_is_a_providers() -> None:
    assert set(PROVIDERS) >= KEYED
