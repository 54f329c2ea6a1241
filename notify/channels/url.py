"""A provider URL taken apart: every error names the part at fault, and none of them can repeat a secret.

`scheme://user:password@host:port/path?option=value`, user and password percent-encoded (RFC 3986 §3.2.1); of a
provider that has no host of its own `scheme://KEY?option=value`, and the key is the password.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from notify.errors import InvalidProvider, did_you_mean
from notify.rates import Rate, rate

HIGHEST_PORT = 65535
HIGHEST_WEIGHT = 1000
KEYED = frozenset({"postmark", "resend", "sendgrid"})
"""Schemes of providers without a host of their own: a key stands there."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")
Read = Callable[[str], object]
"""Turns an option's text into its value; ValueError says what the text should be, without repeating a secret."""


@dataclass(frozen=True, slots=True)
class ProviderUrl:
    """The decoded parts. Only the scheme is shown: any other part may be, or may by mistake hold, a secret."""

    scheme: str
    user: str | None = field(repr=False, default=None)
    password: str | None = field(repr=False, default=None)
    host: str = field(repr=False, default="")
    port: int | None = field(repr=False, default=None)
    path: str = field(repr=False, default="")
    query: str = field(repr=False, default="")

    def wrong(self, part: str, why: str) -> InvalidProvider:
        """The error to raise when `part` cannot be used."""
        return InvalidProvider(f"provider URL {self.scheme}://…: {part}: {why}")

    def options(self, known: Mapping[str, Read], *, common: bool = True) -> dict[str, Any]:
        """The values behind `?`, each read by its entry in `known`. `common`: a complaint tells of those of `COMMON`.

        Raises `InvalidProvider` for an option that is unknown, given twice, or that cannot be read.
        """
        return self._read(self._pairs(), known, COMMON if common else {})

    def common(self) -> tuple[dict[str, Any], ProviderUrl]:
        """The values of the options in `COMMON`, and the URL without them. Raises `InvalidProvider`."""
        pairs = self._pairs()
        ours = [(name, text) for name, text in pairs if name in COMMON]
        rest = [(name, text) for name, text in pairs if name not in COMMON]
        return self._read(ours, COMMON, COMMON), replace(self, query=urlencode(rest)) if ours else self

    def _pairs(self) -> list[tuple[str, str]]:
        try:
            return parse_qsl(self.query, keep_blank_values=True, strict_parsing=True) if self.query else []
        except ValueError:
            raise self.wrong("options", "must look like ?name=value&name=value") from None

    def _read(
        self, pairs: Iterable[tuple[str, str]], known: Mapping[str, Read], common: Mapping[str, Read]
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, text in pairs:
            if name not in known:
                of_all = f"; and of every provider {', '.join(sorted(common))}" if common else ""
                listed = f"{', '.join(sorted(known)) or 'none'}{of_all}"
                advice = did_you_mean(name, [*known, *common]) or f"; known are: {listed}"
                raise self.wrong("options", f"'{name}' is unknown{advice}")
            if name in values:
                raise self.wrong(f"option '{name}'", "is given twice")
            try:
                values[name] = known[name](text)
            except ValueError as error:
                raise self.wrong(f"option '{name}'", str(error)) from None
        return values


def parse(url: str) -> ProviderUrl:
    """Take a provider URL apart. Raises `InvalidProvider`."""
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme.isidentifier():
        raise InvalidProvider("provider URL: no scheme; it begins like smtp://host:587 or eml:///folder")
    part = ProviderUrl(scheme.lower())
    # A secret with a bare '?' or '#' is torn in two by every URL parser, and its halves look like other parts.
    if "#" in rest or "@" in rest.partition("?")[2]:
        raise part.wrong("password", "percent-encode '#', '?', '/' and '@' in user and password (%23 %3F %2F %40)")
    try:
        split = urlsplit(url)
        if part.scheme in KEYED:  # a host would be lower-cased, and shown
            return ProviderUrl(part.scheme, password=_decoded(split.netloc), path=split.path, query=split.query)
        user, password = _decoded(split.username), _decoded(split.password)
        path, host = unquote(split.path, errors="strict"), split.hostname or ""
        host.encode("idna")
    except UnicodeError:
        raise part.wrong("host, user or password", "is not valid UTF-8, or no host name") from None
    except ValueError:
        raise part.wrong("host", "is neither a name nor an IP address; IPv6 is written [::1]") from None
    try:
        port = split.port
    except ValueError:
        raise part.wrong("port", f"must be a number from 1 to {HIGHEST_PORT}") from None
    if port == 0:
        raise part.wrong("port", f"must be a number from 1 to {HIGHEST_PORT}")
    return ProviderUrl(part.scheme, user, password, host, port, path, split.query)


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text, errors="strict")


def seconds(text: str) -> float:
    """A duration above zero, in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError("must be a number of seconds above 0, such as 30")
    return value


def at_least_one(text: str) -> int:
    """A whole number above zero."""
    value = int(text) if text.isascii() and text.isdecimal() else 0
    if value < 1:
        raise ValueError("must be a whole number above 0, such as 8")
    return value


def one_of(*words: str) -> Read:
    """One of `words`."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}{did_you_mean(text, words)}")
        return text

    return read


def file_path(text: str) -> Path:
    """The path of a file, which may be away just now: who reads it says so."""
    if not text or "\0" in text:
        raise ValueError("names no file")
    return Path(text)


def existing_file(text: str) -> Path:
    """The path of a file that can be found now."""
    path = Path(text)
    if not path.is_file():
        raise ValueError("names a file that does not exist")
    return path


def host_name(text: str) -> str:
    """A name or address literal that can stand in an SMTP greeting (RFC 5321 §4.1.1.1)."""
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be a host name, such as mail.example.org")
    return text


def plain_name(text: str) -> str:
    """A name that can stand in a log line and on a command line."""
    if not _NAME.fullmatch(text):
        raise ValueError("must be a plain name of at most 64 letters, digits and . : _ -, such as main")
    return text


def weight(text: str) -> int:
    """A whole number from 1 to 1000."""
    value = int(text) if text.isascii() and text.isdecimal() else 0
    if not 1 <= value <= HIGHEST_WEIGHT:
        raise ValueError(f"must be a whole number from 1 to {HIGHEST_WEIGHT}, such as 3")
    return value


def percentage(text: str) -> float:
    """A part of the whole, above 0 and at most 1, from `5%`."""
    found = _SHARE.fullmatch(text)
    value = float(found[1]) / 100 if found else 0.0
    if not 0 < value <= 1:
        raise ValueError("must be a percentage above 0 and at most 100, such as 5%")
    return value


def pace(text: str) -> Rate:
    """A rate, such as `14/s`."""
    try:
        return rate(text)
    except ValueError:
        raise ValueError("must be a number per s, m, h or d, such as 14/s") from None


COMMON: Mapping[str, Read] = MappingProxyType({"name": plain_name, "weight": weight, "share": percentage, "rate": pace})
"""Options that every provider's URL may have: its class does not see them."""


def http_endpoint(text: str) -> str:
    """Where an API is asked instead of at its own address: https, or http on this machine; without a final slash."""
    try:
        split = urlsplit(text)
        safe = split.scheme == "https" or (split.scheme == "http" and is_loopback(split.hostname or ""))
        plain = split.port != 0 and not (split.query or split.fragment or "@" in split.netloc)
    except ValueError:
        safe = plain = False
    if not (safe and plain and split.hostname and text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("must be like https://proxy.example.org; http:// is for this machine only")
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether what is sent to this host stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
