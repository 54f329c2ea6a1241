"""Where mails come back to, from the URLs of NOTIFY_MAILBOXES: every error names the part at fault, never a secret.

No file is read here that a URL names: one that is away for a moment keeps nobody from reading the other mailboxes.

`imaps://user:password@host/Folder` and `imap://…?tls=starttls` are mailboxes that are read, with `?auth=xoauth2` by an
access token; `smtpd://host:port` and `lmtp://host:port` are where `notify bounces listen` takes mail.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from notify.channels.url import ProviderUrl, Read, at_least_one, file_path, one_of, parse, seconds
from notify.errors import InvalidProvider, InvalidSettings, did_you_mean
from notify.feedback.mailboxes.token_options import OPTIONS, from_options
from notify.feedback.mailboxes.tokens import Tokens
from notify.settings import Settings

IMAP_PORT, IMAPS_PORT = 143, 993
SCHEMES = ("imaps", "imap", "smtpd", "lmtp")
MAILBOX = "imaps://user:password@imap.example.org/INBOX"
EXAMPLES = f"{MAILBOX}, smtpd://0.0.0.0:2525 or lmtp://127.0.0.1:2424"
LISTENED = "what comes to smtpd:// and lmtp:// is taken by notify bounces listen"
MOVE = "move:"
PER_HOST = 10  # connections

Security = Literal["implicit", "starttls", "none"]


@dataclass(frozen=True)
class ImapMailbox:
    """A folder of an IMAP server.

    `tls` of imap:// is `starttls` (required) or `none`; certificates are always verified, by the authorities in the
    file `ca` where one is named. `timeout` and `connect_timeout` are seconds per socket operation; `poll` is how many
    seconds a watch waits where the server has no IDLE. `done` is what becomes of mails whose content was stored:
    `flag` marks them as seen, `move` puts them into `target`, `nothing` leaves them. `keep_unseen`: none is marked.
    It logs in by the password, or where there are `tokens` by one of those; `said` is what was said last to log in.
    """

    host: str
    port: int
    tls: Security
    user: str = field(repr=False)
    password: str = field(repr=False)
    folder: str = "INBOX"
    done: Literal["flag", "move", "nothing"] = "flag"
    target: str = ""
    keep_unseen: bool = False
    timeout: float = 30.0
    connect_timeout: float = 10.0
    poll: float = 60.0
    ca: Path | None = None
    tokens: Tokens | None = field(default=None, repr=False, compare=False)
    said: deque[str] = field(default_factory=lambda: deque(maxlen=8), init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What it is known by: the URL without password and options."""
        scheme = "imaps" if self.tls == "implicit" else "imap"
        return f"{scheme}://{quote(self.user, safe='')}@{self.place}"

    @property
    def place(self) -> str:
        """Host, port and folder: the name without the user, fit for a log."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{self.folder}"

    @property
    def touches(self) -> bool:
        """Whether mails are marked or moved once they are stored."""
        return self.done == "move" or (self.done == "flag" and not self.keep_unseen)

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """Whom to trust, read once. Raises `OSError` or `ValueError` when the file `ca` cannot be used."""
        return ssl.create_default_context(cafile=self.ca)


@dataclass(frozen=True)
class Listening:
    """An address on which mail is taken, at most `connections` at a time and no mail above `size` octets.

    One host has `of_one_host` of them at most. After `timeout` seconds of silence a connection is closed, and earlier
    before it has named a recipient. With the certificate chain in the file `cert`, and its key in `key` or there, too,
    it offers STARTTLS (RFC 3207); with `require_tls` no mail is taken without.
    """

    scheme: Literal["smtpd", "lmtp"]
    host: str
    port: int
    size: int = 20 * 2**20
    connections: int = 20
    per_host: int | None = None
    timeout: float = 300.0  # RFC 5321 §4.5.3.2.7
    cert: Path | None = None
    key: Path | None = None
    require_tls: bool = False

    @property
    def name(self) -> str:
        """What it is known by."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def of_one_host(self) -> int:
        """How many connections one host may have; by LMTP all of them: its client is the mail server beside it."""
        return self.per_host or (self.connections if self.scheme == "lmtp" else PER_HOST)

    place = name


def configured(settings: Settings) -> tuple[ImapMailbox | Listening, ...]:
    """What NOTIFY_MAILBOXES names, in its order. Raises `InvalidSettings`."""
    found = tuple(_configured(one.get_secret_value()) for one in settings.mailboxes)
    names = [one.name for one in found]
    twice = next((one.place for one in found if names.count(one.name) > 1), None)
    if twice is not None:
        raise InvalidSettings(f"NOTIFY_MAILBOXES: {twice} is named twice\nNext: name each once.")
    return found


def imap_mailboxes(settings: Settings) -> tuple[ImapMailbox, ...]:
    """Those of them that are read. Raises `InvalidSettings`."""
    return tuple(one for one in configured(settings) if isinstance(one, ImapMailbox))


