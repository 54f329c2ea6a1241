"""The certificates that SNS signs with: fetched once, believed while they are valid, and never asked for in floods.

Whom they are believed of: the file comes over TLS from a host of SNS, by the authorities that this machine trusts.
Beyond that it must name SNS, be valid now, hold an RSA key of 2048 bits or more, and where the file holds the chain,
each certificate of it must have signed the one before.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from notify.errors import Unreachable, Unverified

MOST = 64  # kept at once; SNS has one or two for each region
FETCHES, SPAN = 30, 60.0  # at most so many fetches in so many seconds, whoever asks
SHORTEST_KEY = 2048  # bits
_NAME = "sns."
_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn")


@dataclass(frozen=True, slots=True)
class _Kept:
    key: RSAPublicKey
    begins: datetime
    ends: datetime


class Certificates:
    """The keys by the address of their certificate, for all threads of the process."""

    def __init__(self, download: Callable[[str], bytes]) -> None:
        self._download = download
        self._kept: dict[str, _Kept] = {}
        self._fetched: deque[float] = deque(maxlen=FETCHES)
        self._lock = threading.Lock()

    def key(self, url: str, now: datetime) -> RSAPublicKey:
        """The key of the certificate there. Raises `Unverified` for a bad one, `Unreachable` when it cannot be had."""
        kept = self._kept.get(url)
        if kept is None or now > kept.ends:
            with self._lock:
                kept = self._kept.get(url)
                if kept is None or now > kept.ends:
                    kept = self._fetch(url)
        if not kept.begins <= now <= kept.ends:
            raise Unverified("wrong", "the certificate is not valid now")
        return kept.key

    def _fetch(self, url: str) -> _Kept:
        moment = time.monotonic()
        if len(self._fetched) == FETCHES and moment - self._fetched[0] < SPAN:
            raise Unreachable("too many certificates of SNS were asked for; this one waits a minute")
        self._fetched.append(moment)
        kept = read(self._download(url))
        if len(self._kept) >= MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[url] = kept
        return kept


def read(pem: bytes) -> _Kept:
    """The first certificate of the file. Raises `Unverified` unless it is one to believe."""
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise Unverified("wrong", "SigningCertURL holds no certificate") from None
    for lower, upper in pairwise(chain):
        try:
            lower.verify_directly_issued_by(upper)
        except (ValueError, TypeError, InvalidSignature):
            raise Unverified("wrong", "the certificate's chain is broken") from None
    leaf = chain[0]
    key = leaf.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < SHORTEST_KEY:
        raise Unverified("wrong", f"the certificate holds no RSA key of {SHORTEST_KEY} bits")
    if not any(_is_sns(name) for name in _names(leaf)):
        raise Unverified("wrong", "the certificate is not that of SNS")
    return _Kept(
        key,
        max(one.not_valid_before_utc for one in chain),
        min(one.not_valid_after_utc for one in chain),
    )


def _names(leaf: x509.Certificate) -> list[str]:
    """The host names it was made out for (RFC 6125 §6.4.4: the common name only where there are no others)."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        common = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return [str(one.value) for one in common]
    except ValueError:
        return []
    return found.value.get_values_for_type(x509.DNSName)


def _is_sns(name: str) -> bool:
    return name.lower().startswith(_NAME) and name.lower().endswith(_DOMAINS)
