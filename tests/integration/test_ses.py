"""Amazon SES: through moto, which refuses what is not verified, and through a server that fails in every way."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import boto3
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from notify.channels import provider_for
from notify.channels.email.ses import Ses
from notify.channels.provider import Envelope, Quota, Receipt
from notify.errors import DeliveryError, InvalidProvider, Misconfigured, Rejected, Throttled, Transient, Uncertain
from notify.settings import load
from tests.providers import Agreed, free_port
from tests.ses_server import ACCEPTED, HANG_UP, SILENCE, TORN, Answer, SesServer, refusal, serving

MESSAGE = Envelope(UUID(int=7), "ada@example.net", "bounces@example.org", b"From: b@example.org\r\n\r\nbody\r\n")


@pytest.fixture
def ses() -> Iterator[SesServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


def provider(url: str) -> Ses:
    found = provider_for(url)
    assert isinstance(found, Ses)
    return found


def outcome(url: str, envelope: Envelope = MESSAGE) -> Receipt | DeliveryError:
    with closing(provider(url)) as found:
        return send(found, envelope)


def send(found: Ses, envelope: Envelope = MESSAGE) -> Receipt | DeliveryError:
    try:
        with found.open() as connection:
            ((_, told),) = connection.send_all(iter([envelope]), Agreed())
    except DeliveryError as error:
        return error
    return told


# through moto


def moto_client(endpoint: str) -> Any:
    return boto3.session.Session("AKIDEXAMPLE", "s3cr3t").client(
        "sesv2", region_name="eu-west-1", endpoint_url=endpoint
    )


def test_a_mail_of_a_verified_sender_is_accepted(moto: str) -> None:
    client = moto_client(moto)
    client.create_email_identity(EmailIdentity="example.org")
    client.close()
    receipt = outcome(f"ses://AKIDEXAMPLE:s3cr3t@?region=eu-west-1&endpoint={moto}")
    assert isinstance(receipt, Receipt)
    assert receipt.response == "accepted in eu-west-1"
    assert receipt.provider_id


def test_a_mail_of_a_sender_that_is_not_verified_is_not_accepted(moto: str) -> None:
    error = outcome(f"ses://AKIDEXAMPLE:s3cr3t@?region=us-east-1&endpoint={moto}")
    assert isinstance(error, Rejected | Misconfigured)  # moto has words of its own for it
    assert error.response.startswith("us-east-1: 400 MessageRejected: ")


# the request


def test_the_request_carries_the_octets_the_tag_and_the_configuration_set(ses: SesServer) -> None:
    assert isinstance(outcome(ses.url(configuration_set="main")), Receipt)
    ((region, request),) = ses.sent
    assert region == "eu-west-1"
    assert b64decode(request.pop("Content")["Raw"]["Data"]) == MESSAGE.content
    assert request == {
        "FromEmailAddress": MESSAGE.sender,
        "Destination": {"ToAddresses": [MESSAGE.recipient]},
        "EmailTags": [{"Name": "message_id", "Value": str(MESSAGE.message_id)}],
        "ConfigurationSetName": "main",
    }


def test_a_domain_travels_in_ascii_and_a_null_return_path_is_left_to_ses(ses: SesServer) -> None:
    envelope = Envelope(UUID(int=1), "ada@bücher.example", "", MESSAGE.content)
    assert isinstance(outcome(ses.url(), envelope), Receipt)
    ((_, request),) = ses.sent
    assert request["Destination"] == {"ToAddresses": ["ada@xn--bcher-kva.example"]}
    assert "FromEmailAddress" not in request


@pytest.mark.parametrize(
    ("envelope", "reason", "scope"),
    [
        (
            Envelope(UUID(int=1), "zoë@example.org", "b@example.org", b"Subject: a\r\n\r\nb"),
            "smtputf8_unsupported",
            "address",
        ),
        (
            Envelope(UUID(int=1), "a@example.org", "zoë@example.org", b"Subject: a\r\n\r\nb"),
            "smtputf8_unsupported",
            "message",
        ),
        (
            Envelope(UUID(int=1), "a@example.org", "b@example.org", "Subject: é\r\n\r\nb".encode()),
            "smtputf8_unsupported",
            "message",
        ),
    ],
)
def test_what_ses_cannot_carry_is_refused_before_it_is_asked(
    ses: SesServer, envelope: Envelope, reason: str, scope: str
) -> None:
    error = outcome(ses.url(), envelope)
    assert isinstance(error, Rejected)
    assert (error.reason, error.scope) == (reason, scope)
    assert ses.sent == []


def test_without_a_key_boto3_finds_one_where_it_always_does(ses: SesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDFROMENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    assert isinstance(outcome(ses.url(key="")), Receipt)
    assert ses.keys == ["AKIDFROMENVIRONMENT"]


def test_without_any_key_no_message_is_begun_and_one_is_found_as_soon_as_it_is_there(
    ses: SesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"SHARED_CREDENTIALS_FILE": "/dev/null", "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with closing(provider(ses.url(key=""))) as found:
        with pytest.raises(Misconfigured) as raised, found.open():
            pass
        assert raised.value.reason == "credentials_missing"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDLATER")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
        assert isinstance(send(found), Receipt)
    assert ses.keys == ["AKIDLATER"]


# failures

REGION_SAYS = "eu-west-1: "


@pytest.mark.parametrize(
    ("answer", "kind", "reason", "detail"),
    [
        (refusal(429, "TooManyRequestsException", "Maximum sending rate exceeded."), Throttled, "rate_limited", 1),
        (refusal(429, "TooManyRequestsException", retry_after="7"), Throttled, "rate_limited", 7),
        (refusal(429, "TooManyRequestsException", retry_after="86400"), Throttled, "rate_limited", 900),
        (refusal(429, "TooManyRequestsException", retry_after="nan"), Throttled, "rate_limited", 1),
        (refusal(400, "ThrottlingException", "Rate exceeded"), Throttled, "rate_limited", 1),
        (refusal(400, "Throttling", "Daily message quota exceeded."), Throttled, "quota_used_up", 900),
        (refusal(400, "LimitExceededException", "too much"), Throttled, "quota_used_up", 900),
        (refusal(503, "ServiceUnavailable", retry_after="30"), Throttled, "rate_limited", 30),
        (refusal(503, "ServiceUnavailable"), Transient, "provider_failed", "provider"),
        (refusal(500, "InternalServiceErrorException"), Transient, "provider_failed", "provider"),
        (refusal(500, "Whatever"), Transient, "provider_failed", "provider"),
        (refusal(409, "ConflictException"), Transient, "provider_failed", "provider"),
        (refusal(408, "RequestTimeout"), Transient, "provider_failed", "provider"),
        (refusal(504, "GatewayTimeout"), Uncertain, "gateway_failed", None),
        ((502, {}, "<html>bad gateway"), Uncertain, "gateway_failed", None),
        (refusal(400, "AccountSuspendedException"), Misconfigured, "account_suspended", None),
        (refusal(400, "SendingPausedException"), Misconfigured, "sending_paused", None),
        (refusal(400, "MessageRejected", "Sending suspended for this account."), Misconfigured, "sending_paused", None),
        (refusal(400, "MailFromDomainNotVerifiedException"), Misconfigured, "sender_refused", None),
        (
            refusal(
                400,
                "MessageRejected",
                "Email address is not verified. The following identities failed the check in region EU-WEST-1: "
                "bounces@example.org, ada@example.org",
            ),
            Misconfigured,
            "sender_refused",
            None,
        ),
        (
            refusal(
                400,
                "MessageRejected",
                "Email address is not verified. The following identities failed the check in region EU-WEST-1: "
                f"{MESSAGE.recipient}",
            ),
            Misconfigured,
            "account_in_sandbox",
            None,
        ),
        (
            refusal(404, "NotFoundException", "Configuration set <main> does not exist."),
            Misconfigured,
            "configuration_set_unknown",
            None,
        ),
        (refusal(403, "UnrecognizedClientException"), Misconfigured, "credentials_refused", None),
        (refusal(403, "InvalidClientTokenId"), Misconfigured, "credentials_refused", None),
        (refusal(403, "SignatureDoesNotMatch"), Misconfigured, "credentials_refused", None),
        (
            refusal(403, "InvalidSignatureException", "Signature expired: 1 is now earlier than 2"),
            Misconfigured,
            "clock_wrong",
            None,
        ),
        (refusal(403, "ExpiredTokenException"), Misconfigured, "credentials_expired", None),
        (refusal(403, "AccessDeniedException"), Misconfigured, "access_denied", None),
        (refusal(403, "Strange"), Misconfigured, "credentials_refused", None),
        ((404, {}, "<html>not found"), Misconfigured, "endpoint_wrong", None),
        ((301, {"Location": "https://example.org"}, ""), Misconfigured, "endpoint_wrong", None),
        (refusal(400, "MessageRejected", "Address blacklisted."), Rejected, "address_suppressed", "address"),
        (refusal(400, "BadRequestException", "Missing final '@domain'"), Rejected, "recipient_invalid", "address"),
        (refusal(400, "BadRequestException", "Domain contains dot-dot"), Rejected, "recipient_invalid", "address"),
        (refusal(400, "MessageRejected", "Message contains a virus"), Rejected, "content_refused", "message"),
        (
            refusal(400, "BadRequestException", "Message length is more than 41943040 bytes long: 9"),
            Rejected,
            "too_large",
            "message",
        ),
        (refusal(413, "RequestEntityTooLarge"), Rejected, "too_large", "message"),
        (refusal(400, "BadRequestException", "something else"), Rejected, "message_refused", "message"),
        (SILENCE, Uncertain, "answer_timeout", None),
        (HANG_UP, Uncertain, "disconnected", None),
        (TORN, Uncertain, None, None),
        ((200, {}, "{"), Uncertain, "answer_unintelligible", None),
        ((200, {}, "{}"), Uncertain, "answer_unintelligible", None),
    ],
)
def test_each_answer_means_one_of_the_five(
    ses: SesServer, answer: Answer, kind: type[DeliveryError], reason: str | None, detail: object
) -> None:
    ses.default = answer
    error = outcome(ses.url())
    assert isinstance(error, kind)
    assert reason is None or error.reason == reason
    assert error.response.startswith(REGION_SAYS)
    assert detail is None or detail in (error.retry_after, getattr(error, "scope", None))
    assert len(ses.sent) == 1, "whether it is tried again is not for boto3 to say"


def test_nobody_there_is_transient_before_a_message_is_begun() -> None:
    watch = Agreed()
    with (
        closing(provider(SesServer(free_port()).url())) as found,
        pytest.raises(Transient) as raised,
        found.open() as connection,
    ):
        list(connection.send_all(iter([MESSAGE]), watch))
    assert (raised.value.reason, raised.value.scope, raised.value.line_lost) == ("unreachable", "provider", True)
    assert watch.begun == []


def test_a_key_that_is_not_known_shuts_the_door_before_a_message_is_begun(ses: SesServer) -> None:
    ses.account = refusal(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
    assert isinstance(outcome(ses.url()), Misconfigured)
    assert ses.sent == []


@pytest.mark.parametrize("answer", [refusal(403, "AccessDeniedException"), refusal(429, "TooManyRequestsException")])
def test_a_key_that_may_only_send_sends(ses: SesServer, answer: Answer) -> None:
    ses.account = answer
    assert isinstance(outcome(ses.url()), Receipt)


def test_no_secret_is_repeated(ses: SesServer) -> None:
    said = "s3cr3t AKIDEXAMPLE0 no. The Canonical String for this request should have been 'x-amz-security-token:t0ken'"
    ses.default = refusal(403, "InvalidSignatureException", said.replace("AKID", "AKIA"))
    error = outcome(ses.url())
    assert isinstance(error, Misconfigured)
    assert error.response == "eu-west-1: 403 InvalidSignatureException: *** *** no. ***"


# regions


def test_the_next_region_takes_what_the_first_did_not_accept(ses: SesServer) -> None:
    ses.answers["eu-west-1"] = refusal(429, "TooManyRequestsException", "Maximum sending rate exceeded.")
    receipt = outcome(ses.url("eu-west-1,us-east-1"))
    assert isinstance(receipt, Receipt)
    assert receipt.response == (
        "accepted in us-east-1; not in eu-west-1: 429 TooManyRequestsException: Maximum sending rate exceeded."
    )
    assert ses.regions() == ["eu-west-1", "us-east-1"]


def test_a_region_that_failed_is_passed_over_until_it_is_the_last_one_left(ses: SesServer) -> None:
    ses.answers["eu-west-1"] = refusal(500, "InternalServiceErrorException")
    with closing(provider(ses.url("eu-west-1,us-east-1"))) as found:
        send(found)
        send(found)
        assert ses.regions() == ["eu-west-1", "us-east-1", "us-east-1"]
        ses.answers = {"us-east-1": refusal(500, "InternalServiceErrorException")}
        receipt = send(found)
    assert isinstance(receipt, Receipt)
    assert receipt.response.startswith("accepted in eu-west-1; not in us-east-1: ")


@pytest.mark.parametrize("answer", [SILENCE, HANG_UP, refusal(504, "GatewayTimeout"), refusal(400, "MessageRejected")])
def test_no_other_region_is_asked_after_doubt_or_a_refusal_for_good(ses: SesServer, answer: Answer) -> None:
    ses.answers["eu-west-1"] = answer
    assert isinstance(outcome(ses.url("eu-west-1,us-east-1")), Uncertain | Rejected)
    assert ses.regions() == ["eu-west-1"]


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (refusal(403, "AccessDeniedException"), refusal(500, "InternalFailure"), Transient),
        (refusal(500, "InternalFailure"), refusal(429, "TooManyRequestsException"), Throttled),
        (refusal(403, "AccessDeniedException"), refusal(403, "AccessDeniedException"), Misconfigured),
    ],
)
def test_when_no_region_takes_it_the_error_with_most_hope_counts(
    ses: SesServer, first: Answer, second: Answer, kind: type[DeliveryError]
) -> None:
    ses.answers = {"eu-west-1": first, "us-east-1": second}
    assert type(outcome(ses.url("eu-west-1,us-east-1"))) is kind


def test_a_list_of_regions_stays_one_url_in_the_setting() -> None:
    urls = "ses://?region=eu-west-1,us-east-1&configuration_set=main,smtp://a.example.org, smtp://b.example.org"
    found = [url.get_secret_value() for url in load(env_file=None, email_providers=urls).email_providers]
    assert found == [
        "ses://?region=eu-west-1,us-east-1&configuration_set=main",
        "smtp://a.example.org",
        "smtp://b.example.org",
    ]


# the account


def test_the_quota_is_that_of_the_account_and_asked_for_now_and_then(ses: SesServer) -> None:
    quota = '{"SendQuota": {"Max24HourSend": 50000.0, "MaxSendRate": 14.0, "SentLast24Hours": 1200.0}}'
    ses.account = (200, {}, quota)
    with closing(provider(ses.url())) as found:
        assert found.quota() == found.quota() == Quota(50000, 48800, 86400, 14.0)
    assert ses.asked == 1


def test_an_account_without_a_daily_limit_has_a_rate_all_the_same(ses: SesServer) -> None:
    ses.account = (200, {}, '{"SendQuota": {"Max24HourSend": -1.0, "MaxSendRate": 80.0, "SentLast24Hours": 9.0}}')
    with closing(provider(ses.url())) as found:
        assert found.quota() == Quota(per_second=80.0)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(403, "UnrecognizedClientException"), Misconfigured),
        ((200, {}, '{"SendingEnabled": false}'), Misconfigured),
        (refusal(500, "InternalFailure"), Transient),
        (SILENCE, Transient),
        (HANG_UP, Transient),
    ],
)
def test_a_check_says_what_is_wrong_and_sends_nothing(
    ses: SesServer, answer: Answer, kind: type[DeliveryError]
) -> None:
    ses.account = answer
    with closing(provider(ses.url())) as found, pytest.raises(kind):
        found.check()
    assert ses.sent == []


@pytest.mark.parametrize("answer", [ACCEPTED, refusal(403, "AccessDeniedException")])
def test_a_check_is_content_with_credentials_that_may_only_send(ses: SesServer, answer: Answer) -> None:
    ses.account = answer
    with closing(provider(ses.url("eu-west-1,us-east-1"))) as found:
        found.check()
    assert ses.asked == 2


# the URL


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ses://", "option 'region': is missing"),
        ("ses://?region=eu-wst-1", "did you mean 'eu-west-1'"),
        ("ses://?region=", "no region with SES"),
        ("ses://?region=eu-west-1,eu-west-1", "names a region twice"),
        ("ses://?regoin=eu-west-1", "did you mean 'region'"),
        ("ses://eu-west-1", "host: is not expected"),
        ("ses://?region=eu-west-1&configuration_set=a%20b", "name of a configuration set"),
        ("ses://?region=eu-west-1&endpoint=ftp://x", "endpoint"),
        ("ses://s3cr3t@?region=eu-west-1", "key and secret are given together"),
        ("ses://AKID:s3cr3t@/x?region=eu-west-1", "path: is not expected"),
    ],
)
def test_a_url_that_cannot_be_used_names_the_part(url: str, complaint: str) -> None:
    with pytest.raises(InvalidProvider) as raised:
        provider_for(url)
    assert complaint in str(raised.value)
    assert "s3cr3t" not in str(raised.value)


def test_a_secret_with_a_slash_is_percent_encoded_and_never_shown() -> None:
    found = provider("ses://AKID:s3/cr3t+@?region=eu-west-1".replace("3/", "3%2F"))
    assert found.key == ("AKID", "s3/cr3t+")
    assert "cr3t" not in repr(found)
    assert found.place == "eu-west-1"


def test_without_boto3_the_url_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['boto3'] = None\n"
        "from notify.channels import provider_for\n"
        "provider_for('ses://?region=eu-west-1')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.rstrip().endswith("needs boto3, which is not installed: pip install 'notify-celery[ses]'")


# the real one


@pytest.mark.ses_sandbox
def test_the_real_ses_takes_a_mail_for_its_simulator() -> None:
    url, sender = os.environ.get("SES_SANDBOX_URL"), os.environ.get("SES_SANDBOX_FROM")
    if not url or not sender:
        pytest.skip("SES_SANDBOX_URL (ses://…) and SES_SANDBOX_FROM (a verified address) are not set")
    recipient = "success@simulator.amazonses.com"
    content = f"From: {sender}\r\nTo: {recipient}\r\nSubject: notify\r\n\r\nA test of notify.\r\n".encode()
    receipt = outcome(url, Envelope(UUID(int=1), recipient, sender, content))
    assert isinstance(receipt, Receipt)
    assert receipt.provider_id
