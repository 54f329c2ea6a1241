"""Where the access token of a mailbox comes from: a file, a command, or the operator's token URL; none is ever told.

Each is read anew whenever a server refuses what it gave before.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from notify.channels.http import readable
from notify.channels.oauth import Granted, TokenUrl
from notify.channels.url import ProviderUrl, Read, existing_file, http_endpoint, one_of
from notify.errors import DeliveryError, Misconfigured
from notify.feedback.mailboxes import refresh_file
from notify.telemetry import emit

BEFORE_ITS_END = 60.0  # seconds: a token that ends sooner is renewed first
USUAL_SECONDS = 300.0  # how long a token is kept whose end is not said
LARGEST = 65536  # octets of a file, or of what a command says
SOURCES = ("token_url", "token_file", "token_command")
PASSWORD, XOAUTH2 = "password", "xoauth2"
GUIDE = "see OAuth 2.0 in the guide to mailboxes"
_OF_A_URL = ("client_id", "client_secret", "refresh_token", "refresh_token_file", "scope")
_STEPS: Mapping[str, str] = MappingProxyType(
    {
        "invalid_client": "correct client_id and client_secret in its URL; the secret may have ended",
        "unauthorized_client": "allow this client what its URL asks for, or correct client_id",
        "invalid_grant": "the refresh token has ended or was withdrawn: agree anew, and write down the new one",
        "invalid_scope": f"correct scope in its URL; {GUIDE}",
    }
)


class NoToken(Exception):
    """None can be had: `problem` in one line without secrets, and the next step."""

    def __init__(self, problem: str, step: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.step = step


class Tokens(Protocol):
    """Gives access tokens."""

    def token(self, *, anew: bool) -> str:
        """One that should be good; `anew`: the one before was refused. Raises `NoToken`."""


@dataclass(frozen=True)
class FromFile:
    """Somebody else writes the token, and each new one, into a file."""

    path: Path

    def token(self, *, anew: bool) -> str:
        """What the file holds now."""
        return _usable(_content(self.path), f"its token file {self.path.name}", "have the token written there, alone")


@dataclass(frozen=True)
class FromCommand:
    """A program says the token: it is run without a shell, for so many seconds at most."""

    words: tuple[str, ...] = field(repr=False)
    seconds: float

    def token(self, *, anew: bool) -> str:
        """What the command says now; of an error only its code is told."""
        name, step = f"its token command {Path(self.words[0]).name}", "run it by hand as the user that notify runs as"
        try:
            said = subprocess.run(  # noqa: S603 - the operator's own command, split into words, not given to a shell
                self.words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=self.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NoToken(f"{name} says nothing in time", step) from None
        except OSError as error:
            raise NoToken(f"{name} cannot be run: {error.strerror or 'it failed'}", step) from None
        if said.returncode:
            raise NoToken(f"{name} ends with exit code {said.returncode}", step)
        return _usable(said.stdout[:LARGEST], name, step)


@dataclass
class FromUrl:
    """The operator's token URL gives them, for a refresh token or for the client itself.

    A new refresh token takes the place of the one before (RFC 6749 §6): in its file where it has one, which several
    processes may share, else for as long as this object is kept.
    """

    source: TokenUrl
    refresh_token: str | None = field(default=None, repr=False)
    refresh_file: Path | None = None
    _kept: Granted | None = field(default=None, repr=False)
    _until: float = 0.0

    def token(self, *, anew: bool) -> str:
        """The token that is kept until shortly before its end, or a new one."""
        if anew or self._kept is None or time.monotonic() >= self._until:
            self._kept = self._in_turn()
            seconds = self._kept.seconds or USUAL_SECONDS
            self._until = time.monotonic() + max(seconds - BEFORE_ITS_END, seconds / 2)
        return self._kept.access_token

    def _in_turn(self) -> Granted:
        """Each refresh token is used once, by whoever comes first: to use it again may withdraw all that follow."""
        if self.refresh_file is None:
            return self._granted()
        try:
            with refresh_file.turn(self.refresh_file):
                return self._granted()
        except OSError as error:
            why = error.strerror or "it is in use for too long"
            what = f"its refresh token file {self.refresh_file.name} cannot be locked: {why}"
            raise NoToken(what, "look at its folder, and at what else uses it; it is tried again") from None

    def _granted(self) -> Granted:
        held = self._refresh()
        try:
            granted = self._ask(held)
        except Misconfigured as error:
            now = self._refresh()
            if error.reason != "invalid_grant" or now == held:
                raise _refused(error) from None
            held, granted = now, self._ask_again(now)  # another process has had it changed meanwhile
        if held is not None and granted.refresh_token not in (None, held):
            self._replace(str(granted.refresh_token))
        return granted

    def _ask(self, held: str | None) -> Granted:
        try:
            return self.source.grant(held)
        except Misconfigured:
            raise
        except DeliveryError as error:
            what = f"its token URL gives no token just now: {error.reason.replace('_', ' ')}"
            raise NoToken(what, "look at token_url, and the way there; it is tried again") from None

    def _ask_again(self, held: str | None) -> Granted:
        try:
            return self._ask(held)
        except Misconfigured as error:
            raise _refused(error) from None

    def _refresh(self) -> str | None:
        if self.refresh_file is None:
            return self.refresh_token
        name = f"its refresh token file {self.refresh_file.name}"
        return _usable(_content(self.refresh_file), name, "write the refresh token there, alone")

    def _replace(self, token: str) -> None:
        if self.refresh_file is None:
            self.refresh_token = token
            return
        try:
            refresh_file.replace(self.refresh_file, token)
        except OSError as error:
            why = error.strerror or "it failed"
            emit("mailbox.token_unkept", file=self.refresh_file.name, error=why)


def _refused(error: Misconfigured) -> NoToken:
    told = ", ".join(filter(None, (error.reason, error.response)))
    step = _STEPS.get(error.reason, f"correct token_url and what belongs to it; {GUIDE}")
    return NoToken(f"its token URL refuses to give a token ({told})", step)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST)
    except OSError as error:
        why = error.strerror or "it failed"
        raise NoToken(f"its file {path.name} cannot be read: {why}", "look at its path and rights") from None


def _usable(octets: bytes, name: str, step: str) -> str:
    text = octets.decode("utf-8", "replace").strip()
    if not readable(text):
        raise NoToken(f"{name} gives no token", step)
    return text


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
    return FromUrl(source, refresh, file)


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
        "token_file": existing_file,
        "token_command": _command,
        **dict.fromkeys(("client_id", "client_secret", "refresh_token"), _secret),
        "scope": _scope,
        "refresh_token_file": existing_file,
    }
)
"""What a mailbox's URL may say behind `?` of how to log in."""
