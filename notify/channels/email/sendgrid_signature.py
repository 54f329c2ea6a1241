"""SendGrid's signatures: ECDSA over P-256 and SHA-256, of the time and the raw body, by any of the keys in force.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import load_der_public_key

from notify.channels import signatures
from notify.channels.hook import HookRequest
from notify.errors import Unverified

SIGNATURE, STAMP = "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"


def public_key(secret: str) -> EllipticCurvePublicKey:
    """The verification key that SendGrid shows, base64. Raises ValueError."""
    try:
        key = load_der_public_key(signatures.from_base64(secret))
    except (ValueError, UnsupportedAlgorithm, Unverified):
        key = None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("must be the verification key that SendGrid shows for the webhook, base64")
    return key


class Signed:
    """A body that is verified as it comes, piece by piece.

    `request` holds the headers. Raises `Unverified` for what they alone disprove: a signature or a time that is
    missing, that cannot be read, or that is stale.
    """

    def __init__(self, keys: Sequence[EllipticCurvePublicKey], request: HookRequest, now: datetime) -> None:
        self._keys = keys
        self._given = signatures.from_base64(signatures.header(request, SIGNATURE))
        stamp = signatures.header(request, STAMP)
        signatures.require_fresh(signatures.moment(stamp), now)
        self._hash = Hash(SHA256())
        self._hash.update(stamp.encode())

    def add(self, octets: bytes) -> None:
        """The next octets of the body."""
        self._hash.update(octets)

    def verify(self) -> None:
        """Once, after the last of them. Raises `Unverified`."""
        digest = self._hash.finalize()
        if not any(_made(key, self._given, digest) for key in self._keys):
            raise Unverified("wrong", "no key in force made this signature")


def _made(key: EllipticCurvePublicKey, signature: bytes, digest: bytes) -> bool:
    try:
        key.verify(signature, digest, ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        return False
    return True
