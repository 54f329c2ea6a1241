"""Amazon SNS: a message is believed only when a certificate of SNS signed it for a topic that is allowed here.

Both signature versions (1 is SHA-1, 2 is SHA-256, over RSA with PKCS #1 v1.5). How a message is signed:
https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html; what is posted:
https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html. Raw delivery carries no signature: there
the subscription's URL holds a user and a password, and both are asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from notify.channels import signatures
from notify.channels.download import download
from notify.channels.facts import Facts, tree
from notify.channels.hook import HookRequest, Payload
from notify.channels.sns_certificates import Certificates, Nowhere, Shelf
from notify.errors import Unreadable, Unverified

LATE = timedelta(minutes=65)
"""How old a message may be. Its time is that of publishing, which SNS repeats when it tries again, for an hour:
https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html. Its id counts once."""

NOTIFICATION, WANTED, ENDED = "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"
_ASKED = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
SIGNED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
        WANTED: _ASKED,
        ENDED: _ASKED,
    }
)
"""What is signed of each type, in this order; a Subject only where there is one."""

HASHES: Mapping[str, hashes.HashAlgorithm] = MappingProxyType({"1": hashes.SHA1(), "2": hashes.SHA256()})  # noqa: S303

_HOST = re.compile(r"sns\.[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
_RAW = "x-amz-sns-rawdelivery"


def of_sns(url: str) -> bool:
    """Whether it is an https address of SNS itself, in some region, and of nobody else."""
    try:
        parts = urlsplit(url)
        plain = parts.port is None and "@" not in parts.netloc and not parts.fragment
    except ValueError:
        return False
    return parts.scheme == "https" and plain and _HOST.fullmatch(parts.netloc) is not None and url.isprintable()


def of_certificate(url: str) -> bool:
    """Whether it is where SNS keeps a certificate it signs with."""
    return of_sns(url) and not urlsplit(url).query and _CERTIFICATE.fullmatch(urlsplit(url).path) is not None


@dataclass(frozen=True)
class Sns:
    """The topics that are allowed here, and the `user:password` of raw delivery, as many as are in force."""

    topics: frozenset[str]
    passwords: tuple[str, ...] = field(default=(), repr=False)
    download: Callable[[str], bytes] = download
    shelf: Shelf = field(default_factory=Nowhere)
    _certificates: Certificates = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Begin with the certificates of the shelf."""
        object.__setattr__(self, "_certificates", Certificates(self.download, self.shelf))

    def verify(self, request: HookRequest, now: datetime) -> str:
        """The message's id. Raises `Unverified`, and `Unreachable` while its certificate cannot be fetched."""
        if request.headers.get(_RAW, "").lower() == "true":
            return self._raw(request)
        message = _object(request.body)
        kind, version = message.get("Type"), message.get("SignatureVersion")
        signature, url = message.get("Signature"), message.get("SigningCertURL")
        if not (isinstance(signature, str) and isinstance(url, str) and isinstance(kind, str)):
            raise Unverified("missing", "a message of SNS has Type, Signature and SigningCertURL")
        if kind not in SIGNED or not isinstance(version, str) or version not in HASHES:
            raise Unverified("wrong", "no such Type or SignatureVersion")
        if not of_certificate(url):
            raise Unverified("wrong", "SigningCertURL is not where SNS keeps its certificates")
        signed = _signed(message, SIGNED[kind])
        self._require_allowed(message["TopicArn"])  # before anything is fetched
        signatures.require_fresh(_moment(message["Timestamp"]), now, LATE)
        key = self._certificates.key(url, now, request.caller)
        try:
            key.verify(signatures.from_base64(signature), signed, PKCS1v15(), HASHES[version])
        except InvalidSignature:
            raise Unverified("wrong", "the certificate's key did not make this signature") from None
        self._certificates.believed(request.caller)
        return signatures.delivery_id(message["MessageId"])

    def asks(self, request: HookRequest, now: datetime) -> bool:
        """Whether a certificate must be fetched to verify this."""
        if request.headers.get(_RAW, "").lower() == "true":
            return False
        try:
            url = _object(request.body).get("SigningCertURL")
        except Unverified:
            return False
        return isinstance(url, str) and not self._certificates.knows(url, now)

    def message(self, payload: Payload) -> Facts | None:
        """What was published, as an object; None for what only SNS itself says. Raises `Unreadable`."""
        envelope = Facts(tree(payload))
        if "Message" not in envelope or "TopicArn" not in envelope:
            return envelope  # raw delivery
        if envelope.text("Type") == WANTED:
            return None
        if envelope.text("Type") == ENDED:
            raise Unreadable("unsubscribed", f"SNS no longer delivers {envelope.text('TopicArn')} here")
        try:
            return Facts(json.loads(_object(payload.body)["Message"]), "Message")
        except (ValueError, TypeError, RecursionError):
            raise Unreadable("not_json", "Message is no JSON text") from None

    def confirm(self, payload: Payload) -> bool:
        """Visit the SubscribeURL of a message that asks for it. Raises `Unreadable` or `Unreachable`."""
        envelope = Facts(tree(payload))
        if envelope.text("Type") != WANTED:
            return False
        url = envelope.required("SubscribeURL")
        if not of_sns(url) or envelope.text("TopicArn") not in self.topics:
            raise Unreadable("not_confirmed", "SubscribeURL is no address of SNS, or the topic is not allowed any more")
        self.download(url)
        return True

    def _raw(self, request: HookRequest) -> str:
        given = signatures.basic(request)
        if given is None:
            raise Unverified("missing", "raw delivery has no signature, so it needs user and password")
        signatures.require_one([given], [one.encode() for one in self.passwords])
        self._require_allowed(signatures.header(request, "x-amz-sns-topic-arn"))
        return signatures.delivery_id(signatures.header(request, "x-amz-sns-message-id"))

    def _require_allowed(self, topic: str) -> None:
        if topic not in self.topics:
            raise Unverified("forbidden", "NOTIFY_SNS_TOPICS does not name this topic")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unverified("missing", "the body is no message of SNS")
    return found


def _signed(message: Mapping[str, Any], names: tuple[str, ...]) -> bytes:
    """The octets that were signed: each name and value on a line of its own."""
    text = ""
    for name in names:
        value = message.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            raise Unverified("wrong", f"{name} is missing, or no text")
        text += f"{name}\n{value}\n"
    return text.encode("utf-8", "replace")


def _moment(text: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unverified("wrong", "Timestamp is no time") from None
