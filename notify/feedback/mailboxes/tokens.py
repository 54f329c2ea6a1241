"""Where the access token of a mailbox comes from: a file, a command, or the operator's token URL; none is ever told.

Each is read anew whenever a server refuses what it gave before. A file that is away is trouble of this mailbox alone.
"""

from __future__ import annotations

import os
import selectors
import stat
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol

from notify.channels.http import readable
from notify.channels.oauth import Granted, TokenUrl
from notify.errors import DeliveryError, Misconfigured
from notify.feedback.mailboxes import refresh_file
from notify.telemetry import emit

BEFORE_ITS_END = 60.0  # seconds: a token that ends sooner is renewed first
USUAL_SECONDS = 300.0  # how long a token is kept whose end is not said
LARGEST = 65536  # octets of a file, or of what a command says
GUIDE = "see OAuth 2.0 in the guide to mailboxes"
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

    def look(self) -> None:
        """Read the files that it needs, and ask nobody. Raises `NoToken`."""


@dataclass(frozen=True)
class FromFile:
    """Somebody else writes the token, and each new one, into a file."""

    path: Path

    def token(self, *, anew: bool) -> str:
        """What the file holds now."""
        return self._held()

    def look(self) -> None:
        """Read the file."""
        self._held()

    def _held(self) -> str:
        return _content(self.path, f"its token file {self.path.name}", "have the token written there, alone")


@dataclass(frozen=True)
class FromCommand:
    """A program says the token: it is run without a shell, for so many seconds at most."""

    words: tuple[str, ...] = field(repr=False)
    seconds: float

    def token(self, *, anew: bool) -> str:
        """What the command says now; of an error only its code is told, and what goes on and on is not heard out."""
        name, step = f"its token command {Path(self.words[0]).name}", "run it by hand as the user that notify runs as"
        until = time.monotonic() + self.seconds
        try:
            with subprocess.Popen(  # noqa: S603 - the operator's own command, split into words, not given to a shell
                self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as running:
                assert running.stdout is not None
                try:
                    said = _heard(running.stdout, until)
                    code = None if len(said) > LARGEST else running.wait(max(0.0, until - time.monotonic()))
                finally:
                    running.kill()
        except (TimeoutError, subprocess.TimeoutExpired):
            raise NoToken(f"{name} says nothing in time", step) from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it failed"
            raise NoToken(f"{name} cannot be run: {why}", step) from None
        if code is None:
            raise NoToken(f"{name} says more than a token", step)
        if code:
            raise NoToken(f"{name} ends with exit code {code}", step)
        return _usable(said, name, step)

    def look(self) -> None:
        """It has no file."""


@dataclass
class FromUrl:
    """The operator's token URL gives them, for a refresh token or for the client itself.

    A new refresh token takes the place of the one before (RFC 6749 §6): in its file where it has one, which several
    processes may share, else for as long as this object is kept. While one thread asks, the others wait: what it is
    told is for all who came meanwhile.
    """

    source: TokenUrl
    refresh_token: str | None = field(default=None, repr=False)
    refresh_file: Path | None = None
    _said: Granted | NoToken | None = field(default=None, init=False, repr=False, compare=False)
    _said_at: float = field(default=0.0, init=False, repr=False, compare=False)
    _until: float = field(default=0.0, init=False, repr=False, compare=False)
    _asking: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def token(self, *, anew: bool) -> str:
        """The token that is kept until shortly before its end, or a new one."""
        came = time.monotonic()
        with self._asking:
            said = self._said
            over = anew or isinstance(said, NoToken) or came >= self._until
            if said is None or (over and self._said_at < came):
                said = self._said = self._answer()
        if isinstance(said, NoToken):
            raise NoToken(said.problem, said.step)
        return said.access_token

    def look(self) -> None:
        """Read the file of the refresh token, where it has one."""
        self._refresh()

    def _answer(self) -> Granted | NoToken:
        try:
            granted = self._in_turn()
        except NoToken as error:
            self._said_at = time.monotonic()
            return error
        seconds = granted.seconds or USUAL_SECONDS
        self._said_at = time.monotonic()
        self._until = self._said_at + max(seconds - BEFORE_ITS_END, seconds / 2)
        return granted

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

    def _granted(self, *, again: bool = False) -> Granted:
        held = self._refresh()
        try:
            granted = self.source.grant(held)
        except DeliveryError as error:
            if error.reason == "invalid_grant" and not again and self._refresh() != held:
                return self._granted(again=True)  # another process has had it changed meanwhile
            raise _why_none(error) from None
        if held is not None and granted.refresh_token not in (None, held):
            self._replace(str(granted.refresh_token))
        return granted

    def _refresh(self) -> str | None:
        if self.refresh_file is None:
            return self.refresh_token
        name = f"its refresh token file {self.refresh_file.name}"
        return _content(self.refresh_file, name, "write the refresh token there, alone")

    def _replace(self, token: str) -> None:
        if self.refresh_file is None:
            self.refresh_token = token
            return
        try:
            refresh_file.replace(self.refresh_file, token)
        except OSError as error:
            why = error.strerror or "it failed"
            emit("mailbox.token_unkept", file=self.refresh_file.name, error=why)


def from_url(source: TokenUrl, refresh_token: str | None, refresh_file: Path | None) -> FromUrl:
    """The one that this process has for these: URLs are read again and again, and what it was told is to last."""
    with _MAKING:
        return _made(source, refresh_token, refresh_file)


_MAKING = threading.Lock()  # a cache alone may make two, for two threads
_made = cache(FromUrl)


def _why_none(error: DeliveryError) -> NoToken:
    if not isinstance(error, Misconfigured):
        what = f"its token URL gives no token just now: {error.reason.replace('_', ' ')}"
        return NoToken(what, "look at token_url, and the way there; it is tried again")
    told = ", ".join(filter(None, (error.reason, error.response)))
    step = _STEPS.get(error.reason, f"correct token_url and what belongs to it; {GUIDE}")
    return NoToken(f"its token URL refuses to give a token ({told})", step)


def _heard(pipe: IO[bytes], until: float) -> bytes:
    """What is said to its end, or a little more than the most there may be. Raises `TimeoutError`."""
    said = bytearray()
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, selectors.EVENT_READ)
        while len(said) <= LARGEST:
            if not waiting.select(max(0.0, until - time.monotonic())):
                raise TimeoutError
            octets = os.read(pipe.fileno(), LARGEST)
            if not octets:
                break
            said += octets
    return bytes(said)


def _content(path: Path, name: str, step: str) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe may be waited at for ever
            raise NoToken(f"{name} is no file", step)
        with path.open("rb") as file:
            octets = file.read(LARGEST)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it failed"
        raise NoToken(f"{name} cannot be read: {why}", "look at its path and rights") from None
    return _usable(octets, name, step)


def _usable(octets: bytes, name: str, step: str) -> str:
    text = octets.decode("utf-8", "replace").strip()
    if not readable(text):
        raise NoToken(f"{name} gives no token", step)
    return text
