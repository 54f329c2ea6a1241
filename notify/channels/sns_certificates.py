"""The certificates that SNS signs with: fetched once, believed while they are valid, and never asked for in floods.

What was fetched outlives a restart. An address that holds no certificate is not asked again for minutes, and who posts
many of these shuts out nobody else (`Allowance`).

Whom they are believed of: the file comes over TLS from a host of SNS, by the authorities that this machine trusts.
Beyond that it must name SNS, be valid now, hold an RSA key of 2048 bits or more, and where the file holds the chain,
each certificate of it must have signed the one before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from notify.channels.allowance import Allowance
from notify.errors import NotThere, Unreachable, Unverified

MOST = 64  # kept at once; SNS has one or two for each region
REFUSED_SECONDS = 600.0  # so long an address is not asked again that holds no good certificate
RECALL_SECONDS = 30.0  # between two tries to hear what was fetched before
SHORTEST_KEY = 2048  # bits
_NAME = "sns."
_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn")


@dataclass(frozen=True, slots=True)
class _Kept:
    key: RSAPublicKey
    begins: datetime
    ends: datetime


class Shelf(Protocol):
    """Where certificates outlive the process. It raises nothing."""

    def kept(self) -> Mapping[str, bytes] | None:
        """All that were kept, by address; None while nobody knows."""

    def keep(self, url: str, pem: bytes) -> None:
        """Keep one more, if that can be done."""


class Nowhere:
    """A shelf that keeps nothing."""

    def kept(self) -> Mapping[str, bytes]:
        """See `Shelf`."""
        return {}

    def keep(self, url: str, pem: bytes) -> None:
        """See `Shelf`."""


class Certificates:
    """The keys by the address of their certificate, for all threads of the process."""

    def __init__(self, download: Callable[[str], bytes], shelf: Shelf) -> None:
        self._download = download
        self._shelf = shelf
        self._kept: dict[str, _Kept] = {}
        self._refused: dict[str, float] = {}  # until when; no more than an `Allowance` lets us ask for
        self._recall_at: float | None = 0.0
        self._allowance = Allowance()
        self._lock = threading.Lock()

    def knows(self, url: str, now: datetime) -> bool:
        """Whether `key` asks nobody for it."""
        kept = self._kept.get(url)
        return kept is not None and now <= kept.ends

    def key(self, url: str, now: datetime, caller: str) -> RSAPublicKey:
        """The key of the certificate there. Raises `Unverified` for a bad one, `Unreachable` when it cannot be had."""
        kept = self._kept.get(url)
        if kept is None or now > kept.ends:
            with self._lock:
                kept = self._found(url, now, caller)
        if not kept.begins <= now <= kept.ends:
            raise Unverified("wrong", "the certificate is not valid now")
        return kept.key

    def believed(self, caller: str) -> None:
        """What this caller posted was signed by one of these."""
        self._allowance.know(caller)

    def _found(self, url: str, now: datetime, caller: str) -> _Kept:
        moment = time.monotonic()
        self._recall(moment, now)
        if self.knows(url, now):  # by another thread, or another process before
            return self._kept[url]
        self._refused = {one: until for one, until in self._refused.items() if moment < until}
        if url in self._refused:
            raise Unreachable("there was no good certificate of SNS at this address a moment ago")
        if not self._allowance.take(caller, moment):
            raise Unreachable("too many certificates of SNS were asked for; this one waits a minute")
        try:
            pem = self._download(url)
            kept = read(pem)
        except (NotThere, Unverified):
            self._refused[url] = moment + REFUSED_SECONDS
            raise
        if now > kept.ends:
            self._refused[url] = moment + REFUSED_SECONDS
        else:
            self._remember(url, kept)
            self._shelf.keep(url, pem)
        return kept

    def _recall(self, moment: float, now: datetime) -> None:
        """Learn once what was fetched before this process began."""
        if self._recall_at is None or moment < self._recall_at:
            return
        found = self._shelf.kept()
        self._recall_at = moment + RECALL_SECONDS if found is None else None
        for url, pem in (found or {}).items():
            try:
                kept = read(pem)
            except Unverified:
                continue
            if now <= kept.ends:
                self._remember(url, kept)

    def _remember(self, url: str, kept: _Kept) -> None:
        self._kept.pop(url, None)
        if len(self._kept) >= MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[url] = kept


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