def listeners(settings: Settings) -> tuple[Listening, ...]:
    """Those of them that are listened on. Raises `InvalidSettings`."""
    return tuple(one for one in configured(settings) if isinstance(one, Listening))


def chosen(boxes: Sequence[ImapMailbox], name: str | None) -> tuple[ImapMailbox, ...]:
    """All, or the one that is called so, with or without its user. Raises `InvalidSettings`."""
    if not boxes:
        raise InvalidSettings(f"NOTIFY_MAILBOXES: names no mailbox to read\nNext: add one, like {MAILBOX}; {LISTENED}.")
    if name is None:
        return tuple(boxes)
    found = tuple(one for one in boxes if name in (one.name, one.place))
    if len(found) != 1:
        known = [one.name for one in boxes]
        near = did_you_mean(name, [*known, *(one.place for one in boxes)])
        raise InvalidSettings(f"no mailbox is called {name}{near}\nNext: one of {', '.join(known)}")
    return found


def _configured(url: str) -> ImapMailbox | Listening:
    try:
        scheme = url.partition("://")[0].lower()
        if "://" not in url or not scheme.isidentifier():  # its text may be anything, a secret too
            raise InvalidSettings(f"NOTIFY_MAILBOXES: no scheme\nNext: write it like {EXAMPLES}.")
        if scheme not in SCHEMES:
            advice = did_you_mean(scheme, SCHEMES)
            raise InvalidSettings(
                f"NOTIFY_MAILBOXES: unknown scheme '{scheme}'{advice}\nNext: write it like {EXAMPLES}."
            )
        parsed = parse(url)
        return _imap(parsed) if scheme.startswith("imap") else _listening(parsed)
    except InvalidProvider as error:
        raise InvalidSettings(f"NOTIFY_MAILBOXES: {str(error).removeprefix('provider URL ')}") from None


def _imap(url: ProviderUrl) -> ImapMailbox:
    if not url.host:
        raise url.wrong("host", "is missing")
    known: dict[str, Read] = {
        **OPTIONS,
        "done": _done,
        "keep_unseen": _yes_or_no,
        "timeout": seconds,
        "connect_timeout": seconds,
        "poll": seconds,
        "ca": file_path,
    }
    tls: Security = "implicit"
    if url.scheme == "imap":
        known["tls"] = one_of("starttls", "none")
        tls = "starttls"
    options: dict[str, Any] = {"tls": tls, **url.options(known, common=False)}
    login = {name: options.pop(name) for name in OPTIONS if name in options}
    steps = options.get("timeout", ImapMailbox.timeout), options.get("connect_timeout", ImapMailbox.connect_timeout)
    by_token = from_options(url, login, *steps)
    if not url.user or not (url.password or by_token):
        raise url.wrong("password", "user and password are needed, user:password@host; or user@ with ?auth=xoauth2")
    done, target = options.pop("done", ("flag", ""))
    port = url.port or (IMAPS_PORT if url.scheme == "imaps" else IMAP_PORT)
    folder = url.path.strip("/") or "INBOX"
    if not folder.isprintable():
        raise url.wrong("folder", "holds a character that cannot be printed")
    given: dict[str, Any] = {"user": url.user, "password": url.password or "", "tokens": by_token}
    made = ImapMailbox(url.host, port, folder=folder, done=done, target=target, **given, **options)
    if made.done == "move" and made.target == made.folder:
        raise url.wrong("option 'done'", "moves mails to where they are")
    return made


def _listening(url: ProviderUrl) -> Listening:
    if not url.host:
        raise url.wrong("host", "is missing; 0.0.0.0 listens on every address of this machine")
    if url.port is None:
        raise url.wrong("port", "is missing, such as :2525")
    if url.user is not None or url.path.strip("/"):
        raise url.wrong("user or path", "is not expected: whoever delivers here does not log in")
    known = {
        **dict.fromkeys(("size", "connections", "per_host"), at_least_one),
        **dict.fromkeys(("cert", "key"), file_path),
        "timeout": seconds,
        "require_tls": _yes_or_no,
    }
    scheme: Literal["smtpd", "lmtp"] = "lmtp" if url.scheme == "lmtp" else "smtpd"
    made = Listening(scheme, url.host, url.port, **url.options(known, common=False))
    if made.cert is None and (made.key or made.require_tls):
        raise url.wrong(f"option '{'key' if made.key else 'require_tls'}'", "needs a certificate, ?cert=FILE")
    return made


def _done(text: str) -> tuple[str, str]:
    """What becomes of mails that are stored, and where they go."""
    if text.startswith(MOVE) and text != MOVE and text.isprintable():
        return "move", text.removeprefix(MOVE)
    if text in ("flag", "nothing"):
        return text, ""
    near = did_you_mean(text.partition(":")[0], ("flag", "move", "nothing"))
    raise ValueError(f"must be flag, move:FOLDER or nothing{near}")


def _yes_or_no(text: str) -> bool:
    one_of("yes", "no")(text)
    return text == "yes"
