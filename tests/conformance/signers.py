"""The other end of webhooks: each signs payloads as its provider does, with secrets of the tests' own.

A payload follows the provider's documentation; none was recorded anywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from notify.channels.email.ses_events import SesEvents
from notify.channels.hook import HookRequest, Reporter
from notify.channels.reporters import reporters
from notify.errors import Unreachable

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
HOOKS = "https://notify.example.org/hooks/"
OURS = UUID("0192f0c4-7f5e-7c3a-9d2b-0a1b2c3d4e5f")
ADDRESS = "ada@example.test"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"


class Signer(Protocol):
    """A provider that posts. `secrets` are in force, in the form of NOTIFY_HOOK_SECRETS; `stranger` is not."""

    @property
    def name(self) -> str: ...
    @property
    def secrets(self) -> tuple[str, str]: ...
    @property
    def stranger(self) -> str: ...
    @property
    def late(self) -> timedelta | None:
        """How old a delivery may be; None where it carries no signed time."""

    def reporter(self, secrets: tuple[str, ...]) -> Reporter:
        """The receiving end, with these secrets in force."""

    def post(self, secret: str, said: Any, at: datetime = NOW) -> HookRequest:
        """A delivery of `said`, signed with this secret at that time."""

    def unsigned(self, said: Any) -> HookRequest:
        """The same without any signature."""

    def bounce(self) -> Any:
        """What it says when the address of message `OURS` does not exist."""

    def unknown(self) -> Any:
        """What it says about something that notify has no word for."""

    def nonsense(self) -> Any:
        """JSON that is nothing it would ever say."""


def posted(name: str, body: bytes, headers: Mapping[str, str], *, kind: str = "application/json") -> HookRequest:
    return HookRequest(body, {"content-type": kind, **headers}, HOOKS + name)


def stamp(at: datetime) -> str:
    return str(int(at.timestamp()))


def iso(at: datetime = NOW) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@dataclass(frozen=True)
class ByTable:
    """What most signers have in common: their reporter is made from settings."""

    name: str
    secrets: tuple[str, str]
    stranger: str
    late: timedelta | None
    sign: Callable[[str, Any, datetime], HookRequest]
    bare: Callable[[Any], HookRequest]
    bounced: Any
    strange: Any
    nothing: Any = field(default_factory=lambda: ["nonsense"])

    def reporter(self, secrets: tuple[str, ...]) -> Reporter:
        return reporters([f"{self.name}={secret}" for secret in secrets])[self.name]

    def post(self, secret: str, said: Any, at: datetime = NOW) -> HookRequest:
        return self.sign(secret, said, at)

    def unsigned(self, said: Any) -> HookRequest:
        return self.bare(said)

    def bounce(self) -> Any:
        return self.bounced

    def unknown(self) -> Any:
        return self.strange

    def nonsense(self) -> Any:
        return self.nothing


def bare(name: str) -> Callable[[Any], HookRequest]:
    return lambda said: posted(name, json.dumps(said).encode(), {})


def svix(prefix: str = "svix") -> Callable[[str, Any, datetime], HookRequest]:
    def sign(secret: str, said: Any, at: datetime) -> HookRequest:
        body = json.dumps(said).encode()
        key = b64decode(secret.removeprefix("whsec_"))
        signature = b64encode(hmac.digest(key, b"msg_2Lh." + stamp(at).encode() + b"." + body, hashlib.sha256))
        return posted(
            "resend",
            body,
            {
                f"{prefix}-id": "msg_2Lh",
                f"{prefix}-timestamp": stamp(at),
                f"{prefix}-signature": f"v2,aaaa v1,AAAA v1,{signature.decode()}",
            },
        )

    return sign


def whsec(seed: bytes) -> str:
    return "whsec_" + b64encode(hashlib.sha256(seed).digest()).decode()


RESEND = ByTable(
    "resend",
    (whsec(b"new"), whsec(b"old")),
    whsec(b"stranger"),
    timedelta(minutes=5),
    svix(),
    bare("resend"),
    {
        "type": "email.bounced",
        "created_at": iso(),
        "data": {
            "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
            "from": "News <news@example.org>",
            "to": [ADDRESS],
            "subject": "May",
            "tags": {"message_id": str(OURS)},
            "bounce": {"type": "Permanent", "subType": "NoEmail", "message": "550 5.1.1 no such user"},
        },
    },
    {"type": "contact.created", "created_at": iso(), "data": {"id": "c1"}},
)


@cache
def elliptic(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def verification_key(name: str) -> str:
    der = (
        elliptic(name)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return b64encode(der).decode()


def sendgrid(secret: str, said: Any, at: datetime) -> HookRequest:
    body = json.dumps(said).encode()
    (name,) = (one for one in ("new", "old", "stranger") if verification_key(one) == secret)
    signature = elliptic(name).sign(stamp(at).encode() + body, ec.ECDSA(hashes.SHA256()))
    return posted(
        "sendgrid",
        body,
        {
            "x-twilio-email-event-webhook-signature": b64encode(signature).decode(),
            "x-twilio-email-event-webhook-timestamp": stamp(at),
        },
    )


def sendgrid_event(event: str, **more: Any) -> dict[str, Any]:
    return {
        "email": ADDRESS,
        "timestamp": int(NOW.timestamp()),
        "event": event,
        "sg_event_id": f"ZGVsaXZlcmVk-{event}",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
        "smtp-id": "<x@ismtpd-555>",
        "message_id": str(OURS),
        **more,
    }


SENDGRID = ByTable(
    "sendgrid",
    (verification_key("new"), verification_key("old")),
    verification_key("stranger"),
    timedelta(minutes=5),
    sendgrid,
    bare("sendgrid"),
    [
        sendgrid_event(
            "bounce",
            type="bounce",
            status="5.1.1",
            reason="550 5.1.1 no such user",
            bounce_classification="Invalid Address",
        )
    ],
    [sendgrid_event("account_status_change")],
    {"event": "bounce"},
)


def mailgun(secret: str, said: Any, at: datetime) -> HookRequest:
    token = hashlib.sha256(stamp(at).encode()).hexdigest()[:50]
    signature = hmac.digest(secret.encode(), (stamp(at) + token).encode(), hashlib.sha256).hex()
    signed = {"timestamp": stamp(at), "token": token, "signature": signature}
    return posted("mailgun", json.dumps({"signature": signed, "event-data": said}).encode(), {})


def mailgun_event(event: str, **more: Any) -> dict[str, Any]:
    return {
        "event": event,
        "id": f"G9Bn5sl1TC6nu79C8C0bwg-{event}",
        "timestamp": NOW.timestamp(),
        "recipient": ADDRESS,
        "user-variables": {"message_id": str(OURS)},
        "message": {"headers": {"message-id": "20261121093000.1@mg.example.org", "to": ADDRESS}},
        **more,
    }


MAILGUN = ByTable(
    "mailgun",
    ("key-new", "key-old"),
    "key-stranger",
    timedelta(hours=9),
    mailgun,
    bare("mailgun"),
    mailgun_event(
        "failed",
        severity="permanent",
        reason="bounce",
        **{"delivery-status": {"code": 550, "message": "5.1.1 no such user", "attempt-no": 1}},
    ),
    mailgun_event("list_member_uploaded"),
)


def postmark(secret: str, said: Any, at: datetime) -> HookRequest:
    login = {"authorization": f"Basic {b64encode(secret.encode()).decode()}"}
    return posted("postmark", json.dumps(said).encode(), login if ":" in secret else {"x-webhook-secret": secret})


def postmark_record(record: str, **more: Any) -> dict[str, Any]:
    return {
        "RecordType": record,
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Metadata": {"message_id": str(OURS)},
        "MessageStream": "outbound",
        **more,
    }


POSTMARK = ByTable(
    "postmark",
    ("notify:correct horse", "a-secret-in-a-header"),
    "notify:stranger",
    None,
    postmark,
    bare("postmark"),
    postmark_record(
        "Bounce",
        ID=4323372036854775807,
        Type="HardBounce",
        TypeCode=1,
        Email=ADDRESS,
        Details="smtp;550 5.1.1 no such user",
        BouncedAt="2026-11-21T09:30:00.0000000Z",
    ),
    postmark_record("Inbound"),
)


def twilio(secret: str, said: Any, at: datetime) -> HookRequest:
    if not isinstance(said, dict):
        body = json.dumps(said).encode()
        url = f"{HOOKS}twilio?bodySHA256={hashlib.sha256(body).hexdigest()}"
        signature = b64encode(hmac.digest(secret.encode(), url.encode(), hashlib.sha1))
        headers = {"content-type": "application/json", "x-twilio-signature": signature.decode()}
        return HookRequest(body, headers, url)
    signed = HOOKS + "twilio" + "".join(name + said[name] for name in sorted(said))
    signature = b64encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha1))
    return posted(
        "twilio",
        urlencode(said).encode(),
        {"x-twilio-signature": signature.decode()},
        kind="application/x-www-form-urlencoded",
    )


TWILIO = ByTable(
    "twilio",
    ("token-new", "token-old"),
    "token-stranger",
    None,
    twilio,
    lambda said: posted("twilio", urlencode(said).encode(), {}, kind="application/x-www-form-urlencoded"),
    {
        "MessageSid": "SM0123456789abcdef0123456789abcdef",
        "MessageStatus": "undelivered",
        "ErrorCode": "30005",
        "To": "+31612345678",
        "message_id": str(OURS),
    },
    {"MessageSid": "SM0123456789abcdef0123456789abcdef", "MessageStatus": "queued"},
)


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def certificate(
    name: str,
    *,
    host: str = "sns.amazonaws.com",
    begins: datetime = NOW - timedelta(days=30),
    ends: datetime = NOW + timedelta(days=30),
) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(rsa_key(name).public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(rsa_key(name), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def certificate_url(name: str) -> str:
    return CERTIFICATE_URL.replace("0123456789abcdef", name)


@dataclass
class Amazon:
    """A `Signer`: SNS, whose secret is the name of a key, and which publishes certificates of two keys."""

    version: str = "2"
    name: str = "ses"
    secrets: tuple[str, str] = ("new", "old")
    stranger: str = "stranger"
    late: timedelta | None = timedelta(minutes=65)
    fetched: list[str] = field(default_factory=list)

    def reporter(self, secrets: tuple[str, ...]) -> Reporter:
        published = {certificate_url(one): certificate(one) for one in secrets}

        def fetch(url: str) -> bytes:
            self.fetched.append(url)
            if url not in published and "ConfirmSubscription" not in url:
                raise Unreachable(url)
            return published.get(url, b"<ok/>")

        return SesEvents.from_secrets(("sns:raw secret",), frozenset({TOPIC}), fetch)

    def post(self, secret: str, said: Any, at: datetime = NOW, **changes: Any) -> HookRequest:
        message = {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Subject": "Amazon SES Email Event Notification",
            "Message": json.dumps(said),
            "Timestamp": iso(at),
            "SignatureVersion": self.version,
            "SigningCertURL": certificate_url("new" if secret == "stranger" else secret),
            **changes,
        }
        return posted("ses", json.dumps(signed(secret, message)).encode(), {})

    def unsigned(self, said: Any) -> HookRequest:
        body = {"Type": "Notification", "TopicArn": TOPIC, "Message": json.dumps(said)}
        return posted("ses", json.dumps(body).encode(), {})

    def bounce(self) -> Any:
        return ses_event(
            "Bounce",
            bounce={
                "bounceType": "Permanent",
                "bounceSubType": "General",
                "bouncedRecipients": [
                    {"emailAddress": ADDRESS, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 no such user"}
                ],
                "timestamp": iso(),
                "feedbackId": "0100017c-1",
            },
        )

    def unknown(self) -> Any:
        return ses_event("Someday")

    def nonsense(self) -> Any:
        return ["nonsense"]


def signed(secret: str, message: dict[str, Any]) -> dict[str, Any]:
    """The message with the signature of SNS."""
    asked = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    told = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    names = told if message["Type"] == "Notification" else asked
    text = "".join(f"{name}\n{message[name]}\n" for name in names if message.get(name) is not None)
    algorithm: hashes.HashAlgorithm = hashes.SHA1() if message["SignatureVersion"] == "1" else hashes.SHA256()
    signature = rsa_key(secret).sign(text.encode(), padding.PKCS1v15(), algorithm)
    return {**message, "Signature": b64encode(signature).decode()}


def ses_event(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "eventType": kind,
        "mail": {
            "timestamp": iso(),
            "source": "news@example.org",
            "messageId": "0100017c-mail",
            "destination": [ADDRESS],
            "tags": {"message_id": [str(OURS)], "ses:configuration-set": ["main"]},
        },
        **more,
    }


SIGNERS: Mapping[str, Signer] = {
    "ses, signature version 1": Amazon("1"),
    "ses, signature version 2": Amazon("2"),
    **{one.name: one for one in (RESEND, SENDGRID, MAILGUN, POSTMARK, TWILIO)},
    "resend, standard names": ByTable(**{**vars(RESEND), "sign": svix("webhook")}),
}
