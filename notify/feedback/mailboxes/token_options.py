"""What a mailbox's URL says of how to log in, refused by name where it does not fit together; no file is read."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from notify.channels.http import readable
from notify.channels.oauth import TokenUrl
from notify.channels.url import ProviderUrl, Read, file_path, http_endpoint, one_of
from notify.feedback.mailboxes.tokens import FromCommand, FromFile, FromUrl, Tokens, from_url

SOURCES = ("token_url", "token_file", "token_command")
PASSWORD, XOAUTH2 = "password", "xoauth2"
_OF_A_URL = ("client_id", "client_secret", "refresh_token", "refresh_token_file", "scope")


def from_options(url: ProviderUrl, given: Mapping[str, Any], seconds: float, connect_seconds: float) -> Tokens | None:
    """Where the URL says that tokens come from; None when it logs in by a password. Raises `InvalidProvider`."""
    named = [name for name in SOURCES if name in given]
    if given.get("auth", PASSWORD) == PASSWORD:
        wrong = next((name for name in (*SOURCES, *_OF_A_URL) if name in given), None)
        if wrong is not None:
            raise url.wrong(f"option '{wrong}'", "is for ?auth=xoauth2, which must be said, too")
        return None
    if url.password is not None:
        raise url.wrong("password", "is not expected with ?auth=xoauth2; a token is named by an option")
    if len(named) != 1:
        what = "are more than one" if named else "is missing"
        raise url.wrong("options", f"where the token comes from {what}; one of {', '.join(SOURCES)}")
    source = named[0]
    stray = next((name for name in _OF_A_URL if name in given), None)
    if source != "token_url" and stray is not None:
        raise url.wrong(f"option '{stray}'", "is for token_url")
    match source:
        case "token_file":
            return FromFile(given[source])
        case "token_command":
            return FromCommand(given[source], seconds)
    return _from_url(url, given, seconds, connect_seconds)


def _from_url(url: ProviderUrl, given: Mapping[str, Any], seconds: float, connect_seconds: float) -> FromUrl:
    refresh, file = given.get("refresh_token"), given.get("refresh_token_file")
    if "client_id" not in given:
        raise url.wrong("option 'client_id'", "is missing, for token_url")
    if refresh and file:
        raise url.wrong("option 'refresh_token_file'", "and refresh_token are given; one of them")
    if not (refresh or file) and not ("client_secret" in given and "scope" in given):
        raise url.wrong("options", "token_url needs refresh_token or refresh_token_file, or client_secret and scope")
    secret, scope = given.get("client_secret", ""), given.get("scope", "")
    source = TokenUrl(given["token_url"], given["client_id"], secret, scope, seconds, connect_seconds)
    return from_url(source, refresh, file)


def _token_url(text: str) -> str:
    """An https URL, kept as it is: at its end a slash may matter."""
    http_endpoint(text)
    return text


def _command(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        words = ()
    if not words:
        raise ValueError("must be a command line, such as /usr/local/bin/mail-token%20bounces")
    return words


def _secret(text: str) -> str:
    if not readable(text):
        raise ValueError("is empty, or holds what it cannot; a '+' in it is written %2B")
    return text


def _scope(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("is empty or unreadable; between several is %20")
    return text


OPTIONS: Mapping[str, Read] = MappingProxyType(
    {
        "auth": one_of(PASSWORD, XOAUTH2),
        "token_url": _token_url,
        "token_file": file_path,
        "token_command": _command,
        **dict.fromkeys(("client_id", "client_secret", "refresh_token"), _secret),
        "scope": _scope,
        "refresh_token_file": file_path,
    }
)
"""What a mailbox's URL may say behind `?` of how to log in."""
