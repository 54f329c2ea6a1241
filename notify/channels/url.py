"""A provider URL taken apart: every error names the part at fault, and none of them can repeat a secret.

`scheme://user:password@host:port/path?option=value`, user and password percent-encoded (RFC 3986 §3.2.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from notify.errors import InvalidProvider, did_you_mean

HIGHEST_PORT = 65535
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

    def options(self, known: Mapping[str, Read]) -> dict[str, Any]:
        """The values behind `?`, each read by its entry in `known`.

        Raises `InvalidProvider` for an option that is unknown, given twice, or that cannot be read.
        """
        try:
            pairs = parse_qsl(self.query, keep_blank_values=True, strict_parsing=True) if self.query else []
        except ValueError:
            raise self.wrong("options", "must look like ?name=value&name=value") from None
        values: dict[str, Any] = {}
        for name, text in pairs:
            if name not in known:
                advice = did_you_mean(name, known) or f"; known are: {', '.join(sorted(known)) or 'none'}"
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
